//! When an answer leaves: a refusal so that its time says nothing of its reason.
//!
//! A refusal costs a hash of the users' scheme whatever its reason (`gate::Chain`), but the reason is
//! still told by what is left: an account that is there to be looked at, a line of the log that is
//! longer, a database that finds no row, or is not asked at all. These are fractions of a microsecond
//! for a password file and up to some hundred for a database on the same machine; a millisecond
//! rounds that away. Some microseconds come back by caches that are warm from one kind of work and not
//! from another, and are blurred by chance.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What the time of a refusal is rounded up to.
const STEP: Duration = Duration::from_millis(1);

/// What is added by chance to what was rounded is shorter than that.
const BLUR: Duration = Duration::from_micros(128);

/// Refusals that are held back for longer than a step at the same time: nobody is to keep all threads
/// busy by being refused. More of them leave at the next step.
const MOST_HELD: usize = 16;

static HELD: AtomicUsize = AtomicUsize::new(0);

/// When an answer may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Departure {
    /// At once: the login may in.
    AtOnce,
    /// A whole number of steps after its request came.
    InStep {
        /// When the request came.
        came: Instant,
        /// But not before that.
        earliest: Option<Instant>,
    },
}

impl Departure {
    /// Waits for it.
    pub fn wait(self) {
        let Self::InStep { came, earliest } = self else {
            return;
        };
        let took = came.elapsed();
        let least = earliest.map_or(took, |earliest| earliest.duration_since(came).max(took));
        let sleep_until = |time| sleep(whole(time).saturating_sub(took) + blur());
        if least - took < STEP {
            return sleep_until(least);
        }
        let may_be_held = HELD.fetch_add(1, Ordering::Relaxed) < MOST_HELD;
        sleep_until(if may_be_held { least } else { took });
        HELD.fetch_sub(1, Ordering::Relaxed);
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
    use std::thread;

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
    fn a_refusal_leaves_in_step_and_when_it_may_but_few_are_held_for_long() {
        let came = Instant::now();
        let depart = |earliest| Departure::InStep { came, earliest }.wait();
        depart(None);
        assert!(came.elapsed() >= STEP);
        let earliest = came + Duration::from_secs(3);
        thread::scope(|scope| {
            for _ in 0..MOST_HELD {
                scope.spawn(|| {
                    depart(Some(earliest));
                    assert!(Instant::now() >= earliest);
                });
            }
            while HELD.load(Ordering::Relaxed) < MOST_HELD && Instant::now() < earliest {
                thread::yield_now();
            }
            depart(Some(earliest));
            assert!(Instant::now() < earliest);
        });
        assert_eq!(HELD.load(Ordering::Relaxed), 0);
    }
}
