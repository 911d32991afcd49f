//! Counts what a store answered, for the status page.

use crate::sys::count::{Counter, Histogram};

/// What one store answered since the start of the process.
#[derive(Debug, Default)]
pub struct StoreCounts {
    /// Logins that it accepted.
    pub yes: Counter,
    /// Logins that it knows and refused.
    pub no: Counter,
    /// Logins that it does not know.
    pub unknown: Counter,
    /// Questions that it could not answer.
    pub trouble: Counter,
    /// How long each look-up and each check of a password by the store took. A login can need both.
    pub took: Histogram,
}
