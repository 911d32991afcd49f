//! A store that hangs, and everybody else.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::databases::{Engine, Kind};
use crate::support::process::wait_until;
use crate::support::program::{ACCEPTED, Program, REFUSED, TEMPORARY};
use crate::support::slapd::{Mode, Slapd};
use crate::support::temp_dir::TempDir;

/// What the deadline of a decision is, and what a busy machine may need on top.
const DEADLINE: Duration = Duration::from_secs(5 + 3);

/// Far less than any time-out, and enough for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Within that, a store that is back is used again.
const RECOVERY: Duration = Duration::from_secs(5);

/// A server with a store that hangs while the test wants it to, and a file with `bob@file`.
struct Site {
    program: Program,
    _folder: TempDir,
}

impl Site {
    /// `store` is asked about `alice`, and of the others who is not in the file.
    fn start(store: &str) -> Self {
        let folder = TempDir::new();
        let users = folder.write("users", "bob@file:{PLAIN}right\n");
        let config = format!(
            "[[users]]\nstore = \"file\"\npath = {:?}\nallow-weak-schemes = true\n\
             domains = [\"file\"]\n[[users]]\n{store}\ntrouble = \"next\"\n\
             [routes]\ndefault = \"192.0.2.1\"\n",
            users.display().to_string()
        );
        Self {
            program: Program::serve(&config),
            _folder: folder,
        }
    }

    #[track_caller]
    fn others_are_answered_at_once(&self) {
        let answer = self.program.ask_within(AT_ONCE, b"bob@file", b"right");
        assert_eq!(answer, ACCEPTED);
        let answer = self.program.ask_within(AT_ONCE, b"bob@file", b"wrong");
        assert_eq!(answer, REFUSED);
    }

    /// Many more log in with a store that hangs than there are connections; `others` is told of
    /// each round of them that is waited for.
    fn crowd(&self, others: impl Fn()) {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let asking: Vec<_> = (0..64)
                .map(|_| {
                    scope.spawn(|| {
                        let mut rounds = 0;
                        while !done.load(Ordering::Relaxed) {
                            let answer = self.program.ask_within(DEADLINE, b"alice", b"right");
                            assert_eq!(answer, TEMPORARY);
                            rounds += 1;
                            // Nobody comes again faster than that.
                            thread::sleep(Duration::from_millis(200));
                        }
                        rounds
                    })
                })
                .collect();
            let start = Instant::now();
            // After the time-out, so that all waiting clients have an answer.
            while start.elapsed() < Duration::from_secs(7) {
                others();
            }
            done.store(true, Ordering::Relaxed);
            for asking in asking {
                assert!(asking.join().unwrap() > 0);
            }
        });
    }

    fn recovers(&self, what: &str) {
        let start = Instant::now();
        wait_until(what, || self.program.ask(b"alice", b"right") == ACCEPTED);
        let took = start.elapsed();
        assert!(took < RECOVERY, "{what} took {took:?}");
        assert_eq!(self.program.ask(b"alice", b"wrong"), REFUSED);
    }
}

/// Causes of temporary failures in a log, and how often each came.
fn troubles(log: &str) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for line in log
        .lines()
        .filter(|line| line.contains(" answer=temporary "))
    {
        let detail = line.split("detail=\"").nth(1).unwrap_or(line);
        let known = [
            "(max-questions)",
            "it hangs, and is asked only once a second",
        ];
        let kind = known.into_iter().find(|kind| detail.contains(kind));
        *counts.entry(kind.unwrap_or("in vain")).or_default() += 1;
    }
    counts
}

/// The machine that hangs is told by its signals.
fn hangs_and_comes_back(store: &str, signal: impl Fn(Signal)) {
    let site = Site::start(store);
    site.recovers("the store");
    let before = site.program.log().len();
    signal(Signal::STOP);
    site.crowd(|| site.others_are_answered_at_once());
    let log = site.program.log();
    let counts = troubles(&log[before..]);
    // At most half of the 64 connections wait for the one store that can hang; the others
    // are told at once, and later all but one in a second.
    assert!(counts["(max-questions)"] >= 16, "{counts:?}\n{log}");
    assert!(
        counts["it hangs, and is asked only once a second"] > 64,
        "{counts:?}\n{log}"
    );
    assert!(counts["in vain"] <= 32 + 12, "{counts:?}\n{log}");
    assert!(!log.contains("refused a request"), "{log}");
    signal(Signal::CONT);
    site.recovers("the store to answer again");
    let log = site.program.log();
    let told = |what: &str| log.matches(what).count();
    assert_eq!(
        told("3 questions in a row were not answered in time"),
        1,
        "{log}"
    );
    assert_eq!(told("it answers, and is asked as before"), 1, "{log}");
}

#[test]
fn a_directory_that_hangs_delays_no_other_login() {
    let slapd = Slapd::started();
    hangs_and_comes_back(&slapd.keys(Mode::SearchBind), |signal| slapd.signal(signal));
}

fn a_database_that_hangs(kind: Kind) {
    let mut engine = Engine::prepared(kind);
    engine.start();
    engine.make_database(
        "bulkheads",
        "CREATE TABLE users (login VARCHAR(99), password VARCHAR(99)); \
         INSERT INTO users VALUES ('alice', '{PLAIN}right')",
    );
    let store = format!(
        "store = \"sql\"\nallow-weak-schemes = true\nurl = {:?}\n\
         query = \"SELECT password FROM users WHERE login = {{login}}\"\n",
        engine.url("bulkheads")
    );
    hangs_and_comes_back(&store, |signal| engine.signal(signal));
}

#[test]
fn postgresql_that_hangs_delays_no_other_login() {
    a_database_that_hangs(Kind::Postgres);
}

#[test]
fn mariadb_that_hangs_delays_no_other_login() {
    a_database_that_hangs(Kind::MariaDb);
}

/// Several stores in a row that all hang: the whole decision ends by its deadline, and with
/// `trouble = "next"` those behind them are asked while there is time.
#[test]
fn a_chain_of_stores_that_hang_ends_by_the_deadline() {
    let silent: Vec<_> = (0..4)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let address = |number: usize| silent[number].local_addr().unwrap();
    let folder = TempDir::new();
    let users = folder.write("users", "bob:{PLAIN}right\n");
    let config = format!(
        "[[users]]\nstore = \"ldap\"\nurls = [\"ldap://{}\"]\nauth = \"bind\"\n\
         user-dn = \"uid={{login}},o=x\"\ntimeout = 2\ntrouble = \"next\"\n\
         [[users]]\nstore = \"imap\"\nurl = \"imap://{}\"\ntimeout = 2\ntrouble = \"next\"\n\
         [[users]]\nstore = \"http\"\nurl = \"http://{}/\"\ntimeout = 2\ntrouble = \"next\"\n\
         [[users]]\nstore = \"sql\"\nurl = \"postgresql://mail@{}/mail\"\ntls = \"off\"\n\
         query = \"SELECT password FROM users WHERE login = {{login}}\"\ntimeout = 2\n\
         trouble = \"next\"\n\
         [[users]]\nstore = \"file\"\npath = {:?}\nallow-weak-schemes = true\n\
         [routes]\ndefault = \"192.0.2.1\"\n[limits]\ndeadline = 3\n",
        address(0),
        address(1),
        address(2),
        address(3),
        users.display().to_string()
    );
    let program = Program::serve(&config);
    let limit = Duration::from_secs(3) + AT_ONCE;
    // The file needs no time; who is not in it may be in one of those that cannot say.
    assert_eq!(program.ask_within(limit, b"bob", b"right"), ACCEPTED);
    assert_eq!(program.ask_within(limit, b"alice", b"right"), TEMPORARY);
    let log = program.log();
    assert!(log.contains("detail=\"ldap: "), "{log}");
}

/// The service that knows about tokens hangs: who has a password does not notice.
#[test]
fn introspection_that_hangs_delays_no_other_login() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = TempDir::new();
    let users = folder.write("users", "bob:{PLAIN}right\n");
    let config = format!(
        "[[users]]\nstore = \"file\"\npath = {:?}\nallow-weak-schemes = true\n\
         [routes]\ndefault = \"192.0.2.1\"\n[oauth]\ntimeout = 3\nmax-questions = 5\n\
         introspection-url = \"http://{}/\"\n",
        users.display().to_string(),
        silent.local_addr().unwrap()
    );
    let program = Program::serve(&config);
    let token = [
        ("HTTP_AUTH_METHOD", "xoauth2"),
        ("HTTP_AUTH_USER", "bob"),
        ("HTTP_AUTH_PASS", "token"),
        ("HTTP_AUTH_PROTOCOL", "imap"),
    ];
    thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| assert_eq!(program.answer(&token), TEMPORARY));
        }
        for _ in 0..20 {
            assert_eq!(program.ask_within(AT_ONCE, b"bob", b"right"), ACCEPTED);
        }
    });
    let log = program.log();
    let counts = troubles(&log);
    // One login leaves a quarter of the questions to others.
    assert_eq!(counts["in vain"], 4, "{counts:?}\n{log}");
    assert_eq!(counts["(max-questions)"], 36, "{counts:?}\n{log}");
}
