//! Logins that a real Dovecot decides about, over each way to it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::support::process::wait_until;

use crate::support::certificates::Certificates;
use crate::support::dovecot::{Dovecot, UNNAMED, Way, users};
use crate::support::program::{
    ACCEPTED, Program, REFUSED, TEMPORARY, path_key, run_as_cgi, with_store,
};

#[test]
fn right_wrong_unknown_and_disabled() {
    let dovecot = Dovecot::shared();
    // Dovecot holds each refusal back for half a second.
    thread::scope(|scope| {
        for way in Way::ALL {
            let dovecot = &dovecot;
            scope.spawn(move || lets_its_users_in(dovecot, way));
        }
    });
}

fn lets_its_users_in(dovecot: &Dovecot, way: Way) {
    let program = Program::serve(&with_store(&dovecot.keys(way)));
    for user in users() {
        let name = user.login.escape_ascii();
        let answer = program.ask(user.login, &user.password);
        let wanted = if user.disabled { REFUSED } else { ACCEPTED };
        assert_eq!(answer, wanted, "{way:?} {name}\n{}", program.log());
        let mut wrong = user.password.clone();
        wrong[0] ^= 1;
        assert_eq!(program.ask(user.login, &wrong), REFUSED, "{way:?} {name}");
        let mut longer = user.password.clone();
        longer.truncate(511);
        longer.push(b'y');
        assert_eq!(program.ask(user.login, &longer), REFUSED, "{way:?} {name}");
    }
    for (login, password) in [
        (&b"nobody"[..], &b"sesame1"[..]),
        (b"Alice", b"sesame1"),
        (b"", b"sesame1"),
        (b"alice", b""),
    ] {
        assert_eq!(program.ask(login, password), REFUSED, "{way:?}");
    }
    let log = program.log();
    assert!(!log.contains("sesame1"), "{log}");
    assert!(!log.contains("cannot"), "{log}");
}

/// What is typed to become more than a login or a password: parts of a command, another command,
/// another's name.
#[test]
fn nothing_that_is_typed_leaves_its_field() {
    const ATTEMPTS: [&[u8]; 24] = [
        b"alice sesame1",
        b"alice\" \"sesame1",
        b"\"alice\"",
        b"alice\\",
        b"\\\"alice",
        b"{5}",
        b"{5+}",
        b"alice {7}",
        b"alice{7+}",
        b"alice *",
        b"alice*bob@example.org",
        b"bob@example.org*alice",
        b"*",
        b"=",
        b"YWxpY2U=",
        b"AGFsaWNlAHNlc2FtZTE=",
        b"*)(uid=*))(|(uid=*",
        b"' OR '1'='1",
        b"%u",
        b"%{user}",
        b"$HOME",
        b"\xff\xfe",
        b"alice\xa0",
        b"a\tb",
    ];
    let dovecot = Dovecot::shared();
    let mut tries: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for attempt in ATTEMPTS {
        tries.push((attempt.to_vec(), b"sesame1".to_vec()));
        tries.push((b"alice".to_vec(), attempt.to_vec()));
    }
    for byte in 0..=255 {
        tries.push(([b"alice".as_slice(), &[byte]].concat(), b"sesame1".to_vec()));
        tries.push((b"alice".to_vec(), [b"sesame1".as_slice(), &[byte]].concat()));
    }
    for way in Way::PLAIN {
        let program = Program::serve(&with_store(&dovecot.keys(way)));
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some((login, password)) = tries.get(next.fetch_add(1, Ordering::Relaxed)) {
                let answer = program.ask(login, password);
                let typed = (login.escape_ascii(), password.escape_ascii());
                assert_eq!(answer, REFUSED, "{way:?} {typed:?}\n{}", program.log());
            }
        };
        // Dovecot holds each refusal back for half a second.
        thread::scope(|scope| {
            // Fewer than may wait for a store at once.
            for _ in 0..24 {
                scope.spawn(work);
            }
        });
        assert_eq!(program.ask(b"alice", b"sesame1"), ACCEPTED);
    }
}

#[test]
fn it_works_as_a_cgi_program_too() {
    let dovecot = Dovecot::shared();
    for way in Way::ALL {
        let config = with_store(&dovecot.keys(way));
        let ask = |password| run_as_cgi(&config, b"alice", password);
        let (answer, log) = ask(b"sesame1");
        assert_eq!(answer, ACCEPTED, "{way:?}\n{log}");
        assert_eq!(ask(b"sesame2").0, REFUSED, "{way:?}");
    }
}

#[test]
fn a_certificate_counts_only_if_it_is_of_the_ca_and_for_the_host() {
    let dovecot = Dovecot::shared();
    let other = Certificates::made_for("DNS:localhost");
    for way in Way::ALL.into_iter().filter(|way| way.is_encrypted()) {
        // localhost may be ::1 first, where nobody listens.
        let program = Program::serve(&with_store(&dovecot.keys_at(way, "localhost")));
        assert_eq!(program.ask(b"alice", b"sesame1"), ACCEPTED, "{way:?}");

        let trusted = path_key("ca-file", &dovecot.certificates.ca());
        let untrusted = path_key("ca-file", &other.ca());
        let keys = dovecot.keys(way).replace(&trusted, &untrusted);
        let program = Program::serve(&with_store(&keys));
        assert_eq!(program.ask(b"alice", b"sesame1"), TEMPORARY, "{way:?}");
        program.wait_for_log("TLS: invalid peer certificate: ");

        // The system does not know this one.
        let program = Program::serve(&with_store(&dovecot.keys(way).replace(&trusted, "")));
        assert_eq!(program.ask(b"alice", b"sesame1"), TEMPORARY, "{way:?}");

        let keys = dovecot.keys_at(way, UNNAMED);
        let program = Program::serve(&with_store(&keys));
        assert_eq!(program.ask(b"alice", b"sesame1"), TEMPORARY, "{way:?}");
        program.wait_for_log("TLS: invalid peer certificate: certificate not valid for name");
    }
}

/// A mail client logs in at once when it has the answer, and POP3 locks the mailbox.
#[test]
fn a_session_is_over_before_the_answer_is_given() {
    let dovecot = Dovecot::shared();
    for way in Way::PLAIN {
        let program = Program::serve(&with_store(&dovecot.keys(way)));
        let before = dovecot.log().len();
        for _ in 0..5 {
            assert_eq!(program.ask(b"bob@example.org", b"  two  words  "), ACCEPTED);
        }
        let ended = || {
            let log = dovecot.log();
            let of_bob = log[before..]
                .lines()
                .filter(|line| line.contains("(bob@example.org)"));
            of_bob.filter(|line| line.contains("Logged out")).count()
        };
        wait_until("five sessions", || ended() >= 5);
    }
}
