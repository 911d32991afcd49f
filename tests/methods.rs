//! Clients that send no password: digests, certificates, tokens, and mail from other servers.

use std::process::{Command, Stdio};

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};

use crate::util::TempDir;

mod codes;
mod inbound;
#[cfg(feature = "oauth")]
mod tokens;

pub(crate) const REFUSED: &str = "Auth-Status: Invalid login or password\n\n";
pub(crate) const TEMPORARY: &str = "Auth-Status: Temporary server problem, try again later\n\n";

pub(crate) const CHALLENGE: &str = "<1585632142.1700000000@mail.example.com>";

/// The answer of the program under CGI, and what it logs. The configuration is in the folder.
pub(crate) fn ask(dir: &TempDir, variables: &[(&str, &str)]) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_nginx-mail-auth"))
        .env_clear()
        .env("NGINX_MAIL_AUTH_CONFIG", dir.path().join("auth.toml"))
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

/// What `check` says of the configuration in the folder, and its exit code.
pub(crate) fn check(dir: &TempDir) -> (String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_nginx-mail-auth"))
        .env_clear()
        .arg("--config")
        .arg(dir.path().join("auth.toml"))
        .arg("check")
        .output()
        .unwrap();
    let text = [output.stderr, output.stdout].concat();
    (String::from_utf8(text).unwrap(), output.status.code())
}

/// The word that the log has as cause.
pub(crate) fn cause(log: &str) -> &str {
    let line = log.lines().last().unwrap_or_default();
    let word = line.split(" cause=").nth(1).unwrap_or(line);
    word.split(' ').next().unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn cram_md5(password: &str) -> String {
    let mut mac = Hmac::<Md5>::new_from_slice(password.as_bytes()).unwrap();
    mac.update(CHALLENGE.as_bytes());
    hex(&mac.finalize().into_bytes())
}

fn apop(password: &str) -> String {
    hex(&Md5::digest([CHALLENGE, password].concat()))
}

const CONFIG: &str = "\
[[users]]
store = \"file\"
path = \"users\"
allow-weak-schemes = true
[routes]
default = \"192.0.2.1\"
[answers]
retry-wait = 2
";

/// `alice`'s password is at hand, of `carol`'s there is what CRAM-MD5 needs, of `dave`'s a hash.
const USERS: &str = "\
alice:{PLAIN}pass word
off:{PLAIN}pass word::::::nologin
renamed:{PLAIN}pass word::::::user=alice@example.com
office:{PLAIN}pass word::::::allow_nets=192.0.2.0/24
carol:{CRAM-MD5}cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b56
dave:{SSHA256}xybuwjCTcU8Y0T/pQpzcuuIia7DEYULuJFv8d+/WmkrJLW6/
nobody-knows:*
blank:{PLAIN} pass
";

fn folder() -> TempDir {
    let dir = TempDir::new();
    dir.write("auth.toml", CONFIG);
    dir.write("users", USERS);
    dir
}

#[test]
fn digests_of_passwords() {
    let dir = folder();
    let ok =
        |more: &str| format!("Auth-Status: OK\nAuth-Server: 192.0.2.1\nAuth-Port: 143\n{more}\n");
    let alice = "Auth-Pass: pass word\n";
    let (cram, of_secret) = (cram_md5("pass word"), cram_md5("secret"));
    let (popped, upper) = (apop("pass word"), cram.to_ascii_uppercase());
    for (method, login, digest, answer, why) in [
        ("cram-md5", "alice", &cram, ok(alice), "accepted"),
        ("cram-md5", "alice", &upper, ok(alice), "accepted"),
        ("apop", "alice", &popped, ok(alice), "accepted"),
        (
            "apop",
            "renamed",
            &popped,
            ok("Auth-User: alice@example.com\nAuth-Pass: pass word\n"),
            "accepted",
        ),
        ("cram-md5", "office", &cram, ok(alice), "accepted"),
        ("cram-md5", "off", &cram, REFUSED.to_owned(), "disabled"),
        (
            "cram-md5",
            "alice",
            &of_secret,
            REFUSED.to_owned(),
            "wrong-password",
        ),
        (
            "cram-md5",
            "alice",
            &popped,
            REFUSED.to_owned(),
            "wrong-password",
        ),
        ("apop", "alice", &cram, REFUSED.to_owned(), "wrong-password"),
        ("cram-md5", "zoe", &cram, REFUSED.to_owned(), "unknown-user"),
        (
            "cram-md5",
            "nobody-knows",
            &cram,
            REFUSED.to_owned(),
            "no-password",
        ),
        (
            "cram-md5",
            "dave",
            &cram,
            REFUSED.to_owned(),
            "digest-not-possible",
        ),
        (
            "apop",
            "dave",
            &popped,
            REFUSED.to_owned(),
            "digest-not-possible",
        ),
        (
            "apop",
            "carol",
            &apop("secret"),
            REFUSED.to_owned(),
            "digest-not-possible",
        ),
        (
            "cram-md5",
            "carol",
            &cram,
            REFUSED.to_owned(),
            "wrong-password",
        ),
        // nginx would have nothing to log in with at the mail server.
        (
            "cram-md5",
            "carol",
            &of_secret,
            TEMPORARY.to_owned(),
            "password-needed",
        ),
        // nginx would cut the blank off.
        (
            "cram-md5",
            "blank",
            &cram_md5(" pass"),
            TEMPORARY.to_owned(),
            "bad-answer",
        ),
    ] {
        let (answered, log) = ask(
            &dir,
            &[
                ("HTTP_AUTH_METHOD", method),
                ("HTTP_AUTH_USER", login),
                ("HTTP_AUTH_PASS", digest),
                ("HTTP_AUTH_SALT", CHALLENGE),
                ("HTTP_AUTH_PROTOCOL", "imap"),
                ("HTTP_AUTH_LOGIN_ATTEMPT", "1"),
                ("HTTP_CLIENT_IP", "192.0.2.7"),
            ],
        );
        assert_eq!(answered, answer, "{method} {login}: {log}");
        assert_eq!(cause(&log), why, "{log}");
        assert!(!answered.contains("Auth-Wait"), "{answered}");
        for secret in ["pass", digest.as_str(), "secret"] {
            assert!(
                !log.replace("answer=refused cause=wrong-password", "")
                    .replace("no-password", "")
                    .replace("password-needed", "")
                    .replace("asks for a password", "")
                    .replace("Auth-Pass", "")
                    .contains(secret),
                "{log}"
            );
        }
    }
}

/// nginx needs no password to be let in with SMTP.
#[test]
fn smtp_goes_without_a_password() {
    let dir = folder();
    let (answer, _) = ask(
        &dir,
        &[
            ("HTTP_AUTH_METHOD", "cram-md5"),
            ("HTTP_AUTH_USER", "carol"),
            ("HTTP_AUTH_PASS", &cram_md5("secret")),
            ("HTTP_AUTH_SALT", CHALLENGE),
            ("HTTP_AUTH_PROTOCOL", "smtp"),
        ],
    );
    assert_eq!(
        answer,
        "Auth-Status: OK\nAuth-Server: 192.0.2.1\nAuth-Port: 25\n\n"
    );
}

/// As with Dovecot.
#[test]
fn what_cram_md5_needs_is_enough_for_a_password_too() {
    let dir = folder();
    let with = |password: &str| {
        ask(
            &dir,
            &[
                ("HTTP_AUTH_USER", "carol"),
                ("HTTP_AUTH_PASS", password),
                ("HTTP_AUTH_PROTOCOL", "imap"),
            ],
        )
    };
    let ok = "Auth-Status: OK\nAuth-Server: 192.0.2.1\nAuth-Port: 143\n\n";
    assert_eq!(with("secret").0, ok);
    let refused = REFUSED.replace("\n\n", "\nAuth-Wait: 2\n\n");
    assert_eq!(with("secret2").0, refused);
    assert_eq!(with("").0, refused);
    dir.write("auth.toml", CONFIG.replace("= true", "= false"));
    let (answer, log) = with("secret");
    assert!(answer.starts_with(TEMPORARY.trim_end()), "{answer}");
    assert!(
        log.contains("the password scheme cram-md5 is weak"),
        "{log}"
    );
}

#[test]
fn challenges_that_nginx_did_not_make_prove_nothing() {
    let dir = folder();
    for (salt, why) in [
        (None, "bad-challenge"),
        (Some(""), "bad-challenge"),
        (Some("<>"), "bad-challenge"),
        (Some("x"), "bad-challenge"),
        (Some(CHALLENGE), "bad-digest"),
    ] {
        // Of an empty challenge, which anybody could have recorded.
        let mut mac = Hmac::<Md5>::new_from_slice(b"pass word").unwrap();
        mac.update(salt.unwrap_or_default().as_bytes());
        let mut digest = hex(&mac.finalize().into_bytes());
        if why == "bad-digest" {
            digest.push('0');
        }
        let mut variables = vec![
            ("HTTP_AUTH_METHOD", "cram-md5"),
            ("HTTP_AUTH_USER", "alice"),
            ("HTTP_AUTH_PASS", &digest),
            ("HTTP_AUTH_PROTOCOL", "imap"),
        ];
        variables.extend(salt.map(|salt| ("HTTP_AUTH_SALT", salt)));
        let (answer, log) = ask(&dir, &variables);
        assert_eq!(answer, REFUSED);
        assert_eq!(cause(&log), why, "{log}");
    }
}

//------------ external ------------------------------------------------------

fn certificate<'a>(subject: &'a str, verify: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("HTTP_AUTH_METHOD", "external"),
        ("HTTP_AUTH_PROTOCOL", "imap"),
        // Left over from an attempt with another method.
        ("HTTP_AUTH_PASS", "stale%"),
        ("HTTP_AUTH_SSL", "on"),
        ("HTTP_AUTH_SSL_VERIFY", verify),
        ("HTTP_AUTH_SSL_SUBJECT", subject),
        ("HTTP_AUTH_SSL_ISSUER", "CN=Our CA"),
    ]
}

#[test]
fn certificates() {
    let dir = folder();
    let settings = "[external]\nlogin = \"common-name\"\nissuer = \"CN=Our CA\"\n";
    dir.write("auth.toml", [CONFIG, settings].concat());
    let ok = "Auth-Status: OK\nAuth-Server: 192.0.2.1\nAuth-Port: 143\n";
    let with = |login: &str, variables: Vec<(&str, &str)>| {
        let (answer, log) = ask(
            &dir,
            &[variables.as_slice(), &[("HTTP_AUTH_USER", login)]].concat(),
        );
        assert!(
            !answer.contains("stale") && !log.contains("stale"),
            "{answer}{log}"
        );
        (answer.replace("Auth-Wait: 2\n", ""), cause(&log).to_owned())
    };
    let mut without_tls = certificate("CN=alice", "SUCCESS");
    without_tls.retain(|(name, _)| *name != "HTTP_AUTH_SSL");
    let mut without_verify = certificate("CN=alice", "SUCCESS");
    without_verify.retain(|(name, _)| *name != "HTTP_AUTH_SSL_VERIFY");
    let mut other_issuer = certificate("CN=alice", "SUCCESS");
    other_issuer.last_mut().unwrap().1 = "CN=Their CA";
    let good = |subject| certificate(subject, "SUCCESS");
    for (login, variables, answer, why) in [
        (
            "alice",
            good("CN=alice,O=x"),
            format!("{ok}Auth-Pass: pass word\n\n"),
            "accepted",
        ),
        (
            "",
            good("CN=alice"),
            format!("{ok}Auth-User: alice\nAuth-Pass: pass word\n\n"),
            "accepted",
        ),
        (
            "bob",
            good("CN=alice"),
            REFUSED.to_owned(),
            "wrong-certificate",
        ),
        (
            "alice",
            good("/O=x/CN=alice"),
            REFUSED.to_owned(),
            "wrong-certificate",
        ),
        (
            "alice",
            good("CN=alice,CN=bob"),
            REFUSED.to_owned(),
            "wrong-certificate",
        ),
        (
            "alice",
            good("O=alice"),
            REFUSED.to_owned(),
            "wrong-certificate",
        ),
        ("", good("O=alice"), REFUSED.to_owned(), "wrong-certificate"),
        (
            "alice",
            other_issuer,
            REFUSED.to_owned(),
            "wrong-certificate",
        ),
        (
            "alice",
            certificate("CN=alice", "NONE"),
            REFUSED.to_owned(),
            "no-certificate",
        ),
        (
            "alice",
            certificate("CN=alice", "FAILED:self-signed certificate"),
            REFUSED.to_owned(),
            "no-certificate",
        ),
        ("alice", without_tls, REFUSED.to_owned(), "no-certificate"),
        (
            "alice",
            without_verify,
            REFUSED.to_owned(),
            "no-certificate",
        ),
        ("zoe", good("CN=zoe"), REFUSED.to_owned(), "unknown-user"),
        ("off", good("CN=off"), REFUSED.to_owned(), "disabled"),
        (
            "office",
            good("CN=office"),
            REFUSED.to_owned(),
            "network-not-allowed",
        ),
        // nginx would have nothing to log in with at the mail server.
        (
            "dave",
            good("CN=dave"),
            TEMPORARY.to_owned(),
            "password-needed",
        ),
    ] {
        let (answered, cause) = with(login, variables.clone());
        assert_eq!(
            (answered, cause.as_str()),
            (answer, why),
            "{login} {variables:?}"
        );
    }
    dir.write("auth.toml", CONFIG);
    let (answer, cause) = with("alice", good("CN=alice"));
    assert_eq!(
        (answer.as_str(), cause.as_str()),
        (REFUSED, "unsupported-method")
    );
}

/// The subject alone is what builds without the feature go by.
#[cfg(feature = "x509")]
#[test]
fn the_certificate_itself_may_hold_the_address() {
    use crate::e2e::process::program;

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
