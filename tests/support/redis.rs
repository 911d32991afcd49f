//! A Redis of the tests' own.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;

use crate::support::process::{Server, free_port, program};
use crate::support::temp_dir::TempDir;

/// Redis on a port and on a Unix socket, with a password.
pub(crate) struct Redis {
    pub(crate) server: Server,
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
}

impl Redis {
    pub(crate) const PASSWORD: &str = "redis-password";

    pub(crate) fn start() -> Self {
        Self::start_on(free_port(Ipv4Addr::LOCALHOST))
    }

    pub(crate) fn start_on(port: u16) -> Self {
        Self::start_with(port, "")
    }

    /// With more lines of its configuration.
    pub(crate) fn start_with(port: u16, lines: &str) -> Self {
        let folder = TempDir::new();
        let socket = folder.path().join("redis.sock");
        folder.write("password", Self::PASSWORD);
        let conf = format!(
            "bind 127.0.0.1\nport {port}\nunixsocket {}\nrequirepass {}\nsave \"\"\n\
             appendonly no\ndir {}\n{lines}\n",
            socket.display(),
            Self::PASSWORD,
            folder.path().display()
        );
        let conf = folder.write("redis.conf", conf);
        let mut command = Command::new(program("redis-server", "redis-server"));
        command.arg(conf);
        let mut server = Server::start(&mut command, folder.path().join("output"));
        server.wait_for_port(Ipv4Addr::LOCALHOST, port);
        Self {
            server,
            port,
            folder,
        }
    }

    pub(crate) fn password_file(&self) -> PathBuf {
        self.folder.path().join("password")
    }

    /// The keys of `[throttle]` for it.
    pub(crate) fn keys(&self) -> String {
        let port = self.port;
        let file = self.password_file();
        format!("state = \"redis://127.0.0.1:{port}\"\npassword-file = {file:?}\n")
    }

    /// The result of a command.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        let output = Command::new(program("redis-cli", "redis-tools"))
            .env("REDISCLI_AUTH", Self::PASSWORD)
            .args(["-p", &self.port.to_string()])
            .args(words)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(!said.contains("ERR"), "{said}");
        said.trim().to_owned()
    }
}
