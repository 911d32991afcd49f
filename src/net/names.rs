//! Addresses of hosts that are given by name, looked up in bounded time.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::net::lookup::{Found, Lookups};
use crate::net::{remaining, timed_out};

/// How long an address is used before it is looked up again, meanwhile the old one serves.
const FRESH: Duration = Duration::from_secs(60);

/// Names and the addresses that they had last. Who waits for a lookup is bounded by what asks: a
/// store by its `max-questions`.
#[derive(Clone)]
pub struct Names(Arc<Shared>);

struct Shared {
    lookups: Lookups,
    known: Mutex<HashMap<String, Known>>,
    finished: Condvar,
}

#[derive(Default)]
struct Known {
    addresses: Vec<IpAddr>,
    fresh_until: Option<Instant>,
    running: bool,
    /// How many lookups have ended, and why the last one failed.
    ended: u64,
    failed: Option<String>,
}

impl Names {
    /// Names that are looked up by these.
    pub fn new(lookups: Lookups) -> Self {
        Self(Arc::new(Shared {
            lookups,
            known: Mutex::default(),
            finished: Condvar::new(),
        }))
    }

    /// The addresses of `name`, at least one: at once those that it had last, else those of a
    /// lookup.
    pub fn addresses(&self, name: &str, deadline: Instant) -> io::Result<Vec<IpAddr>> {
        let mut all = self.0.lock();
        let known = all.entry(name.to_owned()).or_default();
        let fresh = known.fresh_until.is_some_and(|end| Instant::now() < end);
        if !fresh && !known.running {
            let (shared, owned) = (Arc::downgrade(&self.0), name.to_owned());
            let told = move |found: &Found| {
                if let Some(shared) = shared.upgrade() {
                    shared.finish(owned, found);
                }
            };
            match self.0.lookups.begin(name, told) {
                Ok(()) => known.running = true,
                Err(_) if !known.addresses.is_empty() => {}
                Err(why) => return Err(io::Error::other(why)),
            }
        }
        if !known.addresses.is_empty() {
            return Ok(known.addresses.clone());
        }
        let before = known.ended;
        let ended = |all: &HashMap<String, Known>| all.get(name).map_or(0, |known| known.ended);
        let (all, _) = self
            .0
            .finished
            .wait_timeout_while(all, remaining(deadline)?, |all| ended(all) == before)
            .unwrap_or_else(PoisonError::into_inner);
        match all.get(name) {
            Some(known) if !known.addresses.is_empty() => Ok(known.addresses.clone()),
            Some(Known {
                failed: Some(why), ..
            }) if ended(&all) != before => Err(io::Error::other(why.clone())),
            _ => Err(timed_out()),
        }
    }

    /// Has the name looked up again at the next question: nobody was there where it led to.
    pub fn doubt(&self, name: &str) {
        if let Some(known) = self.0.lock().get_mut(name) {
            known.fresh_until = None;
        }
    }
}

impl Shared {
    fn finish(&self, name: String, found: &Found) {
        let mut all = self.lock();
        let known = all.entry(name).or_default();
        known.running = false;
        known.ended += 1;
        match found {
            Ok(addresses) => {
                known.addresses.clone_from(addresses);
                known.fresh_until = Some(Instant::now() + FRESH);
                known.failed = None;
            }
            Err(why) => known.failed = Some(format!("the name cannot be looked up: {why}")),
        }
        drop(all);
        self.finished.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn an_address_is_looked_up_once_and_again_when_in_doubt() {
        let count = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&count);
        let lookups = Lookups::new(2, move |name| {
            assert_eq!(name, "mail.example.org");
            let number = counted.fetch_add(1, Ordering::SeqCst);
            Ok(vec![IpAddr::from([192, 0, 2, number as u8])])
        });
        let names = Names::new(lookups);
        let ask = || names.addresses("mail.example.org", soon()).unwrap();
        assert_eq!(ask(), [IpAddr::from([192, 0, 2, 0])]);
        assert_eq!(ask(), [IpAddr::from([192, 0, 2, 0])]);
        assert_eq!(count.load(Ordering::SeqCst), 1);
        names.doubt("mail.example.org");
        while ask() != [IpAddr::from([192, 0, 2, 1])] {
            thread::yield_now();
        }
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_lookup_that_hangs_costs_no_more_than_the_deadline_and_one_thread() {
        let (stop, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let count = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&count);
        let lookups = Lookups::new(2, move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            let _gone = wait.lock().unwrap().recv();
            Err(io::Error::other("stopped"))
        });
        let names = Names::new(lookups);
        for _ in 0..3 {
            let start = Instant::now();
            let error = names
                .addresses("mail", start + Duration::from_millis(50))
                .unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert!(start.elapsed() < Duration::from_secs(1));
        }
        assert_eq!(count.load(Ordering::SeqCst), 1);
        drop(stop);
        let error = names.addresses("mail", soon()).unwrap_err();
        assert_eq!(error.to_string(), "the name cannot be looked up: stopped");
    }
}
