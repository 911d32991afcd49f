//! Every example configuration: its answers to fixed requests, and the output of `check`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::support::binary;
use crate::support::golden::{ask, folder_of_golden_files, must_match};
use crate::support::temp_dir::TempDir;

/// Where the servers of all examples are in these tests: nobody listens there, and no packet leaves the machine.
const NOBODY: &str = "127.193.0.1";

/// All passwords are [`PASSWORD`].
const USERS: &str = "\
alice@example.org:{SHA256-CRYPT}$5$rounds=1000$salt$rloU6KpfKKm9G.NUT4Kh3.lZ3eQ67D/GrlYTTZlly7.
alice:{SHA256-CRYPT}$5$rounds=1000$salt$rloU6KpfKKm9G.NUT4Kh3.lZ3eQ67D/GrlYTTZlly7.
bob@example.org:{SHA256-CRYPT}$5$rounds=1000$salt$rloU6KpfKKm9G.NUT4Kh3.lZ3eQ67D/GrlYTTZlly7.::::::host=127.193.0.7
off@example.org:*
";
const PASSWORD: &str = "sesame";

/// The example key of RFC 7517, A.1.
const JWKS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1","alg":"ES256",
"x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

/// Name of a request, and its variables beside the address of the client.
const REQUESTS: [(&str, &[(&str, &str)]); 14] = [
    (
        "imap",
        &[
            ("HTTP_AUTH_USER", "alice@example.org"),
            ("HTTP_AUTH_PASS", PASSWORD),
            ("HTTP_AUTH_PROTOCOL", "imap"),
        ],
    ),
    (
        "pop3 without a domain",
        &[
            ("HTTP_AUTH_USER", "alice"),
            ("HTTP_AUTH_PASS", PASSWORD),
            ("HTTP_AUTH_PROTOCOL", "pop3"),
        ],
    ),
    (
        "smtp of another domain",
        &[
            ("HTTP_AUTH_USER", "carol@example.com"),
            ("HTTP_AUTH_PASS", PASSWORD),
            ("HTTP_AUTH_PROTOCOL", "smtp"),
            ("HTTP_AUTH_METHOD", "plain"),
        ],
    ),
    (
        "imap of a third domain",
        &[
            ("HTTP_AUTH_USER", "dave@example.net"),
            ("HTTP_AUTH_PASS", PASSWORD),
            ("HTTP_AUTH_PROTOCOL", "imap"),
        ],
    ),
    (
        "user with a host",
        &[
            ("HTTP_AUTH_USER", "bob@example.org"),
            ("HTTP_AUTH_PASS", PASSWORD),
            ("HTTP_AUTH_PROTOCOL", "imap"),
        ],
    ),
    (
        "wrong password",
        &[
            ("HTTP_AUTH_USER", "alice@example.org"),
            ("HTTP_AUTH_PASS", "hunter2"),
            ("HTTP_AUTH_PROTOCOL", "imap"),
        ],
    ),
    (
        "user without a password",
        &[
            ("HTTP_AUTH_USER", "off@example.org"),
            ("HTTP_AUTH_PASS", PASSWORD),
            ("HTTP_AUTH_PROTOCOL", "imap"),
        ],
    ),
    ("nothing", &[]),
    (
        "empty login and password",
        &[("HTTP_AUTH_USER", ""), ("HTTP_AUTH_PASS", "")],
    ),
    (
        "bad escape",
        &[("HTTP_AUTH_USER", "alice%4"), ("HTTP_AUTH_PASS", PASSWORD)],
    ),
    (
        "cram-md5",
        &[
            ("HTTP_AUTH_USER", "alice@example.org"),
            ("HTTP_AUTH_PASS", "00112233445566778899aabbccddeeff"),
            ("HTTP_AUTH_SALT", "<1585632142.1700000000@mail.example.com>"),
            ("HTTP_AUTH_METHOD", "cram-md5"),
            ("HTTP_AUTH_PROTOCOL", "imap"),
        ],
    ),
    (
        "external",
        &[
            ("HTTP_AUTH_USER", "alice@example.org"),
            ("HTTP_AUTH_METHOD", "external"),
            ("HTTP_AUTH_PROTOCOL", "smtp"),
            ("HTTP_AUTH_SSL", "on"),
            ("HTTP_AUTH_SSL_VERIFY", "SUCCESS"),
            (
                "HTTP_AUTH_SSL_SUBJECT",
                "emailAddress=alice@example.org,CN=Alice",
            ),
            ("HTTP_AUTH_SSL_ISSUER", "CN=Our CA,O=Example"),
        ],
    ),
    (
        "incoming mail",
        &[
            ("HTTP_AUTH_METHOD", "none"),
            ("HTTP_AUTH_PROTOCOL", "smtp"),
            ("HTTP_AUTH_USER", ""),
            ("HTTP_AUTH_PASS", ""),
            ("HTTP_AUTH_SMTP_TO", "RCPT TO:<alice@example.org>"),
        ],
    ),
    (
        "xoauth2",
        &[
            ("HTTP_AUTH_USER", "alice@example.org"),
            ("HTTP_AUTH_PASS", "marker-token"),
            ("HTTP_AUTH_METHOD", "xoauth2"),
            ("HTTP_AUTH_PROTOCOL", "imap"),
        ],
    ),
];

/// All examples by their names, from both folders.
fn examples() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut examples = BTreeMap::new();
    for (prefix, folder) in [("", folder.clone()), ("sql-", folder.join("sql"))] {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                let name = path.file_stem().unwrap().to_str().unwrap();
                let text = fs::read_to_string(&path).unwrap();
                examples.insert(format!("{prefix}{name}"), text);
            }
        }
    }
    assert!(examples.len() >= 15, "{examples:?}");
    examples
}

/// The configuration with the addresses of servers replaced by some of this machine that nobody listens on.
fn on_this_machine(config: &str) -> String {
    let config = config
        .replace("192.168.", "127.192.")
        .replace("192.0.2.", "127.193.2.")
        .replace("old.example.org", NOBODY)
        .replace("//127.0.0.1", &format!("//{NOBODY}"))
        .replace("%2Frun%2Fslapd%2F", "%2Fnonexistent%2F");
    let mut lines = String::new();
    for line in config.lines() {
        let line = if line.trim_start().starts_with("url") {
            by_address(line)
        } else {
            line.to_owned()
        };
        lines += &line;
        lines.push('\n');
    }
    lines
}

/// The line with the host names in its URLs replaced.
fn by_address(line: &str) -> String {
    let mut parts = line.split("://");
    let mut replaced = parts.next().unwrap().to_owned();
    for part in parts {
        let end = part.find(['/', ':', '?', '"', '\'']).unwrap_or(part.len());
        let (authority, rest) = part.split_at(end);
        let user = authority.rfind('@').map_or("", |at| &authority[..=at]);
        let host = &authority[user.len()..];
        let is_name = !host.is_empty() && !host.contains('%');
        let host = if is_name { NOBODY } else { host };
        let _ = write!(replaced, "://{user}{host}{rest}");
    }
    replaced
}

/// A folder with the example as `auth.toml`, and with all files that it names.
fn folder(name: &str, config: &str) -> TempDir {
    let dir = TempDir::new();
    dir.write("auth.toml", on_this_machine(config));
    dir.write("passwd", USERS);
    dir.write("jwks.json", JWKS);
    let ca = fs::read(folder_of_golden_files().join("ca.pem")).unwrap();
    dir.write("corp-ca.pem", ca);
    for secret in [
        "ad.password",
        "ldap.password",
        "database.password",
        "another-auth-http.key",
    ] {
        let path = dir.write(secret, "hunter2-hunter2-hunter2\n");
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }
    if name == "sql" {
        let tables: Vec<&str> = config
            .lines()
            .filter_map(|line| line.strip_prefix("#     "))
            .collect();
        let hash = USERS.lines().next().unwrap().split_once(':').unwrap().1;
        let rows = format!(
            "INSERT INTO users (login, password) VALUES ('alice@example.org', '{hash}');
             INSERT INTO users (login, password, host) VALUES ('bob@example.org', '{hash}', 'mailhost02');
             INSERT INTO users (login, password) VALUES ('off@example.org', '*');"
        );
        let database = rusqlite::Connection::open(dir.path().join("users.db")).unwrap();
        database
            .execute_batch(&(tables.join("\n") + &rows))
            .unwrap();
    }
    dir
}

#[test]
fn every_example_answers_as_before() {
    let texts: Vec<_> = examples()
        .iter()
        .map(|(name, config)| {
            let dir = folder(name, config);
            let mut text = String::new();
            for (request, variables) in REQUESTS {
                let client = ("HTTP_CLIENT_IP", "192.0.2.7");
                let (answer, log) = ask(&dir, &[variables, &[client]].concat());
                let _ = write!(text, "== {request}\n{answer}-- log\n{log}");
            }
            (format!("{name}.txt"), text)
        })
        .collect();
    must_match("answers", &texts);
}

#[test]
fn check_prints_the_recorded_output_for_every_example() {
    let texts: Vec<_> = examples()
        .iter()
        .map(|(name, config)| {
            let dir = folder(name, config);
            let output = binary::output(
                binary::command()
                    .env("NGINX_MAIL_AUTH_LOG", "info")
                    .arg("--config")
                    .arg(dir.path().join("auth.toml"))
                    .arg("check"),
            );
            let printed = [output.stdout, output.stderr].concat();
            let printed =
                crate::support::golden::steady(&String::from_utf8(printed).unwrap(), &dir);
            // Root may read more than others.
            let printed: String = printed
                .split_inclusive('\n')
                .filter(|line| !line.starts_with("note: root may read"))
                .collect();
            let code = output.status.code().unwrap();
            (
                format!("{name}.txt"),
                format!("exit code {code}\n{printed}"),
            )
        })
        .collect();
    must_match("check", &texts);
}
