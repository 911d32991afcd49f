//! When an answer leaves: a refusal so that its time says nothing of its reason.
//!
//! A refusal costs a hash of the users' scheme whatever its reason (`auth::Chain`), but the reason is
//! still told by what is left: an account that is there to be looked at, a line of the log that is
//! longer, a database that finds no row, or is not asked at all. These are fractions of a microsecond
//! for a password file and up to some hundred for a database on the same machine; a millisecond
//! rounds that away. Some microseconds come back by caches that are warm from one kind of work and not
//! from another, and are blurred by chance.

use std::hash::{BuildHasher as _, RandomState};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What the time of a refusal is rounded up to.
pub const STEP: Duration = Duration::from_millis(1);

/// What is added by chance to what was rounded is shorter than that.
const BLUR: Duration = Duration::from_micros(128);

/// When an answer may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Departure {
    /// At once: the login is accepted.
    AtOnce,
    /// A whole number of steps after its request came: soon.
    InStep {
        /// When the request came.
        came: Instant,
    },
    /// The same, and no earlier than the answers that led to it took: nobody was asked. A server
    /// keeps neither a thread nor a place for it meanwhile.
    Held {
        /// When the request came.
        came: Instant,
        /// When the answer may leave at the earliest.
        earliest: Instant,
    },
}

impl Departure {
    /// Sleeps until it.
    pub fn wait(self) {
        if let Some(due) = self.due() {
            sleep(due.saturating_duration_since(Instant::now()));
        }
    }

    /// The moment, as seen from now; `None` for now.
    pub fn due(self) -> Option<Instant> {
        let (came, least) = match self {
            Self::AtOnce => return None,
            Self::InStep { came } => (came, Duration::ZERO),
            Self::Held { came, earliest } => (came, earliest.saturating_duration_since(came)),
        };
        Some(came + whole(least.max(came.elapsed())) + blur())
    }
}

/// Another time each time.
fn blur() -> Duration {
    let parts = BLUR.subsec_nanos();
    let chance = RandomState::new().hash_one(parts) % u64::from(parts);
    Duration::from_nanos(chance)
}

/// The time in whole steps, rounded up.
fn whole(time: Duration) -> Duration {
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
            assert_eq!(whole(Duration::from_nanos(took)), steps * STEP, "{took}");
        }
    }

    #[test]
    fn a_refusal_leaves_in_step_and_when_it_may() {
        let came = Instant::now();
        Departure::InStep { came }.wait();
        assert!(came.elapsed() >= STEP);
        let after = |millis: u64| {
            let earliest = came + Duration::from_millis(millis);
            let due = Departure::Held { came, earliest }.due().unwrap();
            due.duration_since(came)
        };
        let minute = Duration::from_secs(60);
        assert!((minute..minute + BLUR).contains(&after(60_000)));
        assert!(after(0) >= STEP, "the moment has passed");
        assert_eq!(Departure::AtOnce.due(), None);
    }
}
