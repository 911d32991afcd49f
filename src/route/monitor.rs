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

use super::probe::{ProbeFailure, Probes, probe};
use crate::login::Protocol;

/// The maximum number of concurrent probes. Probes without an answer must not delay the others.
const MAX_CONCURRENT_PROBES: usize = 8;

/// The maximum number of monitored servers. Further ones count as alive. A configuration has at most some
/// hundreds, but a store can give each user a different port.
const MAX_MONITORED: usize = 4096;

/// How long a server is monitored after the last request for it.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// How much longer than a probe's time-out a request waits for its result.
pub(super) const SLACK: Duration = Duration::from_millis(100);

/// A mail server for one protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ProbeTarget {
    pub(super) address: SocketAddr,
    pub(super) protocol: Protocol,
}

impl ProbeTarget {
    pub(super) fn new(address: IpAddr, port: NonZeroU16, protocol: Protocol) -> Self {
        Self {
            address: SocketAddr::new(address, port.get()),
            protocol,
        }
    }
}

/// `192.0.2.1:143 (imap)`.
impl fmt::Display for ProbeTarget {
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

//------------ Monitored -----------------------------------------------------

/// One monitored server.
#[derive(Clone, Debug)]
struct Monitored {
    health: Health,
    /// When the health last changed.
    changed: Instant,
    /// Whether the last probe failed and the one before succeeded.
    doubtful: bool,
    /// The time of the next probe.
    due: Instant,
    since: Instant,
    asked: Instant,
}

/// A change that is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
enum HealthChange {
    Dead(Arc<str>),
    AliveAgain,
}

impl Monitored {
    fn new(now: Instant) -> Self {
        Self {
            health: Health::Unknown,
            changed: now,
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
        result: Result<(), ProbeFailure>,
        now: Instant,
        interval: Duration,
    ) -> Option<HealthChange> {
        self.due = now + interval;
        match (result, &self.health) {
            (Ok(()), before) => {
                let again = matches!(before, Health::Dead(_));
                if *before != Health::Alive {
                    self.changed = now;
                }
                self.health = Health::Alive;
                self.doubtful = false;
                again.then_some(HealthChange::AliveAgain)
            }
            (Err(ProbeFailure::NotProbed(_)), _) => None,
            (Err(ProbeFailure::Dead(_)), Health::Alive) if !self.doubtful => {
                self.doubtful = true;
                self.due = now;
                None
            }
            (Err(ProbeFailure::Dead(why)), before) => {
                let change = !matches!(before, Health::Dead(_));
                if change {
                    self.changed = now;
                }
                let why: Arc<str> = why.into();
                self.health = Health::Dead(Arc::clone(&why));
                self.doubtful = false;
                change.then_some(HealthChange::Dead(why))
            }
        }
    }
}

//------------ HealthMonitor -------------------------------------------------

/// Monitors mail servers until it is dropped.
pub(super) struct HealthMonitor(Arc<Shared>);

struct Shared {
    probes: Probes,
    state: Mutex<MonitorState>,
    /// Wakes the workers: a probe may be due, or the monitor has ended.
    work: Condvar,
    /// A probe has ended.
    results: Condvar,
}

#[derive(Default)]
struct MonitorState {
    all: BTreeMap<ProbeTarget, Monitored>,
    /// The machines that are probed now: one probe at a time for each.
    busy: BTreeSet<IpAddr>,
    workers: usize,
    ended: bool,
}

impl HealthMonitor {
    pub(super) fn new(probes: Probes) -> Self {
        Self(Arc::new(Shared {
            probes,
            state: Mutex::default(),
            work: Condvar::new(),
            results: Condvar::new(),
        }))
    }

    /// Continues to monitor the servers of `before` on the machines that `still` accepts, with their known
    /// states.
    pub(super) fn take_over(&self, before: &Self, still: impl Fn(IpAddr) -> bool) {
        let known = before.0.lock().all.clone();
        let mut state = self.0.lock();
        let now = Instant::now();
        for (target, monitored) in known {
            if still(target.address.ip()) {
                let due = monitored.due.min(now + self.0.probes.interval);
                let _new = state.all.insert(target, Monitored { due, ..monitored });
            }
        }
        self.start_workers(&mut state);
    }

    /// Monitors these servers from now on.
    pub(super) fn add(&self, servers: impl IntoIterator<Item = ProbeTarget>) {
        let mut state = self.0.lock();
        let now = Instant::now();
        let mut new = false;
        for server in servers {
            if let Some(monitored) = state.all.get_mut(&server) {
                monitored.asked = now;
            } else if state.all.len() < MAX_MONITORED {
                state.all.insert(server, Monitored::new(now));
                new = true;
            }
        }
        if new {
            self.start_workers(&mut state);
        }
    }

    /// The state of a server. While it is unknown, waits for the first probe: until `until`, and no longer
    /// than a probe takes.
    pub(super) fn health(&self, server: &ProbeTarget, until: Instant) -> Health {
        let mut state = self.0.lock();
        loop {
            let Some(monitored) = state.all.get(server) else {
                return Health::Unknown;
            };
            let until = until.min(monitored.since + self.0.probes.timeout + SLACK);
            let left = until.saturating_duration_since(Instant::now());
            if monitored.health != Health::Unknown || left.is_zero() || state.workers == 0 {
                return monitored.health.clone();
            }
            let waited = self.0.results.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The state of a server as it is known now, and since when; `None` if it is not monitored.
    pub(super) fn known(&self, server: &ProbeTarget) -> Option<(Health, Instant)> {
        let state = self.0.lock();
        let known = state.all.get(server)?;
        Some((known.health.clone(), known.changed))
    }

    /// Starts as many threads as can work at the same time, at most [`MAX_CONCURRENT_PROBES`].
    fn start_workers(&self, state: &mut MonitorState) {
        while state.workers < state.all.len().min(MAX_CONCURRENT_PROBES) {
            let shared = Arc::clone(&self.0);
            let started = thread::Builder::new()
                .name("probes".into())
                .spawn(move || shared.work());
            match started {
                Ok(_detached) => state.workers += 1,
                Err(error) if state.workers == 0 => {
                    log::error!("cannot probe mail servers: cannot start a thread: {error}");
                    return;
                }
                // With fewer threads the probes only take longer.
                Err(_) => return,
            }
        }
        self.0.work.notify_all();
    }
}

impl Drop for HealthMonitor {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.work.notify_all();
    }
}

impl Shared {
    /// Probes the servers that are due, until the monitor ends.
    fn work(&self) {
        let mut state = self.lock();
        while !state.ended {
            let now = Instant::now();
            state.forget(now);
            let Some(target) = state.next_due(now) else {
                let left = state.next_time(now, self.probes.interval);
                let waited = self.work.wait_timeout(state, left);
                (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let address = target.address;
            state.busy.insert(address.ip());
            drop(state);
            let result = probe(
                self.probes.kind,
                address,
                target.protocol,
                self.probes.timeout,
            );
            state = self.lock();
            state.busy.remove(&address.ip());
            let monitored = state.all.get_mut(&target);
            let change = monitored.and_then(|monitored| {
                monitored.learn(result, Instant::now(), self.probes.interval)
            });
            self.results.notify_all();
            // Another server on this machine may be due.
            self.work.notify_one();
            if let Some(change) = change.filter(|_| !state.ended) {
                // Without the lock, because logging may block.
                drop(state);
                log_change(&target, &change);
                state = self.lock();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, MonitorState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MonitorState {
    fn next_due(&self, now: Instant) -> Option<ProbeTarget> {
        let free = |target: &ProbeTarget| !self.busy.contains(&target.address.ip());
        let due = self
            .all
            .iter()
            .filter(|(target, monitored)| monitored.due <= now && free(target));
        let next = due.min_by_key(|(_, monitored)| monitored.due)?;
        Some(*next.0)
    }

    /// The time until the next probe is due; the end of a probe wakes the threads that wait for its machine.
    fn next_time(&self, now: Instant, interval: Duration) -> Duration {
        let times = self.all.iter().filter_map(|(target, monitored)| {
            let free = !self.busy.contains(&target.address.ip());
            free.then(|| monitored.due.saturating_duration_since(now))
        });
        times.min().unwrap_or(interval)
    }

    fn forget(&mut self, now: Instant) {
        self.all
            .retain(|_, monitored| now.saturating_duration_since(monitored.asked) < FORGET_AFTER);
    }
}

/// Logs each change once, not each probe.
fn log_change(target: &ProbeTarget, change: &HealthChange) {
    match change {
        HealthChange::Dead(why) => log::warn!("mail server {target} is dead: {why}"),
        HealthChange::AliveAgain => log::warn!("mail server {target} is alive again"),
    }
}

#[cfg(test)]
mod tests;
