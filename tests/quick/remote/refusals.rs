//! How the text of a mail server's refusal is read: as a wrong password, or as the temporary failure.

use crate::support::at_once::at_once;
use crate::support::mail_store::{LOGIN, PASSWORD, asking};
use crate::support::program::{ACCEPTED, Program, REFUSED, TEMPORARY, check, with_store};
use crate::support::scripted_server::Fake;

/// An IMAP server that answers each login with these words; one login is correct.
fn imap(words: &'static str) -> Fake {
    Fake::start(move |talk| {
        talk.say(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\n");
        let login = talk.line().unwrap_or_default();
        let right = login.ends_with(b" AGFsaWNlAHJpZ2h0\r\n");
        talk.say(match right {
            true => b"c OK in\r\n",
            false => words.as_bytes(),
        });
        talk.listen();
    })
}

fn pop3(words: &'static str) -> Fake {
    Fake::start(move |talk| {
        talk.say(b"+OK hi\r\n");
        for answer in ["-ERR what\r\n", "+OK\r\n", words] {
            talk.line();
            talk.say(answer.as_bytes());
        }
        talk.listen();
    })
}

fn store(kind: &str, fake: &Fake, more: &str) -> String {
    let port = fake.port;
    format!("store = \"{kind}\"\nurl = \"{kind}://127.0.0.1:{port}\"\ntimeout = 1\n{more}")
}

#[test]
fn only_an_explicit_refusal_is_a_wrong_password() {
    const OWN: &str = "refused = [\"Anmeldung fehlgeschlagen\"]\ntemporary = [\"bitte warten\"]\n";
    const IMAP: [(&str, &str, &str); 10] = [
        ("c NO Login failed.\r\n", "", REFUSED),
        (
            "c NO [ALERT] Invalid credentials (Failure)\r\n",
            "",
            REFUSED,
        ),
        ("c NO Login failed: generic failure\r\n", "", TEMPORARY),
        (
            "c NO [ALERT] Too many simultaneous connections\r\n",
            "",
            TEMPORARY,
        ),
        ("c NO System Error\r\n", "", TEMPORARY),
        (
            "* BYE Temporary problem, please try again later\r\n",
            "",
            TEMPORARY,
        ),
        ("c NO Anmeldung fehlgeschlagen.\r\n", "", TEMPORARY),
        ("c NO Anmeldung fehlgeschlagen.\r\n", OWN, REFUSED),
        ("c NO Login failed. Bitte warten\r\n", OWN, TEMPORARY),
        ("c NO Login failed.\r\n", OWN, REFUSED),
    ];
    at_once(&IMAP, |(words, keys, answer)| {
        let fake = imap(words);
        let program = Program::serve(&with_store(&store("imap", &fake, keys)));
        let said = program.ask(LOGIN, PASSWORD);
        assert_eq!(said, *answer, "{words}{}", program.log());
        assert_eq!(program.ask(b"alice", b"right"), ACCEPTED, "{words}");
    });
    const POP3: [(&str, &str, &str); 6] = [
        ("-ERR Login failed.\r\n", "", REFUSED),
        ("-ERR [AUTH] nope\r\n", "", REFUSED),
        ("-ERR maildrop already locked\r\n", "", TEMPORARY),
        (
            "-ERR Temporary problem, please try again later\r\n",
            "",
            TEMPORARY,
        ),
        ("-ERR\r\n", "", TEMPORARY),
        ("-ERR Anmeldung fehlgeschlagen\r\n", OWN, REFUSED),
    ];
    at_once(&POP3, |(words, keys, answer)| {
        let fake = pop3(words);
        let program = Program::serve(&with_store(&store("pop3", &fake, keys)));
        let said = program.ask(LOGIN, PASSWORD);
        assert_eq!(said, *answer, "{words}{}", program.log());
    });
}

/// A server whose words are not known would have guesses for nothing else; one that cannot tell counts for
/// nothing.
#[test]
fn a_refusal_that_says_neither_is_counted_as_a_guess() {
    const SAID: [(&str, bool); 6] = [
        ("c NO Anmeldung fehlgeschlagen\r\n", true),
        ("c NO Login failed, try again later\r\n", true),
        ("c BAD what\r\n", true),
        ("* BYE go away\r\n", true),
        ("c NO System Error\r\n", false),
        ("c NO [UNAVAILABLE] no\r\n", false),
    ];
    at_once(&SAID, |(words, counted)| {
        let fake = imap(words);
        let throttle = "[throttle]\nrefuse-login = 3\nwaits = [1]\nfree-failures = 2\n";
        let config = [with_store(&store("imap", &fake, "")).as_str(), throttle].concat();
        let program = Program::serve(&config);
        for number in 0..3 {
            let guess = format!("marker-guess-{number}");
            let answer = program.ask(b"alice", guess.as_bytes());
            assert!(answer.starts_with(TEMPORARY.trim_end()), "{words}{answer}");
        }
        let answer = program.ask(b"alice", b"right");
        match counted {
            true => assert!(answer.starts_with(REFUSED.trim_end()), "{words}{answer}"),
            false => assert_eq!(answer, ACCEPTED, "{words}"),
        }
    });
}

/// The text of the server helps to find texts for `refused` and `temporary`; it can repeat a password.
#[test]
fn the_words_of_a_refusal_are_in_the_log_at_level_debug_only() {
    const SAID: &str = "answers a login with NO \"[ALERT] Feierabend \\x1b[1m\"";
    for (level, shown) in [("debug", true), ("info", false)] {
        let fake = imap("c NO [ALERT] Feierabend \x1b[1m\r\n");
        let config = with_store(&store("imap", &fake, ""));
        let program = Program::serve_with(&config, |command| {
            command.env("NGINX_MAIL_AUTH_LOG", level);
        });
        assert_eq!(program.ask(LOGIN, PASSWORD), TEMPORARY);
        program.wait_for_log("cause=");
        let log = program.log();
        assert_eq!(log.contains(SAID), shown, "{log}");
        assert!(log.contains("add it to `refused` or `temporary`"), "{log}");
    }
    // "marker-password", plain and within SASL's message.
    for words in [
        "c BAD what is marker-password\r\n",
        "c BAD AGFsaWNlAG1hcmtlci1wYXNzd29yZA==\r\n",
    ] {
        let fake = imap(words);
        let config = with_store(&store("imap", &fake, ""));
        let program = Program::serve(&config);
        assert_eq!(program.ask(LOGIN, PASSWORD), TEMPORARY);
        program.wait_for_log("cause=");
        let log = program.log();
        assert!(
            log.contains("BAD (not shown: it repeats some of the password)"),
            "{log}"
        );
        assert!(
            !log.contains("marker") && !log.contains("AGFsaWNl"),
            "{log}"
        );
    }
}

#[test]
fn a_server_that_refuses_all_connections_is_an_outage() {
    for (way, greeting, said) in [
        (
            crate::support::mail_store::imap(),
            "* BYE Too many connections\r\n",
            "accepts no connection now: \"* BYE Too many connections\"",
        ),
        (
            crate::support::mail_store::pop3(),
            "-ERR Too many connections\r\n",
            "accepts no connection now: \"-ERR Too many connections\"",
        ),
    ] {
        let fake = Fake::start(move |talk| talk.say(greeting.as_bytes()));
        let program = asking(way, &fake);
        assert_eq!(program.ask(LOGIN, PASSWORD), TEMPORARY);
        program.wait_for_log(said);
        program.wait_for_log("is unavailable");
    }
}

#[test]
fn texts_that_would_be_in_every_answer_are_refused() {
    let keys = "store = \"imap\"\nurl = \"imap://127.0.0.1:143\"\nrefused = [\"\", \"ok\"]\ntemporary = [\" \", \"a\\nb\"]\n";
    let (code, said) = check(&with_store(keys));
    assert_eq!(code, 78, "{said}");
    for wanted in [
        "auth.toml:4:12: users.refused: must not be empty: it would be a part of every text",
        "auth.toml:5:14: users.temporary: must not be empty: it would be a part of every text",
        "auth.toml:5:19: users.temporary: must be one line without control characters",
    ] {
        assert!(said.contains(wanted), "{said}");
    }
    let (_, said) = check(&with_store(
        "store = \"http\"\nurl = \"http://127.0.0.1/\"\nrefused = [\"x\"]\n",
    ));
    assert!(
        said.contains("users.refused: store \"http\" has no such key"),
        "{said}"
    );
}
