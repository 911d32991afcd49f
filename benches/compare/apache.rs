//! An Apache of our own, with one of the three ways to a program behind `/mail/auth`.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Outcome;
use crate::lab::{CONFIG, Lab, give_to_apache, is_root};
use crate::process::{self, wait_for};
use crate::wire::Address;

/// How the program is reached.
pub(crate) enum Way<'a> {
    /// mod_proxy_fcgi, to a server that runs already. PHP-FPM needs the script's name.
    ProxyFcgi(&'a Address, Option<PathBuf>),
    /// mod_fcgid, which starts the program.
    Fcgid(&'a Path),
    /// mod_cgid, which starts the program for every request.
    Cgid(&'a Path),
}

/// A running Apache; ends with the value.
pub(crate) struct Apache {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// Modules of every variant.
const MODULES: [&str; 5] = ["mpm_event", "authz_core", "alias", "env", "reqtimeout"];

impl Apache {
    /// Starts one in a folder of this name.
    pub(crate) fn start(lab: &Lab, name: &str, way: &Way<'_>) -> Outcome<Self> {
        let folder = lab.path(name);
        fs::create_dir(&folder)?;
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let text = configuration(lab, &folder, address, way)?;
        let file = folder.join("apache.conf");
        fs::write(&file, text)?;
        let child = Command::new("/usr/sbin/apache2")
            .args(["-D", "FOREGROUND", "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("stderr"))?)
            .spawn()
            .map_err(|error| format!("apache2: {error}"))?;
        let apache = Self { child, address };
        let up = wait_for("Apache", || TcpStream::connect(address).is_ok());
        if let Err(error) = up {
            let said = fs::read_to_string(folder.join("stderr")).unwrap_or_default();
            let log = fs::read_to_string(folder.join("error.log")).unwrap_or_default();
            return Err(format!("{error}: {said}{log}").into());
        }
        Ok(apache)
    }

    /// CPU time of Apache and all that it started.
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        process::cpu(self.child.id())
    }

    /// CPU time of the processes of `program` that Apache started and that still run, and how
    /// many they are.
    pub(crate) fn cpu_of_program(&self, program: &Path) -> Outcome<(Duration, usize)> {
        process::cpu_of_program(self.child.id(), program)
    }
}

impl Drop for Apache {
    fn drop(&mut self) {
        process::end(&mut self.child);
    }
}

fn configuration(lab: &Lab, folder: &Path, address: SocketAddr, way: &Way<'_>) -> Outcome<String> {
    let here = folder.display();
    let mut text = format!("ServerRoot {here}\nServerName localhost\nListen {address}\n");
    let more: &[&str] = match way {
        Way::ProxyFcgi(..) => &["proxy", "proxy_fcgi"],
        Way::Fcgid(_) => &["fcgid"],
        Way::Cgid(_) => &["cgid"],
    };
    for module in MODULES.iter().chain(more) {
        let path = format!("/usr/lib/apache2/modules/mod_{module}.so");
        let _infallible = writeln!(text, "LoadModule {module}_module {path}");
    }
    if is_root() {
        text.push_str("User www-data\nGroup www-data\n");
    }
    let _infallible = write!(
        text,
        "PidFile {here}/pid\nErrorLog {here}/error.log\nLogLevel warn\nMutex file:{here} default\n\
         <Location /mail/auth>\n  Require all granted\n</Location>\n"
    );
    let config = lab.path("auth.toml");
    let config = config.display();
    let way = match way {
        Way::ProxyFcgi(address, script) => {
            let target = match address {
                Address::Unix(path) => format!("unix:{}|fcgi://localhost", path.display()),
                Address::Tcp(address) => format!("fcgi://{address}"),
            };
            // With ProxyPass, PHP-FPM would look for a file called /mail/auth.
            let name = script
                .as_deref()
                .unwrap_or(Path::new("/usr/lib/cgi-bin/auth"));
            format!(
                "Alias /mail/auth {}\n<Location /mail/auth>\n  SetHandler \"proxy:{target}\"\n\
                 </Location>\n",
                name.display()
            )
        }
        Way::Fcgid(program) => {
            let sockets = folder.join("sockets");
            give_to_apache(&sockets)?;
            format!(
                "FcgidIPCDir {}\nFcgidProcessTableFile {here}/shm\n\
                 FcgidInitialEnv {CONFIG} {config}\n{}\
                 ScriptAlias /mail/auth {}\n<Location /mail/auth>\n  SetHandler fcgid-script\n  \
                 Options +ExecCGI\n</Location>\n",
                sockets.display(),
                shipped_fcgid_settings()?,
                program.display()
            )
        }
        Way::Cgid(program) => format!(
            "ScriptSock {here}/cgid.sock\nSetEnv {CONFIG} {config}\n\
             ScriptAlias /mail/auth {}\n<Location /mail/auth>\n  Options +ExecCGI\n</Location>\n",
            program.display()
        ),
    };
    text.push_str(&way);
    Ok(text)
}

/// The lines of the shipped `apache/fcgid.conf` that tune mod_fcgid; not those that say which
/// program to start, and with what environment.
fn shipped_fcgid_settings() -> Outcome<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("apache/fcgid.conf");
    let text = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    let tuning = |line: &&str| {
        let line = line.trim_start();
        line.starts_with("Fcgid")
            && ![
                "FcgidWrapper",
                "FcgidInitialEnv",
                "FcgidIPCDir",
                "FcgidProcessTableFile",
            ]
            .iter()
            .any(|other| line.starts_with(other))
    };
    Ok(text
        .lines()
        .filter(tuning)
        .map(|line| format!("{}\n", line.trim_start()))
        .collect())
}
