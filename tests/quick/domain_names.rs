//! A domain in upper or lower case, or in another spelling, is one domain, whatever the method, and
//! wherever it is written.

use crate::support::cgi::{CHALLENGE, ask, cause, check, cram_md5};
use crate::support::temp_dir::TempDir;

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
    let twice = "users:2:1: the login is also in line 1, and neither line counts";
    assert!(text.contains(twice), "{text}");
    dir.write("users", USERS);
    let twice = "\"CAROL.example\" = \"192.0.2.3\"\n\"carol.Example\" = \"192.0.2.3\"\n";
    dir.write("auth.toml", [CONFIG, twice].concat());
    let (text, code) = check(&dir);
    assert_eq!(code, Some(78));
    assert!(text.contains("carol.Example\": is listed twice"), "{text}");
}

#[cfg(feature = "servers")]
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

const RULES: &str = "\
[[users]]
store = \"accept\"
domains = [\"*.example.org\", \"example.com\", \"\"]
[logins]
trim = true
strip-domains = [\"*.office.example.org\"]
[logins.domain-aliases]
\"Alias.example\" = \"a.example.org\"
[routes]
default = \"192.0.2.1\"
[routes.domain]
\"*.Example.org\" = \"192.0.2.2\"
\"*.b.example.org\" = \"192.0.2.3\"
\"c.b.example.org\" = \"192.0.2.4\"
";

#[test]
fn all_below_a_domain_and_other_names_of_domains() {
    let dir = TempDir::new();
    dir.write("auth.toml", RULES);
    for (typed, host, user) in [
        ("x@a.example.org", "2", ""),
        ("x@b.example.org", "2", ""),
        ("x@d.b.example.org", "3", ""),
        ("x@C.b.example.org", "4", "x@c.b.example.org"),
        ("x@d.c.b.example.org", "3", ""),
        ("x@alias.EXAMPLE", "2", "x@a.example.org"),
        (" x@example.com ", "1", "x@example.com"),
        ("x@y.office.example.org", "1", "x"),
    ] {
        let found = by_password(&dir, typed, "any");
        assert_eq!(found, expected(host, user), "{typed}");
        let smtp = decided(
            &dir,
            &[
                ("HTTP_AUTH_PROTOCOL", "smtp"),
                ("HTTP_AUTH_USER", typed),
                ("HTTP_AUTH_PASS", "any"),
            ],
        );
        assert_eq!(smtp, expected(host, user), "{typed}");
    }
    // Those are no users of the store.
    for typed in ["x@example.org", "x@sub.alias.example", "x@b.example.com"] {
        let (_, _, cause) = by_password(&dir, typed, "any");
        assert_eq!(cause, "unknown-user", "{typed}");
    }
    dir.write("auth.toml", RULES.replace("trim = true", ""));
    let found = by_password(&dir, "x@a.example.org ", "any");
    assert_eq!(found.2, "unknown-user");
    let smtp = [
        ("HTTP_AUTH_PROTOCOL", "smtp"),
        ("HTTP_AUTH_USER", "x@a.example.org "),
        ("HTTP_AUTH_PASS", "any"),
    ];
    assert_eq!(decided(&dir, &smtp).2, "bad-login");
}

#[test]
fn names_that_match_nobody_are_errors_that_say_what_to_write() {
    for (old, new, message) in [
        (
            "\"*.Example.org\" =",
            "\".example.org\" =",
            "routes.domain.\".example.org\": begins with a dot: write \"*.example.org\" for all",
        ),
        (
            "\"*.Example.org\" =",
            "\"\" =",
            "routes.domain.\"\": must not be empty",
        ),
        (
            "\"*.Example.org\" =",
            "\"/^a.*/\" =",
            "routes.domain.\"/^a.*/\": is a pattern, and patterns are not supported",
        ),
        (
            "[routes.domain]",
            "[routes.login]\n\" bob\" = \"192.0.2.5\"\n[routes.domain]",
            "routes.login.\" bob\": begins or ends with a blank: write \"bob\"",
        ),
        (
            "[routes.domain]",
            "[routes.login]\n\"*@a.example\" = \"192.0.2.5\"\n[routes.domain]",
            "is not a login: for all logins of a domain write \"a.example\" in [routes.domain]",
        ),
        (
            "[routes.domain]",
            "[routes.login]\n\"\" = \"192.0.2.5\"\n[routes.domain]",
            "routes.login.\"\": must not be empty",
        ),
        (
            "\"example.com\", \"\"",
            "\" example.com\"",
            "users.domains: \" example.com\" begins or ends with a blank: write \"example.com\"",
        ),
        (
            "\"*.office.example.org\"",
            "\"office.*\"",
            "logins.strip-domains: \"office.*\" is a pattern",
        ),
        (
            "\"Alias.example\" =",
            "\"*.alias.example\" =",
            "\"*.alias.example\" must be one domain, such as \"alias.example\"",
        ),
        (
            "[routes]",
            "\"a.example.org\" = \"alias.example\"\n[routes]",
            "is an alias of itself, directly or through others",
        ),
        (
            "[routes]",
            "\"a.example.org\" = \"end.example\"\n[routes]",
            "is an alias too, and is not looked up again: write \"end.example\"",
        ),
        (
            "[routes]",
            "[logins.aliases]\n\"@a.example\" = \"bob\"\n[routes]",
            "for all logins of a domain write \"a.example\" in [logins.domain-aliases]",
        ),
    ] {
        let dir = TempDir::new();
        assert!(RULES.contains(old));
        dir.write("auth.toml", RULES.replacen(old, new, 1));
        let (text, code) = check(&dir);
        assert!(text.contains(message), "{new}: {text}");
        assert_eq!(code, Some(78), "{new}: {text}");
    }
}

#[test]
fn what_counts_otherwise_than_it_looks_is_a_warning() {
    for (old, new, message) in [
        (
            "[routes]\n",
            "[routes]\nallowed-networks = [\"192.0.2.1/24\"]\n",
            "routes.allowed-networks: \"192.0.2.1/24\" has bits of a host after its prefix and \
            means the whole network: write \"192.0.2.0/24\", or the address alone",
        ),
        (
            "[routes]\n",
            "[throttle]\nalways-allow = [\"10.0.0.1/8\"]\n[routes]\n",
            "throttle.always-allow: \"10.0.0.1/8\" has bits of a host",
        ),
        (
            "[routes]\n",
            "[nginx]\nallowed-fronts = [\"127.0.0.1/8\"]\n[routes]\n",
            "nginx.allowed-fronts: \"127.0.0.1/8\" has bits of a host",
        ),
        (
            "[routes.domain]\n",
            "[routes.domain]\n\"alias.example\" = \"192.0.2.9\"\n",
            "\"alias.example\" is one of [logins.domain-aliases], and no login has it here: write \
             \"a.example.org\"",
        ),
        (
            "[routes]\n",
            "[inbound]\nrecipient-delimiter = \"+\"\n[routes]\n",
            "inbound.domains: is missing: all incoming mail is refused",
        ),
    ] {
        let dir = TempDir::new();
        dir.write("auth.toml", RULES.replacen(old, new, 1));
        let (text, code) = check(&dir);
        assert!(text.contains(message), "{new}: {text}");
        assert_eq!(code, Some(0), "{new}: {text}");
    }
}
