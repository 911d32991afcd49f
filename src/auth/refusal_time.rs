//! Delays the refusals of a store that checks passwords itself.
//!
//! Such a store may compute a hash for a login that it knows and none for another, so the time of a
//! refusal would reveal which logins exist. A refusal is therefore sent no sooner than most answers
//! of that store.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The minimum time of a refusal of such a store. It applies before any answer has been measured,
/// as in each CGI process, and is the time of a good hash.
const LEAST: Duration = Duration::from_millis(100);

/// The maximum time of a refusal.
const MOST: Duration = Duration::from_secs(3);

/// How long measured times are used: for one to two of these spans.
const SPAN: Duration = Duration::from_secs(600);

/// The longest times that a store recently took to check a password.
#[derive(Debug, Default)]
pub struct RefusalTime(Mutex<Times>);

#[derive(Debug, Default)]
struct Times {
    since: Option<Instant>,
    now: Longest,
    before: Longest,
}

/// The longest time and the second longest. The longest alone may come from a moment in which the
/// server was busy with other work.
#[derive(Clone, Copy, Debug, Default)]
struct Longest(Duration, Duration);

impl Longest {
    fn add(&mut self, took: Duration) {
        if took > self.0 {
            (self.0, self.1) = (took, self.0);
        } else {
            self.1 = self.1.max(took);
        }
    }
}

impl RefusalTime {
    /// Adds the time of one check, with any result.
    pub(super) fn note(&self, took: Duration) {
        self.note_at(took, Instant::now());
    }

    fn note_at(&self, took: Duration, now: Instant) {
        let mut times = self.times();
        times.settle(now);
        times.now.add(took);
    }

    /// How much longer a refusal must be delayed, if it has taken this long already.
    pub(super) fn delay(&self, took: Duration) -> Duration {
        self.delay_at(took, Instant::now())
    }

    fn delay_at(&self, took: Duration, now: Instant) -> Duration {
        let mut times = self.times();
        times.settle(now);
        let mut longest = times.now;
        longest.add(times.before.0);
        longest.add(times.before.1);
        longest.1.clamp(LEAST, MOST).saturating_sub(took)
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Times {
    /// Forgets old times.
    fn settle(&mut self, now: Instant) {
        let age = self.since.map(|since| now.saturating_duration_since(since));
        if age.is_some_and(|age| age < SPAN) {
            return;
        }
        let recent = age.is_some_and(|age| age < SPAN * 2);
        let before = std::mem::take(&mut self.now);
        self.before = if recent { before } else { Longest::default() };
        self.since = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_refusal_takes_as_long_as_the_second_longest_answer_of_late() {
        let (refusal_time, start) = (RefusalTime::default(), Instant::now());
        assert_eq!(refusal_time.delay_at(ms(8), start), LEAST - ms(8));
        // A single slow answer does not count.
        refusal_time.note_at(ms(900), start);
        assert_eq!(refusal_time.delay_at(ms(8), start), LEAST - ms(8));
        for took in [8, 273, 8, 250, 8, 8] {
            refusal_time.note_at(ms(took), start);
        }
        assert_eq!(refusal_time.delay_at(ms(8), start), ms(273 - 8));
        assert_eq!(refusal_time.delay_at(ms(300), start), Duration::ZERO);
        // Quick answers do not make it forget; time does.
        for _ in 0..1000 {
            refusal_time.note_at(ms(8), start + SPAN);
        }
        assert_eq!(refusal_time.delay_at(ms(8), start + SPAN), ms(273 - 8));
        assert_eq!(
            refusal_time.delay_at(ms(8), start + SPAN * 2),
            LEAST - ms(8)
        );
    }

    #[test]
    fn no_answer_is_delayed_for_long() {
        let (refusal_time, start) = (RefusalTime::default(), Instant::now());
        for _ in 0..2 {
            refusal_time.note_at(MOST * 3, start);
        }
        assert_eq!(refusal_time.delay_at(Duration::ZERO, start), MOST);
        assert_eq!(
            refusal_time.delay_at(ms(1), start + SPAN * 5),
            LEAST - ms(1)
        );
    }
}
