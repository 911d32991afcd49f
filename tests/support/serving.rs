//! The program as a FastCGI server: every test starts it here.

use crate::support::binary;
use crate::support::fastcgi::{Client, request};
use crate::support::log::Log;
use crate::support::process::wait_until;
use crate::support::temp_dir::TempDir;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

pub(crate) const REFUSED: &str = "Auth-Status: Invalid login or password\n\n";

/// A server on a Unix socket; killed when it goes.
pub(crate) struct Serving {
    pub(crate) child: Child,
    /// Before the folder, which looks for passwords in it.
    pub(crate) log: Log,
    pub(crate) dir: TempDir,
}

impl Serving {
    pub(crate) fn command(dir: &TempDir) -> Command {
        let mut command = binary::command();
        let log = File::create(dir.path().join("log")).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        command.arg("--config").arg(dir.path().join("auth.toml"));
        command
    }

    /// By `serve --listen`.
    pub(crate) fn listening(config: &str, users: &str) -> Self {
        Self::listening_in(TempDir::new(), config, users)
    }

    /// In a folder that has files already.
    pub(crate) fn listening_in(dir: TempDir, config: &str, users: &str) -> Self {
        dir.write("auth.toml", config);
        dir.write("users", users);
        Self::in_folder(dir, |_| {})
    }

    /// With the configuration that is in the folder, and started with something more.
    #[track_caller]
    pub(crate) fn in_folder(dir: TempDir, more: impl FnOnce(&mut Command)) -> Self {
        let address = format!("unix:{}", dir.path().join("socket").display());
        let mut serving = Self::started(dir, |command| {
            command.args(["serve", "--listen", &address]);
            more(command);
        });
        wait_until("the program to listen", || {
            if let Some(status) = serving.ended() {
                panic!("it ended with {status}:\n{}", serving.log());
            }
            UnixStream::connect(serving.socket()).is_ok()
        });
        serving
    }

    /// With a listening socket as descriptor 0, as mod_fcgid and spawn-fcgi start it.
    pub(crate) fn inheriting(config: &str) -> Self {
        Self::inheriting_with(TempDir::new(), config, &[])
    }

    /// The same in a folder that has files already.
    pub(crate) fn inheriting_in(dir: TempDir, config: &str) -> Self {
        Self::inheriting_with(dir, config, &[])
    }

    /// The same, with more in its environment.
    pub(crate) fn inheriting_with(
        dir: TempDir,
        config: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        dir.write("auth.toml", config);
        let listener = UnixListener::bind(dir.path().join("socket")).unwrap();
        Self::started(dir, |command| {
            command
                .stdin(OwnedFd::from(listener))
                .envs(environment.iter().copied());
        })
    }

    /// `serve` with a listening socket from systemd.
    pub(crate) fn activated(dir: TempDir, config: &str) -> Self {
        dir.write("auth.toml", config);
        let listener = UnixListener::bind(dir.path().join("socket")).unwrap();
        Self::started(dir, |command| {
            command
                .arg("serve")
                .env("LISTEN_FDS", "1")
                .env("LISTEN_FDS_FIRST_FD", "0")
                .stdin(OwnedFd::from(listener));
        })
    }

    /// Started with the caller's command, with its configuration and log in this folder.
    pub(crate) fn started(dir: TempDir, how: impl FnOnce(&mut Command)) -> Self {
        let mut command = Self::command(&dir);
        let (log, writer) = Log::to(dir.path().join("log"));
        command.stderr(writer);
        how(&mut command);
        let child = command.spawn().unwrap();
        Self { child, log, dir }
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    pub(crate) fn ask(&self, login: &str, password: &str) -> String {
        ask(&self.socket(), login, password)
    }

    /// The answer to these variables.
    pub(crate) fn answer(&self, variables: &[(&str, &str)]) -> String {
        let mut client = Client::from(UnixStream::connect(self.socket()).unwrap());
        client.send(&request(1, false, variables));
        client.answer().0
    }

    /// Puts a file in place whole, as an administrator should.
    pub(crate) fn replace(&self, name: &str, content: &str) {
        let new = self.dir.write("new", content);
        fs::rename(new, self.dir.path().join(name)).unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Serving {
    /// Whether it has ended; with which status.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn ask(socket: &Path, login: &str, password: &str) -> String {
    let mut client = Client::from(UnixStream::connect(socket).unwrap());
    client.send(&request(
        1,
        false,
        &[
            ("HTTP_AUTH_USER", login),
            ("HTTP_AUTH_PASS", password),
            ("HTTP_AUTH_PROTOCOL", "imap"),
            ("HTTP_CLIENT_IP", "192.0.2.7"),
        ],
    ));
    client.answer().0
}

pub(crate) fn accepted(address: &str) -> String {
    format!("Auth-Status: OK\nAuth-Server: {address}\nAuth-Port: 143\n\n")
}
