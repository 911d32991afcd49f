//! Counters and histograms that any thread increments without a lock.
//!
//! All accesses are relaxed: a reader can see one counter of a request and not yet the next one. Totals
//! are exact as soon as the requests have ended.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// A number of events since the start of the process.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// A counter of no events.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts one event.
    pub fn add_one(&self) {
        self.add(1);
    }

    /// Counts several events, or adds an amount.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Relaxed);
    }

    /// The number of events so far.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The upper bounds of the buckets of every histogram, in microseconds. The last bucket of a histogram has
/// no bound. A password file answers within the first bound, and no decision takes longer than the
/// longest deadline.
pub const BOUNDS: [u64; 15] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// How long events took.
#[derive(Debug)]
pub struct Histogram {
    buckets: [Counter; BOUNDS.len() + 1],
    micros: Counter,
}

impl Histogram {
    /// A histogram of no events.
    pub const fn new() -> Self {
        Self {
            buckets: [const { Counter::new() }; BOUNDS.len() + 1],
            micros: Counter::new(),
        }
    }

    /// Counts one event that took this long.
    pub fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let above = BOUNDS.iter().take_while(|bound| micros > **bound);
        if let Some(bucket) = self.buckets.get(above.count()) {
            bucket.add_one();
        }
        self.micros.add(micros);
    }

    /// The number of events in each bucket, and the sum of their times in microseconds.
    pub fn read(&self) -> ([u64; BOUNDS.len() + 1], u64) {
        (self.buckets.each_ref().map(Counter::get), self.micros.get())
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let last = BOUNDS.len();
        for (micros, bucket) in [
            (0, 0),
            (250, 0),
            (251, 1),
            (1_000, 2),
            (10_000_000, last - 1),
            (10_000_001, last),
            (u64::MAX, last),
        ] {
            let histogram = Histogram::new();
            histogram.observe(Duration::from_micros(micros));
            let (buckets, sum) = histogram.read();
            let mut expected = [0; BOUNDS.len() + 1];
            expected[bucket] = 1;
            assert_eq!((buckets, sum), (expected, micros), "{micros}");
        }
    }

    #[test]
    fn threads_lose_no_event() {
        let histogram = Histogram::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| histogram.observe(Duration::from_micros(3))));
            }
        });
        let (buckets, sum) = histogram.read();
        assert_eq!((buckets[0], sum), (4000, 12_000));
    }
}
