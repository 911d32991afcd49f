//! Limits the connections that are served at once, and queues those that wait for a permit.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::slots::{Eviction, Slots};

/// The minimum age of an arriving request before it is evicted: it may only be waiting for the
/// processor.
pub(super) const GRACE: Duration = Duration::from_millis(50);
/// The interval between two attempts to evict a connection.
const TICK: Duration = Duration::from_millis(5);
/// How long a connection waits for a permit.
const PATIENCE: Duration = Duration::from_secs(1);

/// The limit on connections. In a short burst connections wait in a queue, first come first served;
/// in a long overload they are turned away quickly.
#[derive(Debug)]
pub(super) struct ConnectionLimit {
    bound: usize,
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    /// The waiting tickets.
    queue: VecDeque<u64>,
    next_ticket: u64,
    /// When a connection last waited in vain.
    in_vain: Option<Instant>,
}

impl ConnectionLimit {
    /// A limit of this many connections.
    pub(super) fn new(bound: usize) -> Self {
        Self {
            bound,
            state: Mutex::default(),
            moved: Condvar::new(),
        }
    }

    /// Takes a permit, if necessary by evicting another connection. False if all are busy and stay
    /// so.
    pub(super) fn take(&self, slots: &Slots) -> bool {
        let mut state = self.lock();
        if state.taken < self.bound && state.queue.is_empty() {
            state.taken += 1;
            return true;
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.queue.push_back(ticket);
        let lasting = state.in_vain.is_some_and(|at| at.elapsed() < PATIENCE);
        let patience = if lasting { GRACE } else { PATIENCE };
        let start = Instant::now();
        loop {
            let first = state.queue.front() == Some(&ticket);
            let seated = first && state.taken < self.bound;
            let left = patience.saturating_sub(start.elapsed());
            let wait = match first && !seated {
                true => match slots.evict_one(GRACE) {
                    Eviction::Begun => GRACE,
                    Eviction::UnderWay | Eviction::NoCandidate => TICK.min(left),
                },
                false => left,
            };
            if seated || wait.is_zero() {
                state.queue.retain(|waiting| *waiting != ticket);
                if seated {
                    state.taken += 1;
                } else {
                    state.in_vain = Some(Instant::now());
                }
                self.moved.notify_all();
                return seated;
            }
            let waited = self.moved.wait_timeout(state, wait);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Releases a permit.
    pub(super) fn leave(&self) {
        let mut state = self.lock();
        state.taken -= 1;
        if !state.queue.is_empty() {
            self.moved.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
