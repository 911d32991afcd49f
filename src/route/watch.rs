//! Which mail servers are alive, as the last probes saw it: looked up by requests, renewed in the
//! background.
//!
//! A server is watched once somebody has asked about it, for each protocol on its own: IMAP can
//! live where SMTP is dead, and a protocol that nobody uses need not be there at all. Who asks
//! first waits for the first probe, all others get what is known at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::probe::{Fault, Probes, probe};
use crate::login::Protocol;

/// The most probes at once. Those that get no answer then do not keep the others waiting.
const PROBES_AT_ONCE: usize = 8;

/// The most servers that are watched. Those beyond are taken to be alive. A configuration has no
/// more than some hundreds, but each user in a store may have a port of his own.
const MAX_WATCHED: usize = 4096;

/// How long a server is watched that nobody asks about.
const FORGOTTEN: Duration = Duration::from_secs(3600);

/// How much longer than a probe may take its result is waited for.
pub(super) const SLACK: Duration = Duration::from_millis(100);

/// A mail server for one protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Watched {
    pub(super) address: SocketAddr,
    pub(super) protocol: Protocol,
}

impl Watched {
    pub(super) fn new(address: IpAddr, port: NonZeroU16, protocol: Protocol) -> Self {
        Self {
            address: SocketAddr::new(address, port.get()),
            protocol,
        }
    }
}

/// `192.0.2.1:143 (imap)`.
impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.address, self.protocol.word())
    }
}

/// What is known of a mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing yet; it is taken to be alive.
    Unknown,
    /// Its last probe went well, or only the last one failed.
    Alive,
    /// Two probes in a row failed, or the first one. The text says how.
    Dead(Arc<str>),
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("not probed"),
            Self::Alive => f.write_str("alive"),
            Self::Dead(why) => write!(f, "dead: {why}"),
        }
    }
}

//------------ Watch ---------------------------------------------------------

/// One server under watch.
#[derive(Clone, Debug)]
struct Watch {
    health: Health,
    /// Whether the last probe failed, and the one before did not.
    doubtful: bool,
    /// When it is probed next.
    due: Instant,
    since: Instant,
    asked: Instant,
}

/// A change that is worth a line in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
enum News {
    Dead(Arc<str>),
    AliveAgain,
}

impl Watch {
    fn new(now: Instant) -> Self {
        Self {
            health: Health::Unknown,
            doubtful: false,
            due: now,
            since: now,
            asked: now,
        }
    }

    /// Draws the conclusion from a probe. A server that was alive gets a second one at once,
    /// before it counts as dead: a packet may be lost, and a busy server is late now and then.
    fn learn(
        &mut self,
        result: Result<(), Fault>,
        now: Instant,
        interval: Duration,
    ) -> Option<News> {
        self.due = now + interval;
        match (result, &self.health) {
            (Ok(()), before) => {
                let again = matches!(before, Health::Dead(_));
                self.health = Health::Alive;
                self.doubtful = false;
                again.then_some(News::AliveAgain)
            }
            (Err(Fault::Ours(_)), _) => None,
            (Err(Fault::Dead(_)), Health::Alive) if !self.doubtful => {
                self.doubtful = true;
                self.due = now;
                None
            }
            (Err(Fault::Dead(why)), before) => {
                let news = !matches!(before, Health::Dead(_));
                let why: Arc<str> = why.into();
                self.health = Health::Dead(Arc::clone(&why));
                self.doubtful = false;
                news.then_some(News::Dead(why))
            }
        }
    }
}

//------------ Watchman ------------------------------------------------------

/// Watches mail servers until it is dropped.
pub(super) struct Watchman(Arc<Shared>);

struct Shared {
    probes: Probes,
    watches: Mutex<Watches>,
    /// There may be something to do, or nothing any more.
    work: Condvar,
    /// A probe has ended.
    results: Condvar,
}

#[derive(Default)]
struct Watches {
    all: BTreeMap<Watched, Watch>,
    /// Being probed: one probe at a time for each machine.
    busy: BTreeSet<IpAddr>,
    workers: usize,
    ended: bool,
}

impl Watchman {
    pub(super) fn new(probes: Probes) -> Self {
        Self(Arc::new(Shared {
            probes,
            watches: Mutex::default(),
            work: Condvar::new(),
            results: Condvar::new(),
        }))
    }

    /// Goes on watching what `before` watches on the machines that `still` has, from what is known
    /// there.
    pub(super) fn take_over(&self, before: &Self, still: impl Fn(IpAddr) -> bool) {
        let known = before.0.lock().all.clone();
        let mut watches = self.0.lock();
        let now = Instant::now();
        for (watched, watch) in known {
            if still(watched.address.ip()) {
                let due = watch.due.min(now + self.0.probes.interval);
                let _new = watches.all.insert(watched, Watch { due, ..watch });
            }
        }
        self.start_workers(&mut watches);
    }

    /// Has these watched from now on.
    pub(super) fn watch(&self, servers: impl IntoIterator<Item = Watched>) {
        let mut watches = self.0.lock();
        let now = Instant::now();
        let mut new = false;
        for server in servers {
            if let Some(watch) = watches.all.get_mut(&server) {
                watch.asked = now;
            } else if watches.all.len() < MAX_WATCHED {
                watches.all.insert(server, Watch::new(now));
                new = true;
            }
        }
        if new {
            self.start_workers(&mut watches);
        }
    }

    /// What is known of a server. As long as that is nothing, the first probe is waited for: until
    /// `until`, and no longer than a probe takes.
    pub(super) fn health(&self, server: &Watched, until: Instant) -> Health {
        let mut watches = self.0.lock();
        loop {
            let Some(watch) = watches.all.get(server) else {
                return Health::Unknown;
            };
            let until = until.min(watch.since + self.0.probes.timeout + SLACK);
            let left = until.saturating_duration_since(Instant::now());
            if watch.health != Health::Unknown || left.is_zero() || watches.workers == 0 {
                return watch.health.clone();
            }
            let waited = self.0.results.wait_timeout(watches, left);
            (watches, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// As many threads as can be of use at once, and no more than [`PROBES_AT_ONCE`].
    fn start_workers(&self, watches: &mut Watches) {
        while watches.workers < watches.all.len().min(PROBES_AT_ONCE) {
            let shared = Arc::clone(&self.0);
            let started = thread::Builder::new()
                .name("probes".into())
                .spawn(move || shared.work());
            match started {
                Ok(_detached) => watches.workers += 1,
                Err(error) if watches.workers == 0 => {
                    log::error!("mail servers are not probed: no thread: {error}");
                    return;
                }
                // Without it it takes longer, that is all.
                Err(_) => return,
            }
        }
        self.0.work.notify_all();
    }
}

impl Drop for Watchman {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.work.notify_all();
    }
}

impl Shared {
    /// Probes what is due, until the watchman has gone.
    fn work(&self) {
        let mut watches = self.lock();
        while !watches.ended {
            let now = Instant::now();
            watches.forget(now);
            let Some(watched) = watches.next_due(now) else {
                let left = watches.next_time(now, self.probes.interval);
                let waited = self.work.wait_timeout(watches, left);
                (watches, _) = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let address = watched.address;
            watches.busy.insert(address.ip());
            drop(watches);
            let result = probe(
                self.probes.kind,
                address,
                watched.protocol,
                self.probes.timeout,
            );
            watches = self.lock();
            watches.busy.remove(&address.ip());
            let watch = watches.all.get_mut(&watched);
            let news =
                watch.and_then(|watch| watch.learn(result, Instant::now(), self.probes.interval));
            self.results.notify_all();
            // Others for the same machine may have waited.
            self.work.notify_one();
            if let Some(news) = news.filter(|_| !watches.ended) {
                // Without the lock: the log may block.
                drop(watches);
                tell(&watched, &news);
                watches = self.lock();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Watches> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watches {
    fn next_due(&self, now: Instant) -> Option<Watched> {
        let free = |watched: &Watched| !self.busy.contains(&watched.address.ip());
        let due = self
            .all
            .iter()
            .filter(|(watched, watch)| watch.due <= now && free(watched));
        let next = due.min_by_key(|(_, watch)| watch.due)?;
        Some(*next.0)
    }

    /// How long there is nothing to do; whoever ends a probe wakes those who wait for its machine.
    fn next_time(&self, now: Instant, interval: Duration) -> Duration {
        let times = self.all.iter().filter_map(|(watched, watch)| {
            let free = !self.busy.contains(&watched.address.ip());
            free.then(|| watch.due.saturating_duration_since(now))
        });
        times.min().unwrap_or(interval)
    }

    fn forget(&mut self, now: Instant) {
        self.all
            .retain(|_, watch| now.saturating_duration_since(watch.asked) < FORGOTTEN);
    }
}

/// Tells each change once, not each probe.
fn tell(watched: &Watched, news: &News) {
    match news {
        News::Dead(why) => log::warn!("mail server {watched} is dead: {why}"),
        News::AliveAgain => log::warn!("mail server {watched} is alive again"),
    }
}

#[cfg(test)]
mod tests;
