//! The program with a configuration, asked where logins go.

use std::fs::{self, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::e2e::process::wait_until;
use crate::fcgi::wire::{Client, request};
use crate::util::{self, Log, TempDir};

pub(super) const TEMPORARY: &str = "Auth-Status: Temporary server problem, try again later\n\n";

/// Whose way is looked at.
pub(super) fn logins() -> impl Iterator<Item = String> {
    (0..40).map(|number| format!("user{number}@example.org"))
}

/// Where each of [`logins`] goes; `None` for the temporary failure.
pub(super) type Ways = Vec<Option<IpAddr>>;

/// The address in an answer.
fn address(answer: &str) -> Option<IpAddr> {
    if answer.starts_with("Auth-Status: Temporary server problem") {
        assert!(!answer.contains("Auth-Server"), "{answer}");
        return None;
    }
    let address = answer
        .strip_prefix("Auth-Status: OK\nAuth-Server: ")
        .and_then(|rest| rest.lines().next())
        .unwrap_or_else(|| panic!("{answer}"));
    Some(address.parse().unwrap())
}

/// Writes a file that only its owner may read.
pub(super) fn secret(dir: &TempDir, name: &str, content: &str) {
    let path = dir.write(name, content);
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

fn program(dir: &TempDir) -> Command {
    let mut command = util::program();
    command
        .env("NGINX_MAIL_AUTH_CONFIG", dir.path().join("auth.toml"))
        .stdin(Stdio::null());
    command
}

/// The answer to one CGI request, and the log.
pub(super) fn cgi(dir: &TempDir, login: &str, protocol: &str) -> (String, String) {
    let output = util::output(
        program(dir)
            .env("HTTP_AUTH_USER", login)
            .env("HTTP_AUTH_PASS", "secret")
            .env("HTTP_AUTH_PROTOCOL", protocol),
    );
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

/// What CGI requests get.
pub(super) fn cgi_ways(dir: &TempDir) -> Ways {
    logins()
        .map(|login| address(&cgi(dir, &login, "imap").0))
        .collect()
}

/// A command: exit status, standard output and standard error.
pub(super) fn run(dir: &TempDir, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = util::output(program(dir).args(arguments));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// `serve` on a Unix socket; killed when it goes.
pub(super) struct Serving {
    child: Child,
    log: Log,
    pub(super) dir: TempDir,
}

impl Serving {
    pub(super) fn start(config: &str) -> Self {
        let dir = TempDir::new();
        dir.write("auth.toml", config);
        let address = format!("unix:{}", dir.path().join("socket").display());
        let (log, writer) = Log::to(dir.path().join("log"));
        let child = program(&dir)
            .args(["serve", "--listen", &address])
            .stdout(Stdio::null())
            .stderr(writer)
            .spawn()
            .unwrap();
        let serving = Self { child, log, dir };
        wait_until("the program listens", || serving.connect().is_ok());
        serving
    }

    fn connect(&self) -> std::io::Result<UnixStream> {
        UnixStream::connect(self.dir.path().join("socket"))
    }

    pub(super) fn answer(&self, login: &str, protocol: &str) -> String {
        let mut client = Client::from(self.connect().unwrap());
        client.send(&request(
            1,
            false,
            &[
                ("HTTP_AUTH_USER", login),
                ("HTTP_AUTH_PASS", "secret"),
                ("HTTP_AUTH_PROTOCOL", protocol),
            ],
        ));
        client.answer().0
    }

    pub(super) fn ways(&self, protocol: &str) -> Ways {
        logins()
            .map(|login| address(&self.answer(&login, protocol)))
            .collect()
    }

    /// Puts another configuration in force.
    pub(super) fn reload(&self, config: &str) {
        let loaded = || self.log().matches("auth.toml: loaded").count();
        let before = loaded();
        let new = self.dir.write("new", config);
        fs::rename(new, self.dir.path().join("auth.toml")).unwrap();
        kill_process(Pid::from_child(&self.child), Signal::HUP).unwrap();
        wait_until("it is loaded", || loaded() > before);
    }

    pub(super) fn log(&self) -> String {
        self.log.text()
    }

    /// How many lines of the log have this in them.
    pub(super) fn said(&self, what: &str) -> usize {
        self.log()
            .lines()
            .filter(|line| line.contains(what))
            .count()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
