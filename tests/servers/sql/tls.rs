//! Whose certificate is believed.

use crate::support::databases::{Engine, Kind, PASSWORD};
use crate::support::sql_service::{Ask, OK, Service, command, folder, users};
use crate::support::temp_dir::TempDir;

const TABLES: &str = "CREATE TABLE users (login VARCHAR(99), password VARCHAR(99)); \
                      INSERT INTO users VALUES ('alice', '{PLAIN}right')";

/// Gives a row only over an encrypted connection.
fn query(kind: Kind, encrypted: bool) -> String {
    let is = match kind {
        Kind::Postgres => "(SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())",
        Kind::MariaDb => {
            "(SELECT variable_value <> '' FROM information_schema.session_status WHERE \
             variable_name = 'Ssl_cipher')"
        }
    };
    let not = if encrypted { "" } else { "NOT" };
    format!("SELECT password FROM users WHERE login = {{login}} AND {not} {is}")
}

/// The key and certificates lie beside the configuration.
fn service(engine: &Engine, url: &str, encrypted: bool, more: &str) -> Service {
    let dir = folder(&users(url, &query(engine.kind, encrypted), more));
    for name in ["ca.pem", "other.pem"] {
        let certificate = std::fs::read(engine.path(name)).unwrap();
        dir.write(name, certificate);
    }
    Service::start_in(dir)
}

fn believes(kind: Kind) {
    let engine = Engine::shared(kind);
    engine.make_database("tls", TABLES);
    let (by_name, by_address) = (engine.url_by_name("tls"), engine.url("tls"));
    let alice = Ask::new("alice", "right");
    for (url, encrypted, more) in [
        (&by_name, true, "tls = \"verify\"\nca-file = \"ca.pem\""),
        (&by_address, true, "tls = \"require\""),
        (&by_address, true, "tls = \"prefer\""),
        (&by_address, false, "tls = \"off\""),
        // On this machine.
        (&by_address, false, ""),
        (&by_name, false, ""),
        (&engine.url_by_socket("tls"), false, ""),
    ] {
        let service = service(engine, url, encrypted, more);
        service.ask(&alice).must_be(OK, "accepted");
    }
    for (url, more, why) in [
        // Another CA; the system's CAs; another name than the certificate has.
        (
            &by_name,
            "tls = \"verify\"\nca-file = \"other.pem\"",
            "UnknownIssuer",
        ),
        (&by_name, "tls = \"verify\"", "UnknownIssuer"),
        (
            &by_address,
            "tls = \"verify\"\nca-file = \"ca.pem\"",
            "certificate not valid for name",
        ),
    ] {
        let service = service(engine, url, true, more);
        service.ask(&alice).must_be_trouble(why);
    }
}

#[test]
fn postgresql_is_believed_with_the_right_certificate_only() {
    believes(Kind::Postgres);
}

#[test]
fn mariadb_is_believed_with_the_right_certificate_only() {
    believes(Kind::MariaDb);
}

#[test]
fn the_password_may_lie_in_a_file() {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        let engine = Engine::shared(kind);
        engine.make_database("password_file", TABLES);
        let url = engine.url("password_file");
        let (head, tail) = url.split_once("//mail:").unwrap();
        let url = format!("{head}//mail@{}", tail.split_once('@').unwrap().1);
        let dir: TempDir = folder(&users(
            &url,
            "SELECT password FROM users WHERE login = {login}",
            "password-file = \"db.password\"",
        ));
        dir.write("db.password", format!("{PASSWORD}\nanything\n"));
        let checked = command(&dir, &["check"]);
        let printed = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{printed}");
        // It is a secret in that file, not in the configuration.
        assert!(
            printed.contains("db.password: holds secrets and may be read"),
            "{printed}"
        );
        assert!(!printed.contains("auth.toml: holds secrets"), "{printed}");
        let service = Service::start_in(dir);
        service
            .ask(&Ask::new("alice", "right"))
            .must_be(OK, "accepted");
    }
}
