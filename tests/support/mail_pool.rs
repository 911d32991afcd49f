//! Real mail servers: Dovecot with a few users, and a master who can log in as them.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::support::process::{Server, free_port, ids_of, installed, need_root, program};
use crate::support::temp_dir::TempDir;

/// Some mail servers that differ in their address only.
pub(crate) struct Dovecots {
    pub(crate) port: u16,
    addresses: Vec<Ipv4Addr>,
    servers: Vec<Option<Server>>,
    folder: TempDir,
}

impl Dovecots {
    /// On these addresses, all on the same port.
    pub(crate) fn start(addresses: &[Ipv4Addr]) -> Self {
        need_root();
        installed("/usr/lib/dovecot/imap", "dovecot-imapd");
        let free = |port| {
            let free = |address: &Ipv4Addr| TcpListener::bind((*address, port)).is_ok();
            addresses.iter().all(free)
        };
        let port = loop {
            let port = free_port(addresses[0]);
            if free(port) {
                break port;
            }
        };
        let mut dovecots = Self {
            port,
            addresses: addresses.to_vec(),
            servers: Vec::new(),
            folder: TempDir::new(),
        };
        for number in 0..addresses.len() {
            let server = dovecots.launch(number);
            dovecots.servers.push(Some(server));
        }
        for number in 0..addresses.len() {
            dovecots.wait_for(number);
        }
        dovecots
    }

    /// `"127.0.0.1", "127.0.0.2"`.
    pub(crate) fn list(&self) -> String {
        let addresses = self.addresses.iter();
        let quoted: Vec<_> = addresses.map(|address| format!("\"{address}\"")).collect();
        quoted.join(", ")
    }

    pub(crate) fn server(&self, number: usize) -> &Server {
        self.servers[number].as_ref().unwrap()
    }

    pub(crate) fn stop(&mut self, number: usize) {
        self.servers[number] = None;
    }

    pub(crate) fn start_again(&mut self, number: usize) {
        self.servers[number] = Some(self.launch(number));
        self.wait_for(number);
    }

    pub(crate) fn wait_for(&mut self, number: usize) {
        let (address, port) = (self.addresses[number], self.port);
        if let Some(server) = &mut self.servers[number] {
            server.wait_for_port(address, port);
        }
    }

    pub(crate) fn launch(&self, number: usize) -> Server {
        let home = self.folder.path().join(number.to_string());
        let _may_be_there = fs::create_dir(&home);
        let group = ids_of("dovecot", "dovecot-core").1;
        for (name, content) in [
            ("users", "alice:{PLAIN}of-alice::::::\n"),
            ("masters", "proxy:{PLAIN}of-proxy::::::\n"),
        ] {
            fs::write(home.join(name), content).unwrap();
            std::os::unix::fs::chown(home.join(name), None, Some(group)).unwrap();
        }
        let (uid, gid) = ids_of("mail", "base-passwd");
        let config = CONFIG
            .replace("HOME", &home.display().to_string())
            .replace("ADDRESS", &self.addresses[number].to_string())
            .replace("PORT", &self.port.to_string())
            .replace("UID", &uid.to_string())
            .replace("GID", &gid.to_string());
        let file = home.join("dovecot.conf");
        fs::write(&file, config).unwrap();
        let dovecot = program("dovecot", "dovecot-core");
        Server::start(
            Command::new(dovecot).args(["-F", "-c"]).arg(file),
            self.output(number),
        )
    }

    pub(crate) fn output(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("{number}.out"))
    }

    /// What one of them has logged.
    pub(crate) fn log(&self, number: usize) -> String {
        let log = self
            .folder
            .path()
            .join(number.to_string())
            .join("dovecot.log");
        fs::read_to_string(log).unwrap()
    }

    /// Whether one of them lets this login in.
    pub(crate) fn lets_in(&self, number: usize, login: &str, password: &str) -> bool {
        let stream = TcpStream::connect((self.addresses[number], self.port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        assert!(lines.next().unwrap().unwrap().starts_with("* OK"));
        let mut stream = stream;
        write!(stream, "a LOGIN \"{login}\" \"{password}\"\r\n").unwrap();
        let tagged = lines
            .map(Result::unwrap)
            .find(|line| line.starts_with("a "));
        tagged.unwrap().starts_with("a OK")
    }
}

pub(crate) const CONFIG: &str = "\
base_dir = HOME/run
state_dir = HOME/run
log_path = HOME/dovecot.log
protocols = imap
listen = ADDRESS
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
auth_master_user_separator = *
first_valid_uid = 1
mail_location = maildir:HOME/mail/%u
passdb {
  driver = passwd-file
  args = HOME/masters
  master = yes
  result_success = continue
}
passdb {
  driver = passwd-file
  args = HOME/users
}
userdb {
  driver = static
  args = uid=UID gid=GID home=HOME/mail/%u
}
service imap-login {
  inet_listener imap {
    port = PORT
  }
  inet_listener imaps {
    port = 0
  }
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
";
