//! Servers that break off, stall or lie, and what the client gets then.

use crate::support::mail_store::*;
use std::time::Duration;

use crate::support::dovecot::Way;
use crate::support::program::{ACCEPTED, Program, TEMPORARY, with_store};
use crate::support::scripted_server::{Fake, Fault};

#[test]
fn a_server_that_breaks_off_or_stalls_is_given_up_in_time() {
    const FAULTS: [Fault; 9] = [
        ("says nothing", |talk| talk.listen()),
        ("hangs up", |talk| talk.hang_up()),
        ("hangs up within the greeting", |talk| {
            talk.say(b"* OK hel");
            talk.hang_up();
        }),
        ("hangs up at the login", |talk| {
            talk.say(b"* OK [CAPABILITY AUTH=PLAIN SASL-IR] hi\r\n");
            talk.line();
            talk.hang_up();
        }),
        ("drips", |talk| {
            talk.drip(b"* OK hello ", Duration::from_millis(100));
        }),
        ("drips after the login", |talk| {
            talk.say(b"* OK [CAPABILITY AUTH=PLAIN SASL-IR] hi\r\n");
            talk.line();
            talk.drip(b"* 1 EXISTS\r\n", Duration::from_millis(50));
        }),
        ("floods with lines", |talk| {
            talk.say(b"* OK [CAPABILITY AUTH=PLAIN SASL-IR] hi\r\n");
            talk.line();
            talk.drip(b"* 1 EXISTS\r\n", Duration::ZERO);
        }),
        ("floods with one line", |talk| {
            talk.drip(b"*", Duration::ZERO);
        }),
        ("lists without end", |talk| {
            talk.say(b"+OK hi\r\n");
            talk.line();
            talk.say(b"+OK\r\n");
            talk.drip(b"UIDL\r\n", Duration::ZERO);
        }),
    ];
    for way in [imap(), pop3()] {
        for (what, fault) in FAULTS {
            let fake = Fake::start(fault);
            let program = asking(way, &fake);
            let answer = program.ask_within(LIMIT, LOGIN, PASSWORD);
            assert_eq!(answer, TEMPORARY, "{way:?} {what}\n{}", program.log());
            assert!(!program.log().contains("marker"), "{}", program.log());
        }
    }
}

#[test]
fn a_handshake_that_stalls_is_given_up_in_time() {
    const FAULTS: [Fault; 3] = [
        ("says nothing", |talk| talk.listen()),
        ("drips", |talk| {
            talk.drip(b"\x16\x03\x03\x40\x00\x02\x00", Duration::from_millis(100));
        }),
        ("is not TLS", |talk| talk.say(b"* OK hello\r\n")),
    ];
    for way in Way::ALL.into_iter().filter(|way| way.tls) {
        for (what, fault) in FAULTS {
            let fake = Fake::start(fault);
            // The shorter of the two counts, and the deadline of the whole decision above both.
            for (times, limits) in [
                ("connect-timeout = 1\ntimeout = 60", "deadline = 30"),
                ("connect-timeout = 60\ntimeout = 1", "deadline = 30"),
                ("connect-timeout = 60\ntimeout = 60", "deadline = 1"),
            ] {
                let keys = way.keys("127.0.0.1", fake.port);
                let config = with_store(&format!("{keys}{times}\n[limits]\n{limits}"));
                let program = Program::serve(&config);
                let answer = program.ask_within(LIMIT, LOGIN, PASSWORD);
                assert_eq!(answer, TEMPORARY, "{way:?} {what}\n{}", program.log());
            }
        }
    }
}

/// The answer of a server that closes slowly is used.
#[test]
fn a_farewell_is_not_waited_for_in_vain() {
    let fake = Fake::start(|talk| {
        talk.say(b"* OK [CAPABILITY AUTH=PLAIN SASL-IR] hi\r\n");
        talk.line();
        talk.say(b"c OK in\r\n");
        talk.drip(b"* BYE ", Duration::from_millis(50));
    });
    let program = asking(imap(), &fake);
    assert_eq!(program.ask_within(LIMIT, LOGIN, PASSWORD), ACCEPTED);
}

/// The bytes that a server gets which has nothing but LOGIN, or USER and PASS.
#[test]
fn the_older_commands_are_sent_so_that_nothing_leaves_its_field() {
    let fake = Fake::start(|talk| {
        talk.say(b"* OK [CAPABILITY IMAP4rev1] hi\r\n");
        for (announced, length) in [("c LOGIN {8}\r\n", 8), (" {9}\r\n", 9)] {
            let line = talk.line().unwrap();
            if line != announced.as_bytes() {
                talk.say(b"c NO\r\n");
                return;
            }
            talk.say(b"+ go on\r\n");
            talk.bytes(length);
        }
        let end = talk.line().unwrap();
        talk.say(if end == b"\r\n" {
            b"c OK in\r\n"
        } else {
            b"c NO\r\n"
        });
    });
    let program = asking(imap(), &fake);
    let answer = program.ask(b"a \"\\{3}\xff", b"\" {7}\\\t*)");
    assert_eq!(answer, ACCEPTED, "{}", program.log());
    let sent = b"c LOGIN {8}\r\na \"\\{3}\xff {9}\r\n\" {7}\\\t*)\r\n";
    assert_eq!(
        fake.heard().escape_ascii().to_string(),
        sent.escape_ascii().to_string()
    );

    let fake = Fake::saying(&["+OK hi\r\n", "-ERR\r\n", "+OK\r\n", "+OK\r\n", "+OK\r\n"]);
    let program = asking(pop3(), &fake);
    for (login, password) in [
        (&b"a b"[..], PASSWORD),
        (b"m\xfcller", PASSWORD),
        (&[b'x'; 254], PASSWORD),
        (LOGIN, b"p\xe4ss"),
        (LOGIN, b" pass"),
        (LOGIN, b"pass "),
        (LOGIN, b"pa\tss"),
        (LOGIN, &[b'x'; 512]),
    ] {
        assert_eq!(program.ask(login, password), TEMPORARY);
        assert_eq!(
            fake.heard()
                .windows(4)
                .filter(|part| part == b"USER")
                .count(),
            0
        );
    }
    program.wait_for_log("USER and PASS cannot carry this login");
    // That is no outage.
    assert!(!program.log().contains("WARN pop3"), "{}", program.log());
    assert_eq!(program.ask(b"a\"{3}*)", b"pass  word"), ACCEPTED);
    let heard = fake.heard();
    assert!(
        heard.ends_with(b"USER a\"{3}*)\r\nPASS pass  word\r\nQUIT\r\n"),
        "{}",
        heard.escape_ascii()
    );
}
