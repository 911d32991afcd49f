//! The bound on how many logins wait for a store that asks another server (`max-questions`).

use std::num::NonZeroUsize;
use std::time::Instant;

use super::{Question, StoreError};
use crate::sys::circuit_breaker::CircuitBreaker;

/// Keeps a store that does not answer from holding the others up: a question beyond the bound is not put to
/// it, nor is one for which there is no time left, nor one while its circuit breaker is open.
pub struct Bound(CircuitBreaker);

impl Bound {
    /// At most `most` questions at once; the log calls the store `name`.
    pub fn new(name: &str, most: NonZeroUsize) -> Self {
        Self(CircuitBreaker::new(format!("store {name}"), most))
    }

    /// Puts a question to the store, unless the bound is reached.
    pub fn ask<T>(
        &self,
        asked: &Question<'_>,
        question: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if Instant::now() >= asked.deadline {
            let what = "there was no time left to ask";
            return Err(StoreError::Unavailable(what.to_owned()));
        }
        let asking = self
            .0
            .enter(asked.claim())
            .map_err(|closed| StoreError::Unavailable(closed.to_string()))?;
        let result = question();
        match &result {
            // A server that has answered everything before the password is alive, however slow it is about
            // the password: otherwise a client that sends wrong ones would keep all others out.
            Ok(_) | Err(StoreError::Unusable(_) | StoreError::Unanswered(_)) => asking.answered(),
            Err(StoreError::Unavailable(_)) => asking.unanswered(),
        }
        result
    }
}
