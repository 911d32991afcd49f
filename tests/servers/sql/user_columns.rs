//! What each kind of user gets, from each database, as FastCGI server and as CGI program.

use crate::support::sqlite::sqlite;
use std::fmt::Write as _;

use crate::support::databases::{Engine, Kind};
use crate::support::sql_service::{Ask, OK, REFUSED, Service, TEMPORARY, cgi, users};
use crate::support::temp_dir::TempDir;

const QUERY: &str = "SELECT id, password, host, port, login_there AS login, nologin, allow_nets, \
                     reason, protocols, expires FROM users WHERE login = {login}";
const APPS: &str = "app-passwords-query = \"SELECT password, login, label, protocols, allow_nets, expires \
                    FROM apps WHERE login = {login} ORDER BY label\"";

/// Tables and users. Some types are different in each database.
fn tables(text: &str, flag: &str, moment: &str, yes: &str) -> String {
    let mut sql = format!(
        "CREATE TABLE users (id INTEGER, login {text}, password {text}, host {text}, port INTEGER, \
         login_there {text}, nologin {flag}, allow_nets {text}, reason {text}, protocols {text}, \
         expires {moment});
         CREATE TABLE apps (login {text}, password {text}, label {text}, protocols {text}, \
         allow_nets {text}, expires {moment});
         INSERT INTO users (login, password) VALUES ('alice', '{{PLAIN}}right'),
         ('locked', '!{{PLAIN}}right'), ('star', '*'), ('empty', ''), ('null', NULL),
         ('odd', '{{ROT13}}right'), ('twin', '{{PLAIN}}right'), ('twin', '{{PLAIN}}other'),
         ('8bit-é', '{{PLAIN}}right'), ('apps', '{{PLAIN}}right'), ('odd-apps', '{{PLAIN}}right'),
         ('many-apps', '{{PLAIN}}right');
         INSERT INTO users (login, password, nologin) VALUES ('off', '{{PLAIN}}right', {yes});
         INSERT INTO users (login, password, nologin, reason) VALUES
         ('left', '{{PLAIN}}right', {yes}, 'left the company');
         INSERT INTO users (login, password, protocols, expires) VALUES
         ('ended', '{{PLAIN}}right', NULL, '2020-01-31 23:59:59'),
         ('later', '{{PLAIN}}right', NULL, '2120-01-31 23:59:59'),
         ('pop3-only', '{{PLAIN}}right', 'pop3', NULL),
         ('bad-protocols', '{{PLAIN}}right', 'http', NULL);
         INSERT INTO users (login, password, host, port, login_there) VALUES
         ('bob', '{{PLAIN}}right', '192.0.2.9', 1143, 'robert'),
         ('lost', '{{PLAIN}}right', 'nowhere', NULL, NULL),
         ('bad-host', '{{PLAIN}}right', 'a b', NULL, NULL),
         ('bad-port', '{{PLAIN}}right', NULL, 99999, NULL);
         INSERT INTO users (login, password, allow_nets) VALUES
         ('office', '{{PLAIN}}right', '198.51.100.0/24,2001:db8::/32'),
         ('bad-nets', '{{PLAIN}}right', '');
         INSERT INTO apps VALUES
         ('apps', '{{PLAIN}}phone', 'a', 'imap,smtp', NULL, NULL),
         ('apps', '{{PLAIN}}past', 'b', NULL, NULL, '2020-01-31 23:59:59'),
         ('apps', '{{PLAIN}}future', 'c', NULL, NULL, '2120-01-31 23:59:59'),
         ('apps', '{{PLAIN}}office', 'd', NULL, '198.51.100.0/24', NULL),
         ('apps', '!{{PLAIN}}revoked', 'e', NULL, NULL, NULL),
         ('odd-apps', NULL, 'a', NULL, NULL, NULL);\n"
    );
    for number in 1..=32 {
        writeln!(
            sql,
            "INSERT INTO apps (login, password) VALUES ('many-apps', '{{PLAIN}}{number}');"
        )
        .unwrap();
    }
    sql
}

fn everybody(ask: impl Fn(&Ask<'_>) -> crate::support::sql_service::Reply, databases_own: &[u8]) {
    let there = "Auth-Status: OK\nAuth-Server: 192.0.2.9\nAuth-Port: 1143\nAuth-User: robert\n";
    for (login, password, answer, cause) in [
        ("alice", "right", OK, "accepted"),
        ("alice", "wrong", REFUSED, "wrong-password"),
        ("alice", "", REFUSED, "wrong-password"),
        ("alice", "{PLAIN}right", REFUSED, "wrong-password"),
        ("nobody", "right", REFUSED, "unknown-user"),
        ("", "right", REFUSED, "unknown-user"),
        ("Alice", "right", REFUSED, "unknown-user"),
        ("alice ", "right", REFUSED, "unknown-user"),
        ("álice", "right", REFUSED, "unknown-user"),
        ("8bit-é", "right", OK, "accepted"),
        ("8bit-e", "right", REFUSED, "unknown-user"),
        ("off", "right", REFUSED, "disabled"),
        ("off", "wrong", REFUSED, "wrong-password"),
        ("left", "right", REFUSED, "disabled"),
        ("ended", "right", REFUSED, "disabled"),
        ("ended", "wrong", REFUSED, "wrong-password"),
        ("later", "right", OK, "accepted"),
        ("pop3-only", "right", REFUSED, "protocol-not-allowed"),
        ("pop3-only", "wrong", REFUSED, "wrong-password"),
        ("bad-protocols", "right", REFUSED, "unusable-entry"),
        ("locked", "right", REFUSED, "no-password"),
        ("star", "*", REFUSED, "no-password"),
        ("empty", "", REFUSED, "no-password"),
        ("null", "right", REFUSED, "no-password"),
        ("odd", "right", REFUSED, "unusable-password"),
        ("odd-apps", "right", OK, "accepted"),
        ("bad-host", "wrong", REFUSED, "wrong-password"),
        ("bad-port", "wrong", REFUSED, "wrong-password"),
        ("bad-nets", "wrong", REFUSED, "wrong-password"),
        ("many-apps", "wrong", REFUSED, "wrong-password"),
        ("bob", "right", there, "accepted"),
        ("bob", "wrong", REFUSED, "wrong-password"),
        ("lost", "right", TEMPORARY, "host-trouble"),
        ("office", "right", REFUSED, "network-not-allowed"),
        ("apps", "right", OK, "accepted"),
        ("apps", "past", REFUSED, "password-expired"),
        ("apps", "future", OK, "accepted"),
        ("apps", "revoked", REFUSED, "wrong-password"),
        ("apps", "office", REFUSED, "network-not-allowed"),
    ] {
        let reply = ask(&Ask::new(login, password));
        // What the mail server gets after an app password is none of this test's.
        let answer_only = reply.answer.split("Auth-Pass").next().unwrap();
        assert_eq!(
            (answer_only, &*reply.cause),
            (answer, cause),
            "{login} {password}"
        );
        assert!(!reply.line.contains("right"), "{}", reply.line);
    }
    for (protocol, cause) in [("imap", "accepted"), ("pop3", "protocol-not-allowed")] {
        let reply = ask(&Ask {
            protocol,
            ..Ask::new("apps", "phone")
        });
        assert_eq!(reply.cause, cause);
    }
    let pop3 = Ask {
        protocol: "pop3",
        ..Ask::new("pop3-only", "right")
    };
    assert_eq!(ask(&pop3).cause, "accepted");
    for (login, why) in [
        ("left", "left the company"),
        ("ended", "the account has expired"),
    ] {
        let line = ask(&Ask::new(login, "right")).line;
        assert!(line.contains(&format!("detail=\"{why}\"")), "{line}");
    }
    let office = Ask {
        client: "198.51.100.200",
        ..Ask::new("office", "right")
    };
    ask(&office).must_be(OK, "accepted");
    for (login, what) in [
        (
            "twin",
            "people: query: there is more than one row for this login",
        ),
        (
            "bad-host",
            "people: query: column host: is neither a name nor an address",
        ),
        ("bad-port", "people: query: column port: is not 1 to 65535"),
        (
            "bad-nets",
            "people: query: column allow_nets: is not a list of networks",
        ),
        (
            "many-apps",
            "people: app-passwords-query: the login has more than 31 app passwords",
        ),
    ] {
        let reply = ask(&Ask::new(login, "right"));
        reply.must_be(REFUSED, "unusable-entry");
        assert!(
            reply.line.contains(&format!("detail=\"{what}")),
            "{}",
            reply.line
        );
        assert!(reply.line.contains(&format!("login=\"{login}\"")));
        assert!(!reply.line.contains("right"), "{}", reply.line);
    }
    let reply = ask(&Ask::new("lost", "right"));
    let why = "detail=\"people: query: column host: nowhere: neither a host of [hosts] nor";
    assert!(reply.line.contains(why), "{}", reply.line);
    // Nobody else suffers from them.
    ask(&Ask::new("alice", "right")).must_be(OK, "accepted");
    // Bytes that are not UTF-8 are nobody's login, unless the database has just those.
    ask(&Ask::new(b"alice\xe9", "right")).must_be(REFUSED, "unknown-user");
    let cause = if databases_own.is_empty() {
        "unknown-user"
    } else {
        "accepted"
    };
    assert_eq!(ask(&Ask::new(b"8bit-\xe9", "right")).cause, cause);
}

fn served_and_cgi(config: &str, databases_own: &[u8]) {
    let service = Service::start(config);
    everybody(|ask| service.ask(ask), databases_own);
    everybody(|ask| cgi(service.dir(), ask), databases_own);
}

#[test]
fn sqlite_has_all_kinds_of_users() {
    let dir = TempDir::new();
    let mut sql = tables("TEXT", "BOOLEAN", "TEXT", "TRUE");
    sql.push_str("INSERT INTO users (login, password) VALUES (x'386269742de9', '{PLAIN}right');");
    let file = sqlite(&dir, &sql);
    let url = format!("sqlite:{file}");
    served_and_cgi(&users(&url, QUERY, APPS), b"8bit-\xe9");
}

#[test]
fn postgresql_has_all_kinds_of_users() {
    let engine = Engine::shared(Kind::Postgres);
    let sql = tables("TEXT", "BOOLEAN", "TIMESTAMPTZ", "TRUE");
    engine.make_database("people", &sql);
    served_and_cgi(&users(&engine.url("people"), QUERY, APPS), b"");
    let service = Service::start(&users(&engine.url_by_socket("people"), QUERY, APPS));
    service
        .ask(&Ask::new("alice", "right"))
        .must_be(OK, "accepted");
}

#[test]
fn mariadb_has_all_kinds_of_users() {
    let engine = Engine::shared(Kind::MariaDb);
    let text = "VARCHAR(254) COLLATE utf8mb4_nopad_bin";
    engine.make_database("people", &tables(text, "TINYINT(1)", "DATETIME", "1"));
    served_and_cgi(&users(&engine.url("people"), QUERY, APPS), b"");
    let service = Service::start(&users(&engine.url_by_socket("people"), QUERY, APPS));
    service
        .ask(&Ask::new("alice", "right"))
        .must_be(OK, "accepted");
}

/// The types that a column may have, in each database.
#[test]
fn columns_of_many_types_are_read() {
    let postgres = Engine::shared(Kind::Postgres);
    let tables = "CREATE EXTENSION citext; CREATE TYPE stored AS ENUM ('{PLAIN}right'); \
                  CREATE TABLE users (login CITEXT, password stored, host INET, port SMALLINT, \
                  nologin \"char\", nets CIDR, who NAME, at CHAR(20)); \
                  INSERT INTO users VALUES ('Alice', '{PLAIN}right', '192.0.2.9', 143, '0', \
                  '192.0.2.0/24', 'robert', '2120-01-01'); \
                  CREATE TABLE apps AS SELECT '{PLAIN}d'::bytea AS password, \
                  '2120-01-01'::date AS expires UNION ALL SELECT '{PLAIN}e', 'infinity';";
    postgres.make_database("types", tables);
    let query = "SELECT password, host(host) AS host, port::int8, nologin, nets AS \"allow-nets\", \
                 who AS login, login::text AS matched_login FROM users WHERE login = {login}::citext";
    let apps = "app-passwords-query = \"SELECT *, {login} AS login FROM apps UNION ALL \
                SELECT '{PLAIN}f', at::date, login::text FROM users WHERE login = {login}::citext\"";
    let service = Service::start(&users(&postgres.url("types"), query, apps));
    let there = "Auth-Status: OK\nAuth-Server: 192.0.2.9\nAuth-Port: 143\nAuth-User: robert\n";
    service
        .ask(&Ask::new("aLICE", "right"))
        .must_be(there, "accepted");
    for app in ["d", "e", "f"] {
        assert_eq!(
            service.ask(&Ask::new("alice", app)).cause,
            "accepted",
            "{app}"
        );
    }
    let query = "SELECT ARRAY[{login}] AS password";
    let service = Service::start(&users(&postgres.url("types"), query, ""));
    service.ask(&Ask::new("alice", "right")).must_be_trouble(
        "people: query: column password: has the type TEXT[], which is not understood: write array_to_string(password",
    );

    let mariadb = Engine::shared(Kind::MariaDb);
    let tables = "CREATE TABLE users (login VARBINARY(254), password ENUM('{PLAIN}right'), \
                  host CHAR(20), port DECIMAL(5,0), nologin BIT(1), who BLOB, \
                  small TINYINT UNSIGNED); \
                  INSERT INTO users VALUES ('alice', '{PLAIN}right', '192.0.2.9', 143, b'0', \
                  'robert', 250), (x'e9', '{PLAIN}right', NULL, NULL, b'0', NULL, NULL), \
                  ('off', '{PLAIN}right', NULL, NULL, b'1', NULL, NULL); \
                  CREATE TABLE apps (password TEXT, expires TIMESTAMP NULL, at DATE); \
                  INSERT INTO apps VALUES ('{PLAIN}d', '2030-01-01', '2020-01-01'); \
                  INSERT INTO apps VALUES ('{PLAIN}e', NULL, NULL);";
    mariadb.make_database("types", tables);
    let query = "SELECT password, host, port, nologin, who AS login, login AS matched_login, small FROM users \
                 WHERE login = {login}";
    let apps = "app-passwords-query = \"SELECT *, {login} AS login FROM apps UNION ALL \
                SELECT '{PLAIN}f', at, NULL, {login} FROM apps WHERE at IS NOT NULL\"";
    let service = Service::start(&users(&mariadb.url("types"), query, apps));
    service
        .ask(&Ask::new("alice", "right"))
        .must_be(there, "accepted");
    service
        .ask(&Ask::new(b"\xe9", "right"))
        .must_be(OK, "accepted");
    service
        .ask(&Ask::new("off", "right"))
        .must_be(REFUSED, "disabled");
    for (app, cause) in [
        ("d", "accepted"),
        ("e", "accepted"),
        ("f", "password-expired"),
    ] {
        assert_eq!(service.ask(&Ask::new("alice", app)).cause, cause, "{app}");
    }
}

/// MariaDB's zero dates say that no date was given, not that there is no end.
#[test]
fn a_zero_date_of_mariadb_is_no_end() {
    let mariadb = Engine::shared(Kind::MariaDb);
    let tables = "SET sql_mode = ''; \
                  CREATE TABLE users (login VARCHAR(254), password TEXT); \
                  INSERT INTO users VALUES ('alice', '{PLAIN}right'); \
                  CREATE TABLE apps (password TEXT, a DATE, b DATETIME, c TIMESTAMP NULL, \
                  d DATETIME(6)); \
                  INSERT INTO apps VALUES ('{PLAIN}zero', '0000-00-00', '0000-00-00', '0000-00-00', \
                  '0000-00-00'), ('{PLAIN}null', NULL, NULL, NULL, NULL), \
                  ('{PLAIN}part', '2120-00-00', '2120-01-00', NULL, '2120-00-01'), \
                  ('{PLAIN}later', '2120-01-01', '2120-01-01', '2037-01-01', '2120-01-01');";
    mariadb.make_database("zero", tables);
    let query = "SELECT password, login FROM users WHERE login = {login}";
    for (column, part) in [
        ("a", "unusable-password"),
        ("b", "unusable-password"),
        ("c", "accepted"),
        ("d", "unusable-password"),
        ("CAST(a AS CHAR)", "unusable-password"),
    ] {
        let apps = format!(
            "app-passwords-query = \"SELECT password, {{login}} AS login, {column} AS expires FROM apps\""
        );
        let service = Service::start(&users(&mariadb.url("zero"), query, &apps));
        for (password, cause) in [
            ("zero", "unusable-password"),
            ("null", "accepted"),
            ("part", part),
            ("later", "accepted"),
        ] {
            let reply = service.ask(&Ask::new("alice", password));
            assert_eq!(reply.cause, cause, "{column}: {}", reply.line);
        }
    }
    let query = "SELECT '{PLAIN}right' AS password, b AS nologin FROM apps WHERE \
                 password = CONCAT('{PLAIN}', {login})";
    let service = Service::start(&users(&mariadb.url("zero"), query, ""));
    for (login, cause) in [("zero", "disabled"), ("null", "accepted")] {
        assert_eq!(service.ask(&Ask::new(login, "right")).cause, cause);
    }
}

/// Each parameter arrives as what it is.
#[test]
fn all_parameters_are_bound() {
    let secret = "'{PLAIN}' || {login} || '/' || {local} || '/' || COALESCE({domain}, '-') || '/' || \
                  {protocol} || '/' || COALESCE({client_ip}, '-')";
    let query = |secret: &str| format!("SELECT {secret} AS password, '{{1,2}}' AS note");
    let concat = "CONCAT('{PLAIN}', {login}, '/', {local}, '/', COALESCE({domain}, '-'), '/', \
                  {protocol}, '/', COALESCE({client_ip}, '-'))";
    let dir = TempDir::new();
    let file = sqlite(&dir, "CREATE TABLE x (y)");
    let postgres = Engine::shared(Kind::Postgres);
    postgres.make_database("bound", "");
    let mariadb = Engine::shared(Kind::MariaDb);
    mariadb.make_database("bound", "");
    for (url, secret) in [
        (format!("sqlite:{file}"), secret),
        (postgres.url("bound"), secret),
        (mariadb.url("bound"), concat),
    ] {
        let service = Service::start(&users(&url, &query(secret), ""));
        for (login, client, password) in [
            ("alice", "192.0.2.7", "alice/alice/-/imap/192.0.2.7"),
            (
                "a@b@c.de",
                "2001:DB8::1",
                "a@b@c.de/a@b/c.de/imap/2001:db8::1",
            ),
            ("é'@", "unix:", "é'@/é'//imap/-"),
            ("@x", "::ffff:192.0.2.7", "@x//x/imap/192.0.2.7"),
        ] {
            let ask = Ask {
                client,
                ..Ask::new(login, password)
            };
            service.ask(&ask).must_be(OK, "accepted");
        }
    }
}
