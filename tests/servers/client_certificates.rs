//! Client certificates that openssl made.

use crate::support::cgi::certificate;
use crate::support::cgi::{CONFIG, ask, cause, folder};

/// The subject alone is what builds without the feature go by.
#[test]
fn the_certificate_itself_may_hold_the_address() {
    use std::process::{Command, Stdio};

    use crate::support::process::program;

    let dir = folder();
    dir.write(
        "users",
        "alice@example.com:{PLAIN}pw\nbob@example.com:{PLAIN}pw\n",
    );
    dir.write(
        "auth.toml",
        [CONFIG, "[external]\nlogin = \"email\"\n"].concat(),
    );
    let made = |subject: &str, names: &str| {
        let file = dir.path().join("client.pem");
        let status = Command::new(program("openssl", "openssl"))
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ])
            .args([
                "-nodes",
                "-keyout",
                "/dev/null",
                "-days",
                "2",
                "-subj",
                subject,
            ])
            .args(["-addext", names, "-out"])
            .arg(&file)
            .stderr(Stdio::null())
            .status();
        assert!(status.unwrap().success());
        // As nginx escapes it.
        let text = std::fs::read_to_string(file).unwrap();
        text.replace('%', "%25")
            .replace('\n', "%0A")
            .replace(' ', "%20")
    };
    let with = |login: &str, subject: &str, pem: &str| {
        let mut variables = certificate(subject, "SUCCESS");
        variables.extend([("HTTP_AUTH_USER", login), ("HTTP_AUTH_SSL_CERT", pem)]);
        let (_, log) = ask(&dir, &variables);
        cause(&log).to_owned()
    };
    let one = made(
        "/CN=x",
        "subjectAltName=email:alice@example.com,DNS:bob.example.com",
    );
    assert_eq!(with("alice@example.com", "CN=x", &one), "accepted");
    assert_eq!(with("", "CN=x", &one), "accepted");
    assert_eq!(with("bob@example.com", "CN=x", &one), "wrong-certificate");
    // The alternative names count, and not the subject.
    let bobs = "emailAddress=bob@example.com";
    assert_eq!(with("bob@example.com", bobs, &one), "wrong-certificate");
    let two = made(
        "/CN=x",
        "subjectAltName=email:alice@example.com,email:bob@example.com",
    );
    assert_eq!(with("bob@example.com", "CN=x", &two), "accepted");
    assert_eq!(with("", "CN=x", &two), "wrong-certificate");
    let none = made("/CN=x", "subjectAltName=DNS:alice");
    assert_eq!(with("bob@example.com", bobs, &none), "accepted");
    for broken in [
        "",
        "x",
        "%",
        &one.replace("BEGIN", "BEGAN"),
        &one[..one.len() / 2],
    ] {
        let cause = with("bob@example.com", bobs, broken);
        assert!(
            ["wrong-certificate", "bad-escape"].contains(&cause.as_str()),
            "{broken}"
        );
    }
}
