//! The temporary folder of a run: programs are built into it, servers live and die in it.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, io};

use crate::peers;
use crate::process::{self, wait_for};
use crate::wire::Address;
use crate::{Options, Outcome};

/// The variable that names the configuration file.
pub(crate) const CONFIG: &str = "NGINX_MAIL_AUTH_CONFIG";

/// What the program logs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Problems only.
    Warn,
    /// The default: a line for each decision, too.
    Info,
}

impl Level {
    pub(crate) const ALL: [Self; 2] = [Self::Warn, Self::Info];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Info => "info",
        }
    }

    /// The configuration file that has this level.
    fn file(self) -> &'static str {
        match self {
            Self::Warn => "auth.toml",
            Self::Info => "auth-info.toml",
        }
    }
}

/// Who can be started.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Ours(Level),
    /// C with libfcgi.
    Libfcgi,
    /// The crate `fastcgi`.
    FastcgiCrate,
    PhpFpm,
}

impl Program {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours(Level::Warn) => "ours, warn",
            Self::Ours(Level::Info) => "ours, info",
            Self::Libfcgi => "C, libfcgi",
            Self::FastcgiCrate => "crate fastcgi",
            Self::PhpFpm => "PHP-FPM",
        }
    }

    /// Our log level; the peers read no configuration.
    pub(crate) fn level(self) -> Level {
        match self {
            Self::Ours(level) => level,
            Self::Libfcgi | Self::FastcgiCrate | Self::PhpFpm => Level::Warn,
        }
    }
}

/// The folder, gone at the end of the run.
pub(crate) struct Lab {
    folder: PathBuf,
    pub(crate) options: Options,
}

impl Lab {
    /// Builds the C programs for all parts, and copies ours.
    pub(crate) fn set_up(options: Options) -> Outcome<Self> {
        let folder = env::temp_dir().join(format!("nginx-mail-auth-bench-{}", std::process::id()));
        fs::create_dir(&folder)?;
        let lab = Self { folder, options };
        fs::set_permissions(&lab.folder, Permissions::from_mode(0o755))?;
        peers::compile(&[&peers::LIBFCGI, &peers::CGI], lab.folder())?;
        let ours = |fastcgi: &str, own: &str| {
            let stand_in = lab.path(fastcgi);
            if lab.options.same {
                stand_in
            } else {
                PathBuf::from(own)
            }
        };
        // Copied, so that Apache's user may run it wherever the sources are.
        let own = env!("CARGO_BIN_EXE_nginx-mail-auth");
        fs::copy(ours("libfcgi", own), lab.path("ours"))?;
        fs::copy(ours("cgi", own), lab.path("ours-cgi"))?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/php-script.toml");
        lab.configure(&fs::read_to_string(script)?)?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/php/mail-auth.php");
        fs::copy(script, lab.path("mail-auth.php"))?;
        Ok(lab)
    }

    /// The folder itself.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file of this name in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A name in the folder that nothing has yet.
    pub(crate) fn free(&self, name: &str) -> PathBuf {
        let names = (0..).map(|number| self.path(&format!("{name}-{number}")));
        names
            .into_iter()
            .find(|path| !path.exists())
            .unwrap_or_default()
    }

    /// The program that is to run as CGI program or under mod_fcgid.
    pub(crate) fn program(&self, program: Program) -> PathBuf {
        self.path(match program {
            Program::Ours(_) => "ours",
            Program::FastcgiCrate => "peer-fastcgi",
            Program::Libfcgi | Program::PhpFpm => "libfcgi",
        })
    }

    /// Writes our configuration, once for each log level.
    pub(crate) fn configure(&self, toml: &str) -> Outcome<()> {
        for level in Level::ALL {
            let name = level.name();
            let text = format!("{toml}\n[log]\nlevel = \"{name}\"\n");
            fs::write(self.config(level), text)?;
        }
        Ok(())
    }

    /// Our configuration with this log level.
    pub(crate) fn config(&self, level: Level) -> PathBuf {
        self.path(level.file())
    }

    /// Writes a file that Apache's user can read.
    pub(crate) fn write(&self, name: &str, text: &str) -> Outcome<PathBuf> {
        let path = self.path(name);
        fs::write(&path, text)?;
        Ok(path)
    }

    /// The peer that uses the crate `fastcgi`.
    pub(crate) fn build_crate_peer(&self) -> Outcome<()> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        run(Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--release", "--example", "peer-fastcgi"])
            .arg("--manifest-path")
            .arg(manifest))?;
        // Beside the program that cargo built for this run.
        let folder = Path::new(env!("CARGO_BIN_EXE_nginx-mail-auth")).parent();
        let built = folder
            .unwrap_or(Path::new("."))
            .join("examples/peer-fastcgi");
        fs::copy(built, self.path("peer-fastcgi"))?;
        Ok(())
    }

    /// Our program without any feature: users from a password file only.
    pub(crate) fn build_least(&self) -> Outcome<PathBuf> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("least");
        run(Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--release", "--no-default-features"])
            .arg("--manifest-path")
            .arg(manifest)
            .arg("--target-dir")
            .arg(&target))?;
        let least = self.path("ours-least");
        fs::copy(target.join("release/nginx-mail-auth"), &least)?;
        Ok(least)
    }

    /// Starts a server; `workers` processes of it, where one serves one connection at a time.
    pub(crate) fn serve(&self, program: Program, workers: usize) -> Outcome<Server> {
        let mut server = match program {
            Program::PhpFpm => self.php_fpm(workers)?,
            Program::Ours(_) if !self.options.same => self.on_descriptor_0(program, 1)?,
            Program::FastcgiCrate => self.on_descriptor_0(program, 1)?,
            Program::Ours(_) | Program::Libfcgi => self.on_descriptor_0(program, workers)?,
        };
        if let Address::Unix(path) = &server.address {
            wait_for("a socket", || path.exists())?;
            fs::set_permissions(path, Permissions::from_mode(0o666))?;
        }
        let address = server.address.clone();
        wait_for("a server", || address.answers())?;
        for child in &mut server.children {
            if let Some(status) = child.try_wait()? {
                return Err(format!("{} ended at once: {status}", program.name()).into());
            }
        }
        Ok(server)
    }

    /// As spawn-fcgi does: the listening socket is descriptor 0.
    fn on_descriptor_0(&self, program: Program, processes: usize) -> Outcome<Server> {
        let (socket, address): (OwnedFd, _) = if self.options.tcp {
            let listener = TcpListener::bind(("127.0.0.1", 0))?;
            let address = Address::Tcp(listener.local_addr()?);
            (listener.into(), address)
        } else {
            let path = self.free("socket");
            (UnixListener::bind(&path)?.into(), Address::Unix(path))
        };
        let mut children = Vec::new();
        for _ in 0..processes {
            let child = Command::new(self.program(program))
                .stdin(Stdio::from(socket.try_clone()?))
                .stdout(Stdio::null())
                .stderr(fs::File::create(self.free("stderr"))?)
                .env(CONFIG, self.config(program.level()))
                .spawn()?;
            children.push(child);
        }
        Ok(Server { children, address })
    }

    fn php_fpm(&self, workers: usize) -> Outcome<Server> {
        let (listen, address) = if self.options.tcp {
            let free = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
            (free.to_string(), Address::Tcp(free))
        } else {
            let path = self.free("socket");
            (path.display().to_string(), Address::Unix(path))
        };
        let log = self.path("php-fpm.log").display().to_string();
        let mut pool = format!(
            "[global]\nerror_log = {log}\ndaemonize = no\n[bench]\nlisten = {listen}\n\
             pm = static\npm.max_children = {workers}\n"
        );
        if is_root() {
            pool.push_str("user = www-data\ngroup = www-data\n");
        }
        let child = Command::new(peers::php_fpm()?)
            .arg("-F")
            .arg("-y")
            .arg(self.write("php-fpm.conf", &pool)?)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let children = vec![child];
        Ok(Server { children, address })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.options.keep {
            println!("Kept: {}", self.folder.display());
        } else {
            let _best_effort = fs::remove_dir_all(&self.folder);
        }
    }
}

/// A running FastCGI server; ends with the value.
pub(crate) struct Server {
    children: Vec<Child>,
    pub(crate) address: Address,
}

impl Server {
    /// CPU time of all its processes since their start.
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        self.children
            .iter()
            .map(|child| process::cpu(child.id()))
            .sum()
    }

    /// CPU time of the threads that all its processes have now, exactly.
    pub(crate) fn exact_cpu(&self) -> Outcome<Duration> {
        self.children
            .iter()
            .map(|child| process::exact_cpu(child.id()))
            .sum()
    }

    /// The process, of a server that has one.
    pub(crate) fn pid(&self) -> u32 {
        self.children.first().map(Child::id).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.children.iter_mut().for_each(process::end);
    }
}

/// Runs a command to its end; the error holds what it said.
pub(crate) fn run(command: &mut Command) -> Outcome<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let out = command
        .output()
        .map_err(|error| format!("{name}: {error}"))?;
    if out.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&out.stderr)).into())
}

/// Whether servers will change to Debian's user for web servers.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Gives a folder to Apache's user, if that is another.
pub(crate) fn give_to_apache(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    if is_root() {
        // Debian's number for www-data, fixed (base-passwd).
        chown(folder, Some(33), Some(33))?;
    }
    Ok(())
}
