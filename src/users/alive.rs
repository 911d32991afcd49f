//! Distinguishes a server that is slow to answer a password from a server that does not answer at all.
//!
//! A server that is slow to reject a password still answers other clients, and every command before the
//! password. If the attempt sent no such command, the store sends a small one afterwards.

use std::time::{Duration, Instant};

/// The time limit of this test. It is added to the store's `timeout`, within the deadline of the decision.
pub(crate) const SIGN_OF_LIFE: Duration = Duration::from_millis(300);

/// The deadline of an operation that may take `timeout`, and the deadline of the test after it.
pub(crate) fn deadlines(whole: Instant, timeout: Duration) -> (Instant, Instant) {
    let now = Instant::now();
    // If little time is left, the test gets none.
    let kept = match whole.saturating_duration_since(now) > SIGN_OF_LIFE * 3 {
        true => SIGN_OF_LIFE,
        false => Duration::ZERO,
    };
    let answer = whole.checked_sub(kept).unwrap_or(whole).min(now + timeout);
    (answer, whole.min(answer + SIGN_OF_LIFE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deadline_of_the_decision_holds() {
        let now = Instant::now();
        let seconds = Duration::from_secs;
        let (answer, life) = deadlines(now + seconds(5), seconds(1));
        assert!(answer < now + seconds(2) && life == answer + SIGN_OF_LIFE);
        let (answer, life) = deadlines(now + seconds(5), seconds(5));
        assert_eq!(
            (answer + SIGN_OF_LIFE, life),
            (now + seconds(5), now + seconds(5))
        );
        let soon = now + SIGN_OF_LIFE;
        assert_eq!(deadlines(soon, seconds(5)), (soon, soon));
    }
}
