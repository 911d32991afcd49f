//! One host name with its last good addresses and its running lookup.

use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Found, LookupFailure, Purpose, Resolver};

/// Selects the addresses that can be used.
type AddressFilter = dyn Fn(&[IpAddr]) -> Found + Send + Sync;

/// A host name and its last good addresses.
pub struct Name {
    resolver: Resolver,
    host: Arc<str>,
    purpose: Purpose,
    usable: Box<AddressFilter>,
    known: Mutex<Known>,
    ended: Condvar,
}

#[derive(Default)]
struct Known {
    /// The last good addresses; empty before the first lookup.
    addresses: Vec<IpAddr>,
    /// When the last lookup ended; `None` if another one is due.
    looked_up: Option<Instant>,
    running: bool,
    /// A login waits for the running lookup, or has waited for it until its deadline.
    waited_for: bool,
    /// When and why the last lookup failed.
    failed: Option<(Instant, String)>,
}

impl Name {
    pub(super) fn new(
        resolver: Resolver,
        host: Arc<str>,
        purpose: Purpose,
        usable: Box<AddressFilter>,
        addresses: Vec<IpAddr>,
    ) -> Self {
        let known = Known {
            addresses,
            ..Known::default()
        };
        Self {
            resolver,
            host,
            purpose,
            usable,
            known: Mutex::new(known),
            ended: Condvar::new(),
        }
    }

    /// The name itself.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The first of the last good addresses.
    pub fn first(&self) -> Option<IpAddr> {
        self.lock().addresses.first().copied()
    }

    pub(super) fn last_good(&self) -> Vec<IpAddr> {
        self.lock().addresses.clone()
    }

    /// The first of [`Self::addresses`].
    pub fn address(self: &Arc<Self>, deadline: Instant) -> Result<IpAddr, LookupFailure> {
        if let Some(address) = self.first() {
            return Ok(address);
        }
        let addresses = self.addresses(deadline)?;
        addresses.first().copied().ok_or(LookupFailure::NoAnswer)
    }

    /// The last good addresses at once; if there are none, those of a lookup, by the deadline.
    pub fn addresses(self: &Arc<Self>, deadline: Instant) -> Result<Vec<IpAddr>, LookupFailure> {
        let mut known = self.lock();
        if !known.addresses.is_empty() {
            if known.looked_up.is_none() && !self.is_paused(&known) {
                let _last_good_ones_serve = self.begin(&mut known);
            }
            return Ok(known.addresses.clone());
        }
        if let Some((_, why)) = &known.failed
            && self.is_paused(&known)
        {
            return Err(LookupFailure::Failed(why.clone()));
        }
        let _place = match self.purpose {
            Purpose::Store => None,
            Purpose::MailServer if known.running && known.waited_for => {
                return Err(LookupFailure::NoAnswer);
            }
            Purpose::MailServer => Some(self.resolver.wait().ok_or_else(|| {
                LookupFailure::Failed("too many names are waited for already".to_owned())
            })?),
        };
        if !known.running {
            self.begin(&mut known).map_err(LookupFailure::Failed)?;
        }
        known.waited_for = true;
        let known = self.until(deadline, known, |known| known.running);
        match &known.failed {
            _ if !known.addresses.is_empty() => Ok(known.addresses.clone()),
            Some((_, why)) if !known.running => Err(LookupFailure::Failed(why.clone())),
            _ => Err(LookupFailure::NoAnswer),
        }
    }

    /// Waits for the end of the first lookup, with either result.
    pub fn wait_for_first(&self, deadline: Instant) {
        let known = self.lock();
        let _in_time_or_not = self.until(deadline, known, |known| known.looked_up.is_none());
    }

    /// Causes a new lookup at the next question: no server answered at the addresses.
    pub fn mark_stale(&self) {
        self.lock().looked_up = None;
    }

    /// Why there is no good address.
    pub fn trouble(&self) -> Option<LookupFailure> {
        let known = self.lock();
        match &known.failed {
            _ if !known.addresses.is_empty() => None,
            Some((_, why)) => Some(LookupFailure::Failed(why.clone())),
            None => Some(LookupFailure::NoAnswer),
        }
    }

    /// The time until the next lookup is due; `None` while one runs.
    pub(super) fn due_in(&self, ttl: Duration) -> Option<Duration> {
        let known = self.lock();
        let left = |at: Instant| ttl.saturating_sub(at.elapsed());
        (!known.running).then(|| known.looked_up.map_or(Duration::ZERO, left))
    }

    /// Starts a lookup unless one runs.
    pub(super) fn look_up(self: &Arc<Self>) -> Result<(), String> {
        let mut known = self.lock();
        match known.running {
            true => Ok(()),
            false => self.begin(&mut known),
        }
    }

    fn begin(self: &Arc<Self>, known: &mut Known) -> Result<(), String> {
        self.resolver.begin(self)?;
        known.running = true;
        Ok(())
    }

    /// Whether a lookup failed within the pause.
    fn is_paused(&self, known: &Known) -> bool {
        let pause = self.resolver.0.pause;
        let just_now = |(when, _): &(Instant, String)| when.elapsed() < pause;
        !known.running && known.failed.as_ref().is_some_and(just_now)
    }

    /// Stores the result of a lookup.
    pub(super) fn finish(&self, found: &Found) {
        let result = match found {
            Ok(addresses) => (self.usable)(addresses),
            Err(why) => Err(why.clone()),
        };
        let now = Instant::now();
        let failure = result.as_ref().err().map(|why| (now, why.clone()));
        let mut known = self.lock();
        let before = known.addresses.first().copied();
        let failed_before = std::mem::replace(&mut known.failed, failure).is_some();
        known.looked_up = Some(now);
        known.running = false;
        known.waited_for = false;
        if let Ok(addresses) = &result {
            known.addresses.clone_from(addresses);
        }
        drop(known);
        self.ended.notify_all();
        // Logging is last and without a lock, because it may block.
        self.log(&result, before, failed_before);
    }

    /// Logs each change once, not each lookup.
    fn log(&self, result: &Found, before: Option<IpAddr>, failed_before: bool) {
        let host = &self.host;
        let first = result.as_ref().map(|addresses| addresses.first());
        match (first, before) {
            (Ok(Some(address)), _) if failed_before => {
                log::warn!("{host} can be resolved again: {address}");
            }
            (Ok(Some(address)), Some(before)) if before != *address => {
                log::info!("{host} is now {address}");
            }
            (Err(_), _) if failed_before => {}
            (Err(error), Some(before)) => {
                log::warn!("cannot resolve {host}: {error}; {before} stays in use");
            }
            (Err(error), None) => log::warn!("cannot resolve {host}: {error}"),
            (Ok(_), _) => {}
        }
    }

    fn until<'a>(
        &self,
        deadline: Instant,
        known: MutexGuard<'a, Known>,
        condition: impl Fn(&Known) -> bool,
    ) -> MutexGuard<'a, Known> {
        let left = deadline.saturating_duration_since(Instant::now());
        let (known, _) = self
            .ended
            .wait_timeout_while(known, left, |known| condition(known))
            .unwrap_or_else(PoisonError::into_inner);
        known
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
