//! Whatever stands in a login or a password: it is only ever compared.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::support::databases::{Engine, Kind};
use crate::support::sql_service::{Ask, OK, REFUSED, Service, users};
use crate::support::sqlite::sqlite;
use crate::support::temp_dir::TempDir;
use nginx_mail_auth::login::domain::folded;

/// The only one whose row a broken statement would give.
const VICTIM: &str = "victim@example.org";

/// Texts that break out of somewhere.
fn corpus() -> Vec<Vec<u8>> {
    let mut texts: BTreeSet<Vec<u8>> = BTreeSet::new();
    let tails = [
        "",
        " ",
        "--",
        "-- ",
        "#",
        "/*",
        "*/",
        ";",
        ";--",
        "')--",
        "' OR '1'='1",
        "\" OR \"\"=\"",
        "' OR 1=1--",
        "' OR 1=1#",
        "' OR 1=1/*",
        "') OR ('1'='1",
        "' OR ''='",
        "'||'",
        "'+'",
        "''",
        "' UNION SELECT '{PLAIN}x'--",
        "' UNION SELECT '{PLAIN}x','','','','',''#",
        "'; DROP TABLE users;--",
        "'; SELECT pg_sleep(9);--",
        "' AND SLEEP(9)#",
        "\\'",
        "\\' OR 1=1#",
        "\\\\' OR 1=1#",
        "\\",
        "\\\\",
        "\\0",
        "%",
        "_",
        "%%",
        "*",
        "*)(uid=*",
        ")(|(uid=*",
        "$$",
        "$a$ OR $a$",
        "$1",
        "?",
        "?1",
        ":login",
        "::text",
        ":=1",
        "@x",
        "`",
        "`` OR 1",
        "[",
        "]",
        "{PLAIN}",
        "{login}",
        "${login}",
        "%{user}",
        "{local}",
        "'{login}'",
        "$1::text",
        "%u",
        "%s",
        "%n",
        "%00",
        "%27",
        "\u{2019} OR 1=1",
        "\u{2bc} OR 1=1",
        "\u{ff07} OR 1=1",
        "\u{0} OR 1=1",
        "é",
        "ß",
        "\u{202e}",
        "\u{feff}",
        "\u{1f600}",
        "NULL",
        "null",
        "0",
        "1",
        "-1",
        "0x61",
        "x'61'",
        "E'\\''",
        "N'a'",
        "true",
        "(SELECT login FROM users LIMIT 1)",
        "CHAR(39)",
        "chr(39)",
        "admin'--",
        "{{7*7}}",
        "<>",
        "&&",
        "||",
        "&",
        "|",
        "!",
        "^",
        "~",
        "=",
        "==",
        ",",
        ".",
        "..",
        "../../etc/passwd",
        "\r\nAuth-Status: OK",
        "\n",
        "\t",
    ];
    for tail in tails {
        texts.insert(tail.as_bytes().to_vec());
        texts.insert([VICTIM.as_bytes(), tail.as_bytes()].concat());
    }
    texts.remove(VICTIM.as_bytes());
    // Two bytes that some East Asian encodings read as one character, with the quote gone.
    for bytes in [
        &b"\xbf'"[..],
        b"\xbf' OR 1=1#",
        b"\xe9'",
        b"\xc0\xa7",
        b"\xbf\x5c'",
    ] {
        texts.insert(bytes.to_vec());
    }
    for byte in 0..=255 {
        texts.insert(vec![byte]);
        texts.insert(vec![b'a', byte, b'b']);
        texts.insert([VICTIM.as_bytes(), &[byte]].concat());
    }
    // The program asks for the canonical form of a domain.
    let mut seen = BTreeSet::from([VICTIM.as_bytes().to_vec()]);
    texts.retain(|text| seen.insert(folded(text).into_owned()));
    texts.into_iter().collect()
}

/// Those that can be a login at all.
fn is_login(text: &[u8]) -> bool {
    !text.is_empty() && !text.iter().any(u8::is_ascii_control)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every odd login gets a row with a password of its own; every other one is unknown.
fn attack(service: &Service, is_there: impl Fn(&[u8]) -> bool) {
    let corpus = corpus();
    assert!(corpus.len() >= 800, "{}", corpus.len());
    for (number, login) in corpus.iter().enumerate() {
        let shown = login.escape_ascii();
        let own = format!("own-{number}");
        let (answer, cause) = if !is_login(login) {
            let empty = login.is_empty();
            (REFUSED, if empty { "unknown-user" } else { "bad-login" })
        } else if is_there(login) {
            (OK, "accepted")
        } else {
            (REFUSED, "unknown-user")
        };
        let reply = service.ask(&Ask::new(login, &own));
        // Where the domain was folded, `Auth-User` follows.
        let said = (reply.answer.starts_with(answer), reply.cause.as_str());
        assert_eq!(said, (true, cause), "{shown}: {}", reply.line);
        // Nor is it somebody else.
        let reply = service.ask(&Ask::new(login, "of-the-victim"));
        assert_eq!(reply.answer, REFUSED, "{shown}: {}", reply.line);
        // As a password it is just wrong.
        let ask = Ask {
            password: login,
            ..Ask::new(VICTIM, "")
        };
        let reply = service.ask(&ask);
        assert_eq!(reply.answer, REFUSED, "{shown}: {}", reply.line);
    }
    service
        .ask(&Ask::new(VICTIM, "of-the-victim"))
        .must_be(OK, "accepted");
}

/// A table with the victim, and with all logins of the corpus that it can hold.
fn table(
    column: &str,
    literal: impl Fn(&str) -> String,
    is_there: impl Fn(&[u8]) -> bool,
) -> String {
    let mut sql = format!(
        "CREATE TABLE users (login {column}, password VARCHAR(99));\n\
         INSERT INTO users VALUES ('{VICTIM}', '{{PLAIN}}of-the-victim');\n"
    );
    for (number, login) in corpus().iter().enumerate() {
        if is_login(login) && is_there(login) {
            let login = literal(&hex(&folded(login)));
            writeln!(
                sql,
                "INSERT INTO users VALUES ({login}, '{{PLAIN}}own-{number}');"
            )
            .unwrap();
        }
    }
    sql
}

/// Both halves, and all other parameters, so that none of them can break out.
const QUERY: &str = "SELECT password FROM users WHERE login = {login} AND ({local} = {login} OR \
                     COALESCE({domain}, '') <> '-') AND {protocol} <> '' AND {client_ip} <> ''";

fn is_text(login: &[u8]) -> bool {
    str::from_utf8(login).is_ok()
}

#[test]
fn sqlite_only_ever_compares() {
    let dir = TempDir::new();
    // What is no text is a blob.
    let sql = table("", |hex| format!("x'{hex}'"), |_| true);
    let sql = format!(
        "BEGIN; {sql} UPDATE users SET login = CAST(login AS TEXT) WHERE \
         CAST(CAST(login AS TEXT) AS BLOB) = login AND \
         hex(login) NOT IN ({}); COMMIT;",
        corpus()
            .iter()
            .filter(|login| !is_text(login))
            .map(|login| format!("'{}'", hex(&folded(login)).to_uppercase()))
            .collect::<Vec<_>>()
            .join(",")
    );
    let file = sqlite(&dir, &sql);
    let service = Service::start(&users(&format!("sqlite:{file}"), QUERY, ""));
    attack(&service, |_| true);
}

#[test]
fn postgresql_only_ever_compares() {
    let engine = Engine::shared(Kind::Postgres);
    let literal = |hex: &str| format!("convert_from('\\x{hex}'::bytea, 'UTF8')");
    engine.make_database("attacked", &table("TEXT", literal, is_text));
    let service = Service::start(&users(&engine.url("attacked"), QUERY, ""));
    attack(&service, is_text);
}

#[test]
fn mariadb_only_ever_compares() {
    let engine = Engine::shared(Kind::MariaDb);
    let literal = |hex: &str| format!("CONVERT(x'{hex}' USING utf8mb4)");
    let column = "VARCHAR(254) COLLATE utf8mb4_nopad_bin";
    engine.make_database("attacked", &table(column, literal, is_text));
    let service = Service::start(&users(&engine.url("attacked"), QUERY, ""));
    attack(&service, is_text);
    // The same with bytes in the database.
    let literal = |hex: &str| format!("x'{hex}'");
    engine.make_database(
        "attacked_bytes",
        &table("VARBINARY(254)", literal, |_| true),
    );
    let service = Service::start(&users(&engine.url("attacked_bytes"), QUERY, ""));
    attack(&service, |_| true);
}
