//! Decides when an answer is sent: refusals are delayed so that their time does not reveal their
//! reason.
//!
//! Every refusal computes a hash of the users' scheme (`auth::Chain`), but small differences
//! remain: reading an account that exists, a longer log line, a database that finds no row or is
//! not asked at all. These are fractions of a microsecond for a password file, and up to some
//! hundred microseconds for a database on the same machine; rounding to a millisecond hides them.
//! Caches that are warm from one kind of work and not from another add some microseconds again; a
//! random delay hides those.

use std::hash::{BuildHasher as _, RandomState};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The time of a refusal is rounded up to this step.
pub const STEP: Duration = Duration::from_millis(1);

/// The upper limit of the random delay after rounding.
const JITTER: Duration = Duration::from_micros(128);

/// When an answer may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum SendTime {
    /// At once: the login is accepted.
    AtOnce,
    /// A whole number of steps after its request arrived, without further delay.
    NextStep {
        /// When the request arrived.
        came: Instant,
    },
    /// The same, and not before the time that earlier answers took: no store was asked. A server
    /// holds neither a thread nor a permit meanwhile.
    Held {
        /// When the request arrived.
        came: Instant,
        /// The earliest time to send the answer.
        earliest: Instant,
    },
}

impl SendTime {
    /// Sleeps until then.
    pub fn wait(self) {
        if let Some(due) = self.due() {
            sleep(due.saturating_duration_since(Instant::now()));
        }
    }

    /// The time to send it; `None` for now.
    pub fn due(self) -> Option<Instant> {
        let (came, least) = match self {
            Self::AtOnce => return None,
            Self::NextStep { came } => (came, Duration::ZERO),
            Self::Held { came, earliest } => (came, earliest.saturating_duration_since(came)),
        };
        Some(came + whole_steps(least.max(came.elapsed())) + jitter())
    }
}

/// A different delay each time.
fn jitter() -> Duration {
    let parts = JITTER.subsec_nanos();
    let chance = RandomState::new().hash_one(parts) % u64::from(parts);
    Duration::from_nanos(chance)
}

/// The time in whole steps, rounded up.
fn whole_steps(time: Duration) -> Duration {
    let begun = time.subsec_nanos() % STEP.subsec_nanos();
    match begun {
        0 => time,
        _ => time.saturating_add(STEP - Duration::from_nanos(begun.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_up_to_whole_steps() {
        for (took, steps) in [
            (0, 0),
            (1, 1),
            (14_000, 1),
            (999_999, 1),
            (1_000_000, 1),
            (1_000_001, 2),
            (4_454_321_987, 4455),
        ] {
            assert_eq!(
                whole_steps(Duration::from_nanos(took)),
                steps * STEP,
                "{took}"
            );
        }
    }

    #[test]
    fn a_refusal_leaves_in_step_and_when_it_may() {
        let came = Instant::now();
        SendTime::NextStep { came }.wait();
        assert!(came.elapsed() >= STEP);
        let after = |millis: u64| {
            let earliest = came + Duration::from_millis(millis);
            let due = SendTime::Held { came, earliest }.due().unwrap();
            due.duration_since(came)
        };
        let minute = Duration::from_secs(60);
        assert!((minute..minute + JITTER).contains(&after(60_000)));
        assert!(after(0) >= STEP, "the moment has passed");
        assert_eq!(SendTime::AtOnce.due(), None);
    }
}
