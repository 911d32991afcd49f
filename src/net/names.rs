//! Addresses of hosts that are given by name, looked up in bounded time.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::net::{remaining, timed_out};

/// How long an address is used before it is looked up again, meanwhile the old one serves.
const FRESH: Duration = Duration::from_secs(60);

/// Looks up all addresses of a name. May take as long as it likes.
type LookUp = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Names and the addresses that they had last.
///
/// A lookup takes as long as the system's resolver likes, so each runs in a thread that can be
/// left behind; there is never more than one for a name.
#[derive(Clone)]
pub struct Names(Arc<Shared>);

struct Shared {
    look_up: Box<LookUp>,
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
    /// Names that `look_up` finds the addresses of.
    pub fn new(look_up: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared {
            look_up: Box::new(look_up),
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
            let (shared, name) = (Arc::clone(&self.0), name.to_owned());
            thread::Builder::new()
                .name("dns".into())
                .spawn(move || shared.finish(name))?;
            known.running = true;
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
    fn finish(&self, name: String) {
        let found = (self.look_up)(&name);
        let mut all = self.lock();
        let known = all.entry(name).or_default();
        known.running = false;
        known.ended += 1;
        match found {
            Ok(addresses) if !addresses.is_empty() => {
                known.addresses = addresses;
                known.fresh_until = Some(Instant::now() + FRESH);
                known.failed = None;
            }
            Ok(_) => known.failed = Some("the name has no address".to_owned()),
            Err(error) => known.failed = Some(format!("the name cannot be looked up: {error}")),
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

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn an_address_is_looked_up_once_and_again_when_in_doubt() {
        let count = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&count);
        let names = Names::new(move |name| {
            assert_eq!(name, "mail.example.org");
            let number = counted.fetch_add(1, Ordering::SeqCst);
            Ok(vec![IpAddr::from([192, 0, 2, number as u8])])
        });
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
        let names = Names::new(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            let _gone = wait.lock().unwrap().recv();
            Err(io::Error::other("stopped"))
        });
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
