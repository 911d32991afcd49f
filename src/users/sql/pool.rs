//! Connections that wait for the next question, and how many there may be.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a connection may wait unused: well below the five minutes after which firewalls and
/// address translators forget it without a word.
const MAX_IDLE: Duration = Duration::from_secs(120);

/// A bounded number of connections.
pub(super) struct Pool<C> {
    most: usize,
    state: Mutex<State<C>>,
    freed: Condvar,
}

struct State<C> {
    idle: Vec<(Instant, C)>,
    /// Seats that are taken.
    taken: usize,
    /// How often all connections were forgotten.
    generation: u64,
}

/// The right to one connection; it comes free when this goes.
pub(super) struct Seat<'a, C> {
    pool: &'a Pool<C>,
    generation: u64,
}

impl<C> Pool<C> {
    /// A pool of at most so many.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            state: Mutex::new(State {
                idle: Vec::new(),
                taken: 0,
                generation: 0,
            }),
            freed: Condvar::new(),
        }
    }

    /// A seat, and the connection that was used last if one is waiting; `None` if none came free
    /// in time.
    pub(super) fn take(&self, deadline: Instant) -> Option<(Seat<'_, C>, Option<C>)> {
        let mut state = self.lock();
        while state.taken >= self.most {
            let left = deadline.checked_duration_since(Instant::now())?;
            (state, _) = self
                .freed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.taken += 1;
        let now = Instant::now();
        // The oldest are at the front.
        let fresh = |(since, _): &(Instant, C)| now.duration_since(*since) < MAX_IDLE;
        let stale = state
            .idle
            .iter()
            .position(fresh)
            .unwrap_or(state.idle.len());
        let stale: Vec<_> = state.idle.drain(..stale).collect();
        let connection = state.idle.pop().map(|(_, connection)| connection);
        let seat = Seat {
            pool: self,
            generation: state.generation,
        };
        drop(state);
        // To close them may take a moment.
        drop(stale);
        Some((seat, connection))
    }

    /// Closes all that wait, and those in use as they come back.
    pub(super) fn forget(&self) {
        let mut state = self.lock();
        state.generation += 1;
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        drop(idle);
    }

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Seat<'_, C> {
    /// Keeps a sound connection for the next question.
    pub(super) fn keep(self, connection: C) {
        let mut state = self.pool.lock();
        if state.generation == self.generation {
            state.idle.push((Instant::now(), connection));
        }
    }

    /// Says that the connection of this seat was made after all others were forgotten.
    pub(super) fn renew(&mut self) {
        self.generation = self.pool.lock().generation;
    }
}

impl<C> Drop for Seat<'_, C> {
    fn drop(&mut self) {
        self.pool.lock().taken -= 1;
        self.pool.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    #[test]
    fn what_was_kept_comes_back_last_first() {
        let pool = Pool::new(2);
        let (one, none) = pool.take(soon()).unwrap();
        assert_eq!(none, None);
        let (two, _) = pool.take(soon()).unwrap();
        one.keep(1);
        two.keep(2);
        let (_seat, connection) = pool.take(soon()).unwrap();
        assert_eq!(connection, Some(2));
    }

    #[test]
    fn seats_are_bounded_and_come_free() {
        let pool = Pool::<()>::new(1);
        let (seat, _) = pool.take(soon()).unwrap();
        assert!(pool.take(soon()).is_none());
        thread::scope(|scope| {
            let waiting = scope.spawn(|| pool.take(Instant::now() + Duration::from_secs(20)));
            drop(seat);
            assert!(waiting.join().unwrap().is_some());
        });
        assert!(pool.take(soon()).is_some());
    }

    #[test]
    fn what_is_forgotten_does_not_come_back() {
        let pool = Pool::new(2);
        let (one, _) = pool.take(soon()).unwrap();
        let (mut two, _) = pool.take(soon()).unwrap();
        pool.forget();
        two.renew();
        two.keep(2);
        one.keep(1);
        let (_seat, connection) = pool.take(soon()).unwrap();
        assert_eq!(connection, Some(2));
    }
}
