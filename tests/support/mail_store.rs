//! A mail server that is asked, for a second at most.

use crate::support::at_once::at_once;
use crate::support::dovecot::Way;
use crate::support::program::{Program, with_store};
use crate::support::scripted_server::Fake;
use std::time::Duration;

pub(crate) const LOGIN: &[u8] = b"alice";

pub(crate) const PASSWORD: &[u8] = b"marker-password";

/// Longer than the `timeout` of [`asking`], by what a busy machine may need.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);

/// A program that asks the fake server, for a second at most.
pub(crate) fn asking(way: Way, fake: &Fake) -> Program {
    let keys = way.keys("127.0.0.1", fake.port);
    Program::serve(&with_store(&format!("{keys}timeout = 1\n")))
}

pub(crate) fn imap() -> Way {
    Way::PLAIN[0]
}

pub(crate) fn pop3() -> Way {
    Way::PLAIN[1]
}

/// The replies of the scripted server in their order, and the answer to the client.
pub(crate) type Case = (&'static [&'static str], &'static str);

pub(crate) fn says(way: Way, cases: &[Case]) {
    at_once(cases, |(lines, wanted)| {
        // However the bytes come.
        for fake in [Fake::saying(lines), Fake::spelling(lines)] {
            let program = asking(way, &fake);
            let answer = program.ask_within(LIMIT, LOGIN, PASSWORD);
            assert_eq!(answer, *wanted, "{lines:?}\n{}", program.log());
            assert!(!program.log().contains("marker"), "{}", program.log());
        }
    });
}
