//! A database takes one login for another by its collation. Who shows no password is let in only
//! where the row is that of the login that was shown.

use crate::support::cgi::{ask, cause};
use crate::support::databases::{Engine, Kind};
use crate::support::sql_service::{command, users};
use crate::support::sqlite::sqlite;
use crate::support::temp_dir::TempDir;

const REST: &str = "
[external]
login = \"common-name\"
[master]
path = \"masters\"
[inbound]
domains = [\"example.org\"]
known-users-only = true
[routes]
default = \"192.0.2.1\"
";

/// Whose password is "right".
const MASTERS: &str = "support:$6$saltsalt$gzY3OAolfMFSB9Ld7iMdOQlViFqO3IOPeU0zkHsD.58tcMxRAFD0Qjfi2\
                       sjus3i.8aqWarEvFPREqzp18Jm291\n";

fn folder(url: &str, query: &str, more: &str) -> TempDir {
    let dir = TempDir::new();
    dir.write("auth.toml", users(url, query, more) + REST);
    dir.write("masters", MASTERS);
    dir
}

/// With a certificate of this login, by SMTP, where no password is needed behind it.
fn by_certificate(dir: &TempDir, login: &str) -> (String, String) {
    let escape = |byte: u8| match byte {
        b'!'..=b'~' => char::from(byte).to_string(),
        byte => format!("\\{byte:02X}"),
    };
    let subject: String = login.bytes().map(escape).collect();
    let (answer, log) = ask(
        dir,
        &[
            ("HTTP_AUTH_METHOD", "external"),
            ("HTTP_AUTH_PROTOCOL", "smtp"),
            ("HTTP_AUTH_USER", ""),
            ("HTTP_AUTH_PASS", ""),
            ("HTTP_AUTH_SSL", "on"),
            ("HTTP_AUTH_SSL_VERIFY", "SUCCESS"),
            ("HTTP_AUTH_SSL_SUBJECT", &format!("CN={subject}")),
        ],
    );
    (answer, cause(&log).to_owned())
}

fn by_password(dir: &TempDir, login: &str, password: &str) -> String {
    let (_, log) = ask(
        dir,
        &[
            ("HTTP_AUTH_PROTOCOL", "imap"),
            ("HTTP_AUTH_USER", login),
            ("HTTP_AUTH_PASS", password),
        ],
    );
    cause(&log).to_owned()
}

fn for_recipient(dir: &TempDir, recipient: &str) -> String {
    let (_, log) = ask(
        dir,
        &[
            ("HTTP_AUTH_METHOD", "none"),
            ("HTTP_AUTH_PROTOCOL", "smtp"),
            ("HTTP_AUTH_USER", ""),
            ("HTTP_AUTH_PASS", ""),
            ("HTTP_AUTH_SMTP_HELO", "mx"),
            ("HTTP_AUTH_SMTP_FROM", "MAIL FROM:<x@example.net>"),
            ("HTTP_AUTH_SMTP_TO", &format!("RCPT TO:<{recipient}>")),
        ],
    );
    cause(&log).to_owned()
}

/// Logins that utf8mb4_general_ci takes for `alice@example.org`.
const LIKE_ALICE: [&str; 3] = [
    "\u{e1}lice@example.org",
    "alice@example.org ",
    "\u{c0}L\u{cc}CE@EXAMPLE.ORG",
];

fn engine() -> &'static Engine {
    static MADE: std::sync::Once = std::sync::Once::new();
    let engine = Engine::shared(Kind::MariaDb);
    MADE.call_once(|| {
        engine.make_database(
            "likeness",
            "CREATE TABLE users (login VARCHAR(99) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci,
                 local VARCHAR(99) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci,
                 password VARCHAR(99), mailbox VARCHAR(99));
             CREATE TABLE apps (login VARCHAR(99) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
                 password VARCHAR(99));
             INSERT INTO users VALUES
                 ('alice@example.org', 'alice', '{PLAIN}right', 'box7'),
                 ('bob@example.org', 'bob', '{PLAIN}right', NULL);
             INSERT INTO apps VALUES
                 ('alice@example.org', '{PLAIN}hers'), ('\u{e1}lice@example.org', '{PLAIN}theirs');",
        );
    });
    engine
}

#[test]
fn mariadb_never_accepts_an_equal_login_without_a_password() {
    let url = engine().url("likeness");
    for query in [
        "SELECT password, login FROM users WHERE login = {login}",
        "SELECT password, mailbox AS login, login AS matched_login FROM users WHERE login = {login}",
        "SELECT password, login AS `Matched-Login` FROM users WHERE login = {login}",
        "SELECT password, login FROM users WHERE local = {local} \
         AND CONCAT(local, '@', {domain}) = {login}",
    ] {
        let dir = folder(&url, query, "");
        for login in ["alice@example.org", "Alice@Example.ORG"] {
            let (answer, cause) = by_certificate(&dir, login);
            assert_eq!(cause, "accepted", "{query} {login}");
            assert!(answer.starts_with("Auth-Status: OK\n"), "{answer}");
            let as_master = by_password(&dir, &format!("{login}*support"), "right");
            assert_eq!(as_master, "accepted", "{query} {login}");
            assert_eq!(for_recipient(&dir, login), "accepted", "{query}");
        }
        for login in LIKE_ALICE {
            let (answer, cause) = by_certificate(&dir, login);
            // nginx would write the blank into XCLIENT.
            let expected = match login.ends_with(' ') {
                true => "wrong-certificate",
                false => "login-not-proven",
            };
            assert_eq!(cause, expected, "{query} {login}");
            assert_eq!(answer, "Auth-Status: Invalid login or password\n\n");
            let encoded = login.replace(' ', "%20");
            let as_master = by_password(&dir, &format!("{encoded}*support"), "right");
            assert_eq!(as_master, "login-not-proven", "{query} {login}");
            // Who shows her password is alice.
            assert_eq!(by_password(&dir, &encoded, "right"), "accepted", "{query}");
        }
        // What cannot stand in an address does not get there.
        let like = LIKE_ALICE[0];
        assert_eq!(for_recipient(&dir, like), "unknown-recipient", "{query}");
        assert_eq!(by_certificate(&dir, "carol@example.org").1, "unknown-user");
        let checked = command(&dir, &["check"]);
        let printed = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{printed}");
        assert!(!printed.contains("matched_login"), "{printed}");
    }
    // The domain is of no account where the statement does not ask for it.
    let query = "SELECT password, local AS login FROM users WHERE local = {local}";
    let dir = folder(&url, query, "domains = [\"example.org\"]\n");
    assert_eq!(by_certificate(&dir, "alice@example.org").1, "accepted");
    let like = by_certificate(&dir, "\u{e1}lice@example.org");
    assert_eq!(like.1, "login-not-proven");
}

#[test]
fn where_the_row_does_not_say_whose_it_is_a_password_is_needed() {
    let file = TempDir::new();
    let made = sqlite(
        &file,
        "CREATE TABLE users (login TEXT, password TEXT);
         INSERT INTO users VALUES ('alice@example.org', '{PLAIN}right');",
    );
    for url in [format!("sqlite:{made}"), engine().url("likeness")] {
        let query = "SELECT password FROM users WHERE login = {login}";
        let dir = folder(&url, query, "");
        let login = "alice@example.org";
        assert_eq!(by_certificate(&dir, login).1, "login-not-proven");
        assert_eq!(
            by_password(&dir, "alice@example.org*support", "right"),
            "login-not-proven"
        );
        // No mail is sent back for it.
        assert_eq!(for_recipient(&dir, login), "store-trouble");
        assert_eq!(by_password(&dir, login, "right"), "accepted");
        assert_eq!(by_certificate(&dir, "carol@example.org").1, "unknown-user");
        let checked = command(&dir, &["check"]);
        let printed = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{printed}");
        assert!(
            printed.contains(
                "store people: the query gives neither a column login nor matched_login: its users \
                 cannot log in without a password"
            ),
            "{printed}"
        );
    }
    // A column that is there and says nothing says nothing.
    let query = "SELECT password, NULL AS login FROM users WHERE login = {login}";
    let dir = folder(&engine().url("likeness"), query, "");
    assert_eq!(
        by_certificate(&dir, "bob@example.org").1,
        "login-not-proven"
    );
}

/// The two tables compare in different ways: the app password that is found is somebody else's.
#[test]
fn an_app_password_belongs_to_the_user_who_was_found() {
    let query = "SELECT password, login FROM users WHERE login = {login}";
    let apps = "app-passwords-query = \"SELECT password, login FROM apps WHERE login = {login}\"\n";
    let dir = folder(&engine().url("likeness"), query, apps);
    for (login, password, cause) in [
        ("alice@example.org", "hers", "accepted"),
        ("alice@example.org", "theirs", "wrong-password"),
        ("\u{e1}lice@example.org", "theirs", "wrong-password"),
        ("\u{e1}lice@example.org", "hers", "wrong-password"),
        ("\u{e1}lice@example.org", "right", "accepted"),
    ] {
        assert_eq!(
            by_password(&dir, login, password),
            cause,
            "{login} {password}"
        );
    }
}
