//! Dovecot as the server that is asked: IMAP and POP3, plain, with STARTTLS and with TLS.

use std::fs;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::Signal;

use crate::support::certificates::Certificates;
use crate::support::process::{Server, free_port, ids_of, installed, need_root, program};
use crate::support::program::path_key;
use crate::support::temp_dir::TempDir;

const ADDRESS: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// It listens there too, but its certificate is not for there.
pub(crate) const UNNAMED: &str = "127.0.0.2";

/// A way to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) store: &'static str,
    pub(crate) starttls: bool,
    pub(crate) tls: bool,
}

impl Way {
    pub(crate) const ALL: [Self; 6] = [
        Self::new("imap", false, false),
        Self::new("imap", true, false),
        Self::new("imap", false, true),
        Self::new("pop3", false, false),
        Self::new("pop3", true, false),
        Self::new("pop3", false, true),
    ];

    /// Without TLS.
    pub(crate) const PLAIN: [Self; 2] = [Self::ALL[0], Self::ALL[3]];

    pub(crate) const fn new(store: &'static str, starttls: bool, tls: bool) -> Self {
        Self {
            store,
            starttls,
            tls,
        }
    }

    /// The keys for this way to a server.
    pub(crate) fn keys(self, host: &str, port: u16) -> String {
        let scheme = match self.tls {
            true => format!("{}s", self.store),
            false => self.store.to_owned(),
        };
        let starttls = if self.starttls {
            "starttls = true\n"
        } else {
            ""
        };
        format!(
            "store = {:?}\nurl = \"{scheme}://{host}:{port}\"\n{starttls}",
            self.store
        )
    }

    pub(crate) fn is_encrypted(self) -> bool {
        self.tls || self.starttls
    }
}

/// A user, with or without a mailbox.
pub(crate) struct User {
    pub(crate) login: &'static [u8],
    pub(crate) password: Vec<u8>,
    pub(crate) disabled: bool,
}

pub(crate) fn users() -> Vec<User> {
    let user = |login, password: &[u8]| User {
        login,
        password: password.to_vec(),
        disabled: false,
    };
    // Dovecot itself does not take the first control byte and the tab in a password of its file.
    let all = (2..=255).filter(|byte| !b"\t\r\n".contains(byte));
    let all: Vec<u8> = all.collect();
    vec![
        user(b"alice", b"sesame1"),
        user(b"bob@example.org", b"  two  words  "),
        user(b"carol smith", b"quote\" back\\slash {7} {7+}"),
        user(b"g\"q\"\\{3}", b"*)(uid=*"),
        user(b"*)(uid=*", b"%41+&;=,"),
        user(b"m\xfcller", b"pa\xdfw\xf6rd"),
        user("gr\u{fc}n".as_bytes(), "pa\u{df}w\u{f6}rd".as_bytes()),
        user(b"everything", &all),
        user(b"long", &[b'x'; 512]),
        User {
            disabled: true,
            ..user(b"disabled", b"sesame1")
        },
    ]
}

/// A running Dovecot with [`users`].
pub(crate) struct Dovecot {
    pub(crate) certificates: Certificates,
    ports: [(&'static str, u16); 4],
    settings: String,
    server: Mutex<Option<Server>>,
    folder: TempDir,
}

impl Dovecot {
    /// The one that is running already for another test, or a new one.
    pub(crate) fn shared() -> Arc<Self> {
        static RUNNING: Mutex<Weak<Dovecot>> = Mutex::new(Weak::new());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.upgrade().unwrap_or_else(|| {
            let dovecot = Self::stopped("auth_failure_delay = 0\n");
            dovecot.start();
            let dovecot = Arc::new(dovecot);
            *running = Arc::downgrade(&dovecot);
            dovecot
        })
    }

    /// One that can be started.
    pub(crate) fn stopped(settings: &str) -> Self {
        need_root();
        for (protocol, package) in [("imap", "dovecot-imapd"), ("pop3", "dovecot-pop3d")] {
            installed(&format!("/usr/lib/dovecot/{protocol}"), package);
        }
        let dovecot = Self {
            certificates: Certificates::made_for("DNS:localhost,IP:127.0.0.1"),
            ports: ["imap", "imaps", "pop3", "pop3s"].map(|name| (name, free_port(ADDRESS))),
            settings: settings.to_owned(),
            server: Mutex::new(None),
            folder: TempDir::new(),
        };
        dovecot.write_users();
        dovecot
    }

    pub(crate) fn write_users(&self) {
        let (uid, gid) = ids_of("mail", "base-passwd");
        let home = self.folder.path().join("mail");
        fs::create_dir(&home).unwrap();
        chown(&home, Some(uid), Some(gid)).unwrap();
        let mut lines = Vec::new();
        for (number, user) in users().iter().enumerate() {
            // Dovecot looks a login up with these three escaped (str_escape).
            for byte in user.login {
                if matches!(byte, b'"' | b'\'' | b'\\') {
                    lines.push(b'\\');
                }
                lines.push(*byte);
            }
            let password = STANDARD.encode(&user.password);
            let extra = if user.disabled { "nologin" } else { "" };
            let home = home.join(number.to_string());
            writeln!(
                lines,
                ":{{PLAIN.b64}}{password}:{uid}:{gid}::{}::{extra}",
                home.display()
            )
            .unwrap();
        }
        let file = self.folder.path().join("users");
        fs::write(&file, lines).unwrap();
        chown(&file, None, Some(ids_of("dovecot", "dovecot-core").1)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    }

    pub(crate) fn start(&self) {
        let home = self.folder.path();
        let mut config = CONFIG
            .replace("HOME", &home.display().to_string())
            .replace("ADDRESS", &format!("{ADDRESS}, {UNNAMED}"))
            .replace(
                "CERTIFICATE",
                &self.certificates.certificate().display().to_string(),
            )
            .replace("KEY", &self.certificates.key().display().to_string());
        for (name, port) in self.ports {
            config = config.replace(&format!("{name}-port"), &port.to_string());
        }
        config.push_str(&self.settings);
        let file = home.join("dovecot.conf");
        fs::write(&file, config).unwrap();
        let mut server = Server::start(
            Command::new(program("dovecot", "dovecot-core"))
                .args(["-F", "-c"])
                .arg(file),
            home.join("dovecot.out"),
        );
        for (_, port) in self.ports {
            server.wait_for_port(ADDRESS, port);
        }
        *self.server.lock().unwrap() = Some(server);
    }

    /// Ends it, at once and without a word to its clients.
    pub(crate) fn kill(&self) {
        let server = self.server.lock().unwrap().take().unwrap();
        server.signal_all(Signal::KILL);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.server
            .lock()
            .unwrap()
            .as_ref()
            .unwrap()
            .signal_all(signal);
    }

    /// Everything that it logged.
    pub(crate) fn log(&self) -> String {
        let log = fs::read(self.folder.path().join("dovecot.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    pub(crate) fn port(&self, way: Way) -> u16 {
        let name = match way.tls {
            true => format!("{}s", way.store),
            false => way.store.to_owned(),
        };
        self.ports
            .iter()
            .find(|(known, _)| *known == name)
            .unwrap()
            .1
    }

    /// The keys of a store that asks this server, by name or address.
    pub(crate) fn keys_at(&self, way: Way, host: &str) -> String {
        let ca_file: PathBuf = self.certificates.ca();
        let ca_file = match way.is_encrypted() {
            true => path_key("ca-file", &ca_file),
            false => String::new(),
        };
        way.keys(host, self.port(way)) + &ca_file
    }

    pub(crate) fn keys(&self, way: Way) -> String {
        self.keys_at(way, "127.0.0.1")
    }
}

const CONFIG: &str = "\
base_dir = HOME/dovecot
state_dir = HOME/dovecot
log_path = HOME/dovecot.log
protocols = imap pop3
listen = ADDRESS
ssl = yes
ssl_cert = <CERTIFICATE
ssl_key = <KEY
disable_plaintext_auth = no
auth_mechanisms = plain
auth_username_chars =
auth_username_format = %u
first_valid_uid = 1
mail_location = maildir:~/Maildir
pop3_lock_session = yes
passdb {
  driver = passwd-file
  args = username_format=%u HOME/users
}
userdb {
  driver = passwd-file
  args = username_format=%u HOME/users
}
service imap-login {
  service_count = 0
  inet_listener imap {
    port = imap-port
  }
  inet_listener imaps {
    port = imaps-port
  }
}
service pop3-login {
  service_count = 0
  inet_listener pop3 {
    port = pop3-port
  }
  inet_listener pop3s {
    port = pop3s-port
  }
}
# Several seconds of waiting after a few wrong passwords from one address.
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
";
