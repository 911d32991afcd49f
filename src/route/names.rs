//! Mail servers that are given by name: where DNS says they are, or said last.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::allowed::AllowedNetworks;
use crate::net::lookup::{Found, Lookups};

/// The most lookups at once when all names are looked up again.
const LOOKUPS_AT_ONCE: usize = 8;

/// How long one of these lookups may keep others waiting.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(5);

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
    allowed: AllowedNetworks,
    address: RwLock<Option<IpAddr>>,
    lookup: Mutex<Lookup>,
    finished: Condvar,
}

#[derive(Default)]
struct Lookup {
    running: bool,
    /// A login waits for it, or has waited as long as it may.
    waited_for: bool,
    /// The last one failed: when, and why.
    failed: Option<(Instant, String)>,
}

impl Name {
    /// With the address that it had before, if it may have that now.
    pub(super) fn new(name: Arc<str>, allowed: &AllowedNetworks, before: Option<IpAddr>) -> Self {
        Self {
            name,
            allowed: allowed.clone(),
            address: RwLock::new(before.filter(|address| allowed.check(*address).is_ok())),
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

    /// The last good address, at once; without one, that of a lookup, in bounded time. Only the
    /// first who asks waits for it: while the lookup runs, the others fail at once.
    pub(super) fn address(
        self: &Arc<Self>,
        lookups: &Lookups,
        timing: Timing,
    ) -> Result<IpAddr, String> {
        if let Some(address) = self.last_good() {
            return Ok(address);
        }
        let mut lookup = self.lookup();
        if lookup.running && lookup.waited_for {
            return Err(self.no_answer());
        }
        if let Some((when, why)) = &lookup.failed
            && !lookup.running
            && when.elapsed() < timing.pause
        {
            return Err(why.clone());
        }
        let Some(_place) = lookups.wait() else {
            let why = "too many names are waited for already";
            return Err(format!("{}: {why}", self.name));
        };
        if !lookup.running {
            self.begin(lookups, &mut lookup, || {})?;
        }
        lookup.waited_for = true;
        let (lookup, _) = self
            .finished
            .wait_timeout_while(lookup, timing.patience, |lookup| lookup.running)
            .unwrap_or_else(PoisonError::into_inner);
        self.last_good().ok_or_else(|| match &lookup.failed {
            Some((_, why)) if !lookup.running => why.clone(),
            _ => self.no_answer(),
        })
    }

    fn no_answer(&self) -> String {
        format!("{}: no answer from DNS", self.name)
    }

    /// Begins a lookup; `ended` is called when it has ended, whoever is still interested then.
    fn begin(
        self: &Arc<Self>,
        lookups: &Lookups,
        lookup: &mut Lookup,
        ended: impl FnOnce() + Send + 'static,
    ) -> Result<(), String> {
        let name = Arc::downgrade(self);
        let told = move |found: &Found| {
            if let Some(name) = name.upgrade() {
                name.finish(found);
            }
            ended();
        };
        lookups
            .begin(&self.name, told)
            .map_err(|why| format!("{}: {why}", self.name))?;
        lookup.running = true;
        Ok(())
    }

    /// Has the name looked up, unless it is already; whether that was begun now.
    fn refresh(
        self: &Arc<Self>,
        lookups: &Lookups,
        ended: impl FnOnce() + Send + 'static,
    ) -> Result<bool, String> {
        let mut lookup = self.lookup();
        if lookup.running {
            return Ok(false);
        }
        self.begin(lookups, &mut lookup, ended).map(|()| true)
    }

    /// Takes what a lookup found.
    fn finish(&self, found: &Found) {
        let result = match found {
            Ok(addresses) => self.allowed.first(addresses),
            Err(why) => Err(why.clone()),
        };
        let before = self.last_good();
        if let Ok(address) = &result {
            *self.address.write().unwrap_or_else(PoisonError::into_inner) = Some(*address);
        }
        let failure = result
            .as_ref()
            .err()
            .map(|error| (Instant::now(), format!("{}: {error}", self.name)));
        let mut lookup = self.lookup();
        lookup.running = false;
        lookup.waited_for = false;
        let failed_before = std::mem::replace(&mut lookup.failed, failure).is_some();
        drop(lookup);
        self.finished.notify_all();
        // Last, and without a lock: the log may block.
        self.log(&result, before, failed_before);
    }

    /// Tells each change once, not each lookup.
    fn log(&self, result: &Result<IpAddr, String>, before: Option<IpAddr>, failed_before: bool) {
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
        Some(why.unwrap_or_else(|| self.no_answer()))
    }

    fn lookup(&self) -> MutexGuard<'_, Lookup> {
        self.lookup.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//------------ Looking all up ------------------------------------------------

/// What the thread that looks names up again is told.
pub(super) enum Event {
    /// A lookup has ended.
    Ended,
    /// Its names are of no use any longer.
    Stop,
}

/// Ends the thread that looks names up again, when it is dropped.
pub(super) struct Refreshing(pub(super) Sender<Event>);

impl Drop for Refreshing {
    fn drop(&mut self) {
        let _it_has_ended = self.0.send(Event::Stop);
    }
}

/// Looks all names up at once, and again each time `ttl` has passed, until it is told to stop.
/// Tells `first` when all have been looked up for the first time.
pub(super) fn keep_fresh(
    names: &[Arc<Name>],
    lookups: &Lookups,
    ttl: Duration,
    (events, sender): (&Receiver<Event>, &Sender<Event>),
    first: &Sender<()>,
) {
    loop {
        if refresh_all(names, lookups, events, sender).is_break() {
            return;
        }
        let _nobody_waits_any_more = first.send(());
        let next = Instant::now() + ttl;
        loop {
            match events.recv_timeout(next.saturating_duration_since(Instant::now())) {
                // One that took long.
                Ok(Event::Ended) => {}
                Err(RecvTimeoutError::Timeout) => break,
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// Looks all names up once. No thread but this one waits for them, and this one not for long for
/// any of them.
fn refresh_all(
    names: &[Arc<Name>],
    lookups: &Lookups,
    events: &Receiver<Event>,
    sender: &Sender<Event>,
) -> ControlFlow<()> {
    let mut running = 0_usize;
    let wait = |running: &mut usize| {
        match events.recv_timeout(LOOKUP_PATIENCE) {
            Ok(Event::Ended) => *running = running.saturating_sub(1),
            // Those hang: let them.
            Err(RecvTimeoutError::Timeout) => *running = 0,
            Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    };
    for name in names {
        while running >= LOOKUPS_AT_ONCE {
            wait(&mut running)?;
        }
        loop {
            let sender = sender.clone();
            let ended = move || {
                let _nobody_waits = sender.send(Event::Ended);
            };
            match name.refresh(lookups, ended) {
                Ok(begun) => running += usize::from(begun),
                // Others have all places: wait until one ends.
                Err(_) => {
                    wait(&mut running)?;
                    continue;
                }
            }
            break;
        }
    }
    while running > 0 {
        wait(&mut running)?;
    }
    ControlFlow::Continue(())
}
