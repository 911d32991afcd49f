//! What is written of wrong passwords, in SQLite: another version of the program must read it.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rusqlite::Connection;

use crate::support::binary;
use crate::support::golden::{ask, must_match, steady};
use crate::support::temp_dir::TempDir;

const CONFIG: &str = r#"
[nginx]
key = "marker-key-of-the-fronts"
[[users]]
store = "file"
path = "users"
[throttle]
state = "sqlite:state.db"
refuse-network = 6
[routes]
default = "127.193.0.1"
"#;

const USERS: &str =
    "alice:{SHA256-CRYPT}$5$rounds=1000$salt$rloU6KpfKKm9G.NUT4Kh3.lZ3eQ67D/GrlYTTZlly7.\n";

/// The tables as the program makes them, with a known key for the digests of wrong passwords.
const TABLES: &str = "
    CREATE TABLE record (
        key BLOB PRIMARY KEY, record BLOB NOT NULL, exempt INTEGER NOT NULL, until INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE tag_key (key BLOB NOT NULL);
    PRAGMA user_version = 1;
    INSERT INTO tag_key VALUES (x'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f');
";

/// A time or a duration: only whether there is one.
fn volatile(number: &str) -> &str {
    if number == "0" { "0" } else { "T" }
}

fn rows(database: &Connection) -> String {
    let mut statement = database
        .prepare("SELECT key, record, exempt, until FROM record ORDER BY key")
        .unwrap();
    let rows = statement.query_map([], |row| {
        Ok((
            row.get::<_, Vec<u8>>(0)?,
            row.get::<_, Vec<u8>>(1)?,
            row.get::<_, i64>(2)?,
            row.get::<_, i64>(3)?,
        ))
    });
    let mut text = String::new();
    for row in rows.unwrap() {
        let (key, record, exempt, until) = row.unwrap();
        let record = String::from_utf8(record).unwrap();
        let fields: Vec<&str> = record.split(' ').collect();
        let [failures, failed, succeeded, took, tags] = fields[..] else {
            panic!("{record}");
        };
        let _ = writeln!(
            text,
            "key \"{}\" failures {failures} failed {} succeeded {} took {} tags {tags} exempt {exempt} until {}",
            key.escape_ascii(),
            volatile(failed),
            volatile(succeeded),
            volatile(took),
            volatile(&until.to_string()),
        );
    }
    text
}

#[test]
fn wrong_passwords_leave_the_records_that_they_left_before() {
    let dir = TempDir::new();
    dir.write("auth.toml", CONFIG);
    dir.write("users", USERS);
    let file = dir.path().join("state.db");
    let database = Connection::open(&file).unwrap();
    database.execute_batch(TABLES).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let mut text = String::new();
    for (client, login, password) in [
        ("192.0.2.7", "alice", "sesame-1"),
        ("192.0.2.7", "alice", "sesame-1"),
        ("192.0.2.7", "Alice", "sesame-2"),
        ("192.0.2.7", "bob@Example.org", "sesame-3"),
        ("2001:db8::1", "alice", "sesame-1"),
        ("2001:db8::2", "alice", "sesame"),
        ("192.0.2.9", "a%20%C3%A9\"b", "sesame-4"),
        ("192.0.2.7", "carol", "sesame-5"),
        ("192.0.2.7", "carol", "sesame-6"),
        ("192.0.2.7", "carol", "sesame-7"),
        ("192.0.2.7", "carol", "sesame-8"),
        ("192.0.2.7", "carol", "sesame-9"),
    ] {
        let (answer, log) = ask(
            &dir,
            &[
                ("HTTP_AUTH_USER", login),
                ("HTTP_AUTH_PASS", password),
                ("HTTP_AUTH_PROTOCOL", "imap"),
                ("HTTP_CLIENT_IP", client),
                ("HTTP_X_AUTH_KEY", "marker-key-of-the-fronts"),
            ],
        );
        let _ = write!(text, "{client} {login}\n{answer}{log}");
    }
    let _ = write!(text, "== records\n{}", rows(&database));
    let listed = binary::output(
        binary::command()
            .arg("--config")
            .arg(dir.path().join("auth.toml"))
            .args(["throttle", "list"]),
    );
    let listed = String::from_utf8(listed.stdout).unwrap();
    let _ = write!(text, "== throttle list\n{}", steady(&listed, &dir));
    must_match("records", &[("sqlite.txt".to_owned(), text)]);
}
