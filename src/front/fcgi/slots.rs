//! Tracks the phase of each connection, so that an idle one can be evicted for a new one.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::net::{Shutdown, shutdown};

/// The phase of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing has arrived yet.
    Fresh,
    /// Kept open after an answer; no new request has begun.
    Idle,
    /// A request is arriving.
    Reading,
    /// The application has a whole request.
    Deciding,
    /// The peer does not read the answer.
    Sending,
    /// The answer is sent; the end of STDIN has not arrived.
    Draining,
}

/// The slot of one thread's connection.
#[derive(Debug, Default)]
pub(super) struct Slot(Mutex<Option<OpenConnection>>);

#[derive(Debug)]
struct OpenConnection {
    socket: Arc<OwnedFd>,
    phase: Phase,
    since: Instant,
    evicted: bool,
}

/// Whether a connection may stay open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stay {
    /// It may stay open.
    Granted,
    /// Its permit is needed: it closes after the current request.
    Evicted,
}

/// The result of evicting one connection for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Eviction {
    /// One is evicted.
    Begun,
    /// One was evicted before, and its thread has not run since.
    UnderWay,
    /// There is none to evict.
    NoCandidate,
}

impl Slot {
    /// Puts a new connection into the slot.
    pub(super) fn fill(&self, socket: Arc<OwnedFd>) -> Instant {
        let since = Instant::now();
        *self.lock() = Some(OpenConnection {
            socket,
            phase: Phase::Fresh,
            since,
            evicted: false,
        });
        since
    }

    /// Sets the phase of the connection.
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

    /// Whether the connection may stay open.
    pub(super) fn stay(&self) -> Stay {
        self.lock()
            .as_ref()
            .map_or(Stay::Evicted, OpenConnection::stay)
    }

    /// Releases the connection.
    pub(super) fn clear(&self) {
        let held = self.lock().take();
        // Closes the socket, if its thread has released it, while no thread waits for the lock.
        drop(held);
    }

    fn lock(&self) -> MutexGuard<'_, Option<OpenConnection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenConnection {
    fn stay(&self) -> Stay {
        if self.evicted {
            Stay::Evicted
        } else {
            Stay::Granted
        }
    }

    /// Whether it is evicted and closes as soon as its thread runs, because no bytes had arrived on
    /// it.
    fn leaves(&self) -> bool {
        self.evicted && matches!(self.phase, Phase::Fresh | Phase::Idle)
    }

    /// Wakes the connection's thread. Bytes that have arrived are still read and answered.
    fn evict(&mut self) {
        self.evicted = true;
        let how = match self.phase {
            Phase::Sending | Phase::Draining => Shutdown::Both,
            _ => Shutdown::Read,
        };
        // The peer may have closed already: then the thread is awake.
        let _ = shutdown(&self.socket, how);
    }
}

/// The slots of all threads.
#[derive(Debug, Default)]
pub(super) struct Slots(Mutex<Vec<Arc<Slot>>>);

impl Slots {
    /// Adds a slot for a new thread.
    pub(super) fn add(&self) -> Arc<Slot> {
        let slot = Arc::default();
        self.lock().push(Arc::clone(&slot));
        slot
    }

    /// Removes the slot of a thread that ends.
    pub(super) fn remove(&self, slot: &Arc<Slot>) {
        self.lock().retain(|other| !Arc::ptr_eq(slot, other));
    }

    /// Evicts one connection for another: the one that has been idle longest; or else the one that
    /// has been draining longest; or else the one that has been arriving longest, if for at least
    /// `patience`. Evicts none while an evicted one has not closed: its thread may be waiting for
    /// the processor.
    pub(super) fn evict_one(&self, patience: Duration) -> Eviction {
        let slots = self.lock();
        let mut best: Option<(u8, Instant, &Slot)> = None;
        for slot in slots.iter() {
            let slot_now = slot.lock();
            if slot_now.as_ref().is_some_and(OpenConnection::leaves) {
                return Eviction::UnderWay;
            }
            let Some((rank, since)) = slot_now.as_ref().and_then(|held| {
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
            return Eviction::NoCandidate;
        };
        // Its phase may have changed since; then it is not the one that was chosen.
        match slot.lock().as_mut() {
            Some(held) if held.since == since => held.evict(),
            _ => {}
        }
        Eviction::Begun
    }

    /// Evicts all connections that have been in one of these phases for at least `patience`.
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

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    /// Creates slots in these phases, entered in this order.
    fn slots(phases: &[Phase]) -> (Slots, Vec<Arc<Slot>>) {
        let all = Slots::default();
        let each = phases.iter().map(|phase| {
            let slot = all.add();
            let (socket, _) = UnixStream::pair().unwrap();
            slot.fill(Arc::new(socket.into()));
            slot.enter(*phase);
            slot
        });
        let each = each.collect();
        (all, each)
    }

    fn evicted(each: &[Arc<Slot>]) -> Vec<usize> {
        let is =
            |(index, slot): (usize, &Arc<Slot>)| (slot.stay() == Stay::Evicted).then_some(index);
        each.iter().enumerate().filter_map(is).collect()
    }

    #[test]
    fn idle_ones_go_first_then_who_takes_nothing_then_who_sends_nothing() {
        use Phase::{Deciding, Draining, Fresh, Idle, Reading, Sending};
        for (phases, patience, goes) in [
            (&[Idle, Idle][..], LONG, Some(0)),
            (&[Reading, Draining, Fresh, Idle], Duration::ZERO, Some(3)),
            (&[Deciding, Reading, Sending], Duration::ZERO, Some(2)),
            (&[Reading, Draining, Sending], Duration::ZERO, Some(1)),
            (&[Deciding, Fresh, Reading], Duration::ZERO, Some(1)),
            (&[Deciding, Reading, Fresh], Duration::ZERO, Some(1)),
            (&[Fresh, Reading, Sending, Draining], LONG, None),
            (&[Deciding, Deciding], Duration::ZERO, None),
            (&[], Duration::ZERO, None),
        ] {
            let (all, each) = slots(phases);
            let eviction = all.evict_one(patience);
            let expected = match goes {
                Some(_) => Eviction::Begun,
                None => Eviction::NoCandidate,
            };
            assert_eq!(eviction, expected, "{phases:?}");
            assert_eq!(evicted(&each), Vec::from_iter(goes), "{phases:?}");
        }
    }

    /// On a busy machine a thread may not run for a long time.
    #[test]
    fn no_other_one_is_given_up_while_one_leaves() {
        for phase in [Phase::Idle, Phase::Fresh] {
            let (all, each) = slots(&[phase; 3]);
            assert_eq!(all.evict_one(Duration::ZERO), Eviction::Begun);
            for _ in 0..3 {
                assert_eq!(all.evict_one(Duration::ZERO), Eviction::UnderWay);
            }
            assert_eq!(evicted(&each), [0], "{phase:?}");
            all.remove(&each[0]);
            assert_eq!(all.evict_one(Duration::ZERO), Eviction::Begun);
            assert_eq!(evicted(&each), [0, 1], "{phase:?}");
            // A request had arrived on it nevertheless, and may take its time.
            each[1].enter(Phase::Deciding);
            assert_eq!(all.evict_one(Duration::ZERO), Eviction::Begun);
            assert_eq!(evicted(&each), [0, 1, 2], "{phase:?}");
        }
    }

    #[test]
    fn all_in_some_phases_are_given_up_after_their_time() {
        use Phase::{Deciding, Fresh, Idle, Reading};
        let (all, each) = slots(&[Idle, Fresh, Reading, Deciding, Idle]);
        all.evict_all(&[Idle, Fresh], LONG);
        assert_eq!(evicted(&each), [0; 0]);
        all.evict_all(&[Idle], Duration::ZERO);
        assert_eq!(evicted(&each), [0, 4]);
        all.evict_all(&[Fresh, Reading], Duration::ZERO);
        assert_eq!(evicted(&each), [0, 1, 2, 4]);
        each[3].clear();
        assert_eq!(evicted(&each), [0, 1, 2, 3, 4]);
    }
}
