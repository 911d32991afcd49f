//! A connection pool: keeps idle connections for the next question, and limits their number.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::sys::semaphore::{Permit, Requester, Semaphore};

/// A limited number of connections.
pub struct Pool<C> {
    seats: Semaphore,
    kept: IdleConnections<C>,
}

/// The right to use one connection; it is released on drop.
pub struct PooledPermit<'a, C> {
    kept: &'a IdleConnections<C>,
    generation: u64,
    _permit: Permit<'a>,
}

impl<C> Pool<C> {
    /// A pool of at most `most` connections. An unused one is kept for at most `idle`.
    pub fn new(most: NonZeroUsize, idle: Duration) -> Self {
        Self {
            seats: Semaphore::new(most),
            kept: IdleConnections::new(most, idle),
        }
    }

    /// A seat, and the most recently used connection if one is kept; `None` if no seat was free by
    /// `deadline`.
    pub fn take(&self, deadline: Instant) -> Option<(PooledPermit<'_, C>, Option<C>)> {
        let permit = self.seats.acquire(Requester::default(), deadline)?;
        let generation = self.kept.generation();
        let connection = self.kept.take();
        let seat = PooledPermit {
            kept: &self.kept,
            generation,
            _permit: permit,
        };
        Some((seat, connection))
    }

    /// Closes all idle connections now, and those in use when they are returned.
    pub fn forget(&self) {
        self.kept.forget();
    }
}

impl<C> PooledPermit<'_, C> {
    /// Returns a working connection to the pool.
    pub fn keep(self, connection: C) {
        self.kept.keep(connection, self.generation);
    }

    /// Notes that the connection of this seat was made after [`Pool::forget`] was called.
    pub fn renew(&mut self) {
        self.generation = self.kept.generation();
    }
}

/// Idle connections; the most recently used one is taken first.
pub struct IdleConnections<C> {
    most: NonZeroUsize,
    idle: Duration,
    state: Mutex<State<C>>,
}

struct State<C> {
    /// The idle connections with the time of their return, the oldest first.
    unused: Vec<(Instant, C)>,
    /// How many times `forget` was called.
    generation: u64,
}

impl<C> IdleConnections<C> {
    /// Keeps at most `most` connections, each idle for at most `idle`.
    pub fn new(most: NonZeroUsize, idle: Duration) -> Self {
        let state = State {
            unused: Vec::new(),
            generation: 0,
        };
        Self {
            most,
            idle,
            state: Mutex::new(state),
        }
    }

    /// The most recently used connection, unless it has been idle for too long.
    pub fn take(&self) -> Option<C> {
        let mut state = self.lock();
        let stale = self.stale(&mut state);
        let connection = state.unused.pop().map(|(_, connection)| connection);
        drop(state);
        // Closing them may take a moment, so the lock is released first.
        drop(stale);
        connection
    }

    /// Keeps a working connection of this generation, if there is room.
    pub fn keep(&self, connection: C, generation: u64) {
        let mut state = self.lock();
        let mut closed = self.stale(&mut state);
        let unused = (Instant::now(), connection);
        if state.generation == generation && state.unused.len() < self.most.get() {
            state.unused.push(unused);
        } else {
            closed.push(unused);
        }
        drop(state);
        drop(closed);
    }

    /// Closes all idle connections. Connections of earlier generations are not kept when they
    /// return.
    pub fn forget(&self) {
        let mut state = self.lock();
        state.generation += 1;
        let closed = std::mem::take(&mut state.unused);
        drop(state);
        drop(closed);
    }

    /// The generation of a connection that is made now.
    pub fn generation(&self) -> u64 {
        self.lock().generation
    }

    fn stale(&self, state: &mut State<C>) -> Vec<(Instant, C)> {
        let now = Instant::now();
        let fresh = |(since, _): &(Instant, C)| now.duration_since(*since) < self.idle;
        let fresh = state.unused.iter().position(fresh);
        let stale = fresh.unwrap_or(state.unused.len());
        state.unused.drain(..stale).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn pool<C>(most: usize) -> Pool<C> {
        Pool::new(NonZeroUsize::new(most).unwrap(), Duration::from_secs(60))
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    #[test]
    fn what_was_kept_comes_back_last_first() {
        let pool = pool(2);
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
        let pool = pool::<()>(1);
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
        let pool = pool(2);
        let (one, _) = pool.take(soon()).unwrap();
        let (mut two, _) = pool.take(soon()).unwrap();
        pool.forget();
        two.renew();
        two.keep(2);
        one.keep(1);
        let (_seat, connection) = pool.take(soon()).unwrap();
        assert_eq!(connection, Some(2));
    }

    #[test]
    fn what_was_unused_for_too_long_is_closed_and_no_more_are_kept_than_may_be() {
        let short = IdleConnections::new(NonZeroUsize::MIN, Duration::ZERO);
        short.keep(1, 0);
        assert_eq!(short.take(), None);
        let long = IdleConnections::new(NonZeroUsize::MIN, Duration::from_secs(60));
        long.keep(1, 0);
        long.keep(2, 0);
        assert_eq!((long.take(), long.take()), (Some(1), None));
    }
}
