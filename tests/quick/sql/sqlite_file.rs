//! The file of SQLite: its owner, its locks, and the time-out of a statement.

use crate::support::sqlite::*;
use std::fs::{self};
use std::time::Duration;

use crate::support::sql_service::{
    Ask, OK, REFUSED, Service, TEMPORARY, cgi, command, folder, users,
};
use crate::support::sqlite::sqlite;
use crate::support::temp_dir::TempDir;

#[test]
fn a_path_is_relative_to_the_configuration() {
    let dir = folder(&users("sqlite:users.db", QUERY, ""));
    with_user(&dir, "alice");
    cgi(&dir, &Ask::new("alice", "right")).must_be(OK, "accepted");
    let checked = command(&dir, &["check"]);
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn the_file_is_only_read() {
    let dir = folder(&users(
        "sqlite:users.db",
        "DELETE FROM users WHERE login = {login} RETURNING password",
        "",
    ));
    with_user(&dir, "alice");
    let checked = command(&dir, &["check"]);
    let printed = String::from_utf8_lossy(&checked.stderr);
    assert!(
        printed.contains("it writes, and the file is only read"),
        "{printed}"
    );
    cgi(&dir, &Ask::new("alice", "right")).must_be_trouble("readonly database");
    dir.write(
        "auth.toml",
        users("sqlite:users.db", QUERY, "") + "[routes]\ndefault = \"192.0.2.1\"",
    );
    cgi(&dir, &Ask::new("alice", "right")).must_be(OK, "accepted");
}

#[test]
fn changes_and_replacements_count_at_once() {
    let service = {
        let dir = folder(&users("sqlite:users.db", QUERY, ""));
        with_user(&dir, "alice");
        Service::start_in(dir)
    };
    let dir = service.dir();
    let file = dir.path().join("users.db");
    let (alice, bob) = (Ask::new("alice", "right"), Ask::new("bob", "right"));
    service.ask(&alice).must_be(OK, "accepted");
    service.ask(&bob).must_be(REFUSED, "unknown-user");
    sqlite(dir, "UPDATE users SET password = '{PLAIN}new'");
    service.ask(&alice).must_be(REFUSED, "wrong-password");
    service
        .ask(&Ask::new("alice", "new"))
        .must_be(OK, "accepted");
    // The columns are others now, under a statement that is prepared.
    sqlite(
        dir,
        "ALTER TABLE users ADD COLUMN nologin; UPDATE users SET password = '!'",
    );
    service.ask(&alice).must_be(REFUSED, "no-password");
    let other = TempDir::new();
    fs::rename(with_user(&other, "bob"), &file).unwrap();
    service.ask(&bob).must_be(OK, "accepted");
    service.ask(&alice).must_be(REFUSED, "unknown-user");
    fs::rename(&file, dir.path().join("away")).unwrap();
    service.ask(&bob).must_be_trouble("No such file");
    fs::rename(dir.path().join("away"), &file).unwrap();
    service.ask(&bob).must_be(OK, "accepted");
    let log = service.log();
    assert_eq!(log.matches("ERROR").count(), 1, "{log}");
    assert_eq!(log.matches("users.db answers again").count(), 1, "{log}");
}

#[test]
fn the_columns_are_those_of_the_table_as_it_is() {
    let service = {
        let dir = folder(&users(
            "sqlite:users.db",
            "SELECT * FROM users WHERE login = {login}",
            "",
        ));
        with_user(&dir, "alice");
        Service::start_in(dir)
    };
    let alice = Ask::new("alice", "right");
    service.ask(&alice).must_be(OK, "accepted");
    let change = "ALTER TABLE users RENAME TO old; CREATE TABLE users AS SELECT 1 AS nologin, \
                  '192.0.2.9' AS host, login, password FROM old;";
    sqlite(service.dir(), change);
    service.ask(&alice).must_be(REFUSED, "disabled");
}

#[test]
fn a_statement_that_takes_too_long_is_ended() {
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE {login} = \
                   'slow' OR i < 2) SELECT password FROM users, n WHERE login = {login} AND i = 1";
    let service = {
        let dir = folder(&users("sqlite:users.db", endless, "timeout = 1"));
        with_user(&dir, "alice");
        sqlite(&dir, "INSERT INTO users VALUES ('slow', '{PLAIN}right')");
        Service::start_in(dir)
    };
    service
        .ask(&Ask::new("alice", "right"))
        .must_be(OK, "accepted");
    let reply = service.ask(&Ask::new("slow", "right"));
    reply.must_be(TEMPORARY, "store-trouble");
    assert!(
        reply.line.contains("the statement took too long"),
        "{}",
        reply.line
    );
    let late = reply.took.checked_sub(Duration::from_secs(1)).unwrap();
    assert!(late < Duration::from_millis(500), "{:?}", reply.took);
    service
        .ask(&Ask::new("alice", "right"))
        .must_be(OK, "accepted");
}

/// A table can be filled by an untrusted program: what it holds is bounded before it is kept in memory.
#[test]
fn a_value_or_rows_of_any_size_cost_no_memory() {
    let dir = TempDir::new();
    let apps = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) \
                INSERT INTO apps SELECT 'bob', printf('{PLAIN}%.*c', 900000, 'x') FROM n;";
    let file = sqlite(
        &dir,
        &format!(
            "{TABLE} CREATE TABLE apps (login TEXT, password TEXT); \
             INSERT INTO users VALUES ('alice', zeroblob(100000000)); \
             INSERT INTO users VALUES ('bob', '{{PLAIN}}right'); {apps}"
        ),
    );
    let query = format!(
        "app-passwords-query = \"{}\"",
        QUERY
            .replace("users", "apps")
            .replace("SELECT ", "SELECT login, ")
    );
    let service = Service::start(&users(&format!("sqlite:{file}"), QUERY, &query));
    let before = service.peak();
    for (login, why) in [
        (
            "alice",
            "query: the database refuses the statement: string or blob too big",
        ),
        (
            "bob",
            "app-passwords-query: the database refuses the statement: its rows have more than \
             1048576 bytes",
        ),
    ] {
        let ask = Ask::new(login, "right");
        for reply in [service.ask(&ask), cgi(service.dir(), &ask)] {
            reply.must_be_trouble(why);
        }
    }
    let grown = service.peak() - before;
    assert!(grown < 32 * 1024, "{grown} kB");
}

#[test]
fn check_names_the_columns_of_which_nothing_is_made() {
    let query = "SELECT password, login AS user, 'x' AS \"pass\", login AS destuser FROM users WHERE login = {login}";
    let dir = folder(&users("sqlite:users.db", query, ""));
    with_user(&dir, "alice");
    let output = command(&dir, &["check"]);
    let said = String::from_utf8(output.stderr).unwrap();
    let warning = "users: store people: query: these columns are ignored: user, pass\n";
    assert!(said.contains(warning), "{said}");
    assert!(output.status.success(), "{said}");
}
