//! Each example, loaded and asked, over tables of the layout that it is for.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::databases::{Engine, Kind, PASSWORD};
use crate::support::sql_service::{Ask, REFUSED, Service, command};
use crate::support::sqlite::sqlite;
use crate::support::temp_dir::TempDir;

/// For the passwords "right" and "app", by `openssl passwd -6`.
const SHA512_CRYPT: &str = "$6$saltsalt$gzY3OAolfMFSB9Ld7iMdOQlViFqO3IOPeU0zkHsD.58tcMxRAFD0Qjfi2sjus3i.8aqWarEvFPREqzp18Jm291";
const FOR_APP: &str = "$6$saltsalt$Iq6zlyIEhkBg6Pvv7h.iQPvQCa//iJfpH2IGVURD1qAUQkZPUF9jLqbR5cxeXTc5vquzaHZepT3h.I11VgNxz.";

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// An example as it is, but for the place of the database.
fn example(name: &str, url: &str) -> TempDir {
    let text = fs::read_to_string(examples().join(name)).unwrap();
    let mut urls = 0;
    let lines = text.lines().map(|line| {
        if line.starts_with("url = ") {
            urls += 1;
            format!("url = \"{url}\"")
        } else {
            line.to_owned()
        }
    });
    let text: Vec<String> = lines.collect();
    assert_eq!(urls, 1, "{name}");
    let dir = TempDir::new();
    dir.write("auth.toml", text.join("\n"));
    dir.write("database.password", PASSWORD);
    dir
}

fn serve(dir: TempDir) -> Service {
    let checked = command(&dir, &["check"]);
    let printed = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{printed}");
    Service::start_in(dir)
}

/// The URL without the password, which lies in a file.
fn url(engine: &Engine, database: &str) -> String {
    let url = engine.url(database);
    let (head, tail) = url.split_once("//mail:").unwrap();
    format!("{head}//mail@{}", tail.split_once('@').unwrap().1)
}

fn accepted(login: Option<&str>) -> String {
    let user = login.map_or(String::new(), |login| format!("Auth-User: {login}\n"));
    format!("Auth-Status: OK\nAuth-Server: 192.168.1.22\nAuth-Port: 143\n{user}")
}

/// The tables are those that stand in the example.
#[test]
fn the_example_of_sqlite() {
    let text = fs::read_to_string(examples().join("sql.toml")).unwrap();
    let tables: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("#     "))
        .collect();
    assert!(tables.len() > 5);
    let rows = format!(
        "INSERT INTO users (login, password) VALUES ('alice', '{SHA512_CRYPT}'), ('none', '!');
         INSERT INTO users VALUES ('bob', '{SHA512_CRYPT}', 'mailhost02', 1143, FALSE, NULL),
         ('off', '{SHA512_CRYPT}', NULL, NULL, TRUE, NULL);
         INSERT INTO app_passwords VALUES ('none', '{SHA512_CRYPT}', 'phone', 'imap', \
         '2120-01-01'), ('alice', '{SHA512_CRYPT}', 'phone', 'imap', NULL);"
    );
    let dir = example("sql.toml", "sqlite:users.db");
    sqlite(&dir, &format!("{}\n{rows}", tables.join("\n")));
    let service = serve(dir);
    // As it was typed: the mail server need not be told.
    for login in ["alice", "none"] {
        let reply = service.ask(&Ask::new(login, "right"));
        assert!(reply.answer.starts_with(&accepted(None)), "{reply:?}");
        assert!(!reply.answer.contains("Auth-User"), "{reply:?}");
    }
    service
        .ask(&Ask::new("alice", "wrong"))
        .must_be(REFUSED, "wrong-password");
    service
        .ask(&Ask::new("off", "right"))
        .must_be(REFUSED, "disabled");
    let there = "Auth-Status: OK\nAuth-Server: 192.168.1.33\nAuth-Port: 1143\n";
    let bob = service.ask(&Ask::new("bob", "right"));
    assert!(bob.answer.starts_with(there), "{bob:?}");
    let pop3 = Ask {
        protocol: "pop3",
        ..Ask::new("none", "right")
    };
    service.ask(&pop3).must_be(REFUSED, "protocol-not-allowed");
}

#[test]
fn the_table_of_dovecots_documentation() {
    let tables = format!(
        "CREATE TABLE users (username VARCHAR(128) NOT NULL, domain VARCHAR(128) NOT NULL, \
         password VARCHAR(128) NOT NULL, home VARCHAR(255) NOT NULL, uid INTEGER NOT NULL, \
         gid INTEGER NOT NULL, active CHAR(1) DEFAULT 'Y' NOT NULL);
         INSERT INTO users VALUES
         ('alice', 'example.org', '{{SHA512-CRYPT}}{SHA512_CRYPT}', '', 1, 1, 'Y'),
         ('alice', 'example.net', '!', '', 1, 1, 'Y'),
         ('off', 'example.org', '{SHA512_CRYPT}', '', 1, 1, 'N');"
    );
    let engine = Engine::shared(Kind::Postgres);
    engine.make_database("dovecot", &tables);
    let service = serve(example("sql/dovecot.toml", &url(engine, "dovecot")));
    let ask = |login: &str| service.ask(&Ask::new(login, "right"));
    ask("alice@example.org").must_be(&accepted(None), "accepted");
    for (login, cause) in [
        ("alice@example.net", "no-password"),
        ("alice", "unknown-user"),
        ("off@example.org", "unknown-user"),
        ("Alice@example.org", "unknown-user"),
    ] {
        ask(login).must_be(REFUSED, cause);
    }
}

#[test]
fn the_tables_of_postfixadmin() {
    for (kind, flag, yes, no) in [
        (Kind::MariaDb, "TINYINT(1)", "1", "0"),
        (Kind::Postgres, "BOOLEAN", "TRUE", "FALSE"),
    ] {
        let tables = format!(
            "CREATE TABLE domain (domain VARCHAR(255) NOT NULL PRIMARY KEY, description \
             VARCHAR(255) NOT NULL DEFAULT '', backupmx {flag} NOT NULL DEFAULT {no}, \
             active {flag} NOT NULL DEFAULT {yes});
             CREATE TABLE mailbox (username VARCHAR(255) NOT NULL PRIMARY KEY, password \
             VARCHAR(255) NOT NULL, name VARCHAR(255) NOT NULL DEFAULT '', maildir VARCHAR(255) \
             NOT NULL DEFAULT '', quota BIGINT NOT NULL DEFAULT 0, local_part VARCHAR(255) NOT \
             NULL DEFAULT '', domain VARCHAR(255) NOT NULL, active {flag} NOT NULL DEFAULT {yes});
             INSERT INTO domain (domain, active) VALUES ('example.org', {yes}), \
             ('off.example', {no});
             INSERT INTO mailbox (username, password, domain, active) VALUES
             ('alice@example.org', '{SHA512_CRYPT}', 'example.org', {yes}),
             ('off@example.org', '{SHA512_CRYPT}', 'example.org', {no}),
             ('alice@off.example', '{SHA512_CRYPT}', 'off.example', {yes});"
        );
        let engine = Engine::shared(kind);
        engine.make_database("postfixadmin", &tables);
        let service = serve(example(
            "sql/postfixadmin.toml",
            &url(engine, "postfixadmin"),
        ));
        let ask = |login: &str| service.ask(&Ask::new(login, "right"));
        ask("alice@example.org").must_be(&accepted(None), "accepted");
        for login in ["off@example.org", "alice@off.example", "bob@example.org"] {
            ask(login).must_be(REFUSED, "unknown-user");
        }
        // MariaDB's usual collation does not tell these apart; the mail server gets the one login.
        let ask = ask("Alice@Example.org");
        match kind {
            Kind::MariaDb => ask.must_be(&accepted(Some("alice@example.org")), "accepted"),
            Kind::Postgres => ask.must_be(REFUSED, "unknown-user"),
        }
    }
}

#[test]
fn the_tables_of_modoboa() {
    let tables = format!(
        "CREATE TABLE core_user (id SERIAL PRIMARY KEY, username VARCHAR(254), email VARCHAR(254), \
         password VARCHAR(256), is_active BOOLEAN);
         CREATE TABLE admin_domain (id SERIAL PRIMARY KEY, name VARCHAR(100), enabled BOOLEAN);
         CREATE TABLE admin_mailbox (id SERIAL PRIMARY KEY, address VARCHAR(252), domain_id \
         INTEGER, user_id INTEGER, is_send_only BOOLEAN);
         INSERT INTO admin_domain (name, enabled) VALUES ('example.org', TRUE), \
         ('off.example', FALSE);
         INSERT INTO core_user (username, email, password, is_active) VALUES
         ('a', 'alice@example.org', '{{SHA512-CRYPT}}{SHA512_CRYPT}', TRUE),
         ('b', 'sender@example.org', '{{SHA512-CRYPT}}{SHA512_CRYPT}', TRUE),
         ('c', 'off@example.org', '{{SHA512-CRYPT}}{SHA512_CRYPT}', FALSE),
         ('d', 'alice@off.example', '{{SHA512-CRYPT}}{SHA512_CRYPT}', TRUE);
         INSERT INTO admin_mailbox (address, domain_id, user_id, is_send_only) VALUES
         ('alice', 1, 1, FALSE), ('sender', 1, 2, TRUE), ('off', 1, 3, FALSE), \
         ('alice', 2, 4, FALSE);"
    );
    let engine = Engine::shared(Kind::Postgres);
    engine.make_database("modoboa", &tables);
    let service = serve(example("sql/modoboa.toml", &url(engine, "modoboa")));
    let ask = |login: &str, protocol| {
        service.ask(&Ask {
            protocol,
            ..Ask::new(login, "right")
        })
    };
    ask("alice@example.org", "imap").must_be(&accepted(None), "accepted");
    let told = accepted(Some("alice@example.org"));
    ask("Alice@Example.ORG", "imap").must_be(&told, "accepted");
    for login in [
        "off@example.org",
        "alice@off.example",
        "alice",
        "sender@example.org",
    ] {
        ask(login, "imap").must_be(REFUSED, "unknown-user");
    }
    assert_eq!(ask("sender@example.org", "smtp").cause, "accepted");
    assert_eq!(ask("sender@example.org", "pop3").cause, "unknown-user");
}

#[test]
fn the_tables_of_iredmail() {
    let tables = format!(
        "CREATE TABLE domain (domain VARCHAR(255) NOT NULL PRIMARY KEY, backupmx TINYINT(1) NOT \
         NULL DEFAULT 0, active TINYINT(1) NOT NULL DEFAULT 1);
         CREATE TABLE mailbox (username VARCHAR(255) NOT NULL PRIMARY KEY, password VARCHAR(255) \
         NOT NULL, domain VARCHAR(255) NOT NULL, enablesmtp TINYINT(1) NOT NULL DEFAULT 1, \
         enablesmtpsecured TINYINT(1) NOT NULL DEFAULT 1, enablepop3 TINYINT(1) NOT NULL DEFAULT 1, \
         enablepop3secured TINYINT(1) NOT NULL DEFAULT 1, enableimap TINYINT(1) NOT NULL DEFAULT 1, \
         enableimapsecured TINYINT(1) NOT NULL DEFAULT 1, allow_nets TEXT DEFAULT NULL, \
         active TINYINT(1) NOT NULL DEFAULT 1);
         INSERT INTO domain VALUES ('example.org', 0, 1), ('mx.example', 1, 1);
         INSERT INTO mailbox (username, password, domain) VALUES
         ('alice@example.org', '{{SHA512-CRYPT}}{SHA512_CRYPT}', 'example.org'),
         ('office@example.org', '{{SHA512-CRYPT}}{SHA512_CRYPT}', 'example.org'),
         ('nopop@example.org', '{{SHA512-CRYPT}}{SHA512_CRYPT}', 'example.org'),
         ('alice@mx.example', '{{SHA512-CRYPT}}{SHA512_CRYPT}', 'mx.example');
         UPDATE mailbox SET allow_nets = '172.16.244.1,192.168.1.0/24' WHERE username LIKE 'off%';
         UPDATE mailbox SET enablepop3secured = 0 WHERE username LIKE 'nopop%';"
    );
    let engine = Engine::shared(Kind::MariaDb);
    engine.make_database("iredmail", &tables);
    let service = serve(example("sql/iredmail.toml", &url(engine, "iredmail")));
    let ask = |login: &str, protocol, client| {
        let ask = Ask {
            protocol,
            client,
            ..Ask::new(login, "right")
        };
        service.ask(&ask).cause
    };
    for (login, protocol, client, cause) in [
        ("alice@example.org", "imap", "192.0.2.7", "accepted"),
        ("alice@example.org", "pop3", "192.0.2.7", "accepted"),
        ("alice@example.org", "smtp", "192.0.2.7", "accepted"),
        ("alice@mx.example", "imap", "192.0.2.7", "unknown-user"),
        (
            "office@example.org",
            "imap",
            "192.0.2.7",
            "network-not-allowed",
        ),
        ("office@example.org", "imap", "192.168.1.7", "accepted"),
        ("nopop@example.org", "imap", "192.0.2.7", "accepted"),
        ("nopop@example.org", "pop3", "192.0.2.7", "unknown-user"),
    ] {
        assert_eq!(
            ask(login, protocol, client),
            cause,
            "{login} {protocol} {client}"
        );
    }
}

#[test]
fn the_tables_of_mailcow() {
    let tables = format!(
        "CREATE TABLE domain (domain VARCHAR(255) NOT NULL PRIMARY KEY, active TINYINT(1) NOT NULL \
         DEFAULT 1);
         CREATE TABLE mailbox (username VARCHAR(255) NOT NULL PRIMARY KEY, password VARCHAR(255) \
         NOT NULL, domain VARCHAR(255) NOT NULL, attributes JSON, active TINYINT(1) NOT NULL \
         DEFAULT 1);
         CREATE TABLE app_passwd (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(255) NOT \
         NULL, mailbox VARCHAR(255) NOT NULL, domain VARCHAR(255) NOT NULL, password VARCHAR(255) \
         NOT NULL, imap_access TINYINT(1) NOT NULL DEFAULT 1, smtp_access TINYINT(1) NOT NULL \
         DEFAULT 1, dav_access TINYINT(1) NOT NULL DEFAULT 1, pop3_access TINYINT(1) NOT NULL \
         DEFAULT 1, active TINYINT(1) NOT NULL DEFAULT 1);
         INSERT INTO domain VALUES ('example.org', 1), ('off.example', 0);
         INSERT INTO mailbox (username, password, domain, attributes) VALUES
         ('alice@example.org', '{SHA512_CRYPT}', 'example.org', '{{\"imap_access\": \"1\"}}'),
         ('app@example.org', '{SHA512_CRYPT}', 'example.org', '{{\"imap_access\": \"0\", \
         \"pop3_access\": \"0\", \"force_pw_update\": \"0\"}}'),
         ('new@example.org', '{SHA512_CRYPT}', 'example.org', '{{\"force_pw_update\": \"1\"}}'),
         ('alice@off.example', '{SHA512_CRYPT}', 'off.example', '{{}}');
         INSERT INTO app_passwd (name, mailbox, domain, password, pop3_access, active) VALUES
         ('phone', 'app@example.org', 'example.org', '{FOR_APP}', 0, 1),
         ('lost', 'app@example.org', 'example.org', '{SHA512_CRYPT}', 1, 0);"
    );
    let engine = Engine::shared(Kind::MariaDb);
    engine.make_database("mailcow", &tables);
    let service = serve(example("sql/mailcow.toml", &url(engine, "mailcow")));
    let ask = |login: &str, password, protocol| {
        let ask = Ask {
            protocol,
            ..Ask::new(login, password)
        };
        service.ask(&ask).cause
    };
    for (login, password, protocol, cause) in [
        ("alice@example.org", "right", "imap", "accepted"),
        ("alice@example.org", "right", "smtp", "accepted"),
        ("app@example.org", "right", "smtp", "accepted"),
        ("app@example.org", "right", "imap", "wrong-password"),
        ("app@example.org", "app", "imap", "accepted"),
        ("app@example.org", "app", "pop3", "protocol-not-allowed"),
        ("new@example.org", "right", "imap", "no-password"),
        ("alice@off.example", "right", "imap", "unknown-user"),
    ] {
        assert_eq!(
            ask(login, password, protocol),
            cause,
            "{login} {password} {protocol}"
        );
    }
}
