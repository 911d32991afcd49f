//! Counts in the memory of one process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::key::Key;
use super::record::{Record, Spans};
use super::state::{Change, ChangeError, MAX_KEYS, State, TagKey, new_tag_key};

/// The records that are read for an administrator at a time, and how long the lock is free afterwards: reading
/// them takes some tenths of a millisecond, and no login may wait for all of them.
const PART: usize = 4096;
const PAUSE: Duration = Duration::from_micros(50);

/// Counts in memory. Uses a monotonic clock, which nobody can set.
pub(super) struct Memory {
    spans: Spans,
    start: Instant,
    records: Mutex<HashMap<Key, Record>>,
    tag_key: Result<TagKey, String>,
}

impl Memory {
    pub(super) fn new(spans: Spans) -> Self {
        Self {
            spans,
            start: Instant::now(),
            records: Mutex::default(),
            tag_key: new_tag_key(),
        }
    }

    /// Seconds since the start, plus one: a time of 0 means "never".
    fn now(&self) -> u64 {
        self.start.elapsed().as_secs().saturating_add(1)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room: removes the expired records first, then the oldest tenth; records with a success are
    /// removed last.
    fn tidy(&self, records: &mut HashMap<Key, Record>, now: u64) {
        records.retain(|_, record| {
            record.settle(now, self.spans);
            !record.is_empty()
        });
        if records.len() < MAX_KEYS {
            return;
        }
        let age = |record: &Record| (record.succeeded != 0, record.touched());
        let mut ages: Vec<_> = records.values().map(age).collect();
        let (_, oldest, _) = ages.select_nth_unstable(MAX_KEYS / 10);
        let oldest = *oldest;
        let mut most = MAX_KEYS / 10;
        records.retain(|_, record| {
            let goes = age(record) <= oldest && most > 0;
            most -= usize::from(goes);
            !goes
        });
    }
}

impl State for Memory {
    fn read(&self, keys: &[Key], _: Instant) -> Result<(Vec<Record>, u64), ChangeError> {
        let now = self.now();
        let records = self.lock();
        let read = |key| {
            let mut record = records.get(key).cloned().unwrap_or_default();
            record.settle(now, self.spans);
            record
        };
        Ok((keys.iter().map(read).collect(), now))
    }

    fn change(
        &self,
        keys: &[Key],
        change: &mut Change<'_>,
        _: Instant,
    ) -> Result<Vec<Record>, ChangeError> {
        let now = self.now();
        let mut records = self.lock();
        let mut found: Vec<_> = keys
            .iter()
            .map(|key| records.get(key).cloned().unwrap_or_default())
            .collect();
        for record in &mut found {
            record.settle(now, self.spans);
        }
        change(&mut found, now);
        if records.len() + keys.len() > MAX_KEYS {
            self.tidy(&mut records, now);
        }
        for (key, record) in keys.iter().zip(&found) {
            match record.is_empty() {
                true => drop(records.remove(key)),
                false => drop(records.insert(key.clone(), record.clone())),
            }
        }
        Ok(found)
    }

    fn tag_key(&self, _: Instant) -> Result<TagKey, String> {
        self.tag_key.clone()
    }

    fn list(&self, _: Instant) -> Result<Vec<(Key, Record)>, String> {
        let records = self.lock();
        let pairs = records.iter();
        Ok(pairs
            .map(|(key, record)| (key.clone(), record.clone()))
            .collect())
    }

    fn each(&self, look: &mut dyn FnMut(&Key, &Record, u64)) {
        let now = self.now();
        let mut seen = 0;
        loop {
            let mut some = 0;
            for (key, record) in self.lock().iter().skip(seen).take(PART) {
                look(key, record, now);
                some += 1;
            }
            if some < PART {
                return;
            }
            seen += some;
            // A login that waits for the lock gets it now.
            thread::sleep(PAUSE);
        }
    }

    fn forget(&self, keys: &[Key], _: Instant) -> Result<(), String> {
        let mut records = self.lock();
        for key in keys {
            records.remove(key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_administrator_reads_each_record_once() {
        let spans = Spans {
            window: Duration::from_secs(600),
            exempt: Duration::from_secs(600),
        };
        for number in [0, 1, PART - 1, PART, PART + 1, 3 * PART + 7] {
            let memory = Memory::new(spans);
            let key = |number: usize| Key::Login(number.to_string().into_bytes());
            for number in 0..number {
                let fail: &mut Change<'_> = &mut |records, now| records[0].fail(None, now, 0);
                memory.change(&[key(number)], fail, Instant::now()).unwrap();
            }
            let mut keys = std::collections::HashSet::new();
            let mut reads = 0;
            memory.each(&mut |key, record, now| {
                assert!(record.failures == 1 && record.failed <= now);
                keys.insert(key.clone());
                reads += 1;
            });
            assert_eq!((keys.len(), reads), (number, number));
        }
    }

    #[test]
    fn the_memory_is_bounded_and_keeps_successes_longest() {
        let spans = Spans {
            window: Duration::from_secs(600),
            exempt: Duration::from_secs(600),
        };
        let memory = Memory::new(spans);
        let now = Instant::now();
        let key = |number: usize| Key::Login(number.to_string().into_bytes());
        for number in 0..100 {
            let succeed: &mut Change<'_> = &mut |records, now| records[0].succeed(now);
            memory.change(&[key(number)], succeed, now).unwrap();
        }
        for number in 100..2 * MAX_KEYS {
            let fail: &mut Change<'_> = &mut |records, now| records[0].fail(None, now, 0);
            memory.change(&[key(number)], fail, now).unwrap();
        }
        let all = memory.list(now).unwrap();
        assert!(
            (MAX_KEYS / 2..=MAX_KEYS).contains(&all.len()),
            "{}",
            all.len()
        );
        let succeeded = all.iter().filter(|(_, record)| record.succeeded != 0);
        assert_eq!(succeeded.count(), 100);
        let (last, _) = memory.read(&[key(2 * MAX_KEYS - 1)], now).unwrap();
        assert_eq!(last[0].failures, 1);
    }

    /// Those that had a success go last.
    #[test]
    fn of_too_many_the_oldest_tenth_goes() {
        let days = Duration::from_secs(1_000_000);
        let memory = Memory::new(Spans {
            window: days,
            exempt: days,
        });
        let key = |number: usize| Key::Login(number.to_string().into_bytes());
        let failed = |number: usize| Record {
            failures: 1,
            failed: number as u64 + 1,
            ..Record::default()
        };
        let some = |count| (0..count).map(|number| (key(number), failed(number)));
        let now = MAX_KEYS as u64 + 1;
        let mut records: HashMap<_, _> = some(MAX_KEYS - 1).collect();
        memory.tidy(&mut records, now);
        assert_eq!(records.len(), MAX_KEYS - 1);
        let mut records: HashMap<_, _> = some(MAX_KEYS).collect();
        let exempt = Record {
            succeeded: 1,
            ..Record::default()
        };
        records.insert(key(0), exempt);
        memory.tidy(&mut records, now);
        let gone = MAX_KEYS / 10;
        assert_eq!(records.len(), MAX_KEYS - gone);
        assert!(records.contains_key(&key(0)));
        let later = gone + 2..MAX_KEYS;
        assert!(later.map(key).all(|key| records.contains_key(&key)));
        // What is over goes first.
        let mut records: HashMap<_, _> = some(MAX_KEYS).collect();
        memory.tidy(&mut records, 1_000_010);
        assert_eq!(records.len(), MAX_KEYS - 10);
    }

    /// Who knows it can try passwords on what is remembered.
    #[test]
    fn wrong_passwords_are_digested_with_a_key_of_this_memory() {
        let spans = Spans {
            window: Duration::ZERO,
            exempt: Duration::ZERO,
        };
        let now = Instant::now();
        let keys = [Memory::new(spans), Memory::new(spans)].map(|memory| {
            let key = memory.tag_key(now).unwrap();
            assert_eq!(*memory.tag_key(now).unwrap(), *key);
            *key
        });
        assert_ne!(keys[0], keys[1]);
        assert!(!keys.contains(&[0; 32]));
    }
}
