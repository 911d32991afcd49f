//! Placeholders as the real databases see them: a value to bind, or nothing at all.

use crate::support::databases::{Engine, Kind};
use crate::support::sql_service::{
    Ask, OK, REFUSED, Service, TEMPORARY, cgi, command, folder, users,
};
use crate::support::sqlite::sqlite;
use crate::support::temp_dir::TempDir;

const TABLES: &str = "CREATE TABLE users (login VARCHAR(99), password VARCHAR(99)); \
                      INSERT INTO users VALUES ('alice@example.org', '{PLAIN}right')";

/// The URLs of three databases with the same table.
fn databases(dir: &TempDir, name: &str) -> [(Option<Kind>, String); 3] {
    let file = sqlite(dir, TABLES);
    let url = |kind: Kind| {
        let engine = Engine::shared(kind);
        engine.make_database(name, TABLES);
        (Some(kind), engine.url(name))
    };
    [
        (None, format!("sqlite:{file}")),
        url(Kind::Postgres),
        url(Kind::MariaDb),
    ]
}

/// Where the characters beside a placeholder do not show that it is in quotes or in a comment, the
/// database does: nobody gets in by such a statement, whatever it would mean.
#[test]
fn a_placeholder_that_is_no_value_is_refused() {
    let dir = TempDir::new();
    for (kind, url) in databases(&dir, "misplaced") {
        let mut conditions = vec![
            "login <> 'of {login} alone'",
            "login = {login} AND login <> 'of {local} alone'",
            "login <> 'of {domain} alone' AND login = {login}",
            "login = {login} /* not {domain} */",
            "/* not {domain} */ login = {login}",
            "login = {login} -- not {domain}",
        ];
        if kind == Some(Kind::Postgres) {
            conditions.extend([
                "login <> $$of {login} alone$$",
                "login = $a$ {domain} $a$ || {login}",
            ]);
        }
        for condition in conditions {
            let query = format!("SELECT password FROM users WHERE {condition}");
            let dir = folder(&users(&url, &query, ""));
            let output = command(&dir, &["check"]);
            let printed = String::from_utf8_lossy(&output.stderr);
            assert_eq!(
                output.status.code(),
                Some(78),
                "{kind:?} {query}: {printed}"
            );
            let message = "query: the database refuses the statement: not all of its placeholders are \
                           values there";
            assert!(
                printed.contains(&format!("users.{message}")),
                "{kind:?} {query}: {printed}"
            );
            // Nothing is checked before under CGI.
            let ask = Ask::new("alice@example.org", "right");
            cgi(&dir, &ask).must_be(TEMPORARY, "store-trouble");
        }
    }
}

/// Parameters of the database's own would take a value that is meant for another one, or none.
#[test]
fn parameters_of_the_databases_own_are_refused() {
    let dir = TempDir::new();
    for (kind, url) in databases(&dir, "own_parameters") {
        let own = match kind {
            Some(Kind::Postgres) => "login = ($1) AND login = {login}",
            Some(Kind::MariaDb) => "login LIKE ? AND login = {login}",
            None => "login LIKE :nobody AND login = {login}",
        };
        let query = format!("SELECT password FROM users WHERE {own}");
        let dir = folder(&users(&url, &query, ""));
        let output = command(&dir, &["check"]);
        let printed = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{kind:?}: {printed}");
        let ask = Ask::new("alice@example.org", "right");
        assert_ne!(cgi(&dir, &ask).answer, OK, "{kind:?}");
    }
}

/// A value joined to other text, and text with braces.
#[test]
fn values_are_joined_to_text_and_other_braces_are_text() {
    let dir = TempDir::new();
    for (kind, url) in databases(&dir, "joined") {
        let condition = match kind {
            Some(Kind::MariaDb) => {
                "login = CONCAT({local}, '@', {domain}) AND '{\"a\": 1}' <> '{admin}' AND {login}<>''"
            }
            Some(Kind::Postgres) => {
                "login={local}||'@'||{domain} AND '{1,2}'::int[] @> ARRAY[1] \
                 AND '{\"login\": 1}'::jsonb ? 'login' AND \"users\".login={login}::varchar"
            }
            None => "login={local}||'@'||{domain} AND '{1,2}' <> '{}' AND \"users\".login={login}",
        };
        let query = format!(
            "SELECT '{{PLAIN}}' || substr(password, 8) AS password FROM users WHERE {condition}"
        );
        let query = match kind {
            Some(Kind::MariaDb) => query.replace(
                "'{PLAIN}' || substr(password, 8)",
                "CONCAT('{PLAIN}', substr(password, 8))",
            ),
            Some(Kind::Postgres) | None => query,
        };
        let service = Service::start(&users(&url, &query, ""));
        service
            .ask(&Ask::new("alice@example.org", "right"))
            .must_be(OK, "accepted");
        for login in [
            "alice",
            "%@example.org",
            "'{local}'",
            "$1::text",
            "alice@example.org' OR '1",
        ] {
            service
                .ask(&Ask::new(login, "right"))
                .must_be(REFUSED, "unknown-user");
        }
    }
}
