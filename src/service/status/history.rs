//! The decisions of each minute of the last hour, for the charts of the status page.
//!
//! No thread takes samples. The first decision of a minute notes the totals of all minutes that have
//! ended: there was no decision since, so the totals are still the ones of that time.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::sys::count::Counter;

/// The number of minutes that are remembered.
pub(super) const MINUTES: usize = 60;

/// The time at which the process started, nearly.
pub(super) static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The decisions of one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Minute {
    /// By kind of answer.
    pub(super) kinds: [u64; 3],
    /// How long they took together, in microseconds.
    pub(super) micros: u64,
}

/// The totals of decisions, and what they were at the end of each of the last minutes.
pub(super) struct History {
    totals: [Counter; 4],
    /// The minute of the last decision, from the start.
    minute: AtomicU64,
    /// The totals at the end of a minute, at the index of the minute modulo the size: one slot more
    /// than minutes, because the first one needs the totals before it.
    ends: [[AtomicU64; 4]; MINUTES + 1],
}

impl History {
    pub(super) const fn new() -> Self {
        Self {
            totals: [const { Counter::new() }; 4],
            minute: AtomicU64::new(0),
            ends: [const { [const { AtomicU64::new(0) }; 4] }; MINUTES + 1],
        }
    }

    /// Counts a decision of this kind.
    pub(super) fn note(&self, kind: usize, took: Duration) {
        self.note_at(START.elapsed().as_secs() / 60, kind, took);
    }

    fn note_at(&self, minute: u64, kind: usize, took: Duration) {
        self.advance(minute);
        if let Some(total) = self.totals.get(kind) {
            total.add_one();
        }
        self.totals[3].add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// Notes the totals for each minute that has ended since the last decision.
    fn advance(&self, minute: u64) {
        let last = self.minute.load(Relaxed);
        // Only one thread does it. The decisions that others count meanwhile can appear in the minute
        // before.
        if minute <= last
            || self
                .minute
                .compare_exchange(last, minute, Relaxed, Relaxed)
                .is_err()
        {
            return;
        }
        let totals = self.totals.each_ref().map(Counter::get);
        let slots = self.ends.len() as u64;
        for ended in last.max(minute.saturating_sub(slots))..minute {
            let slot = usize::try_from(ended % slots).unwrap_or_default();
            for (end, total) in self.ends.iter().skip(slot).take(1).flatten().zip(totals) {
                end.store(total, Relaxed);
            }
        }
    }

    /// The minutes that have ended, the oldest first, and at the end the one in progress.
    pub(super) fn read(&self) -> Vec<Minute> {
        self.read_at(START.elapsed().as_secs() / 60)
    }

    fn read_at(&self, now: u64) -> Vec<Minute> {
        self.advance(now);
        let slots = self.ends.len() as u64;
        let end = |minute: u64| {
            let slot = usize::try_from(minute % slots).unwrap_or_default();
            let ends = self.ends.get(slot);
            ends.map_or([0; 4], |ends| ends.each_ref().map(|end| end.load(Relaxed)))
        };
        let first = (now + 1).saturating_sub(MINUTES as u64);
        let mut before = first.checked_sub(1).map_or([0; 4], end);
        let minutes = (first..=now).map(|minute| {
            let after = match minute == now {
                true => self.totals.each_ref().map(Counter::get),
                false => end(minute),
            };
            let [accepted, refused, temporary, micros] =
                std::array::from_fn(|at| after[at].saturating_sub(before[at]));
            before = after;
            Minute {
                kinds: [accepted, refused, temporary],
                micros,
            }
        });
        minutes.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_micros(7);

    fn shown(history: &History, now: u64) -> Vec<[u64; 4]> {
        let minutes = history.read_at(now).into_iter();
        minutes
            .map(|minute| {
                [
                    minute.kinds[0],
                    minute.kinds[1],
                    minute.kinds[2],
                    minute.micros,
                ]
            })
            .collect()
    }

    #[test]
    fn each_decision_is_in_its_minute() {
        let history = History::new();
        for (minute, kind) in [(0, 0), (0, 1), (1, 0), (4, 2)] {
            history.note_at(minute, kind, TOOK);
        }
        let none = [0; 4];
        let expected = [[1, 1, 0, 14], [1, 0, 0, 7], none, none, [0, 0, 1, 7], none];
        assert_eq!(shown(&history, 5), expected);
    }

    #[test]
    fn an_hour_is_remembered_and_no_more() {
        let history = History::new();
        for minute in 0..200 {
            history.note_at(minute, 0, TOOK);
        }
        assert_eq!(shown(&history, 199), [[1, 0, 0, 7]; MINUTES]);
        let mut later = vec![[1, 0, 0, 7]; MINUTES - 10];
        later.extend([[0; 4]; 10]);
        assert_eq!(shown(&history, 209), later);
        assert_eq!(shown(&history, 10_000), [[0; 4]; MINUTES]);
    }
}
