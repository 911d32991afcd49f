//! An Apache of our own, with one of the three ways to a program behind `/mail/auth`.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Outcome;
use crate::lab::{Lab, give_to_apache, is_root};
use crate::process::{self, wait_for};

/// How the program is reached: by one of the snippets under `apache/`, as they are shipped.
pub(crate) enum Way<'a> {
    /// mod_proxy_fcgi, to a server that runs already. PHP-FPM needs the script's name.
    ProxyFcgi(&'a Path, Option<PathBuf>),
    /// mod_fcgid, which starts the program with this configuration.
    Fcgid(&'a Path, &'a Path),
    /// mod_cgid, which does so for every request.
    Cgid(&'a Path, &'a Path),
}

impl Way<'_> {
    fn snippet(&self) -> &'static str {
        match self {
            Self::ProxyFcgi(..) => "proxy-fcgi.conf",
            Self::Fcgid(..) => "fcgid.conf",
            Self::Cgid(..) => "cgi.conf",
        }
    }

    fn modules(&self) -> &'static [&'static str] {
        match self {
            Self::ProxyFcgi(..) => &["proxy", "proxy_fcgi"],
            Self::Fcgid(..) => &["fcgid"],
            Self::Cgid(..) => &["cgid"],
        }
    }
}

/// A running Apache; ends with the value.
pub(crate) struct Apache {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// Modules of every variant.
const MODULES: [&str; 6] = [
    "mpm_event",
    "authz_core",
    "authz_host",
    "alias",
    "env",
    "reqtimeout",
];

impl Apache {
    /// Starts one in a folder of its own.
    pub(crate) fn start(lab: &Lab, way: &Way<'_>) -> Outcome<Self> {
        let folder = lab.free("apache");
        fs::create_dir(&folder)?;
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let text = configuration(&folder, address, way)?;
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

    /// CPU time of the processes of `program` that Apache started and that still run.
    pub(crate) fn cpu_of_program(&self, program: &Path) -> Outcome<Duration> {
        process::cpu_of_program(self.child.id(), program)
    }
}

impl Drop for Apache {
    fn drop(&mut self) {
        process::end(&mut self.child);
    }
}

/// Of the server around the snippet, only what it cannot run without.
fn configuration(folder: &Path, address: SocketAddr, way: &Way<'_>) -> Outcome<String> {
    let here = folder.display();
    let mut text = format!(
        "ServerRoot {here}\nServerName localhost\nListen {address}\n\
         PidFile {here}/pid\nErrorLog {here}/error.log\nLogLevel warn\n"
    );
    for module in MODULES.iter().chain(way.modules()) {
        let path = format!("/usr/lib/apache2/modules/mod_{module}.so");
        let _infallible = writeln!(text, "LoadModule {module}_module {path}");
    }
    if is_root() {
        text.push_str("User www-data\nGroup www-data\n");
    }
    match way {
        Way::ProxyFcgi(..) => {}
        Way::Fcgid(..) => {
            let sockets = folder.join("sockets");
            give_to_apache(&sockets)?;
            let _infallible = writeln!(
                text,
                "FcgidIPCDir {}\nFcgidProcessTableFile {here}/shm",
                sockets.display()
            );
        }
        Way::Cgid(..) => {
            let _infallible = writeln!(text, "ScriptSock {here}/cgid.sock");
        }
    }
    text.push_str(&snippet(way)?);
    Ok(text)
}

/// The shipped snippet, with the paths of this run.
fn snippet(way: &Way<'_>) -> Outcome<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("apache")
        .join(way.snippet());
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let text = match way {
        Way::ProxyFcgi(socket, script) => {
            let text = define(&text, "NGINX_MAIL_AUTH_SOCKET", socket)?;
            match script {
                None => text,
                Some(script) => {
                    let target = "|fcgi://nginx-mail-auth";
                    replace(
                        &text,
                        &format!("{target}/"),
                        &format!("{target}{}", script.display()),
                    )?
                }
            }
        }
        Way::Fcgid(program, config) | Way::Cgid(program, config) => {
            let text = define(&text, "NGINX_MAIL_AUTH_PROGRAM", program)?;
            define(&text, "NGINX_MAIL_AUTH_TOML", config)?
        }
    };
    Ok(text)
}

/// Gives the administrator's `Define` line another value.
fn define(text: &str, name: &str, value: &Path) -> Outcome<String> {
    let start = format!("Define {name} ");
    let line = text.lines().find(|line| line.starts_with(&start));
    let line = line.ok_or_else(|| format!("no line {start:?} in the snippet"))?;
    replace(text, line, &format!("{start}{}", value.display()))
}

fn replace(text: &str, old: &str, new: &str) -> Outcome<String> {
    if !text.contains(old) {
        return Err(format!("no {old:?} in the snippet").into());
    }
    Ok(text.replacen(old, new, 1))
}
