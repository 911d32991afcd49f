//! Answers to challenges: which of them are guesses, and what follows.

use crate::support::serving::Serving;
use crate::support::temp_dir::TempDir;
use crate::support::throttled::*;
use Said::{In, Out};

/// No password is tried where a digest cannot be compared; the client sends its password next.
#[test]
fn digests_that_cannot_be_compared_are_no_guesses() {
    let server = Serving::listening(
        &config(""),
        "alice:$5$saltsalt$sYjnFN8kv7EXmsYiMg0QEeE0KHqIVTEVkTkrbTKGZ/D\n",
    );
    // Nor are those of an unknown login, or the waits would reveal which logins exist.
    for login in ["alice", "nobody"].repeat(40) {
        let answer = server.answer(&[
            ("HTTP_AUTH_METHOD", "cram-md5"),
            ("HTTP_AUTH_USER", login),
            ("HTTP_AUTH_PASS", "00000000000000000000000000000000"),
            ("HTTP_AUTH_SALT", "<1.2@nginx>"),
            ("HTTP_CLIENT_IP", HERE),
            ("HTTP_X_AUTH_KEY", KEY),
        ]);
        assert_eq!(Said::read(&answer), Out(0));
    }
    assert_eq!(
        log_of(&server, "cause=digest-not-possible"),
        80,
        "{}",
        server.log()
    );
    // Where passwords are kept in clear, both are.
    for login in ["alice", "nobody"] {
        let server = Serving::listening(&config(""), USERS);
        let said: Vec<_> = (0..5)
            .map(|number| {
                let digest = format!("{number:032}");
                server.answer(&[
                    ("HTTP_AUTH_METHOD", "cram-md5"),
                    ("HTTP_AUTH_USER", login),
                    ("HTTP_AUTH_PASS", &digest),
                    ("HTTP_AUTH_SALT", "<1.2@nginx>"),
                    ("HTTP_CLIENT_IP", HERE),
                    ("HTTP_X_AUTH_KEY", KEY),
                ])
            })
            .map(|answer| Said::read(&answer))
            .collect();
        assert_eq!(said, [Out(0); 5]);
        assert_eq!(server.log_in(HERE, login, "secret-wrong"), Out(4));
    }
}

/// A store behind that can compare no digest takes back nothing of what the first one said, and the
/// counts do not tell which of them has the login.
#[test]
fn a_digest_counts_where_any_store_of_the_login_could_compare_it() {
    let folder = TempDir::new();
    let hashed = folder.write(
        "hashed",
        "bob:$5$saltsalt$sYjnFN8kv7EXmsYiMg0QEeE0KHqIVTEVkTkrbTKGZ/D\n\
         carol:{SHA}zVdQDZizS75L8hdChqPWSls3XAk=\n",
    );
    let second = format!(
        "wrong = \"next\"\n[[users]]\nstore = \"file\"\npath = {:?}\n\
         allow-weak-schemes = true\n[routes]\n",
        hashed.display().to_string()
    );
    let text = config("wait-after-digests = true").replace("[routes]\n", &second);
    let server = Serving::listening(&text, USERS);
    let digest = |address: &str, login: &str, number: usize| {
        Said::read(&server.answer(&[
            ("HTTP_AUTH_METHOD", "cram-md5"),
            ("HTTP_AUTH_USER", login),
            ("HTTP_AUTH_PASS", &format!("{number:032}")),
            ("HTTP_AUTH_SALT", "<1.2@nginx>"),
            ("HTTP_CLIENT_IP", address),
            ("HTTP_X_AUTH_KEY", KEY),
        ]))
    };
    for (address, login) in [
        ("203.0.113.1", "alice"),
        ("203.0.113.2", "bob"),
        ("203.0.113.3", "nobody"),
    ] {
        let said: Vec<_> = (0..9)
            .map(|number| digest(address, login, number))
            .collect();
        let waits = [0, 0, 0, 0, 2, 4, 8, 15, 15].map(Out);
        assert_eq!(said, waits, "{login} {}", server.log());
    }
    // A client that was accepted with a password can still try a digest first.
    assert_eq!(server.log_in(HERE, "carol", "secret-right"), In);
    for number in 0..150 {
        assert_eq!(digest(HERE, "carol", number), Out(0));
    }
    assert_eq!(server.log_in(HERE, "carol", "secret-right"), In);
}

/// A wait after a digest crashes nginx's worker before 1.29.7 (CVE-2026-27651).
#[test]
fn digests_are_counted_and_get_a_wait_only_where_nginx_can_take_it() {
    for (keys, waits) in [
        ("", [0; 9]),
        ("wait-after-digests = true", [0, 0, 0, 0, 2, 4, 8, 15, 15]),
    ] {
        for (method, digest) in [
            (
                "cram-md5",
                format!("alice {}", "0".repeat(32)).replace("alice ", ""),
            ),
            ("apop", "0".repeat(32)),
        ] {
            let server = server(keys);
            let ask = || {
                Said::read(&server.answer(&[
                    ("HTTP_AUTH_METHOD", method),
                    ("HTTP_AUTH_USER", "alice"),
                    ("HTTP_AUTH_PASS", &digest),
                    ("HTTP_AUTH_SALT", "<1.2@nginx>"),
                    ("HTTP_AUTH_PROTOCOL", "pop3"),
                    ("HTTP_CLIENT_IP", HERE),
                    ("HTTP_X_AUTH_KEY", KEY),
                ]))
            };
            let said: Vec<_> = (0..9).map(|_| ask()).collect();
            assert_eq!(said, waits.map(Out), "{method} {keys}");
            assert_eq!(log_of(&server, "cause=throttled"), 1, "{}", server.log());
        }
    }
}
