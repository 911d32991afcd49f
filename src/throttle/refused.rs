//! The networks and logins that are refused now, for the status page.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::location::{StateLocation, open};
use super::{CountingMode, Key, Record, Settings, Throttle};

/// How long a look at counts that processes share is used again: reading all of them takes work there.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// How long a look may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// The most networks, and the most logins, that are listed.
const MOST: usize = 100;

/// What is refused at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// The number of refused networks.
    pub networks: u64,
    /// The number of refused logins.
    pub logins: u64,
    /// The number of logins that are refused from one network.
    pub pairs: u64,
    /// Some of them.
    pub some: Vec<Refusing>,
}

/// A key that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusing {
    /// The key.
    pub key: Key,
    /// Its wrong passwords.
    pub failures: u32,
    /// How much longer it is refused, from the time of the look.
    pub left: Duration,
}

impl Refused {
    /// Adds a key, if it is refused.
    fn add(&mut self, settings: &Settings, key: &Key, record: &Record, now: u64) {
        let most = settings.most(key);
        if record.succeeded != 0 || most.is_none_or(|most| record.failures < most) {
            return;
        }
        let end = record
            .failed
            .saturating_add(settings.spans.window.as_secs());
        let left = end.saturating_sub(now);
        if record.failed == 0 || left == 0 {
            return;
        }
        let count = match key {
            Key::Network(_) => &mut self.networks,
            Key::Login(_) => &mut self.logins,
            Key::Pair(..) => &mut self.pairs,
        };
        *count += 1;
        let is_listed = || self.some.iter().any(|listed| listed.key == *key);
        if *count <= MOST as u64 && !is_listed() {
            self.some.push(Refusing {
                key: key.clone(),
                failures: record.failures,
                left: Duration::from_secs(left),
            });
        }
    }
}

/// The last look at shared counts.
#[derive(Default)]
pub(super) struct Looks(Mutex<Option<Look>>);

#[derive(Clone)]
struct Look {
    at: Instant,
    found: Result<Arc<Refused>, String>,
}

impl Throttle {
    /// What is refused now; the error says why the counts cannot be read.
    ///
    /// Counts in the memory of this process are locked for less than a millisecond at a time. Shared counts are
    /// read over a connection of their own, so no login waits for it, and at most every ten seconds.
    pub fn refused(&self) -> Result<Arc<Refused>, String> {
        let settings = &self.settings;
        let mut refused = Refused::default();
        if settings.place == StateLocation::Memory {
            let add =
                &mut |key: &Key, record: &Record, now| refused.add(settings, key, record, now);
            self.counts.each(add);
            return Ok(Arc::new(refused));
        }
        let mut last = self.looks.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(look) = last.as_ref().filter(|look| look.at.elapsed() < LOOK_AGAIN) {
            return look.found.clone();
        }
        let deadline = Instant::now() + PATIENCE;
        let state = open(&settings.place, settings.spans, CountingMode::ReadOnly);
        let found = state.list(deadline).map(|all| {
            let now = super::state::now();
            for (key, record) in &all {
                refused.add(settings, key, record, now);
            }
            Arc::new(refused)
        });
        *last = Some(Look {
            at: Instant::now(),
            found: found.clone(),
        });
        found
    }
}
