//! Rate limit of log lines that a peer can cause: at most one a second of each kind.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_secs(1);

/// When a line was last logged, and how many have been suppressed since.
#[derive(Debug, Default)]
pub(super) struct LogRateLimit(Mutex<(Option<Instant>, u64)>);

impl LogRateLimit {
    /// Logs a warning, or counts it for the next line.
    pub(super) fn warn(&self, what: fmt::Arguments<'_>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, held_back) = &mut *state;
        if last.is_some_and(|at| at.elapsed() < INTERVAL) {
            *held_back += 1;
            return;
        }
        match std::mem::take(held_back) {
            0 => log::warn!("{what}"),
            more => log::warn!("{what} (and {more} more times before)"),
        }
        *last = Some(Instant::now());
    }
}
