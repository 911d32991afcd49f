//! What each connection is doing, so that one may be given up for another.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::net::{Shutdown, shutdown};

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing has arrived yet.
    Fresh,
    /// Kept after an answer, no new request has begun.
    Idle,
    /// A request is arriving.
    Reading,
    /// The application has a whole request.
    Deciding,
    /// The peer does not take what is sent.
    Sending,
    /// The answer is sent, the end of STDIN is to come.
    Draining,
}

/// The slot of one thread's connection.
#[derive(Debug, Default)]
pub(super) struct Slot(Mutex<Option<Held>>);

#[derive(Debug)]
struct Held {
    socket: Arc<OwnedFd>,
    phase: Phase,
    since: Instant,
    evicted: bool,
}

/// Whether a connection may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stay {
    /// It may.
    Granted,
    /// Its seat is needed: it ends with the request at hand.
    Evicted,
}

impl Slot {
    /// Puts a new connection into the slot.
    pub(super) fn fill(&self, socket: Arc<OwnedFd>) -> Instant {
        let since = Instant::now();
        *self.lock() = Some(Held {
            socket,
            phase: Phase::Fresh,
            since,
            evicted: false,
        });
        since
    }

    /// Notes what the connection does from now on.
    pub(super) fn enter(&self, phase: Phase) -> (Instant, Stay) {
        let now = Instant::now();
        let mut slot = self.lock();
        let Some(held) = slot.as_mut() else {
            return (now, Stay::Evicted);
        };
        held.phase = phase;
        held.since = now;
        (now, held.stay())
    }

    /// Whether the connection may stay.
    pub(super) fn stay(&self) -> Stay {
        self.lock().as_ref().map_or(Stay::Evicted, Held::stay)
    }

    /// Lets go of the connection.
    pub(super) fn clear(&self) {
        let held = self.lock().take();
        // Closes the socket, if its thread has let go of it, when nobody waits for the lock.
        drop(held);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn stay(&self) -> Stay {
        if self.evicted {
            Stay::Evicted
        } else {
            Stay::Granted
        }
    }

    /// Wakes the connection's thread. What has arrived already is still read and answered.
    fn evict(&mut self) {
        self.evicted = true;
        let how = match self.phase {
            Phase::Sending | Phase::Draining => Shutdown::Both,
            _ => Shutdown::Read,
        };
        // The peer may be gone already: then the thread is awake.
        let _ = shutdown(&self.socket, how);
    }
}

/// The slots of all threads.
#[derive(Debug, Default)]
pub(super) struct Slots(Mutex<Vec<Arc<Slot>>>);

impl Slots {
    /// A slot for a new thread.
    pub(super) fn add(&self) -> Arc<Slot> {
        let slot = Arc::default();
        self.lock().push(Arc::clone(&slot));
        slot
    }

    /// Takes the slot of a thread that ends.
    pub(super) fn remove(&self, slot: &Arc<Slot>) {
        self.lock().retain(|other| !Arc::ptr_eq(slot, other));
    }

    /// Gives up one connection for another: the one that has been idle longest, else the one that
    /// has been draining, else the one that has been arriving longest, if that is at least
    /// `patience`. False if there is none.
    pub(super) fn evict_one(&self, patience: Duration) -> bool {
        let slots = self.lock();
        let mut best: Option<(u8, Instant, &Slot)> = None;
        for slot in slots.iter() {
            let Some((rank, since)) = slot.lock().as_ref().and_then(|held| {
                let rank = match held.phase {
                    Phase::Idle => 0,
                    Phase::Sending | Phase::Draining => 1,
                    Phase::Fresh | Phase::Reading => 2,
                    Phase::Deciding => return None,
                };
                let due = rank == 0 || held.since.elapsed() >= patience;
                (due && !held.evicted).then_some((rank, held.since))
            }) else {
                continue;
            };
            if best.is_none_or(|(r, s, _)| (rank, since) < (r, s)) {
                best = Some((rank, since, slot));
            }
        }
        let Some((_, since, slot)) = best else {
            return false;
        };
        // It may have moved on meanwhile; then it is not the one that was chosen.
        match slot.lock().as_mut() {
            Some(held) if held.since == since => held.evict(),
            _ => {}
        }
        true
    }

    /// Gives up all connections in these phases that have been so for at least `patience`.
    pub(super) fn evict_all(&self, phases: &[Phase], patience: Duration) {
        for slot in self.lock().iter() {
            if let Some(held) = slot.lock().as_mut()
                && !held.evicted
                && phases.contains(&held.phase)
                && held.since.elapsed() >= patience
            {
                held.evict();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
