//! Soak and fault tests: the program under load while something goes wrong, on loopback only.
//!
//! Each comes in two lengths: a short form that runs with all other tests, and a long one that
//! `tests/soak/run` starts. Each prints a line of figures, which that command makes a table of.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) mod load;
pub(crate) mod victim;

/// How much of everything.
pub(crate) struct Sizes {
    /// Requests in a row, one half over kept connections, the other over new ones.
    pub(crate) requests: u64,
    /// Connections that are malformed or cut off.
    pub(crate) malformed: u64,
    /// How long something that lasts goes on.
    pub(crate) lasting: Duration,
    /// Worker processes that are killed.
    pub(crate) kills: usize,
    /// Versions of the files.
    pub(crate) reloads: usize,
}

pub(crate) const SHORT: Sizes = Sizes {
    requests: 200_000,
    malformed: 2_000,
    lasting: Duration::from_secs(3),
    kills: 5,
    reloads: 60,
};

pub(crate) const LONG: Sizes = Sizes {
    requests: 1_000_000,
    malformed: 10_000,
    lasting: Duration::from_secs(20),
    kills: 20,
    reloads: 1_000,
};

/// The sizes of this run: the short ones, or where `SOAK` says how many requests, the long ones.
pub(crate) fn sizes() -> Sizes {
    match std::env::var("SOAK") {
        Err(_) => SHORT,
        Ok(requests) => Sizes {
            requests: requests.parse().expect("SOAK is a number of requests"),
            ..LONG
        },
    }
}

/// The program: the one that was built with the tests, or that which `SOAK_PROGRAM` names.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("SOAK_PROGRAM").map_or_else(
        || env!("CARGO_BIN_EXE_nginx-mail-auth").into(),
        PathBuf::from,
    )
}

/// Prints the line of a test for the table.
pub(crate) fn report(scenario: &str, requests: u64, failed: u64, remarks: impl Display) {
    // On a line of its own, whatever the test runner has begun to print.
    println!("\nsoak | {scenario} | {requests} | {failed} | {remarks} |");
}
