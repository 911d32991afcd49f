//! The health of mail servers, from probes in the background; requests read it.
//!
//! A server is probed from the first request for it on, for each protocol separately: IMAP can work while
//! SMTP is dead, and an unused protocol need not exist at all. The first request waits for the first probe;
//! all later ones get the known state at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::probe::{Fault, Probes, probe};
use crate::login::Protocol;

/// The maximum number of concurrent probes. Probes without an answer must not delay the others.
const PROBES_AT_ONCE: usize = 8;

/// The maximum number of watched servers. Further ones count as alive. A configuration has at most some
/// hundreds, but a store can give each user a different port.
const MAX_WATCHED: usize = 4096;

/// How long a server is watched after the last request for it.
const FORGOTTEN: Duration = Duration::from_secs(3600);

/// How much longer than a probe's time-out a request waits for its result.
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

/// The known state of a mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Unknown; it counts as alive.
    Unknown,
    /// The last probe succeeded, or only the last one failed.
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

/// One watched server.
#[derive(Clone, Debug)]
struct Watch {
    health: Health,
    /// Whether the last probe failed and the one before succeeded.
    doubtful: bool,
    /// The time of the next probe.
    due: Instant,
    since: Instant,
    asked: Instant,
}

/// A change that is logged.
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

    /// Records the result of a probe. A server that was alive is probed again at once before it counts as
    /// dead: a packet may be lost, and a busy server is sometimes late.
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
    /// Wakes the workers: a probe may be due, or the watchman has ended.
    work: Condvar,
    /// A probe has ended.
    results: Condvar,
}

#[derive(Default)]
struct Watches {
    all: BTreeMap<Watched, Watch>,
    /// The machines that are probed now: one probe at a time for each.
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

    /// Continues to watch the servers of `before` on the machines that `still` accepts, with their known
    /// states.
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

    /// Watches these servers from now on.
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

    /// The state of a server. While it is unknown, waits for the first probe: until `until`, and no longer
    /// than a probe takes.
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

    /// Starts as many threads as can work at the same time, at most [`PROBES_AT_ONCE`].
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
                // With fewer threads the probes only take longer.
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
    /// Probes the servers that are due, until the watchman ends.
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
            // Another server on this machine may be due.
            self.work.notify_one();
            if let Some(news) = news.filter(|_| !watches.ended) {
                // Without the lock, because logging may block.
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

    /// The time until the next probe is due; the end of a probe wakes the threads that wait for its machine.
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

/// Logs each change once, not each probe.
fn tell(watched: &Watched, news: &News) {
    match news {
        News::Dead(why) => log::warn!("mail server {watched} is dead: {why}"),
        News::AliveAgain => log::warn!("mail server {watched} is alive again"),
    }
}

#[cfg(test)]
mod tests;
