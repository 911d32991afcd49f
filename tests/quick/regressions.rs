//! Attacks that worked against other programs. SECURITY.md lists them with their tests.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::support::fastcgi::Client;
use crate::support::serving::Serving;
use crate::support::temp_dir::TempDir;

const REFUSED: &str = "Auth-Status: Invalid login or password\n\n";

fn config(more: &str) -> String {
    format!(
        "[[users]]\nstore = \"file\"\npath = \"users\"\nallow-weak-schemes = true\n\
         [routes]\ndefault = \"192.0.2.1\"\n{more}\n"
    )
}

fn server(more: &str) -> Serving {
    Serving::listening(&config(more), "alice:{PLAIN}secret-right\n")
}

/// Right after whatever came before.
#[track_caller]
fn serves_on(server: &Serving) {
    let answer = server.ask("alice", "secret-right");
    assert!(
        answer.starts_with("Auth-Status: OK\n"),
        "{answer}{}",
        server.log()
    );
}

/// Kilobytes that the process has in memory.
fn resident(server: &Serving) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// libfcgi added the two lengths of a pair and allocated the sum, which overflowed
/// (CVE-2025-23016, and CVE-2025-40907 in Perl's FCGI).
#[test]
fn lengths_that_are_only_announced_are_not_allocated() {
    let server = server("");
    serves_on(&server);
    let before = resident(&server);
    let (most, none) = ([0xff, 0xff, 0xff, 0xff], [0x80, 0, 0, 0]);
    for lengths in [[most, most], [most, none], [none, most]] {
        let mut bytes = vec![1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        bytes.extend([1, 4, 0, 1, 0, 12, 0, 0]);
        bytes.extend(lengths.concat());
        bytes.extend(b"NAME");
        bytes.extend([1, 4, 0, 1, 0, 0, 0, 0, 1, 5, 0, 1, 0, 0, 0, 0]);
        let mut client = Client::from(UnixStream::connect(server.socket()).unwrap());
        client.send(&bytes);
        assert_eq!(client.answer().0, REFUSED);
    }
    assert_eq!(server.log().matches("cause=malformed-request").count(), 3);
    let grown = resident(&server).saturating_sub(before);
    assert!(grown < 4096, "{grown} kB");
    serves_on(&server);
}

/// A login that is not UTF-8 crashed Dovecot's (CVE-2019-10691).
#[test]
fn every_byte_may_stand_in_a_login_and_in_a_password() {
    let server = server("");
    for byte in 0..=255u8 {
        for (login, password) in [
            (format!("alice%{byte:02X}"), "secret-right".to_owned()),
            ("alice".to_owned(), format!("secret-right%{byte:02X}")),
            (format!("%{byte:02X}"), format!("%{byte:02X}")),
        ] {
            assert_eq!(server.ask(&login, &password), REFUSED, "{login} {password}");
        }
    }
    serves_on(&server);
}

/// Messages of no length or of one byte crashed Dovecot's NTLM and RPA (CVE-2020-12673, -12674).
#[test]
fn every_header_may_be_empty_or_short() {
    let names = [
        "AUTH_METHOD",
        "AUTH_USER",
        "AUTH_PASS",
        "AUTH_SALT",
        "AUTH_PROTOCOL",
        "AUTH_LOGIN_ATTEMPT",
        "CLIENT_IP",
        "CLIENT_HOST",
        "PROXY_PROTOCOL_ADDR",
        "PROXY_PROTOCOL_PORT",
        "PROXY_PROTOCOL_SERVER_ADDR",
        "PROXY_PROTOCOL_SERVER_PORT",
        "AUTH_SMTP_HELO",
        "AUTH_SMTP_FROM",
        "AUTH_SMTP_TO",
        "AUTH_SSL",
        "AUTH_SSL_PROTOCOL",
        "AUTH_SSL_CIPHER",
        "AUTH_SSL_VERIFY",
        "AUTH_SSL_SUBJECT",
        "AUTH_SSL_ISSUER",
        "AUTH_SSL_SERIAL",
        "AUTH_SSL_FINGERPRINT",
        "AUTH_SSL_CERT",
        "X_AUTH_KEY",
    ]
    .map(|name| format!("HTTP_{name}"));
    let server =
        server("[external]\nlogin = \"common-name\"\n[inbound]\ndomains = [\"example.org\"]\n");
    for method in [
        "plain",
        "cram-md5",
        "apop",
        "external",
        "none",
        "xoauth2",
        "oauthbearer",
        "",
    ] {
        for name in &names {
            for value in ["", "x", "%", "0", "=", "<", "@"] {
                let mut variables = vec![
                    ("HTTP_AUTH_METHOD", method),
                    ("HTTP_AUTH_USER", "alice"),
                    ("HTTP_AUTH_PASS", "secret-wrong"),
                ];
                variables.retain(|(known, _)| known != name);
                variables.push((name, value));
                let answer = server.answer(&variables);
                assert!(
                    answer.starts_with("Auth-Status: "),
                    "{variables:?}: {answer}"
                );
                assert!(!answer.contains("Auth-Server"), "{variables:?}: {answer}");
            }
        }
    }
    serves_on(&server);
    assert!(!server.log().contains("cause=panic"), "{}", server.log());
}

/// What a user typed became the name of a file in Dovecot (CVE-2021-29157).
#[test]
fn nothing_that_is_typed_becomes_a_path() {
    let folder = TempDir::new();
    fs::create_dir(folder.path().join("state")).unwrap();
    let more = "[limits]\nhash-locks = \"state\"\n[logins]\nlower-case = true\n";
    let server = Serving::listening_in(folder, &config(more), "alice:{PLAIN}secret-right\n");
    serves_on(&server);
    let before = everything_in(server.dir.path());
    for login in [
        "..%2F..%2Fx",
        "%2Fetc%2Fpasswd",
        ".",
        "..",
        "state%2Fx",
        "users",
        "auth.toml",
        "~root",
    ] {
        assert_eq!(server.ask(login, "secret-right"), REFUSED);
    }
    assert_eq!(everything_in(server.dir.path()), before);
}

fn everything_in(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names.extend(everything_in(&path));
        }
        names.push(path.display().to_string());
    }
    names.sort();
    names
}

/// Dovecot compared a secret byte by byte, up to the first that differs (CVE-2026-27856).
#[test]
fn no_secret_is_compared_by_an_ordinary_comparison() {
    let mut looked_at = 0;
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = fs::read_to_string(&path).unwrap();
        // Tests are at the end of a file, and have no secrets.
        let code = text.split("#[cfg(test)]").next().unwrap();
        for (number, line) in code.lines().enumerate() {
            let revealed = line.contains("reveal()") || line.contains("expected_digest");
            let compared = line.contains(" == ") || line.contains(" != ");
            assert!(
                !(revealed && compared),
                "{}:{}: {line}",
                path.display(),
                number + 1
            );
            looked_at += usize::from(revealed);
        }
    }
    assert!(looked_at > 20, "only {looked_at} lines with secrets");
}

fn sources(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // The user of a command typed the secret.
        let left_out = ["tests.rs", "tests", "commands"];
        if left_out.iter().any(|name| path.ends_with(name)) {
            continue;
        } else if path.is_dir() {
            all.extend(sources(&path));
        } else {
            all.push(path);
        }
    }
    all
}

/// What SECURITY.md promises is shown by tests that are there.
#[test]
fn the_tests_that_the_promises_name_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let code: String = ["src", "tests", "fuzz/targets"]
        .iter()
        .flat_map(|folder| every_file(&root.join(folder)))
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let mut named = 0;
    for word in text.split('`').skip(1).step_by(2) {
        let Some((_, test)) = word.rsplit_once("::") else {
            continue;
        };
        named += 1;
        assert!(code.contains(&format!("fn {test}(")), "no test {word}");
    }
    assert!(named > 60, "only {named} tests are named");
}

fn every_file(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(every_file(&path)),
            false => all.push(path),
        }
    }
    all
}
