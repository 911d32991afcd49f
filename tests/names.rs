//! A domain in upper or lower case, or in another spelling, is one domain, whatever the method, and
//! wherever it is written.

use crate::methods::{CHALLENGE, ask, cause, check, cram_md5};
use crate::util::TempDir;

/// The stores' names and those of the configuration are in other cases than those that clients type.
const CONFIG: &str = "\
[[users]]
store = \"file\"
path = \"users\"
app-passwords-path = \"apps\"
allow-weak-schemes = true
domains = [\"Example.ORG\", \"Sold.example\", \"\"]
[logins]
strip-domains = [\"Office.EXAMPLE\"]
[logins.aliases]
\"sales@Example.org\" = \"alice@EXAMPLE.org\"
[master]
path = \"masters\"
allow-weak-schemes = true
[external]
login = \"email\"
[inbound]
domains = [\"EXAMPLE.org\"]
known-users-only = true
[routes]
default = \"192.0.2.1\"
[routes.login]
\"carol@EXAMPLE.org\" = \"192.0.2.3\"
[routes.domain]
\"example.Org\" = \"192.0.2.2\"
";

const USERS: &str = "\
alice@EXAMPLE.Org:{PLAIN}sesame
carol@example.org:{PLAIN}sesame
dave:{PLAIN}sesame
Dave@example.org:{PLAIN}other
";

fn folder() -> TempDir {
    let dir = TempDir::new();
    dir.write("auth.toml", CONFIG);
    dir.write("users", USERS);
    dir.write("apps", "alice@example.ORG:{PLAIN}scan:scanner\n");
    dir.write("masters", "support@EXAMPLE.org:{PLAIN}master\n");
    dir
}

/// The host's last byte, the login that nginx is told of, and the cause.
fn decided(dir: &TempDir, variables: &[(&str, &str)]) -> (String, String, String) {
    let (answer, log) = ask(dir, variables);
    let field = |name: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().to_owned()
    };
    let host = field("Auth-Server: 192.0.2.");
    (host, field("Auth-User: "), cause(&log).to_owned())
}

fn expected(host: &str, user: &str) -> (String, String, String) {
    (host.to_owned(), user.to_owned(), "accepted".to_owned())
}

fn by_password(dir: &TempDir, login: &str, password: &str) -> (String, String, String) {
    let login = ("HTTP_AUTH_USER", login);
    let protocol = ("HTTP_AUTH_PROTOCOL", "imap");
    decided(dir, &[protocol, login, ("HTTP_AUTH_PASS", password)])
}

#[test]
fn all_methods_take_a_domain_in_any_case() {
    let dir = folder();
    for (typed, password, host, user) in [
        ("alice@example.org", "sesame", "2", ""),
        ("alice@EXAMPLE.ORG", "sesame", "2", "alice@example.org"),
        ("alice@Example.org", "scan", "2", "alice@example.org"),
        ("sales@EXAMPLE.org", "sesame", "2", "alice@example.org"),
        ("carol@Example.Org", "sesame", "3", "carol@example.org"),
        ("dave@OFFICE.example", "sesame", "1", "dave"),
        ("Dave@EXAMPLE.ORG", "other", "2", "Dave@example.org"),
        (
            "carol@EXAMPLE.ORG*support@example.ORG",
            "master",
            "3",
            "carol@example.org*support@example.org",
        ),
    ] {
        let found = by_password(&dir, typed, password);
        assert_eq!(found, expected(host, user), "{typed}");
    }
    // The local part keeps its case.
    for typed in [
        "Alice@example.org",
        "dave@example.org",
        "Support@EXAMPLE.org",
    ] {
        let (_, _, cause) = by_password(&dir, typed, "sesame");
        assert_eq!(cause, "unknown-user", "{typed}");
    }
    let with = |more: &[(&str, &str)]| {
        let user = ("HTTP_AUTH_USER", "alice@EXAMPLE.ORG");
        decided(&dir, &[&[user], more].concat())
    };
    let digest = cram_md5("sesame");
    let cram = with(&[
        ("HTTP_AUTH_PROTOCOL", "smtp"),
        ("HTTP_AUTH_METHOD", "cram-md5"),
        ("HTTP_AUTH_SALT", CHALLENGE),
        ("HTTP_AUTH_PASS", &digest),
    ]);
    assert_eq!(cram, expected("2", "alice@example.org"));
    let certificate = with(&[
        ("HTTP_AUTH_PROTOCOL", "smtp"),
        ("HTTP_AUTH_METHOD", "external"),
        ("HTTP_AUTH_PASS", ""),
        ("HTTP_AUTH_SSL", "on"),
        ("HTTP_AUTH_SSL_VERIFY", "SUCCESS"),
        ("HTTP_AUTH_SSL_SUBJECT", "emailAddress=alice@Example.ORG"),
    ]);
    assert_eq!(certificate, expected("2", "alice@example.org"));
    for to in ["alice@EXAMPLE.ORG", "alice@example.org"] {
        let mail = with(&[
            ("HTTP_AUTH_PROTOCOL", "smtp"),
            ("HTTP_AUTH_METHOD", "none"),
            ("HTTP_AUTH_PASS", ""),
            ("HTTP_AUTH_SMTP_TO", &format!("RCPT TO:<{to}>")),
        ]);
        assert_eq!(mail, expected("2", ""), "{to}");
    }
}

#[test]
fn one_login_in_two_spellings_is_there_twice() {
    let dir = folder();
    dir.write("users", "a@EXAMPLE.org:{PLAIN}x\na@example.org:{PLAIN}x\n");
    let (text, _) = check(&dir);
    assert!(text.contains("the login is there twice"), "{text}");
    dir.write("users", USERS);
    let twice = "\"CAROL.example\" = \"192.0.2.3\"\n\"carol.Example\" = \"192.0.2.3\"\n";
    dir.write("auth.toml", [CONFIG, twice].concat());
    let (text, code) = check(&dir);
    assert_eq!(code, Some(78));
    assert!(
        text.contains("carol.Example\": stands here twice"),
        "{text}"
    );
}

#[cfg(feature = "idna")]
#[test]
fn both_spellings_of_an_internationalised_domain_are_one() {
    let dir = folder();
    let ascii = "xn--bcher-kva.example";
    let config = CONFIG.replace("Example.ORG", "BÜCHER.example");
    dir.write("auth.toml", config + "\"bücher.example\" = \"192.0.2.9\"\n");
    let users = format!("alice@bücher.example:{{PLAIN}}sesame\ncarol@{ascii}:{{PLAIN}}sesame\n");
    dir.write("users", users);
    for user in ["alice", "carol"] {
        let canonical = format!("{user}@{ascii}");
        for domain in ["bücher.example", "Bücher.EXAMPLE", "BU\u{308}CHER.example"] {
            let typed = format!("{user}@{domain}");
            let found = by_password(&dir, &typed, "sesame");
            assert_eq!(found, expected("9", &canonical), "{typed}");
        }
        assert_eq!(by_password(&dir, &canonical, "sesame"), expected("9", ""));
    }
}
