//! Databases and directories that are killed, stopped and restarted under load.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::databases::{Engine, Kind};
use crate::support::process::wait_until;
use crate::support::slapd::{Mode, Slapd};
use crate::support::soak::load::{ACCEPTED, Caller, Finally, REFUSED, TEMPORARY};
use crate::support::soak::victim::{Start, Victim};
use crate::support::temp_dir::TempDir;

/// A decision ends by then; what a busy machine needs comes on top.
const DEADLINE: Duration = Duration::from_secs(5);
const SLACK: Duration = Duration::from_secs(3);
/// The time until a restarted store is used again.
const RECOVERY: Duration = Duration::from_secs(5);

/// What is done to the server.
trait Subject {
    fn start(&self);
    fn stop(&self);
    fn signal(&self, signal: Signal);
}

impl Subject for RefCell<Engine> {
    fn start(&self) {
        self.borrow_mut().start();
    }

    fn stop(&self) {
        self.borrow_mut().stop();
    }

    fn signal(&self, signal: Signal) {
        self.borrow().signal(signal);
    }
}

impl Subject for Slapd {
    fn start(&self) {
        Self::start(self);
    }

    fn stop(&self) {
        Self::stop(self);
    }

    fn signal(&self, signal: Signal) {
        Self::signal(self, signal);
    }
}

fn config(store: &str) -> String {
    format!(
        "[[users]]\nstore = \"file\"\npath = \"users\"\nallow-weak-schemes = true\n\
         domains = [\"file\"]\n[[users]]\n{store}\n[routes]\ndefault = \"192.0.2.1\"\n\
         [limits]\nremembered-logins = 0\n"
    )
}

const USERS: &str = "bob@file:{PLAIN}right\n";

/// What the clients of one login saw.
#[derive(Default)]
struct Seen {
    asked: AtomicU64,
    decided: AtomicU64,
    put_off: AtomicU64,
    slowest: Mutex<Duration>,
    wrong: Mutex<Vec<String>>,
}

impl Seen {
    fn ask(&self, socket: &Path, (login, password, wanted): (&str, &str, &str), done: &AtomicBool) {
        let mut caller = Caller::new(socket);
        while !done.load(Ordering::Relaxed) {
            let start = Instant::now();
            let answer = caller.ask(login, password);
            let took = start.elapsed();
            self.asked.fetch_add(1, Ordering::Relaxed);
            match answer.as_deref() {
                Ok(answer) if answer == wanted => self.decided.fetch_add(1, Ordering::Relaxed),
                Ok(TEMPORARY) => self.put_off.fetch_add(1, Ordering::Relaxed),
                other => {
                    self.wrong.lock().unwrap().push(format!("{other:?}"));
                    0
                }
            };
            let mut slowest = self.slowest.lock().unwrap();
            *slowest = slowest.max(took);
            drop(slowest);
            thread::sleep(Duration::from_millis(3));
        }
    }
}

/// Does all that to a server under load; nobody gets a wrong answer, and users of the file notice
/// nothing.
fn suffers(name: &str, store: &str, subject: &dyn Subject) {
    let victim = Start::new(&config(store), USERS).listening();
    let socket = victim.socket();
    let mut caller = Caller::new(&socket);
    let _log = victim.shown_on_failure();
    wait_until("the store", || {
        caller.ask("alice", "right").unwrap() == ACCEPTED
    });
    let [right, wrong, file] = [(); 3].map(|()| Seen::default());
    let done = AtomicBool::new(false);
    let slowest = thread::scope(|scope| {
        for (seen, login) in [
            (&right, ("alice", "right", ACCEPTED)),
            (&right, ("alice", "right", ACCEPTED)),
            (&wrong, ("alice", "wrong", REFUSED)),
            (&wrong, ("alice", "wrong", REFUSED)),
            (&file, ("bob@file", "right", ACCEPTED)),
            (&file, ("bob@file", "wrong", REFUSED)),
        ] {
            let (socket, done) = (&socket, &done);
            scope.spawn(move || seen.ask(socket, login, done));
        }
        let _finished = Finally(&done);
        let recovers = || {
            let start = Instant::now();
            let before = [&right, &wrong].map(|seen| seen.decided.load(Ordering::Relaxed));
            wait_until("it to be used again", || {
                let now = [&right, &wrong].map(|seen| seen.decided.load(Ordering::Relaxed));
                now[0] > before[0] + 3 && now[1] > before[1] + 3
            });
            start.elapsed()
        };
        let mut slowest = recovers();
        let put_off = || right.put_off.load(Ordering::Relaxed);
        // Killed.
        let before = put_off();
        subject.signal(Signal::KILL);
        subject.stop();
        wait_until("somebody to be put off", || put_off() > before);
        subject.start();
        slowest = slowest.max(recovers());
        // Stopped, for longer than one question may take.
        let before = put_off();
        subject.signal(Signal::STOP);
        let stopped = Instant::now();
        wait_until("somebody to be put off", || {
            put_off() > before + 2 && stopped.elapsed() > DEADLINE
        });
        subject.signal(Signal::CONT);
        slowest = slowest.max(recovers());
        // Restarted in an orderly way.
        subject.stop();
        subject.start();
        slowest.max(recovers())
    });
    let put_off = |seen: &Seen| seen.put_off.load(Ordering::Relaxed);
    let asked: u64 = [&right, &wrong, &file]
        .iter()
        .map(|seen| seen.asked.load(Ordering::Relaxed))
        .sum();
    let late = |seen: &Seen| *seen.slowest.lock().unwrap();
    let all_wrong: Vec<_> = [&right, &wrong, &file]
        .iter()
        .flat_map(|seen| seen.wrong.lock().unwrap().clone())
        .collect();
    crate::support::soak::report(
        &format!("{name} killed, stopped and restarted"),
        asked,
        all_wrong.len() as u64,
        format_args!(
            "{} put off; slowest {:.1} s, of the file's users {:.0} ms; in use again after {:.1} s \
             at the most",
            put_off(&right) + put_off(&wrong),
            late(&right).max(late(&wrong)).as_secs_f64(),
            late(&file).as_secs_f64() * 1e3,
            slowest.as_secs_f64()
        ),
    );
    assert!(all_wrong.is_empty(), "{all_wrong:?}\n{}", victim.log());
    assert_eq!(put_off(&file), 0, "{}", victim.log());
    assert!(late(&right).max(late(&wrong)) < DEADLINE + SLACK);
    assert!(late(&file) < SLACK, "{:?}", late(&file));
    assert!(slowest < RECOVERY + SLACK, "{slowest:?}");
}

const TABLES: &str = "CREATE TABLE users (login VARCHAR(99), password VARCHAR(99)); \
                      INSERT INTO users VALUES ('alice', '{PLAIN}right')";

fn sql(url: &str) -> String {
    format!(
        "store = \"sql\"\nallow-weak-schemes = true\nurl = {url:?}\n\
         query = \"SELECT password FROM users WHERE login = {{login}}\"\n"
    )
}

fn database(name: &str, kind: Kind) {
    let mut engine = Engine::prepared(kind);
    engine.start();
    engine.make_database("soak", TABLES);
    // These write to the disk when they end, and would lose the row in a crash.
    engine.stop();
    engine.start();
    let store = sql(&engine.url("soak"));
    suffers(name, &store, &RefCell::new(engine));
}

#[test]
fn postgresql() {
    database("PostgreSQL", Kind::Postgres);
}

#[test]
fn mariadb() {
    database("MariaDB", Kind::MariaDb);
}

#[test]
fn slapd() {
    let slapd = Slapd::started();
    suffers("slapd", &slapd.keys(Mode::SearchBind), &slapd);
}

/// A writer locks the file: a request that cannot read in time gets the temporary failure.
#[test]
fn sqlite_locked() {
    let folder = TempDir::new();
    let file = folder.path().join("users.db");
    let writer = rusqlite::Connection::open(&file).unwrap();
    writer.execute_batch(TABLES).unwrap();
    let store = sql(&format!("sqlite:{}", file.display())) + "timeout = 1\n";
    let victim: Victim = Start::new(&config(&store), USERS).listening();
    let mut caller = Caller::new(&victim.socket());
    assert_eq!(caller.ask("alice", "right").unwrap(), ACCEPTED);
    let rounds = crate::support::soak::sizes().kills;
    let mut slowest = Duration::ZERO;
    for _ in 0..rounds {
        writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let start = Instant::now();
        assert_eq!(caller.ask("alice", "right").unwrap(), TEMPORARY);
        slowest = slowest.max(start.elapsed());
        assert_eq!(caller.ask("bob@file", "right").unwrap(), ACCEPTED);
        writer.execute_batch("COMMIT").unwrap();
        assert_eq!(caller.ask("alice", "right").unwrap(), ACCEPTED);
        assert_eq!(caller.ask("alice", "wrong").unwrap(), REFUSED);
    }
    crate::support::soak::report(
        "SQLite locked by somebody who writes",
        rounds as u64 * 5,
        0,
        format_args!("put off after {:.1} s at the most", slowest.as_secs_f64()),
    );
    assert!(slowest < Duration::from_secs(1) + SLACK, "{slowest:?}");
}
