//! Database servers that are down, die, hang and come back.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::Signal;

use crate::support::databases::{Engine, Kind};
use crate::support::process::wait_until;
use crate::support::sql_service::{
    Ask, OK, Service, TEMPORARY, cgi, command, folder, nowhere, users,
};

/// Seconds that a question may take here.
const TIMEOUT: Duration = Duration::from_secs(2);
/// What may come on top.
const SLACK: Duration = Duration::from_millis(500);

const TABLES: &str = "CREATE TABLE users (login VARCHAR(99), password VARCHAR(99)); \
                      INSERT INTO users VALUES ('alice', '{PLAIN}right'), ('slow', '{PLAIN}right')";

fn config(engine: &Engine, more: &str) -> String {
    // Only the row of `slow` takes its time.
    let sleep = match engine.kind {
        Kind::Postgres => "CASE login WHEN 'slow' THEN pg_sleep(60)::text END",
        Kind::MariaDb => "CASE login WHEN 'slow' THEN SLEEP(60) END",
    };
    let query = format!("SELECT password, {sleep} AS slept FROM users WHERE login = {{login}}");
    let more = format!("timeout = 2\nconnect-timeout = 1\n{more}");
    users(&engine.url("trouble"), &query, &more)
}

fn alice() -> Ask<'static> {
    Ask::new("alice", "right")
}

/// Asks about the one that takes long, and waits until the server is at it.
fn ask_slow(engine: &Engine, service: &Service) -> JoinHandle<(String, Duration)> {
    let asker = service.asker();
    let asked = thread::spawn(move || asker(&Ask::new("slow", "right")));
    wait_until("the slow statement to run", || engine.sleeping() == 1);
    asked
}

#[track_caller]
fn must_be_late(took: Duration, bound: Duration) {
    assert!(took >= bound - SLACK && took < bound + SLACK, "{took:?}");
}

fn goes_and_comes(kind: Kind) {
    let mut engine = Engine::prepared(kind);

    // Down at the start: the program starts, and says so at each login.
    let service = Service::start(&config(&engine, ""));
    let reply = service.ask(&alice());
    reply.must_be_trouble(": query: there is no connection: Connection refused");
    assert!(reply.took < SLACK, "{:?}", reply.took);
    cgi(service.dir(), &alice()).must_be_trouble("there is no connection");
    let checked = command(service.dir(), &["check"]);
    let printed = String::from_utf8_lossy(&checked.stderr);
    assert!(printed.contains("there is no connection"), "{printed}");

    // There now: no restart is needed.
    engine.start();
    engine.make_database("trouble", TABLES);
    service.ask(&alice()).must_be(OK, "accepted");
    cgi(service.dir(), &alice()).must_be(OK, "accepted");
    let checked = command(service.dir(), &["check"]);
    let printed = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{printed}");

    // Restarted: the connection that waited is stale, and nobody notices.
    for _ in 0..2 {
        engine.stop();
        engine.start();
        service.ask(&alice()).must_be(OK, "accepted");
    }

    // Killed in the middle of a statement.
    let slow = ask_slow(&engine, &service);
    engine.kill();
    let (answer, took) = slow.join().unwrap();
    assert_eq!(answer, TEMPORARY);
    assert!(took < TIMEOUT + SLACK, "{took:?}");
    let reply = service.ask(&alice());
    reply.must_be_trouble("there is no connection");
    assert!(reply.took < SLACK, "{:?}", reply.took);
    engine.start();
    service.ask(&alice()).must_be(OK, "accepted");

    // Stopped in the middle of a statement: the deadline holds, also for those who come then.
    let slow = ask_slow(&engine, &service);
    engine.signal(Signal::STOP);
    let (answer, took) = slow.join().unwrap();
    assert_eq!(answer, TEMPORARY);
    must_be_late(took, TIMEOUT);
    for _ in 0..2 {
        let reply = service.ask(&alice());
        reply.must_be(TEMPORARY, "store-trouble");
        must_be_late(reply.took, Duration::from_secs(1));
        let reply = cgi(service.dir(), &alice());
        reply.must_be(TEMPORARY, "store-trouble");
        must_be_late(reply.took, Duration::from_secs(1));
    }
    engine.signal(Signal::CONT);
    // It first goes through what came while it was stopped.
    engine.sleeping();
    service.ask(&alice()).must_be(OK, "accepted");

    // A statement that takes too long is ended here, and soon at the server too.
    let slow = ask_slow(&engine, &service);
    let (answer, took) = slow.join().unwrap();
    assert_eq!(answer, TEMPORARY);
    must_be_late(took, TIMEOUT);
    wait_until("the server to end it", || engine.sleeping() == 0);
    service.ask(&alice()).must_be(OK, "accepted");

    let log = service.log();
    assert!(!log.contains("of:the@database"), "{log}");
    assert!(!log.contains("of%3Athe"), "{log}");
    assert!(!log.contains("panicked"), "{log}");
    // Each time once, and at the start.
    let failing = log.matches("ERROR").count();
    let again = log.matches(" answers again").count();
    assert_eq!((failing, again), (4, 3), "{log}");
}

#[test]
fn postgresql_goes_and_comes() {
    goes_and_comes(Kind::Postgres);
}

#[test]
fn mariadb_goes_and_comes() {
    goes_and_comes(Kind::MariaDb);
}

/// More logins than connections: each waits for its turn, until its deadline.
#[test]
fn connections_are_bounded() {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        let engine = Engine::shared(kind);
        engine.make_database("bounded", TABLES);
        let config = config(engine, "connections = 2").replace("/trouble", "/bounded");
        let service = Service::start(&config);
        let count = match kind {
            Kind::Postgres => {
                "SELECT count(*) FROM pg_stat_activity WHERE datname = 'bounded' AND usename = 'mail'"
            }
            Kind::MariaDb => {
                "SELECT count(*) FROM information_schema.processlist WHERE db = 'bounded' AND user = \
                 'mail'"
            }
        };
        let asked: Vec<_> = (0..16)
            .map(|_| {
                let asker = service.asker();
                thread::spawn(move || (0..20).map(|_| asker(&alice()).0).collect::<Vec<_>>())
            })
            .collect();
        for thread in asked {
            assert!(thread.join().unwrap().iter().all(|answer| answer == OK));
        }
        let connections: usize = engine.admin("bounded", count).trim().parse().unwrap();
        assert!((1..=2).contains(&connections), "{connections}");
        let (_, descriptors) = service.size();
        // Both are taken: who comes now waits in vain.
        let slow: Vec<_> = (0..3)
            .map(|_| {
                let asker = service.asker();
                thread::spawn(move || asker(&Ask::new("slow", "right")))
            })
            .collect();
        for thread in slow {
            let (answer, took) = thread.join().unwrap();
            assert_eq!(answer, TEMPORARY);
            must_be_late(took, TIMEOUT);
        }
        let reply = service.ask(&alice());
        assert_eq!(reply.said(), (OK, "accepted"), "{kind:?}: {}", reply.line);
        assert!(service.size().1 <= descriptors, "descriptors are left over");
    }
}

/// A wrong password for the database, or a database that is not there, stops nobody from
/// starting: it may be created yet.
#[test]
fn a_database_that_refuses_us_is_a_temporary_failure() {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        let engine = Engine::shared(kind);
        engine.make_database("refusing", TABLES);
        let query = "SELECT password FROM users WHERE login = {login}";
        let url = engine.url("refusing");
        let wrong = url.replace("of%3Athe", "not%3Athe");
        let service = Service::start(&users(&wrong, query, ""));
        service
            .ask(&alice())
            .must_be_trouble("the database refuses the login of this program: ");
        assert!(!service.log().contains("not:the"), "{}", service.log());
        let missing = url.replace("/refusing", "/nobody");
        let service = Service::start(&users(&missing, query, ""));
        service.ask(&alice()).must_be_trouble("nobody");
    }
}

/// A table that goes away and comes back while the statement is prepared.
#[test]
fn tables_may_change_under_a_prepared_statement() {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        let engine = Engine::shared(kind);
        engine.make_database("changing", TABLES);
        let query = "SELECT * FROM users WHERE login = {login}";
        let service = Service::start(&users(&engine.url("changing"), query, ""));
        service.ask(&alice()).must_be(OK, "accepted");
        engine.admin(
            "changing",
            "ALTER TABLE users ADD COLUMN port INTEGER DEFAULT 1143",
        );
        let there = OK.replace("143", "1143");
        service.ask(&alice()).must_be(&there, "accepted");
        engine.admin("changing", "ALTER TABLE users RENAME TO away");
        service
            .ask(&alice())
            .must_be_trouble("the database refuses the statement: ");
        engine.admin("changing", "ALTER TABLE away RENAME TO users");
        service.ask(&alice()).must_be(&there, "accepted");
    }
}

/// What the server refuses is a fault of the configuration: nothing starts with it.
#[test]
fn a_statement_that_does_not_prepare_stops_the_start() {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        let engine = Engine::shared(kind);
        engine.make_database("refused", TABLES);
        let url = engine.url("refused");
        let good = "SELECT password FROM users WHERE login = {login}";
        let no_rows = match kind {
            Kind::Postgres => "DELETE FROM users WHERE login = {login}",
            Kind::MariaDb => "DO {login}",
        };
        let apps = |query: &str| format!("app-passwords-query = \"{query}\"");
        let faulty = [
            (
                "SELEC password FROM users WHERE login = {login}",
                String::new(),
                "5:9: users.query: the database refuses the statement: ",
            ),
            (
                "SELECT password FROM nobody WHERE login = {login}",
                String::new(),
                "5:9: users.query: the database refuses the statement: ",
            ),
            (
                "SELECT login, password AS pass FROM users WHERE login = {login}",
                String::new(),
                "5:9: users.query: the statement gives no column password, only login, pass",
            ),
            (
                "SELECT password, login AS password FROM users WHERE login = {login}",
                String::new(),
                "5:9: users.query: the statement gives two columns password",
            ),
            (
                no_rows,
                String::new(),
                "5:9: users.query: the statement gives no rows",
            ),
            (
                good,
                apps("SELECT label FROM users WHERE login = {login}"),
                "7:23: users.app-passwords-query: the database refuses the statement: ",
            ),
        ];
        for (query, more, message) in faulty {
            let dir = folder(&users(&url, query, &more));
            for arguments in [&["check"][..], &["serve", "--listen", "127.0.0.1:0"]] {
                let output = command(&dir, arguments);
                let printed = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(78), "{printed}");
                assert!(
                    printed.contains(&format!("auth.toml:{message}")),
                    "{printed}"
                );
                assert!(!printed.contains("of:the"), "{printed}");
            }
            if query != no_rows {
                cgi(&dir, &alice()).must_be(TEMPORARY, "store-trouble");
            }
        }
        // Nobody can be asked: that is no fault of the statement.
        let dir = folder(&users(
            &format!("mysql://mail@{}/x", nowhere()),
            "SELEC {login}",
            "",
        ));
        drop(Service::start_in(dir));
    }
}
