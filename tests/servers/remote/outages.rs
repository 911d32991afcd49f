//! A server that is not there yet, dies, hangs, and comes back.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::dovecot::{Dovecot, Way};
use crate::support::process::wait_until;
use crate::support::program::{ACCEPTED, Program, REFUSED, TEMPORARY, check, with_store};
use crate::support::scripted_server::Fake;

/// Longer than a `timeout` of one second, by what a busy machine may need.
const LIMIT: Duration = Duration::from_secs(5);

#[test]
fn it_is_used_again_without_a_restart_whatever_happened() {
    let dovecot = Dovecot::stopped("auth_failure_delay = 8s\n");
    let programs = Way::ALL.map(|way| {
        let keys = dovecot.keys(way) + "timeout = 1\n";
        (way, Program::serve(&with_store(&keys)))
    });
    let all_say = |wanted: &str| {
        for (way, program) in &programs {
            let answer = program.ask_within(LIMIT, b"alice", b"sesame1");
            assert_eq!(answer, wanted, "{way:?}\n{}", program.log());
        }
    };
    // Down at the start.
    all_say(TEMPORARY);
    all_say(TEMPORARY);
    dovecot.start();
    all_say(ACCEPTED);
    // Stopped in the middle of everything.
    dovecot.signal(Signal::STOP);
    all_say(TEMPORARY);
    dovecot.signal(Signal::CONT);
    all_say(ACCEPTED);
    // A wrong password is held back for longer than anybody waits here.
    let (_, program) = &programs[0];
    assert_eq!(program.ask_within(LIMIT, b"alice", b"wrong"), TEMPORARY);
    // Killed.
    dovecot.kill();
    all_say(TEMPORARY);
    dovecot.start();
    // The very first login afterwards gets in.
    all_say(ACCEPTED);
    for (_, program) in &programs {
        let log = program.log();
        let count = |part| log.lines().filter(|line| line.contains(part)).count();
        // Once for each time that it went, not for each login.
        assert_eq!(count("is unavailable:"), 3, "{log}");
        assert_eq!(count("is available again"), 3, "{log}");
        assert!(!log.contains("sesame1"), "{log}");
    }
}

#[test]
fn killed_in_mid_login_it_is_the_temporary_failure_at_once() {
    let dovecot = Dovecot::stopped("auth_failure_delay = 8s\nauth_verbose = yes\n");
    dovecot.start();
    for way in Way::PLAIN {
        let keys = dovecot.keys(way) + "timeout = 20\n";
        let config = with_store(&keys).replace("[routes]", "[limits]\ndeadline = 25\n[routes]");
        let program = Program::serve(&config);
        assert_eq!(program.ask(b"alice", b"sesame1"), ACCEPTED);
        let decided = || dovecot.log().matches("assword mismatch").count();
        let before = decided();
        thread::scope(|scope| {
            let (tell, told) = mpsc::channel();
            let program = &program;
            scope.spawn(move || tell.send((program.ask(b"alice", b"wrong"), Instant::now())));
            wait_until("the server to hold its answer back", || decided() > before);
            let killed = Instant::now();
            dovecot.kill();
            let (answer, when) = told.recv().unwrap();
            assert_eq!(answer, TEMPORARY, "{way:?}\n{}", program.log());
            assert!(when - killed < Duration::from_secs(2), "{way:?}");
        });
        dovecot.start();
        assert_eq!(program.ask(b"alice", b"sesame1"), ACCEPTED);
    }
}

#[test]
fn a_yes_is_remembered_for_as_long_as_configured_and_a_no_never() {
    let dovecot = Dovecot::stopped("auth_failure_delay = 0\n");
    dovecot.start();
    for way in Way::PLAIN {
        let keys = dovecot.keys(way) + "timeout = 1\n";
        let remembering = Program::serve(&with_store(&format!("{keys}cache = 3600\n")));
        let asking = Program::serve(&with_store(&keys));
        for program in [&remembering, &asking] {
            assert_eq!(program.ask(b"alice", b"sesame1"), ACCEPTED);
            assert_eq!(program.ask(b"alice", b"wrong"), REFUSED);
            // Somebody else with the same password (CVE-2025-30189).
            assert_eq!(program.ask(b"nobody", b"sesame1"), REFUSED);
        }
        dovecot.kill();
        assert_eq!(remembering.ask(b"alice", b"sesame1"), ACCEPTED);
        assert_eq!(remembering.ask_for("pop3", b"alice", b"sesame1"), TEMPORARY);
        assert_eq!(remembering.ask(b"alice", b"wrong"), TEMPORARY);
        assert_eq!(remembering.ask(b"nobody", b"sesame1"), TEMPORARY);
        assert_eq!(asking.ask(b"alice", b"sesame1"), TEMPORARY);
        dovecot.start();
    }
}

#[test]
fn check_tries_it_for_real() {
    let dovecot = Dovecot::shared();
    for way in Way::ALL {
        let (code, said) = check(&with_store(&dovecot.keys(way)));
        assert_eq!((code, said.as_str()), (0, ""), "{way:?}");
    }
    let disabled = Fake::saying(&["* OK [CAPABILITY LOGINDISABLED] hi\r\n"]);
    let unencrypted = Fake::saying(&["+OK hi\r\n", "-ERR no TLS here\r\n"]);
    let [imap, pop3] = Way::PLAIN;
    let starttls = Way {
        starttls: true,
        ..pop3
    };
    for (keys, complaint) in [
        (
            imap.keys("127.0.0.1", 1),
            "imap://127.0.0.1:1: cannot connect: ",
        ),
        (
            imap.keys("127.0.0.1", disabled.port),
            "accepts no passwords over this connection: it may require starttls or imaps",
        ),
        (
            starttls.keys("127.0.0.1", unencrypted.port),
            "refuses STLS: \"-ERR no TLS here\"",
        ),
        (
            imap.keys("nowhere.invalid", 143),
            "imap://nowhere.invalid:143: cannot connect: the name cannot be looked up: ",
        ),
    ] {
        let (code, said) = check(&with_store(&keys));
        assert_eq!(code, 78, "{said}");
        assert!(said.contains(complaint), "{complaint}: {said}");
    }
}
