//! `cram-md5` and `apop`: answers to a challenge, and what is stored for them.

use crate::support::cgi::{
    CHALLENGE, CONFIG, REFUSED, TEMPORARY, apop, ask, cause, cram_md5, folder, hex,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;

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
                    .replace("the stored password in Auth-Pass", "")
                    .replace("set another password", "")
                    .replace("asks for a password", "")
                    .replace("Auth-Pass", "")
                    .contains(secret),
                "{log}"
            );
        }
    }
}

/// nginx needs no password for SMTP.
#[test]
fn smtp_goes_without_a_password() {
    let dir = folder();
    // That of `blank` is known, and no header can carry it.
    for (login, password) in [("carol", "secret"), ("blank", " pass")] {
        let (answer, _) = ask(
            &dir,
            &[
                ("HTTP_AUTH_METHOD", "cram-md5"),
                ("HTTP_AUTH_USER", login),
                ("HTTP_AUTH_PASS", &cram_md5(password)),
                ("HTTP_AUTH_SALT", CHALLENGE),
                ("HTTP_AUTH_PROTOCOL", "smtp"),
            ],
        );
        assert_eq!(
            answer, "Auth-Status: OK\nAuth-Server: 192.0.2.1\nAuth-Port: 25\n\n",
            "{login}"
        );
    }
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
    assert_eq!(answer, refused);
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
        // For an empty challenge, which anyone could have recorded.
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

/// A retry after a digest crashes nginx's worker before 1.29.7 (CVE-2026-27651).
#[test]
fn a_refused_digest_may_be_tried_again_only_where_nginx_can_take_it() {
    const OFF: &str = "[throttle]\n";
    const ON: &str = "[throttle]\nwait-after-digests = true\n";
    let waits = "Auth-Status: Invalid login or password\nAuth-Wait: 2\n\n";
    for (method, keys, attempt, answer) in [
        ("plain", "", "1", waits),
        ("cram-md5", "", "1", REFUSED),
        ("apop", "", "1", REFUSED),
        ("cram-md5", OFF, "1", REFUSED),
        ("apop", OFF, "1", REFUSED),
        ("cram-md5", ON, "1", waits),
        ("apop", ON, "1", waits),
        ("apop", ON, "9", waits),
        ("cram-md5", ON, "10", REFUSED),
        ("apop", ON, "10", REFUSED),
        ("apop", ON, "x", REFUSED),
        ("plain", ON, "9", waits),
    ] {
        let dir = folder();
        dir.write("auth.toml", [CONFIG, keys].concat());
        // Wrong, unknown, and one of a hashed password.
        for login in ["alice", "zoe", "dave"] {
            let (answered, log) = ask(
                &dir,
                &[
                    ("HTTP_AUTH_METHOD", method),
                    ("HTTP_AUTH_USER", login),
                    ("HTTP_AUTH_PASS", &"0".repeat(32)),
                    ("HTTP_AUTH_SALT", CHALLENGE),
                    ("HTTP_AUTH_PROTOCOL", "pop3"),
                    ("HTTP_AUTH_LOGIN_ATTEMPT", attempt),
                    ("HTTP_CLIENT_IP", "192.0.2.7"),
                ],
            );
            assert_eq!(answered, answer, "{method} {keys} {login}: {log}");
        }
    }
}
