//! Lets a bounded number of threads in at once.

use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Counts who is in. Password hashes are made to cost memory and time; without a bound, many
/// logins at once would use up the machine's.
#[derive(Debug)]
pub struct Turnstile {
    free: Mutex<usize>,
    freed: Condvar,
}

/// A place inside, given back on drop.
#[derive(Debug)]
#[must_use]
pub struct Turn<'a>(&'a Turnstile);

impl Turnstile {
    /// A turnstile with that many places.
    pub fn new(places: NonZeroUsize) -> Self {
        Self {
            free: Mutex::new(places.get()),
            freed: Condvar::new(),
        }
    }

    /// Takes a place, or `None` if none came free within `patience`.
    pub fn enter(&self, patience: Duration) -> Option<Turn<'_>> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut free, _) = self
            .freed
            .wait_timeout_while(free, patience, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free = free.checked_sub(1)?;
        Some(Turn(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_come_back() {
        let turnstile = Turnstile::new(NonZeroUsize::new(2).unwrap());
        let first = turnstile.enter(Duration::ZERO).unwrap();
        let _second = turnstile.enter(Duration::ZERO).unwrap();
        assert!(turnstile.enter(Duration::ZERO).is_none());
        drop(first);
        assert!(turnstile.enter(Duration::ZERO).is_some());
    }

    #[test]
    fn who_waits_gets_the_place_that_comes_free() {
        let turnstile = Turnstile::new(NonZeroUsize::MIN);
        std::thread::scope(|scope| {
            let first = turnstile.enter(Duration::ZERO).unwrap();
            let waiting = scope.spawn(|| turnstile.enter(Duration::from_secs(60)).is_some());
            drop(first);
            assert!(waiting.join().unwrap());
        });
    }
}
