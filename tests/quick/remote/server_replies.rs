//! What an IMAP or POP3 server may say in turn, and what the client gets then.

use crate::support::mail_store::*;
use crate::support::mail_store::{LIMIT, LOGIN, PASSWORD, asking, imap, pop3};
use crate::support::program::{ACCEPTED, REFUSED, TEMPORARY};
use crate::support::scripted_server::Fake;

#[test]
fn what_an_imap_server_says() {
    const CASES: [Case; 32] = [
        (
            &[
                "* OK hi\r\n",
                "* CAPABILITY AUTH=PLAIN SASL-IR\r\nb OK\r\n",
                "c OK in\r\n",
            ],
            ACCEPTED,
        ),
        (
            &[
                "* OK [CAPABILITY AUTH=PLAIN SASL-IR] hi\r\n",
                "* CAPABILITY X\r\nc OK in\r\n",
            ],
            ACCEPTED,
        ),
        (
            &[
                "* OK [CAPABILITY AUTH=PLAIN] hi\r\n",
                "+\r\n",
                "* 3 EXISTS\r\nc ok\r\n",
            ],
            ACCEPTED,
        ),
        (
            &[
                "* OK [CAPABILITY AUTH=PLAIN] hi\n",
                "+ \n",
                "c NO Login failed.\n",
            ],
            REFUSED,
        ),
        (
            &["* OK [CAPABILITY AUTH=PLAIN] hi\n", "+ \n", "c NO sorry\n"],
            TEMPORARY,
        ),
        (
            &["* OK [CAPABILITY AUTH=PLAIN] hi\n", "+ \n", "c NO\n"],
            TEMPORARY,
        ),
        (
            &[
                "* OK [CAPABILITY AUTH=PLAIN] hi\n",
                "+ \n",
                "* BYE Login failed\r\n",
            ],
            REFUSED,
        ),
        (
            &[
                "* OK [CAPABILITY AUTH=PLAIN] hi\n",
                "+ \n",
                "* BYE Too many failures\r\nc NO Login failed\n",
            ],
            REFUSED,
        ),
        (
            &[
                "* OK [CAPABILITY AUTH=PLAIN] hi\n",
                "+ \n",
                "c BAD [AUTHENTICATIONFAILED] no\n",
            ],
            REFUSED,
        ),
        (
            &[
                "* OK [CAPABILITY AUTH=PLAIN] hi\n",
                "+ \n",
                "c NO [AUTHENTICATIONFAILED] sorry\n",
            ],
            REFUSED,
        ),
        (
            &[
                "* OK [CAPABILITY AUTH=PLAIN] hi\n",
                "+ \n",
                "c NO [CONTACTADMIN] locked\n",
            ],
            REFUSED,
        ),
        (
            &[
                "* OK [CAPABILITY AUTH=PLAIN] hi\n",
                "+ \n",
                "c NO [UNAVAILABLE] later\n",
            ],
            TEMPORARY,
        ),
        (
            &[
                "* OK [CAPABILITY AUTH=PLAIN] hi\n",
                "+ \n",
                "c NO [SERVERBUG] later\n",
            ],
            TEMPORARY,
        ),
        (
            &[
                "* OK [CAPABILITY AUTH=PLAIN] hi\n",
                "+ \n",
                "c NO [INUSE] later\n",
            ],
            TEMPORARY,
        ),
        (
            &[
                "* OK [CAPABILITY AUTH=PLAIN] hi\n",
                "+ \n",
                "c NO [LIMIT] later\n",
            ],
            TEMPORARY,
        ),
        (
            &["* OK [CAPABILITY AUTH=PLAIN] hi\n", "+ \n", "c BAD what\n"],
            TEMPORARY,
        ),
        (
            &["* OK [CAPABILITY AUTH=PLAIN] hi\n", "+ \n", "d OK in\n"],
            TEMPORARY,
        ),
        (
            &["* OK [CAPABILITY AUTH=PLAIN] hi\n", "+ \n", "* OK in\n"],
            TEMPORARY,
        ),
        (
            &["* OK [CAPABILITY AUTH=PLAIN] hi\n", "+ \n", "c OKAY\n"],
            TEMPORARY,
        ),
        (
            &[
                "* OK [CAPABILITY AUTH=PLAIN] hi\n",
                "+ \n",
                "* BYE\r\nc OK in\n",
            ],
            TEMPORARY,
        ),
        (
            &["* OK [CAPABILITY AUTH=PLAIN] hi\n", "+ \n", "+ more\n"],
            TEMPORARY,
        ),
        (
            &["* OK [CAPABILITY AUTH=PLAIN] hi\n", "c NO sorry\n"],
            TEMPORARY,
        ),
        (&["* OK [CAPABILITY LOGINDISABLED] hi\n"], TEMPORARY),
        (&["* OK hi\n", "b NO\n"], TEMPORARY),
        (&["* OK hi\n", "b BAD\n"], TEMPORARY),
        (&["* BYE go away\n"], TEMPORARY),
        (
            &["* PREAUTH hello alice\n", "c OK in\n", "c OK in\n"],
            TEMPORARY,
        ),
        (&["+OK hello\r\n", "c OK in\r\n", "c OK in\r\n"], TEMPORARY),
        (&["HTTP/1.0 400 Bad Request\r\n\r\n"], TEMPORARY),
        (&["\0\0\0\0\n"], TEMPORARY),
        (&["c OK in\r\nc OK in\r\nb OK in\r\n"], TEMPORARY),
        (&[""], TEMPORARY),
    ];
    says(imap(), &CASES);
}

/// A server that answers ahead of the question, or in the middle of something else, has said nothing of this
/// password, and gets none where that is seen before.
#[test]
fn an_answer_to_something_else_is_no_answer_to_the_password() {
    const AHEAD: &str = "it sent data that it was not asked for, before";
    const TWICE: &str = "answers the login twice";
    for (way, lines, said) in [
        (
            imap(),
            &[
                "* OK hi\r\n",
                "* CAPABILITY AUTH=PLAIN SASL-IR\r\nb OK\r\nc OK x\r\n",
                "c NO Login failed\r\n",
            ][..],
            AHEAD,
        ),
        (
            imap(),
            &["* OK hi\r\n* CAPABILITY AUTH=PLAIN\r\nb OK\r\nc OK x\r\n"],
            AHEAD,
        ),
        (
            imap(),
            &[
                "* OK [CAPABILITY AUTH=PLAIN SASL-IR] hi\r\nc OK x\r\n",
                "c NO Login failed\r\n",
            ],
            AHEAD,
        ),
        (
            imap(),
            &[
                "* OK [CAPABILITY AUTH=PLAIN] hi\r\n",
                "+ \r\nc OK x\r\n",
                "c NO Login failed\r\n",
            ],
            AHEAD,
        ),
        (
            imap(),
            &[
                "* OK [CAPABILITY X] hi\r\n",
                "+ \r\n+ \r\nc OK x\r\n",
                "c NO Login failed\r\n",
            ],
            AHEAD,
        ),
        // It takes the farewell for the password.
        (
            imap(),
            &[
                "* OK [CAPABILITY AUTH=PLAIN SASL-IR] hi\r\n",
                "c OK x\r\n",
                "c NO Login failed\r\n",
            ],
            TWICE,
        ),
        (
            imap(),
            &[
                "* OK [CAPABILITY AUTH=PLAIN SASL-IR] hi\r\n",
                "c OK x\r\nc NO Login failed\r\n",
            ],
            TWICE,
        ),
        // Texts do not go on in literals.
        (
            imap(),
            &[
                "* OK [CAPABILITY AUTH=PLAIN SASL-IR] hi\r\n",
                "* NO {9}\r\nc OK yes\r\n\r\nc NO Login failed\r\n",
            ],
            "announces a literal in a text",
        ),
        (
            imap(),
            &[
                "* OK [CAPABILITY AUTH=PLAIN SASL-IR] hi\r\n",
                "* X {65537}\r\nc OK yes\r\n",
            ],
            "announces a literal in data",
        ),
        (
            pop3(),
            &[
                "+OK hi\r\n",
                "+OK\r\nUSER\r\n.\r\n",
                "+OK\r\n+OK\r\n",
                "-ERR Login failed\r\n",
            ],
            AHEAD,
        ),
        (
            pop3(),
            &[
                "+OK hi\r\n",
                "+OK\r\nUSER\r\n.\r\n+OK\r\n",
                "+OK\r\n",
                "-ERR Login failed\r\n",
            ],
            AHEAD,
        ),
        (
            pop3(),
            &["+OK hi\r\n+OK\r\n", "+OK\r\nUSER\r\n.\r\n", "+OK\r\n"],
            AHEAD,
        ),
        (
            pop3(),
            &[
                "+OK hi\r\n",
                "+OK\r\nSASL PLAIN\r\n.\r\n",
                "+ \r\n+OK\r\n",
                "-ERR Login failed\r\n",
            ],
            AHEAD,
        ),
        (
            pop3(),
            &[
                "+OK hi\r\n",
                "-ERR\r\n",
                "+OK\r\n",
                "+OK\r\n-ERR Login failed\r\n",
                "+OK\r\n",
            ],
            TWICE,
        ),
    ] {
        let fake = Fake::saying(lines);
        let program = asking(way, &fake);
        let answer = program.ask_within(LIMIT, LOGIN, PASSWORD);
        assert_eq!(answer, TEMPORARY, "{lines:?}\n{}", program.log());
        program.wait_for_log(said);
        let heard = fake.heard();
        let sent = |part: &[u8]| heard.windows(part.len()).any(|it| it == part);
        let password = sent(PASSWORD) || sent(b"bWFya2VyLXBhc3N3b3Jk");
        assert!(
            said != AHEAD || !password,
            "{lines:?} {}",
            heard.escape_ascii()
        );
    }
}

/// What a literal holds is a part of the response that announces it.
#[test]
fn literals_are_skipped() {
    const GREETING: &str = "* OK [CAPABILITY AUTH=PLAIN SASL-IR] hi\r\n";
    const CASES: [Case; 4] = [
        (
            &[
                GREETING,
                "* CAPABILITY {12}\r\nc OK yes\r\n\r\nc NO\r\nc NO Login failed\r\n",
            ],
            // The line that begins within the literal ends behind it.
            REFUSED,
        ),
        (
            &[
                GREETING,
                "* X {10+} ~{10}\r\nc OK yes\r\n c OK yes {10}\r\nc OK yes\r\n\r\nc NO Login failed\r\n",
            ],
            REFUSED,
        ),
        (
            &[GREETING, "* X {9}\r\nc NO no\r\n\r\nc OK in\r\n"],
            ACCEPTED,
        ),
        (&[GREETING, "* X {0}\r\n\r\nc OK in\r\n"], ACCEPTED),
    ];
    says(imap(), &CASES);
}
