//! Guessing passwords: what is counted, where, and what follows.

use std::process::{Command, Output, Stdio};

use crate::e2e::process::wait_until;
use crate::serve::Serving;
use crate::util::{self, TempDir};

#[cfg(all(feature = "sql", feature = "redis"))]
mod commands;
#[cfg(all(feature = "sql", feature = "redis"))]
mod foreseen;
#[cfg(all(feature = "sql", feature = "redis"))]
mod redis;
#[cfg(all(feature = "sql", feature = "redis"))]
mod rights;
mod rules;
#[cfg(all(feature = "remote", feature = "ldap"))]
mod slow;
#[cfg(all(feature = "sql", feature = "redis"))]
mod states;

const KEY: &str = "correct-key";
const REFUSED: &str = "Auth-Status: Invalid login or password\n";
const TEMPORARY: &str = "Auth-Status: Temporary server problem, try again later\n";
const USERS: &str = "alice:{PLAIN}secret-right\nbob:{PLAIN}secret-right\n";

/// A configuration with these keys of `[throttle]`.
fn config(keys: &str) -> String {
    format!(
        "[nginx]\nkey = \"{KEY}\"\n[[users]]\nstore = \"file\"\npath = \"users\"\n\
         allow-weak-schemes = true\n[routes]\ndefault = \"192.0.2.1\"\n[throttle]\n{keys}\n"
    )
}

/// What an answer comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    In,
    /// With so many seconds to wait.
    Out(u32),
    Temporary,
}

impl Said {
    #[track_caller]
    fn read(answer: &str) -> Self {
        if answer.starts_with("Auth-Status: OK\nAuth-Server: 192.0.2.1\n") {
            return Self::In;
        }
        let rest = answer
            .strip_suffix("\n\n")
            .unwrap_or_else(|| panic!("{answer:?}"));
        let rest = format!("{rest}\n");
        // With a wait where it was a guess all the same.
        if rest.starts_with(TEMPORARY) {
            return Self::Temporary;
        }
        let rest = rest
            .strip_prefix(REFUSED)
            .unwrap_or_else(|| panic!("{answer:?}"));
        match rest.strip_prefix("Auth-Wait: ") {
            Some(seconds) => Self::Out(seconds.trim_end().parse().unwrap()),
            None => {
                assert_eq!(rest, "");
                Self::Out(0)
            }
        }
    }
}

/// Whoever answers: a server, or a process for each request.
trait Asked {
    fn answer(&self, variables: &[(&str, &str)]) -> String;

    /// From this address, with the key.
    #[track_caller]
    fn log_in(&self, address: &str, login: &str, password: &str) -> Said {
        Said::read(&self.answer(&[
            ("HTTP_AUTH_USER", login),
            ("HTTP_AUTH_PASS", password),
            ("HTTP_AUTH_PROTOCOL", "imap"),
            ("HTTP_CLIENT_IP", address),
            ("HTTP_X_AUTH_KEY", KEY),
        ]))
    }

    /// So many different wrong passwords.
    #[track_caller]
    fn fail(&self, address: &str, login: &str, times: u32) -> Vec<Said> {
        let password = |number| format!("secret-wrong-{address}-{number}");
        (0..times)
            .map(|number| self.log_in(address, login, &password(number)))
            .collect()
    }
}

impl Asked for Serving {
    fn answer(&self, variables: &[(&str, &str)]) -> String {
        Serving::answer(self, variables)
    }
}

/// A CGI program: a new process for each request.
struct Cgi(TempDir);

impl Cgi {
    fn new(config: &str) -> Self {
        let folder = TempDir::new();
        folder.write("auth.toml", config);
        folder.write("users", USERS);
        Self(folder)
    }

    fn run(&self, variables: &[(&str, &str)]) -> Output {
        util::output(
            program_in(&self.0)
                .env("GATEWAY_INTERFACE", "CGI/1.1")
                .envs(variables.iter().copied()),
        )
    }
}

impl Asked for Cgi {
    fn answer(&self, variables: &[(&str, &str)]) -> String {
        String::from_utf8(self.run(variables).stdout).unwrap()
    }
}

/// The program with the configuration of a folder.
fn program_in(folder: &TempDir) -> Command {
    let mut command = util::program();
    command
        .env("NGINX_MAIL_AUTH_CONFIG", folder.path().join("auth.toml"))
        .stdin(Stdio::null());
    command
}

fn log_of(server: &Serving, word: &str) -> usize {
    server.log().matches(word).count()
}
