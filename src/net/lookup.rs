//! Lookups of names: each in a thread that can be left behind, never two of one name at once, and
//! never more than so many in all.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// The most logins that wait for a lookup at once, each for another name. They all have a thread
/// of the server, which others need.
const MAX_WAITING: usize = 8;

/// What a lookup finds: addresses, or why there are none.
pub type Found = Result<Vec<IpAddr>, String>;

/// Finds all addresses of a name. May take as long as it likes.
type LookUp = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Who is told what a lookup found.
type Told = Box<dyn FnOnce(&Found) + Send>;

/// Looks names up.
#[derive(Clone)]
pub struct Lookups(Arc<Shared>);

struct Shared {
    look_up: Box<LookUp>,
    most: usize,
    /// The names that are being looked up.
    running: Mutex<HashMap<String, Vec<Told>>>,
    waiting: AtomicUsize,
}

impl Lookups {
    /// By `look_up`, at most so many at once.
    pub fn new(
        most: usize,
        look_up: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            look_up: Box::new(look_up),
            most,
            running: Mutex::default(),
            waiting: AtomicUsize::new(0),
        }))
    }

    /// Has `name` looked up, or joins the lookup of it that runs already; `told` is called in
    /// another thread. The error says why nobody will be told anything.
    pub fn begin(
        &self,
        name: &str,
        told: impl FnOnce(&Found) + Send + 'static,
    ) -> Result<(), String> {
        let mut running = self.0.running();
        if let Some(all) = running.get_mut(name) {
            all.push(Box::new(told));
            return Ok(());
        }
        if running.len() >= self.0.most {
            return Err(format!(
                "{} other names are being looked up already",
                self.0.most
            ));
        }
        let (shared, owned) = (Arc::clone(&self.0), name.to_owned());
        thread::Builder::new()
            .name("dns".into())
            .spawn(move || shared.run(&owned))
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        running.insert(name.to_owned(), vec![Box::new(told)]);
        Ok(())
    }

    /// A place to wait for a lookup at; `None` while too many do.
    pub fn wait(&self) -> Option<Waiting<'_>> {
        let places = &self.0.waiting;
        let more = |waiting| (waiting < MAX_WAITING).then_some(waiting + 1);
        let taken = places.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.is_ok().then(|| Waiting(places))
    }
}

/// Somebody waits for a lookup.
pub struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    fn run(&self, name: &str) {
        let found = catch_unwind(AssertUnwindSafe(|| (self.look_up)(name)));
        let found = match found {
            Ok(Ok(addresses)) if addresses.is_empty() => Err("it has no address".to_owned()),
            Ok(found) => found.map_err(|error| error.to_string()),
            Err(_) => Err("the lookup panicked".to_owned()),
        };
        let all = self.running().remove(name);
        for told in all.unwrap_or_default() {
            told(&found);
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Vec<Told>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    /// Lookups that end when they are told what they found.
    fn held(most: usize) -> (Lookups, std::sync::mpsc::Sender<u8>, Arc<AtomicUsize>) {
        let (sender, receiver) = channel::<u8>();
        let receiver = Mutex::new(receiver);
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let lookups = Lookups::new(most, move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            match receiver.lock().unwrap().recv().unwrap() {
                0 => Ok(Vec::new()),
                255 => panic!("as wanted"),
                last => Ok(vec![[192, 0, 2, last].into()]),
            }
        });
        (lookups, sender, count)
    }

    fn begin(lookups: &Lookups, name: &str) -> Receiver<Found> {
        let (sender, receiver) = channel();
        let told = move |found: &Found| sender.send(found.clone()).unwrap();
        lookups.begin(name, told).unwrap();
        receiver
    }

    #[test]
    fn a_name_is_looked_up_once_and_all_are_told() {
        let (lookups, answer, count) = held(2);
        let all = [(); 3].map(|()| begin(&lookups, "a.test"));
        answer.send(7).unwrap();
        for told in all {
            let found = told.recv_timeout(SOON).unwrap();
            assert_eq!(found, Ok(vec![[192, 0, 2, 7].into()]));
        }
        assert_eq!(count.load(Ordering::SeqCst), 1);
        let again = begin(&lookups, "a.test");
        answer.send(0).unwrap();
        let found = again.recv_timeout(SOON).unwrap();
        assert_eq!(found, Err("it has no address".to_owned()));
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn there_are_never_too_many_and_one_that_ends_makes_room() {
        let (lookups, answer, _) = held(2);
        let first = begin(&lookups, "a.test");
        let _second = begin(&lookups, "b.test");
        let full = Err("2 other names are being looked up already".to_owned());
        assert_eq!(lookups.begin("c.test", |_| ()), full);
        // Joining one takes no room.
        let _joined = begin(&lookups, "b.test");
        answer.send(255).unwrap();
        let found = first.recv_timeout(SOON);
        // Either of the two got it.
        let ended = found.is_ok() || lookups.begin("c.test", |_| ()).is_ok();
        assert!(ended);
    }

    #[test]
    fn no_more_than_eight_wait() {
        let (lookups, _answer, _) = held(1);
        let mut waiting: Vec<_> = (0..8).map(|_| lookups.wait().unwrap()).collect();
        assert!((0..3).all(|_| lookups.wait().is_none()));
        waiting.pop();
        assert!(lookups.wait().is_some());
    }
}
