//! Guessing passwords through nginx and each way to run the program: waits, then refusals.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::fronts::{Front, LOCALHOST, MailProxy, Way};
use crate::support::mail_hosts::MailHosts;
use crate::support::mail_hosts::{KEY, files};
use crate::support::mail_users::PEOPLE;

/// Counts in the file, with short waits.
const THROTTLE: &str = "[throttle]\nstate = \"sqlite:run/throttle.db\"\nfree-failures = 2\n\
                        waits = [1, 2]\n";

/// A POP3 dialogue; nginx's words to wrong passwords.
struct Dialogue(BufReader<TcpStream>);

impl Dialogue {
    fn start(proxy: &MailProxy) -> Self {
        let stream = TcpStream::connect((LOCALHOST, proxy.port("pop3"))).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut dialogue = Self(BufReader::new(stream));
        assert!(dialogue.line().starts_with("+OK"));
        dialogue
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    /// What a login gets, and how long it took.
    fn log_in(&mut self, login: &str, password: &str) -> (String, Duration) {
        let start = Instant::now();
        write!(self.0.get_mut(), "USER {login}\r\n").unwrap();
        assert_eq!(self.line(), "+OK\r\n");
        write!(self.0.get_mut(), "PASS {password}\r\n").unwrap();
        (self.line(), start.elapsed())
    }
}

fn slows_guessing(way: Way) {
    let hosts = MailHosts::shared();
    let mut files = files(&hosts);
    files[0].1.extend_from_slice(THROTTLE.as_bytes());
    let front = Front::start(way, &files);
    let proxy = MailProxy::start(&front, KEY);
    let person = &PEOPLE[0];
    let (login, password) = (
        std::str::from_utf8(person.login).unwrap(),
        std::str::from_utf8(person.password).unwrap(),
    );
    const REFUSED: &str = "-ERR Invalid login or password\r\n";
    // Each on a connection of its own, as nginx closes it; then the same connection is held back.
    for number in 0..2 {
        let (said, _) = Dialogue::start(&proxy).log_in(login, &format!("wrong-{number}"));
        assert_eq!(said, REFUSED, "{}", front.logged());
    }
    let mut dialogue = Dialogue::start(&proxy);
    for (number, least) in [(2, 1), (3, 2)] {
        let (said, took) = dialogue.log_in(login, &format!("wrong-{number}"));
        assert_eq!(said, REFUSED, "{}", front.logged());
        assert!(took >= Duration::from_secs(least), "{took:?}");
    }
    let (said, _) = dialogue.log_in(login, password);
    assert_eq!(said, REFUSED);
    let log = front.logged();
    assert_eq!(log.matches("cause=wrong-password").count(), 4, "{log}");
    assert_eq!(log.matches("cause=throttled").count(), 1, "{log}");
    // Others from there are not held up.
    let other = &PEOPLE[1];
    let (said, _) = Dialogue::start(&proxy).log_in(
        std::str::from_utf8(other.login).unwrap(),
        std::str::from_utf8(other.password).unwrap(),
    );
    assert!(said.starts_with("+OK"), "{said}{}", front.logged());
}

#[test]
fn behind_mod_cgid() {
    slows_guessing(Way::Cgid);
}

#[test]
fn behind_mod_fcgid() {
    slows_guessing(Way::Fcgid);
}

#[test]
fn behind_mod_proxy_fcgi() {
    slows_guessing(Way::ProxyFcgi);
}
