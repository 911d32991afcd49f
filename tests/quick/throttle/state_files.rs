//! Counts in an SQLite file, shared by processes, and what happens without them.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::binary;
use crate::support::process::free_port;
use crate::support::serving::Serving;
use crate::support::throttled::*;
use Said::{In, Out, Temporary};

#[test]
fn an_sqlite_file_is_shared_by_cgi_programs_and_servers() {
    let cgi = Cgi::new(&config("state = \"sqlite:state.db\""));
    let path = cgi.0.path().join("state.db");
    let server = Serving::listening(
        &config(&format!("state = \"sqlite:{}\"", path.display())),
        USERS,
    );
    is_shared(&cgi, &server);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    // No part of a password is in it, and none of the names of its digests.
    let content = fs::read(&path).unwrap();
    assert!(
        !content
            .windows(5)
            .any(|window| window == b"secret-wrong" || window == b"secret-right")
    );
}

#[test]
fn many_processes_at_once_lose_no_count() {
    let cgi = Cgi::new(&config(
        "state = \"sqlite:state.db\"\nrefuse-network = 1000\ntimeout-ms = 5000",
    ));
    std::thread::scope(|scope| {
        for thread in 0..12 {
            let cgi = &cgi;
            scope.spawn(move || {
                for number in 0..3 {
                    // Each login once: all are counted for the network.
                    let login = format!("guess-{thread}-{number}");
                    cgi.log_in(HERE, &login, "secret-wrong");
                }
            });
        }
    });
    let list = program_in(&cgi.0)
        .args(["throttle", "list"])
        .output()
        .unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let network = list
        .lines()
        .find(|line| line.ends_with(" network=192.0.2.10/32"));
    assert!(network.unwrap().contains(" failures=36 "), "{list}");
}

#[test]
fn without_the_counts_all_logins_are_refused_if_configured() {
    {
        let port = free_port(Ipv4Addr::LOCALHOST);
        let keys = format!("state = \"redis://127.0.0.1:{port}\"\nwithout-state = \"refuse\"");
        let server = Serving::listening(&config(&keys), USERS);
        for _ in 0..3 {
            assert_eq!(server.log_in(HERE, "alice", "secret-right"), Temporary);
            assert_eq!(server.log_in(HERE, "alice", "secret-wrong"), Temporary);
        }
        assert_eq!(log_of(&server, "cannot read the counts"), 1);
        assert_eq!(
            log_of(&server, "answer=temporary cause=throttle-trouble"),
            6
        );
    }
    {
        let cgi = Cgi::new(&config(
            "state = \"sqlite:nowhere/state.db\"\nwithout-state = \"refuse\"",
        ));
        assert_eq!(cgi.log_in(HERE, "alice", "secret-right"), Temporary);
    }
}

#[test]
fn a_state_file_that_cannot_be_used_changes_no_answer() {
    for (what, make) in [
        ("no folder", None),
        (
            "not a database",
            Some((
                "state.db",
                &b"this is no database, but long enough to be read as one. ".repeat(40)[..],
                0o600,
            )),
        ),
        ("writable for others", Some(("state.db", &b""[..], 0o622))),
    ] {
        let state = if make.is_none() {
            "sqlite:nowhere/state.db"
        } else {
            "sqlite:state.db"
        };
        let cgi = Cgi::new(&config(&format!("state = \"{state}\"")));
        if let Some((name, content, mode)) = make {
            let path = cgi.0.write(name, content);
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        assert_eq!(cgi.log_in(HERE, "alice", "secret-right"), In, "{what}");
        assert_eq!(cgi.fail(HERE, "alice", 10), vec![Out(0); 10], "{what}");
        let output = cgi.run(&[
            ("HTTP_AUTH_USER", "alice"),
            ("HTTP_AUTH_PASS", "secret-wrong"),
            ("HTTP_CLIENT_IP", HERE),
            ("HTTP_X_AUTH_KEY", KEY),
        ]);
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            log.matches("throttle: cannot read the counts").count(),
            1,
            "{what}: {log}"
        );
        let check = program_in(&cgi.0).arg("check").output().unwrap();
        assert_eq!(check.status.code(), Some(78), "{what}");
        let said = String::from_utf8(check.stderr).unwrap();
        assert!(said.contains("throttle.state: "), "{said}");
    }
}

#[test]
fn another_database_is_not_taken_for_the_state() {
    let cgi = Cgi::new(&config("state = \"sqlite:users.db\""));
    let file = cgi.0.write("users.db", "");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let database = rusqlite::Connection::open(&file).unwrap();
    database
        .execute_batch("CREATE TABLE users (login)")
        .unwrap();
    let out = binary::output(program_in(&cgi.0).arg("check"));
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(
        said.contains(
            "users.db: is the database of another program: name another file in \
        state"
        ),
        "{said}"
    );
    cgi.fail(HERE, "alice", 1);
    let tables: u32 = database
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 1);
}

/// Counting takes only its share of the deadline of a decision.
#[test]
fn counts_that_cannot_be_written_do_not_move_the_deadline() {
    let text = config("state = \"sqlite:state.db\"\ntimeout-ms = 5000");
    let server = Serving::listening(&format!("{text}[limits]\ndeadline = 1\n"), USERS);
    assert_eq!(server.log_in(HERE, "alice", "secret-wrong"), Out(0));
    let path = server.dir.path().join("state.db");
    let writer = rusqlite::Connection::open(path).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let start = std::time::Instant::now();
    assert_eq!(server.log_in(HERE, "alice", "secret-other"), Out(0));
    // Long before the five seconds.
    assert!(start.elapsed().as_secs() < 4, "{:?}", start.elapsed());
}

/// Another file in its place, and none at all, are used as they are found.
#[test]
fn a_state_file_that_is_removed_is_made_anew() {
    let server = Serving::listening(&config("state = \"sqlite:state.db\""), USERS);
    assert_eq!(server.fail(HERE, "alice", 8), WAITS);
    fs::remove_file(server.dir.path().join("state.db")).unwrap();
    assert_eq!(server.log_in(HERE, "alice", "secret-right"), In);
    assert!(server.dir.path().join("state.db").exists());
    // The key of the digests of wrong passwords is a new one too: the former key has no effect.
    assert_eq!(server.log_in(HERE, "bob", "secret-old-phone"), Out(0));
    let new_process = binary::output(
        program_in(&server.dir)
            .env("GATEWAY_INTERFACE", "CGI/1.1")
            .envs([
                ("HTTP_AUTH_USER", "bob"),
                ("HTTP_AUTH_PASS", "secret-old-phone"),
                ("HTTP_CLIENT_IP", HERE),
                ("HTTP_X_AUTH_KEY", KEY),
            ]),
    );
    assert!(new_process.stdout.starts_with(REFUSED.as_bytes()));
    let list = binary::output(program_in(&server.dir).args(["throttle", "list"]));
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(
        list.contains("failures=1 ") && !list.contains("failures=2 "),
        "{list}"
    );
}

/// Guesses that processes make at once are counted each, however many they are, and those beyond the
/// bound are refused as if nobody had been asked.
#[test]
fn guesses_that_cgi_programs_make_at_once_are_counted_each() {
    let cgi = Cgi::new(&config(
        "state = \"sqlite:state.db\"\nfree-failures = 0\nrefuse-network = 1000",
    ));
    let outputs: Vec<_> = std::thread::scope(|scope| {
        let guess = |number| {
            let cgi = &cgi;
            scope.spawn(move || {
                let password = format!("secret-wrong-{number}");
                cgi.run(&[
                    ("HTTP_AUTH_USER", "alice"),
                    ("HTTP_AUTH_PASS", &password),
                    ("HTTP_CLIENT_IP", HERE),
                    ("HTTP_X_AUTH_KEY", KEY),
                ])
            })
        };
        let guesses: Vec<_> = (0..60).map(guess).collect();
        guesses
            .into_iter()
            .map(|guess| guess.join().unwrap())
            .collect()
    });
    let mut causes = [0, 0];
    for output in outputs {
        let log = String::from_utf8(output.stderr).unwrap();
        causes[0] += log.matches("cause=wrong-password").count();
        causes[1] += log.matches("cause=throttled").count();
    }
    assert_eq!(causes, [4, 56]);
    assert_eq!(cgi.log_in(HERE, "alice", "secret-right"), Out(15));
}

/// A process that ends with its request cannot count on its own: it decides nothing while others hold
/// the counts, or guesses would be free.
#[test]
fn a_cgi_program_decides_nothing_while_the_counts_are_locked() {
    let cgi = Cgi::new(&format!(
        "{}\n[limits]\ndeadline = 1\n",
        config("state = \"sqlite:state.db\"")
    ));
    assert_eq!(cgi.log_in(HERE, "alice", "secret-wrong"), Out(0));
    let other = rusqlite::Connection::open(cgi.0.path().join("state.db")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    for password in ["secret-right", "secret-wrong"] {
        assert_eq!(cgi.log_in(HERE, "alice", password), Temporary);
    }
    drop(other);
    assert_eq!(cgi.log_in(HERE, "alice", "secret-right"), In);
}
