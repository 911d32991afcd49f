//! One request for each cause: the line in the log, and the answer.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::net::UnixStream;

use crate::support::fastcgi::{Client, request};
use crate::support::golden::{ask, must_match, steady};
use crate::support::program::Program;
use crate::support::temp_dir::TempDir;

const CONFIG: &str = r#"
[nginx]
key = "marker-key-of-the-fronts"
[[users]]
store = "file"
path = "users"
app-passwords-path = "apps"
allow-weak-schemes = true
[master]
path = "masters"
[external]
login = "common-name"
[inbound]
domains = ["example.org"]
host = "mail"
known-users-only = true
[oauth]
jwks-file = "jwks.json"
issuer = "https://id.example.org"
audience = "mail"
login-claim = "email"
[routes]
default = "mail"
[routes.login]
moving = "spring"
[hosts]
mail = "127.193.0.1"
new = "127.193.0.2"
[moves]
spring = { old = "mail", new = "new", moved = 0, moving = 100 }
"#;

/// Without users of our own.
const ACCEPTS: &str = r#"
[nginx]
key = "marker-key-of-the-fronts"
[[users]]
store = "accept"
[routes]
default = "127.193.0.1"
"#;

/// The example key of RFC 7517, A.1.
const JWKS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1","alg":"ES256",
"x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

const USERS: &str = "\
alice:{PLAIN}sesame
alice@example.org:{PLAIN}sesame
hashed:{SHA256-CRYPT}$5$rounds=1000$salt$rloU6KpfKKm9G.NUT4Kh3.lZ3eQ67D/GrlYTTZlly7.
renamed:{PLAIN}sesame::::::user=alice@example.com
off:{PLAIN}sesame::::::nologin
office:{PLAIN}sesame::::::allow_nets=192.0.2.128/25
nobody-knows:*
odd:{UNHEARD-OF}sesame
port:{PLAIN}sesame::::::port=none
lost:{PLAIN}sesame::::::host=nowhere
moving:{PLAIN}sesame
";

const APPS: &str = "\
alice:{SHA256-CRYPT}$5$rounds=1000$salt$BJ4Sqj6BHy.vXVe4U.k6ZVK9jj1ejM6qdT4dDKY2Sj7:old phone:expires=2001-01-31
renamed:{SHA256-CRYPT}$5$rounds=1000$salt$BJ4Sqj6BHy.vXVe4U.k6ZVK9jj1ejM6qdT4dDKY2Sj7:scanner:protocols=smtp
hashed:{SHA256-CRYPT}$5$rounds=1000$salt$BJ4Sqj6BHy.vXVe4U.k6ZVK9jj1ejM6qdT4dDKY2Sj7:phone
";

const MASTERS: &str =
    "boss:{SHA256-CRYPT}$5$rounds=1000$salt$rloU6KpfKKm9G.NUT4Kh3.lZ3eQ67D/GrlYTTZlly7.\n";

const APP_PASSWORD: &str = "hunter2-app";
const CHALLENGE: &str = "<1585632142.1700000000@mail.example.com>";

fn folder(config: &str) -> TempDir {
    let dir = TempDir::new();
    dir.write("auth.toml", config);
    dir.write("users", USERS);
    dir.write("apps", APPS);
    dir.write("masters", MASTERS);
    dir.write("jwks.json", JWKS);
    dir
}

/// A request for IMAP with these variables in place of the usual ones; an empty value stands for none.
fn variables<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = vec![
        ("HTTP_AUTH_USER", "alice"),
        ("HTTP_AUTH_PASS", "sesame"),
        ("HTTP_AUTH_PROTOCOL", "imap"),
        ("HTTP_CLIENT_IP", "192.0.2.7"),
        ("HTTP_X_AUTH_KEY", "marker-key-of-the-fronts"),
        ("REMOTE_ADDR", "127.0.0.1"),
    ];
    for change in changes {
        all.retain(|(name, _)| *name != change.0);
        all.push(*change);
    }
    all.retain(|(_, value)| !value.is_empty());
    all
}

fn login(login: &str) -> Vec<(&str, &str)> {
    variables(&[("HTTP_AUTH_USER", login)])
}

/// The requests to one configuration, by CGI. A request is named for the cause that it has.
fn by_cgi<'a>(long: &'a str) -> Vec<(&'a str, Vec<(&'a str, &'a str)>)> {
    let with = variables;
    let digest = "00112233445566778899aabbccddeeff";
    let cram = |login: &'a str, salt: &'a str, digest: &'a str| {
        with(&[
            ("HTTP_AUTH_METHOD", "cram-md5"),
            ("HTTP_AUTH_USER", login),
            ("HTTP_AUTH_SALT", salt),
            ("HTTP_AUTH_PASS", digest),
        ])
    };
    let certificate = |login: &'a str, verified: &'a str, subject: &'a str| {
        with(&[
            ("HTTP_AUTH_METHOD", "external"),
            ("HTTP_AUTH_USER", login),
            ("HTTP_AUTH_PASS", ""),
            ("HTTP_AUTH_SSL", "on"),
            ("HTTP_AUTH_SSL_VERIFY", verified),
            ("HTTP_AUTH_SSL_SUBJECT", subject),
        ])
    };
    let mail = |recipient: &'a str| {
        with(&[
            ("HTTP_AUTH_METHOD", "none"),
            ("HTTP_AUTH_PROTOCOL", "smtp"),
            ("HTTP_AUTH_USER", ""),
            ("HTTP_AUTH_PASS", ""),
            ("HTTP_AUTH_SMTP_FROM", "MAIL FROM:<somebody@example.net>"),
            ("HTTP_AUTH_SMTP_TO", recipient),
        ])
    };
    vec![
        ("accepted", login("alice")),
        ("accepted", login("renamed")),
        (
            "accepted",
            with(&[
                ("HTTP_AUTH_USER", "hashed"),
                ("HTTP_AUTH_PASS", APP_PASSWORD),
            ]),
        ),
        ("accepted", certificate("alice", "SUCCESS", "CN=alice")),
        ("accepted", mail("RCPT TO:<alice@example.org>")),
        ("missing-credentials", with(&[("HTTP_AUTH_PASS", "")])),
        ("wrong-key", with(&[("HTTP_X_AUTH_KEY", "marker-other")])),
        ("bad-escape", login("alice%4")),
        (
            "bad-header",
            with(&[("HTTP_AUTH_PROTOCOL", "smtp"), ("HTTP_CLIENT_HOST", "a b")]),
        ),
        ("bad-login", login("al%00ice")),
        ("login-too-long", login(long)),
        ("bad-password", with(&[("HTTP_AUTH_PASS", "sesame%00")])),
        ("password-too-long", with(&[("HTTP_AUTH_PASS", long)])),
        ("bad-challenge", cram("alice", "challenge", digest)),
        ("bad-digest", cram("alice", CHALLENGE, "sesame")),
        ("unknown-method", with(&[("HTTP_AUTH_METHOD", "telepathy")])),
        ("unknown-user", login("zoe")),
        ("wrong-password", with(&[("HTTP_AUTH_PASS", "hunter2")])),
        ("wrong-password", cram("alice", CHALLENGE, digest)),
        ("no-password", login("nobody-knows")),
        ("unusable-password", login("odd")),
        ("unusable-entry", login("port")),
        (
            "password-expired",
            with(&[("HTTP_AUTH_PASS", APP_PASSWORD)]),
        ),
        (
            "protocol-not-allowed",
            with(&[
                ("HTTP_AUTH_USER", "renamed"),
                ("HTTP_AUTH_PASS", APP_PASSWORD),
            ]),
        ),
        ("digest-not-possible", cram("hashed", CHALLENGE, digest)),
        ("no-certificate", certificate("alice", "NONE", "CN=alice")),
        (
            "wrong-certificate",
            certificate("alice", "SUCCESS", "CN=bob"),
        ),
        (
            "password-needed",
            certificate("hashed", "SUCCESS", "CN=hashed"),
        ),
        (
            "bad-token",
            with(&[
                ("HTTP_AUTH_METHOD", "xoauth2"),
                ("HTTP_AUTH_PASS", "marker-token"),
            ]),
        ),
        ("relay-denied", mail("RCPT TO:<somebody@example.com>")),
        ("unknown-recipient", mail("RCPT TO:<zoe@example.org>")),
        ("disabled", login("off")),
        ("network-not-allowed", login("office")),
        ("host-trouble", login("lost")),
        ("moving", login("moving")),
    ]
}

/// Requests of which each needs a configuration of its own.
fn by_configuration() -> Vec<(&'static str, String)> {
    let without = |from: &str| CONFIG.replace(from, "");
    let with = |table: &str| format!("{CONFIG}{table}\n");
    vec![
        ("no-configuration", "[routes]\nunheard-of = 1\n".to_owned()),
        (
            "wrong-front",
            CONFIG.replace("[nginx]", "[nginx]\nallowed-fronts = [\"127.77.0.0/16\"]"),
        ),
        ("no-route", without("default = \"mail\"")),
        (
            "store-trouble",
            ACCEPTS.replace(
                "\"accept\"",
                "\"http\"\nurl = \"http://127.193.0.1:9000/auth\"",
            ),
        ),
        (
            "throttle-trouble",
            with(
                "[throttle]\nstate = \"sqlite:/nonexistent/state.db\"\nwithout-state = \"refuse\"",
            ),
        ),
        (
            "unsupported-method",
            CONFIG.replace("[external]\nlogin = \"common-name\"\n", ""),
        ),
    ]
}

#[test]
fn every_cause_has_its_line() {
    let long = "a".repeat(600);
    let mut causes = BTreeSet::new();
    let mut text = String::new();
    let mut others = Vec::new();
    let mut add = |wanted: &str, (answer, log): (String, String)| {
        let there = log.contains(&format!(" cause={wanted} ms=TIME"))
            || log.contains(&format!(" cause={wanted} "));
        if !there {
            others.push(format!("{wanted}: {log}"));
        }
        causes.insert(wanted.to_owned());
        let _ = write!(text, "== {wanted}\n{answer}-- log\n{log}");
    };
    let dir = folder(CONFIG);
    for (cause, variables) in by_cgi(&long) {
        add(cause, ask(&dir, &variables));
    }
    for (cause, config) in by_configuration() {
        let dir = folder(&config);
        let changes: &[_] = match cause {
            "unsupported-method" => &[("HTTP_AUTH_METHOD", "external")],
            _ => &[],
        };
        add(cause, ask(&dir, &variables(changes)));
    }
    let throttled = folder(&format!(
        "{CONFIG}[throttle]\nstate = \"sqlite:state.db\"\nrefuse-network = 1\n"
    ));
    ask(&throttled, &variables(&[("HTTP_AUTH_PASS", "hunter2")]));
    add("throttled", ask(&throttled, &login("zoe")));
    for (cause, answered) in by_fastcgi() {
        add(cause, answered);
    }
    assert!(others.is_empty(), "{}", others.concat());
    assert!(causes.len() >= 40, "{}: {causes:?}", causes.len());
    must_match("causes", &[("causes.txt".to_owned(), text)]);
}

/// Requests that CGI has no form for.
fn by_fastcgi() -> Vec<(&'static str, (String, String))> {
    let twice = [variables(&[]), vec![("HTTP_AUTH_USER", "alice")]].concat();
    let many: Vec<_> = (0..600).map(|_| ("HTTP_X", "x")).collect();
    let mut damaged = request(1, false, &variables(&[]));
    // The length of the first name: more than the request has.
    damaged[24] = 0xff;
    [
        ("duplicate-header", request(1, false, &twice)),
        ("request-too-large", request(1, false, &many)),
        ("malformed-request", damaged),
    ]
    .into_iter()
    .map(|(cause, bytes)| {
        let program = Program::serve_with(ACCEPTS, |command| {
            command.env("NGINX_MAIL_AUTH_LOG", "info");
        });
        let socket = program.folder().path().join("socket");
        let mut client = Client::from(UnixStream::connect(socket).unwrap());
        client.send(&bytes);
        let answer = client.answer().0;
        let log = program.log();
        let line = log.lines().filter(|line| line.contains(" cause="));
        let line: String = line.map(|line| format!("{line}\n")).collect();
        (cause, (answer, steady(&line, program.folder())))
    })
    .collect()
}
