//! Mail servers that are given by name: where DNS says they are, or said last.

use std::io;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::answer::Upstream;

/// The most lookups at once when all names are looked up again. One that gets no answer from DNS
/// then does not keep the others waiting.
const LOOKUPS_AT_ONCE: usize = 8;

/// Turns names into addresses.
pub trait Resolver: Send + Sync + 'static {
    /// The first address of `name`. May take as long as it likes.
    fn resolve(&self, name: &str) -> io::Result<IpAddr>;
}

impl<F: Fn(&str) -> io::Result<IpAddr> + Send + Sync + 'static> Resolver for F {
    fn resolve(&self, name: &str) -> io::Result<IpAddr> {
        self(name)
    }
}

/// How patient we are with DNS.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// How long a request, or the start of the server, waits for an address that is not known.
    pub(super) patience: Duration,
    /// How long after a failure requests fail at once, instead of each asking again.
    pub(super) pause: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(5),
            pause: Duration::from_secs(5),
        }
    }
}

//------------ Name ----------------------------------------------------------

/// A DNS name, and the last good address that it had.
pub(super) struct Name {
    name: Arc<str>,
    address: RwLock<Option<IpAddr>>,
    lookup: Mutex<Lookup>,
    finished: Condvar,
}

#[derive(Default)]
struct Lookup {
    running: bool,
    /// The last one failed: when, and why.
    failed: Option<(Instant, String)>,
}

impl Name {
    pub(super) fn new(name: Arc<str>, address: Option<IpAddr>) -> Self {
        Self {
            name,
            address: RwLock::new(address),
            lookup: Mutex::default(),
            finished: Condvar::new(),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.name
    }

    /// The last good address. Held for the time of a copy only.
    pub(super) fn last_good(&self) -> Option<IpAddr> {
        *self.address.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last good address, at once; without one, that of a lookup, in bounded time.
    pub(super) fn address(
        self: &Arc<Self>,
        resolver: &Arc<dyn Resolver>,
        timing: Timing,
    ) -> Result<IpAddr, String> {
        if let Some(address) = self.last_good() {
            return Ok(address);
        }
        let mut lookup = self.lookup();
        if !lookup.running {
            if let Some((when, why)) = &lookup.failed
                && when.elapsed() < timing.pause
            {
                return Err(why.clone());
            }
            let (name, resolver) = (Arc::clone(self), Arc::clone(resolver));
            // getaddrinfo takes as long as it likes, so it gets a thread that can be left behind.
            thread::Builder::new()
                .name("dns".into())
                .spawn(move || name.finish(&*resolver))
                .map_err(|error| format!("cannot start a thread: {error}"))?;
            lookup.running = true;
        }
        let (lookup, _) = self
            .finished
            .wait_timeout_while(lookup, timing.patience, |lookup| lookup.running)
            .unwrap_or_else(PoisonError::into_inner);
        self.last_good().ok_or_else(|| match &lookup.failed {
            Some((_, why)) if !lookup.running => why.clone(),
            _ => format!("{}: no answer from DNS", self.name),
        })
    }

    /// Looks the name up, unless somebody does already.
    fn refresh(&self, resolver: &dyn Resolver) {
        let mut lookup = self.lookup();
        if !std::mem::replace(&mut lookup.running, true) {
            drop(lookup);
            self.finish(resolver);
        }
    }

    /// Does a lookup that was entered as running.
    fn finish(&self, resolver: &dyn Resolver) {
        let result = resolver.resolve(&self.name).and_then(usable);
        let before = self.last_good();
        if let Ok(address) = result {
            *self.address.write().unwrap_or_else(PoisonError::into_inner) = Some(address);
        }
        let failure = result
            .as_ref()
            .err()
            .map(|error| (Instant::now(), format!("{}: {error}", self.name)));
        let mut lookup = self.lookup();
        lookup.running = false;
        let failed_before = std::mem::replace(&mut lookup.failed, failure).is_some();
        drop(lookup);
        self.finished.notify_all();
        // Last, and without a lock: the log may block.
        self.log(&result, before, failed_before);
    }

    /// Tells each change once, not each lookup.
    fn log(&self, result: &io::Result<IpAddr>, before: Option<IpAddr>, failed_before: bool) {
        let name = &self.name;
        match (result, before) {
            (Ok(address), _) if failed_before => {
                log::warn!("{name} can be resolved again: {address}");
            }
            (Ok(address), Some(before)) if before != *address => {
                log::info!("{name} is now {address}");
            }
            (Err(_), _) if failed_before => {}
            (Err(error), Some(before)) => {
                log::warn!("cannot resolve {name}: {error}; {before} stays in use");
            }
            (Err(error), None) => log::warn!("cannot resolve {name}: {error}"),
            (Ok(_), _) => {}
        }
    }

    /// Why there is no good address.
    pub(super) fn trouble(&self) -> Option<String> {
        if self.last_good().is_some() {
            return None;
        }
        let why = self.lookup().failed.as_ref().map(|(_, why)| why.clone());
        Some(why.unwrap_or_else(|| format!("{}: no answer from DNS", self.name)))
    }

    fn lookup(&self) -> MutexGuard<'_, Lookup> {
        self.lookup.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn usable(address: IpAddr) -> io::Result<IpAddr> {
    match Upstream::new(address, NonZeroU16::MIN) {
        Some(_) => Ok(address),
        None => Err(io::Error::other(format!(
            "{address} is not the address of a mail server"
        ))),
    }
}

//------------ Looking all up ------------------------------------------------

/// Looks all names up at once, and again each time `ttl` has passed, until the other end of
/// `stop` is gone. Tells `first` when all have been looked up for the first time.
pub(super) fn keep_fresh(
    names: &[Arc<Name>],
    resolver: &dyn Resolver,
    ttl: Duration,
    stop: &Receiver<()>,
    first: &Sender<()>,
) {
    loop {
        refresh_all(names, resolver);
        let _nobody_waits_any_more = first.send(());
        match stop.recv_timeout(ttl) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Looks all names up once.
pub(super) fn refresh_all(names: &[Arc<Name>], resolver: &dyn Resolver) {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            name.refresh(resolver);
        }
    };
    thread::scope(|scope| {
        for _ in 1..names.len().min(LOOKUPS_AT_ONCE) {
            // Without these threads it takes longer, that is all.
            let _helper = thread::Builder::new()
                .name("dns".into())
                .spawn_scoped(scope, work);
        }
        work();
    });
}
