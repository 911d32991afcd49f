//! Whether somebody who did not answer in time is there at all.
//!
//! A server that is slow to say no is not one that hangs: it answers others, and everything but the
//! password. Where nothing else was asked on the way, it is asked something small then.

use std::time::{Duration, Instant};

/// How long a sign of life may take. It comes on top of the store's `timeout`, and within the deadline of
/// the decision.
pub(crate) const SIGN_OF_LIFE: Duration = Duration::from_millis(300);

/// Until when something must be done that may take `timeout`, and until when a sign of life may come, if
/// it was not.
pub(crate) fn deadlines(whole: Instant, timeout: Duration) -> (Instant, Instant) {
    let now = Instant::now();
    // A decision that has little time left has none for that.
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
