//! Guessing passwords: what is counted, where, and what follows.

use std::process::{Command, Output};

use crate::support::binary;
use crate::support::cgi;
use crate::support::serving::Serving;
use crate::support::temp_dir::TempDir;

use Said::{In, Out};

pub(crate) const KEY: &str = "correct-key";
pub(crate) const REFUSED: &str = "Auth-Status: Invalid login or password\n";
pub(crate) const TEMPORARY: &str = "Auth-Status: Temporary server problem, try again later\n";
pub(crate) const USERS: &str = "alice:{PLAIN}secret-right\nbob:{PLAIN}secret-right\n";

/// A configuration with these keys of `[throttle]`.
pub(crate) fn config(keys: &str) -> String {
    format!(
        "[nginx]\nkey = \"{KEY}\"\n[[users]]\nstore = \"file\"\npath = \"users\"\n\
         allow-weak-schemes = true\n[routes]\ndefault = \"192.0.2.1\"\n[throttle]\n{keys}\n"
    )
}

/// The result that an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    In,
    /// With this many seconds to wait.
    Out(u32),
    Temporary,
}

impl Said {
    #[track_caller]
    pub(crate) fn read(answer: &str) -> Self {
        if answer.starts_with("Auth-Status: OK\nAuth-Server: 192.0.2.1\n") {
            return Self::In;
        }
        let rest = answer
            .strip_suffix("\n\n")
            .unwrap_or_else(|| panic!("{answer:?}"));
        let rest = format!("{rest}\n");
        // With a wait if it was still a guess.
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

/// The program that answers: a server, or a process for each request.
pub(crate) trait Asked {
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

    /// This many different wrong passwords.
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
pub(crate) struct Cgi(pub(crate) TempDir);

impl Cgi {
    pub(crate) fn new(config: &str) -> Self {
        let folder = TempDir::new();
        folder.write("auth.toml", config);
        folder.write("users", USERS);
        Self(folder)
    }

    pub(crate) fn run(&self, variables: &[(&str, &str)]) -> Output {
        binary::output(
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
pub(crate) fn program_in(folder: &TempDir) -> Command {
    cgi::program(folder)
}

pub(crate) fn log_of(server: &Serving, word: &str) -> usize {
    server.log().matches(word).count()
}

pub(crate) const HERE: &str = "192.0.2.10";

pub(crate) const WAITS: [Said; 8] = [
    Out(0),
    Out(0),
    Out(0),
    Out(0),
    Out(2),
    Out(4),
    Out(8),
    Out(15),
];

/// What one process counts, the others know.
pub(crate) fn is_shared(one: &dyn Asked, other: &dyn Asked) {
    for (number, expected) in WAITS.into_iter().enumerate() {
        let whom = if number % 2 == 0 { one } else { other };
        let password = format!("secret-wrong-{number}");
        assert_eq!(whom.log_in(HERE, "alice", &password), expected);
        // The same one, asked of the other, is known.
        let again = if number % 2 == 0 { other } else { one };
        if number < 7 {
            assert_eq!(again.log_in(HERE, "alice", &password), expected);
        }
    }
    assert_eq!(one.log_in(HERE, "alice", "secret-right"), Out(15));
    assert_eq!(other.log_in(HERE, "alice", "secret-right"), Out(15));
    assert_eq!(one.log_in("192.0.2.11", "alice", "secret-right"), In);
    // A success is known too.
    assert_eq!(one.log_in("192.0.2.12", "bob", "secret-right"), In);
    assert_eq!(other.fail("192.0.2.12", "bob", 9), vec![Out(0); 9]);
}

pub(crate) const THERE: &str = "198.51.100.20";

pub(crate) fn server(keys: &str) -> Serving {
    Serving::listening(&config(keys), USERS)
}
