//! Dovecot with the shipped `passdb lua`, version 2.3 or 2.4: the system's, or the one that
//! tests/install-packages.sh unpacked.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::process::{Server, free_port, ids_of, need_root, program};
use crate::support::temp_dir::TempDir;

const ADDRESS: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Dovecot 2.4 of Debian 13, unpacked.
const UNPACKED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/dovecot-2.4");

/// The result of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    Accepted,
    Refused,
    Temporary,
}

/// The two syntaxes of Dovecot's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// 2.3.
    Old,
    /// 2.4.
    New,
}

/// A Dovecot that only serves ManageSieve and its auth service.
pub(crate) struct Dovecot {
    version: Version,
    /// The folder that is `/` to it, if it is not the system's.
    root: Option<PathBuf>,
    sieve: u16,
    _server: Server,
    folder: TempDir,
}

/// The versions that are there, each with its root: both, on the Debian release with 2.3.
pub(crate) fn installed() -> Vec<(Version, Option<PathBuf>)> {
    need_root();
    let output = Command::new(program("dovecot", "dovecot-core"))
        .arg("--version")
        .output()
        .unwrap();
    if output.stdout.starts_with(b"2.3.") {
        return vec![
            (Version::Old, None),
            (Version::New, Some(PathBuf::from(UNPACKED))),
        ];
    }
    assert!(output.stdout.starts_with(b"2.4."), "{output:?}");
    vec![(Version::New, None)]
}

impl Dovecot {
    /// Starts it with this script and this block for `passdb`, whose path is replaced.
    pub(crate) fn start(
        version: Version,
        root: Option<PathBuf>,
        script: &str,
        key: &str,
        passdb: &str,
    ) -> Self {
        let folder = TempDir::new();
        let home = folder.path();
        folder.write("key", format!("{key}\n"));
        let (uid, gid) = ids_of("nobody", "base-passwd");
        fs::create_dir(home.join("mail")).unwrap();
        chown(home.join("mail"), Some(uid), Some(gid)).unwrap();
        let key_file = home.join("key").display().to_string();
        let script = script.replace("/etc/nginx-mail-auth/key", &key_file);
        folder.write("auth.lua", script);
        let sieve = free_port(ADDRESS);
        let passdb = passdb.replace(
            "/etc/dovecot/auth.lua",
            &home.join("auth.lua").display().to_string(),
        );
        let config = version
            .settings()
            .replace("HOME", &home.display().to_string())
            .replace("PORT", &sieve.to_string());
        folder.write("dovecot.conf", config + &passdb);
        let mut command = command(root.as_deref(), "dovecot");
        command.args(["-F", "-c"]).arg(home.join("dovecot.conf"));
        let mut server = Server::start(&mut command, folder.path().join("out"));
        server.wait_for_port(ADDRESS, sieve);
        Self {
            version,
            root,
            sieve,
            _server: server,
            folder,
        }
    }

    /// Asks the auth service, as a login of this service from this address.
    pub(crate) fn login(&self, service: &str, client: &str, login: &str, password: &str) -> Login {
        let (of_service, of_client) = match self.version {
            Version::Old => ("service", "rip"),
            Version::New => ("protocol", "remote-ip"),
        };
        let output = command(self.root.as_deref(), "doveadm")
            .arg("-c")
            .arg(self.folder.path().join("dovecot.conf"))
            .args(["auth", "test", "-x", &format!("{of_service}={service}")])
            .args(["-x", &format!("{of_client}={client}"), login, password])
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        match (output.status.success(), printed.contains("code=temp_fail")) {
            (true, false) => Login::Accepted,
            (false, false) => Login::Refused,
            (_, true) => Login::Temporary,
        }
    }

    /// Logs in to ManageSieve (RFC 5804, 2.1); the server's answer to it.
    pub(crate) fn sieve(&self, login: &str, password: &str) -> String {
        let mut stream = TcpStream::connect((ADDRESS, self.sieve)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut next = || {
            loop {
                let line = lines
                    .next()
                    .unwrap_or_else(|| panic!("{}", self.log()))
                    .unwrap();
                if line.starts_with("OK") || line.starts_with("NO") {
                    return line;
                }
            }
        };
        next();
        let plain = STANDARD.encode(format!("\0{login}\0{password}"));
        write!(stream, "AUTHENTICATE \"PLAIN\" \"{plain}\"\r\n").unwrap();
        next()
    }

    /// Everything that it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// A program of Dovecot. In another root it sees the same temporary folder and devices.
fn command(root: Option<&Path>, name: &str) -> Command {
    let Some(root) = root else {
        return Command::new(program(name, "dovecot-core"));
    };
    let mut command = Command::new(program("unshare", "util-linux"));
    let script = "mount --bind \"$2\" \"$1/tmp\" && mount --rbind /dev \"$1/dev\" || exit 1\n\
                  root=$1; shift 2; exec chroot \"$root\" \"$@\"";
    command.args(["-m", "sh", "-c", script, "sh"]);
    command.arg(root).arg(std::env::temp_dir()).arg(name);
    command
}

impl Version {
    fn settings(self) -> String {
        let (first, userdb) = match self {
            Self::Old => (
                "",
                "userdb {\n  driver = static\n  args = uid=nobody gid=nogroup home=HOME/mail\n}\n",
            ),
            Self::New => (
                "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n",
                "userdb static {\n  fields {\n    uid = nobody\n    gid = nogroup\n    home = HOME/mail\n  \
                 }\n}\n",
            ),
        };
        let other = match self {
            Self::Old => "disable_plaintext_auth = no\nmail_location = maildir:~/Maildir\n",
            Self::New => {
                "auth_allow_cleartext = yes\nmail_driver = maildir\nmail_path = ~/Maildir\n"
            }
        };
        format!("{first}{COMMON}{other}{userdb}")
    }
}

const COMMON: &str = "\
base_dir = HOME/run
state_dir = HOME/run
log_path = HOME/log
protocols = sieve
listen = 127.0.0.1
ssl = no
auth_mechanisms = plain
auth_failure_delay = 0
service managesieve-login {
  inet_listener sieve {
    port = PORT
  }
}
# No delay for an address with failures before.
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
";
