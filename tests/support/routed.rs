//! The program with a configuration, asked where logins go.

use crate::support::cgi;
use crate::support::serving::Serving;
use std::fs::{self, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use rustix::process::Signal;

use crate::support::binary;
use crate::support::process::wait_until;
use crate::support::temp_dir::TempDir;

pub(crate) const TEMPORARY: &str = "Auth-Status: Temporary server problem, try again later\n\n";

/// Whose way is looked at.
pub(crate) fn logins() -> impl Iterator<Item = String> {
    (0..40).map(|number| format!("user{number}@example.org"))
}

/// Where each of [`logins`] goes; `None` for the temporary failure.
pub(crate) type Ways = Vec<Option<IpAddr>>;

/// The address in an answer.
pub(crate) fn address(answer: &str) -> Option<IpAddr> {
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
pub(crate) fn secret(dir: &TempDir, name: &str, content: &str) {
    let path = dir.write(name, content);
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

/// The answer to one CGI request, and the log.
pub(crate) fn cgi(dir: &TempDir, login: &str, protocol: &str) -> (String, String) {
    let variables = [
        ("HTTP_AUTH_USER", login),
        ("HTTP_AUTH_PASS", "secret"),
        ("HTTP_AUTH_PROTOCOL", protocol),
    ];
    cgi::ask(dir, &variables)
}

/// What CGI requests get.
pub(crate) fn cgi_ways(dir: &TempDir) -> Ways {
    logins()
        .map(|login| address(&cgi(dir, &login, "imap").0))
        .collect()
}

/// A command: exit status, standard output and standard error.
pub(crate) fn run(dir: &TempDir, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = binary::output(cgi::program(dir).args(arguments));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// A server whose configuration is replaced.
pub(crate) struct Routed(pub(crate) Serving);

impl Routed {
    pub(crate) fn start(config: &str) -> Self {
        let dir = TempDir::new();
        dir.write("auth.toml", config);
        Self(Serving::in_folder(dir, |_| {}))
    }

    pub(crate) fn answer(&self, login: &str, protocol: &str) -> String {
        self.0.answer(&[
            ("HTTP_AUTH_USER", login),
            ("HTTP_AUTH_PASS", "secret"),
            ("HTTP_AUTH_PROTOCOL", protocol),
        ])
    }

    pub(crate) fn ways(&self, protocol: &str) -> Ways {
        logins()
            .map(|login| address(&self.answer(&login, protocol)))
            .collect()
    }

    /// Puts another configuration in force.
    pub(crate) fn reload(&self, config: &str) {
        let loaded = || self.log().matches("auth.toml: loaded").count();
        let before = loaded();
        self.0.replace("auth.toml", config);
        self.0.signal(Signal::HUP);
        wait_until("it is loaded", || loaded() > before);
    }

    pub(crate) fn log(&self) -> String {
        self.0.log()
    }

    /// How many lines of the log have this in them.
    pub(crate) fn said(&self, what: &str) -> usize {
        self.log()
            .lines()
            .filter(|line| line.contains(what))
            .count()
    }
}
