//! The thread that looks the names in use up again, when `resolve-ttl` has passed.

use std::sync::{Arc, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::{Name, Resolver, State};

/// The most lookups at once while all names are looked up again.
const LOOKUPS_AT_ONCE: usize = 8;

/// How long one of these lookups may keep the next one waiting.
const PATIENCE: Duration = Duration::from_secs(5);

impl Resolver {
    /// Looks all names in use up at once, and again each time `ttl` has passed.
    pub fn keep_fresh(&self, ttl: Duration) {
        let mut state = self.0.lock();
        state.ttl = Some(ttl);
        self.start_refreshing(&mut state);
        drop(state);
        self.0.tell();
    }

    /// Starts the thread, if names are to be kept fresh and it does not run.
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

    /// Until nobody uses a name any longer.
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

    /// Tells how long it takes until there is something to do again.
    fn begin_those_due(&self, names: &[Arc<Name>], ttl: Duration) -> Duration {
        let mut wait = ttl;
        for name in names {
            let Some(due_in) = name.due_in(ttl) else {
                continue;
            };
            if !due_in.is_zero() {
                wait = wait.min(due_in);
            } else if self.is_busy() || name.look_up().is_err() {
                // The end of a lookup wakes this thread sooner.
                return wait.min(PATIENCE);
            }
        }
        wait
    }

    /// Whether so many lookups run that the next one has to wait. Those that hang do not count.
    fn is_busy(&self) -> bool {
        let now = Instant::now();
        let state = self.0.lock();
        let young = |since: Instant| now.saturating_duration_since(since) < PATIENCE;
        let running = state.lookups.values().filter(|one| young(one.since));
        running.count() >= LOOKUPS_AT_ONCE
    }
}
