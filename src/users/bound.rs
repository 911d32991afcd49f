//! Limits how many logins wait at the same time for a store that asks another server (`max-questions`).

use std::num::NonZeroUsize;
use std::time::Instant;

use super::{Question, StoreError};
use crate::sys::circuit_breaker::{Circuit, CircuitBreaker};

/// Keeps a store that does not answer from blocking the others. A question is not put to the store if it
/// exceeds the limit, if its time is over, or while the circuit breaker is open.
pub struct StoreLimit(CircuitBreaker);

impl StoreLimit {
    /// At most `most` questions at the same time; the log calls the store `name`.
    pub fn new(name: &str, most: NonZeroUsize) -> Self {
        Self(CircuitBreaker::new(format!("store {name}"), most))
    }

    /// The state of the circuit breaker.
    pub fn circuit(&self) -> Circuit {
        self.0.circuit()
    }

    /// Puts a question to the store, unless the limit is reached.
    pub fn ask<T>(
        &self,
        asked: &Question<'_>,
        question: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if Instant::now() >= asked.deadline {
            let what = "the time-out ended before the question was sent";
            return Err(StoreError::Unavailable(what.to_owned()));
        }
        let asking = self
            .0
            .enter(asked.claim())
            .map_err(|closed| StoreError::Unavailable(closed.to_string()))?;
        let result = question();
        match &result {
            // A server that answered every command before the password is available, even if it is slow to
            // answer the password. Otherwise a client that sends wrong passwords could open the circuit
            // breaker for all others.
            Ok(_) | Err(StoreError::Unusable(_) | StoreError::Unanswered(_)) => asking.answered(),
            Err(StoreError::Unavailable(_)) => asking.unanswered(),
        }
        result
    }
}
