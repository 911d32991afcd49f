//! The thread that resolves the names in use again after each `resolve-ttl`.

use std::sync::{Arc, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::{Name, Resolver, State};

/// The maximum number of lookups at once while all names are resolved again.
const LOOKUPS_AT_ONCE: usize = 8;

/// How long one of these lookups can delay the next.
const PATIENCE: Duration = Duration::from_secs(5);

impl Resolver {
    /// Resolves all names in use now, and again after each `ttl`.
    pub fn keep_fresh(&self, ttl: Duration) {
        let mut state = self.0.lock();
        state.ttl = Some(ttl);
        self.start_refreshing(&mut state);
        drop(state);
        self.0.tell();
    }

    /// Starts the thread if names have to be refreshed and it is not running.
    pub(super) fn start_refreshing(&self, state: &mut State) {
        if state.ttl.is_none() || state.refreshing {
            return;
        }
        let resolver = self.clone();
        let started = thread::Builder::new()
            .name("resolver".into())
            .spawn(move || resolver.run());
        match started {
            Ok(_detached) => state.refreshing = true,
            Err(error) => log::error!("host names are not looked up again: no thread: {error}"),
        }
    }

    /// Runs until no name is in use.
    fn run(&self) {
        loop {
            let mut state = self.0.lock();
            let all = state.names.values().flatten();
            let names: Vec<_> = all.filter_map(Weak::upgrade).collect();
            let Some(ttl) = state.ttl.filter(|_| !names.is_empty()) else {
                state.names.clear();
                state.refreshing = false;
                return;
            };
            let seen = state.changes;
            drop(state);
            let wait = self.begin_those_due(&names, ttl);
            drop(names);
            let state = self.0.lock();
            let _timed_out_or_not = self
                .0
                .changed
                .wait_timeout_while(state, wait, |state| state.changes == seen)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The time until the next lookup is due.
    fn begin_those_due(&self, names: &[Arc<Name>], ttl: Duration) -> Duration {
        let mut wait = ttl;
        for name in names {
            let Some(due_in) = name.due_in(ttl) else {
                continue;
            };
            if !due_in.is_zero() {
                wait = wait.min(due_in);
            } else if self.is_busy() || name.look_up().is_err() {
                // The end of a lookup wakes this thread earlier.
                return wait.min(PATIENCE);
            }
        }
        wait
    }

    /// Whether too many lookups run to start another. Lookups that hang do not count.
    fn is_busy(&self) -> bool {
        let now = Instant::now();
        let state = self.0.lock();
        let young = |since: Instant| now.saturating_duration_since(since) < PATIENCE;
        let running = state.lookups.values().filter(|one| young(one.since));
        running.count() >= LOOKUPS_AT_ONCE
    }
}
