//! Servers that refuse, strip or fake STARTTLS.

use crate::support::certificates::Certificates;
use crate::support::dovecot::Way;
use crate::support::mail_store::*;
use crate::support::program::{Program, TEMPORARY, path_key, with_store};
use crate::support::scripted_server::Fake;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// CVE-2011-0411 and its like: what comes in the clear with the answer to STARTTLS could be taken
/// for a part of what follows encrypted.
#[test]
fn without_tls_no_password_is_sent_where_tls_is_to_be() {
    const ANSWERS: [(&str, &[u8]); 7] = [
        (
            "pipelines",
            b"a OK go\r\n* OK [CAPABILITY AUTH=PLAIN SASL-IR]\r\nc OK in\r\n",
        ),
        ("pipelines", b"+OK go\r\n+OK\r\nUSER\r\n.\r\n+OK\r\n+OK\r\n"),
        ("refuses", b"a NO not here\r\n"),
        ("refuses", b"-ERR not here\r\n"),
        ("does not know it", b"a BAD what\r\n"),
        ("goes on in the clear", b"a OK go\r\n"),
        ("goes on in the clear", b"+OK go\r\n"),
    ];
    let certificates = Certificates::made_for("DNS:localhost");
    for way in starttls() {
        for (what, answer) in ANSWERS {
            let fake = Fake::start(move |talk| {
                let greeting: &[u8] = match way.store {
                    "imap" => b"* OK [CAPABILITY STARTTLS AUTH=PLAIN SASL-IR] hi\r\n",
                    _ => b"+OK hi\r\n",
                };
                talk.say(greeting);
                talk.line();
                talk.say(answer);
                talk.line();
                talk.say(b"* CAPABILITY AUTH=PLAIN SASL-IR\r\nb OK\r\nc OK in\r\n+OK\r\n+OK\r\n");
                talk.listen();
            });
            let keys = way.keys("127.0.0.1", fake.port) + &path_key("ca-file", &certificates.ca());
            let program = Program::serve(&with_store(&format!("{keys}timeout = 1\n")));
            let result = program.ask_within(LIMIT, LOGIN, PASSWORD);
            assert_eq!(result, TEMPORARY, "{way:?} {what}\n{}", program.log());
            let heard = fake.heard();
            let encoded = STANDARD.encode([b"\0", LOGIN, b"\0", PASSWORD].concat());
            for secret in [PASSWORD, encoded.as_bytes()] {
                let sent = heard.windows(secret.len()).any(|part| part == secret);
                assert!(!sent, "{way:?} {what}: {}", heard.escape_ascii());
            }
            if what == "pipelines" && answer[0] == if way.store == "imap" { b'a' } else { b'+' } {
                program.wait_for_log("it sent data ahead of the TLS handshake");
            }
        }
    }
}

fn starttls() -> [Way; 2] {
    [imap(), pop3()].map(|way| Way {
        starttls: true,
        ..way
    })
}
