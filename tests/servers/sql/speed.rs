//! How long a login takes: over a connection that is kept, and with a new one as under CGI.

use std::time::{Duration, Instant};

use crate::support::databases::{Engine, Kind};
use crate::support::sql_service::{Ask, OK, Service, cgi, users};
use crate::support::sqlite::sqlite;
use crate::support::temp_dir::TempDir;

const QUERY: &str = "SELECT password, host, port FROM users WHERE login = {login}";
const TABLES: &str = "CREATE TABLE users (login VARCHAR(99) PRIMARY KEY, password VARCHAR(99), \
                      host VARCHAR(99), port INTEGER); \
                      INSERT INTO users (login, password) VALUES ('alice', '{PLAIN}right')";

/// The median of this many times.
fn median(times: usize, mut one: impl FnMut() -> Duration) -> Duration {
    let mut all: Vec<Duration> = (0..times).map(|_| one()).collect();
    all.sort_unstable();
    all[times / 2]
}

/// The bounds are those of a machine that has other work too; the numbers are printed.
#[test]
fn a_login_takes_little_time() {
    let dir = TempDir::new();
    let file = sqlite(&dir, TABLES);
    let postgres = Engine::shared(Kind::Postgres);
    postgres.make_database("speed", TABLES);
    let mariadb = Engine::shared(Kind::MariaDb);
    mariadb.make_database("speed", TABLES);
    for (name, url) in [
        ("SQLite", format!("sqlite:{file}")),
        ("PostgreSQL", postgres.url("speed")),
        ("PostgreSQL, socket", postgres.url_by_socket("speed")),
        ("MariaDB", mariadb.url("speed")),
        ("MariaDB, socket", mariadb.url_by_socket("speed")),
    ] {
        let service = Service::start(&users(&url, QUERY, ""));
        let alice = Ask::new("alice", "right");
        let timed = |ask: &dyn Fn() -> (String, Duration)| {
            let start = Instant::now();
            let (answer, _) = ask();
            let took = start.elapsed();
            assert_eq!(answer, OK);
            took
        };
        let kept = median(300, || timed(&|| service.answer(&alice)));
        let anew = median(20, || {
            timed(&|| {
                let reply = cgi(service.dir(), &alice);
                (reply.answer, reply.took)
            })
        });
        println!("{name}: {kept:?} over a kept connection, {anew:?} as CGI program");
        assert!(kept < Duration::from_millis(50), "{name}: {kept:?}");
        assert!(anew < Duration::from_millis(500), "{name}: {anew:?}");
    }
}
