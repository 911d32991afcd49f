//! Replies of a POP3 server, and the results of the store.

use crate::support::mail_store::pop3;
use crate::support::mail_store::*;
use crate::support::program::{ACCEPTED, REFUSED, TEMPORARY};

#[test]
fn what_a_pop3_server_says() {
    const CASES: [Case; 22] = [
        (
            &[
                "+OK hi\r\n",
                "+OK\r\nSASL PLAIN\r\n.\r\n",
                "+ \r\n",
                "+OK in\r\n",
            ],
            ACCEPTED,
        ),
        (
            &[
                "+OK hi\r\n",
                "+OK\r\nSASL PLAIN\r\n.\r\n",
                "+\r\n",
                "+OK\r\n",
            ],
            ACCEPTED,
        ),
        (
            &[
                "+OK hi\r\n",
                "+OK\r\nUSER\r\n.\r\n",
                "+OK\r\n",
                "+OK in\r\n",
            ],
            ACCEPTED,
        ),
        (
            &["+OK hi\r\n", "-ERR what\r\n", "+OK\r\n", "+OK in\r\n"],
            ACCEPTED,
        ),
        (
            &["+OK hi\r\n", "-ERR what\r\n", "+OK\r\n", "-ERR sorry\r\n"],
            TEMPORARY,
        ),
        (
            &[
                "+OK hi\r\n",
                "-ERR what\r\n",
                "+OK\r\n",
                "-ERR Login failed.\r\n",
            ],
            REFUSED,
        ),
        (
            &["+OK hi\r\n", "-ERR what\r\n", "-ERR no such user\r\n"],
            REFUSED,
        ),
        (
            &[
                "+OK hi\r\n",
                "-ERR what\r\n",
                "+OK\r\n",
                "-ERR [AUTH] sorry\r\n",
            ],
            REFUSED,
        ),
        (
            &[
                "+OK hi\r\n",
                "-ERR what\r\n",
                "+OK\r\n",
                "-ERR [SYS/TEMP] later\r\n",
            ],
            TEMPORARY,
        ),
        (
            &[
                "+OK hi\r\n",
                "-ERR what\r\n",
                "+OK\r\n",
                "-ERR [SYS/PERM] broken\r\n",
            ],
            TEMPORARY,
        ),
        (
            &[
                "+OK hi\r\n",
                "-ERR what\r\n",
                "+OK\r\n",
                "-ERR [IN-USE] locked\r\n",
            ],
            TEMPORARY,
        ),
        (
            &[
                "+OK hi\r\n",
                "-ERR what\r\n",
                "+OK\r\n",
                "-ERR [LOGIN-DELAY] wait\r\n",
            ],
            TEMPORARY,
        ),
        (
            &["+OK hi\r\n", "-ERR what\r\n", "-ERR [SYS/TEMP] later\r\n"],
            TEMPORARY,
        ),
        (
            &["+OK hi\r\n", "+OK\r\nSASL PLAIN\r\n.\r\n", "-ERR no\r\n"],
            TEMPORARY,
        ),
        (
            &[
                "+OK hi\r\n",
                "+OK\r\nSASL PLAIN\r\n.\r\n",
                "+OK\r\n",
                "+OK\r\n",
            ],
            TEMPORARY,
        ),
        (&["+OK hi\r\n", "+OK\r\nSASL CRAM-MD5\r\n.\r\n"], TEMPORARY),
        (
            &["+OK hi\r\n", "-ERR what\r\n", "+OK\r\n", "+OKAY\r\n"],
            TEMPORARY,
        ),
        (
            &["+OK hi\r\n", "-ERR what\r\n", "+OK\r\n", "OK\r\n"],
            TEMPORARY,
        ),
        (&["-ERR go away\r\n"], TEMPORARY),
        (&["* OK hi\r\n", "+OK\r\n", "+OK\r\n"], TEMPORARY),
        (&["220 mail ESMTP\r\n"], TEMPORARY),
        (&[""], TEMPORARY),
    ];
    says(pop3(), &CASES);
}
