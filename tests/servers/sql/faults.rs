//! Faults of a statement: told once and at the right place, and charged to no user.

use std::fs;

use crate::support::databases::{Engine, Kind};
use crate::support::sql_service::{
    Ask, OK, REFUSED, Service, TEMPORARY, cgi, command, folder, users,
};
use crate::support::sqlite::sqlite;
use crate::support::temp_dir::TempDir;

const TABLES: &str = "CREATE TABLE users (login VARCHAR(254), password VARCHAR(254)); \
                      INSERT INTO users VALUES ('alice', '{PLAIN}right');";
const QUERY: &str = "SELECT password, login FROM users WHERE login = {login}";

/// The lines that `check` prints about a store.
fn checked(url: &str, query: &str, apps: &str) -> Vec<String> {
    let dir = folder(&users(url, query, apps));
    let output = command(&dir, &["check"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    let about = |line: &&str| line.contains(": users");
    said.lines().filter(about).map(str::to_owned).collect()
}

#[test]
fn a_fault_of_a_statement_is_one_message_and_no_users() {
    let dir = TempDir::new();
    let url = format!("sqlite:{}", sqlite(&dir, TABLES));
    let apps = |columns: &str| {
        format!("app-passwords-query = \"SELECT {columns} FROM users WHERE login = {{login}}\"")
    };
    for (query, apps, message) in [
        (
            "SELECT login FROM users WHERE login = {login}",
            String::new(),
            "users.query: the statement gives no column password, only login",
        ),
        (
            "SELECT password, login AS password FROM users WHERE login = {login}",
            String::new(),
            "users.query: the statement gives two columns password",
        ),
        (
            "SELECT password, 0 AS nologin, 1 AS nologin FROM users WHERE login = {login}",
            String::new(),
            "users.query: the statement gives two columns nologin",
        ),
        (
            "SELECT password, NULL AS allow_nets, NULL AS \"allow-nets\" FROM users WHERE login = {login}",
            String::new(),
            "users.query: the statement gives the column allow-nets twice, once as allow_nets",
        ),
        (
            "SELECT password, login, 1 AS no_login FROM users WHERE login = {login}",
            String::new(),
            "users.query: the column no_login is ignored, but looks like the limit nologin: the \
             limits of a user are nologin, protocols, allow_nets and expires; rename the column or leave \
             it out",
        ),
        (
            "SELECT password FROM nobody WHERE login = {login}",
            String::new(),
            "users.query: the database refuses the statement: no such table: nobody",
        ),
        (
            QUERY,
            apps("password, 'x' AS label"),
            "users.app-passwords-query: gives neither a column login nor matched_login: each row \
            must name its login",
        ),
        (
            QUERY,
            apps("password, login, 'smtp' AS protocol"),
            "users.app-passwords-query: the column protocol is ignored, but looks like the limit \
             protocols: the limits of an app password are protocols, allow_nets and expires; rename the \
             column or leave it out",
        ),
    ] {
        let said = checked(&url, query, &apps);
        assert_eq!(said.len(), 1, "{said:#?}");
        assert!(said[0].contains(message), "{message}\n{said:#?}");
        // CGI does not look at statements beforehand.
        let config = folder(&users(&url, query, &apps));
        cgi(&config, &Ask::new("alice", "right")).must_be(TEMPORARY, "store-trouble");
    }
}

#[test]
fn a_column_of_app_passwords_that_means_nothing_is_warned_of() {
    let dir = TempDir::new();
    let url = format!("sqlite:{}", sqlite(&dir, TABLES));
    let apps = "app-passwords-query = \"SELECT password, login, 7 AS id, 'x' AS host FROM users \
                WHERE login = {login}\"";
    let config = folder(&users(&url, QUERY, apps));
    let output = command(&config, &["check"]);
    let said = String::from_utf8(output.stderr).unwrap();
    let warning = "store people: app-passwords-query: these columns are ignored: id, host\n";
    assert!(output.status.success() && said.contains(warning), "{said}");
    cgi(&config, &Ask::new("alice", "right")).must_be(OK, "accepted");
}

/// The second try would only say that the first one was refused.
#[test]
fn a_database_that_refuses_us_is_one_message() {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        let engine = Engine::shared(kind);
        let url = engine.url("postgres").replace("//mail:", "//faulty:");
        let dir = folder(&users(&url, QUERY, ""));
        let output = command(&dir, &["check"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{said}");
        let refused = said
            .matches("the database refuses the login of this program")
            .count();
        assert_eq!(refused, 1, "{said}");
        assert!(!said.contains("refused less than a minute ago"), "{said}");
        assert!(
            fs::read_to_string(engine.path("log"))
                .unwrap()
                .contains("faulty")
        );
    }
}

/// What `extract` gives since PostgreSQL 14.
#[test]
fn numbers_of_postgresql_are_read() {
    let engine = Engine::shared(Kind::Postgres);
    let tables = "CREATE TABLE users (login TEXT, port NUMERIC, off NUMERIC(5,2)); \
                  INSERT INTO users VALUES ('alice', 143, 0), ('off', 143.00, 1);";
    engine.make_database("numbers", tables);
    let query = "SELECT '{PLAIN}right' AS password, login, '192.0.2.9' AS host, port, off AS nologin \
                 FROM users WHERE login = {login}";
    let apps = "app-passwords-query = \"SELECT '{PLAIN}past' AS password, {login} AS login, \
                extract(epoch FROM timestamp '2020-01-31 12:00:00.5') AS expires UNION ALL \
                SELECT '{PLAIN}later', {login}, extract(epoch FROM timestamp '2120-01-31 12:00:00.5') \
                UNION ALL SELECT '{PLAIN}nan', {login}, 'NaN' UNION ALL SELECT '{PLAIN}null', {login}, NULL\"";
    let service = Service::start(&users(&engine.url("numbers"), query, apps));
    let there = "Auth-Status: OK\nAuth-Server: 192.0.2.9\nAuth-Port: 143\n";
    for (login, password, answer, cause) in [
        ("alice", "right", there, "accepted"),
        ("alice", "past", REFUSED, "password-expired"),
        ("alice", "later", there, "accepted"),
        ("alice", "nan", REFUSED, "unusable-password"),
        ("alice", "null", there, "accepted"),
        ("off", "right", REFUSED, "disabled"),
    ] {
        service
            .ask(&Ask::new(login, password))
            .must_be(answer, cause);
    }
}
