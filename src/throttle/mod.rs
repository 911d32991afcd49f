//! Guessing passwords made slow: failures are counted, and who has too many waits, and is then
//! refused without anybody being asked.
//!
//! Failures are counted for a network, for a login, and for the two together; the same wrong
//! password of a login counts once, so that a device that goes on with an old one locks nobody
//! out. A network from which a login has succeeded is exempt for that login. A login alone is
//! only slowed down, unless the administrator wants it otherwise: else anybody could keep its
//! owner out.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::login::Network;
use crate::login::domain;
use crate::nginx::refusal::{Refusal, Trouble};
use crate::nginx::request::Client;
use crate::secret::Proof;

mod key;
mod look;
mod memory;
mod record;
#[cfg(feature = "redis")]
pub mod redis;
mod shared;
#[cfg(feature = "sql")]
mod sqlite;
mod state;
mod visit;
#[cfg(any(feature = "sql", feature = "redis"))]
mod written;

pub use key::Key;
pub use look::Look;
pub use record::{Record, Spans};
pub use state::{Counting, Place};
pub use visit::{Counted, Visit};

use shared::{Shared, Source};

/// What is counted, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the counts are.
    pub place: Place,
    /// Whether logins are decided without the counts where those cannot be had.
    pub go_on: bool,
    /// How long the counts may take to be had.
    pub timeout: Duration,
    /// Failures that nothing follows from.
    pub free: u32,
    /// Seconds that the answers to further ones are held back, in this order; the last one for all
    /// that follow.
    pub waits: Vec<u32>,
    /// Failures after which a network is refused; `None` for never.
    pub refuse_network: Option<u32>,
    /// The same for a login, wherever it comes from.
    pub refuse_login: Option<u32>,
    /// When they are forgotten.
    pub spans: Spans,
    /// Bits of an address that make its network.
    pub ipv4_prefix: u8,
    /// The same for IPv6.
    pub ipv6_prefix: u8,
    /// Networks that are neither slowed nor counted.
    pub always_allow: Vec<Network>,
    /// Whether nginx can take a wait after `cram-md5` and `apop`: from 1.29.7 and 1.28.3 on. Before
    /// that, it crashes its worker (CVE-2026-27651).
    pub wait_after_digests: bool,
}

/// Counts failures, and says what follows.
pub struct Throttle {
    settings: Settings,
    counts: Shared,
}

/// How long the answer to an attempt is held back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delay {
    /// Seconds, by nginx.
    pub wait: Option<NonZeroU32>,
    /// By us: it must not leave before.
    pub earliest: Option<Instant>,
}

/// The records of an attempt.
#[derive(Default)]
struct Seen {
    login: Record,
    /// The network's, and that of the login from there; `None` where the network is not known.
    network: Option<(Record, Record)>,
}

impl Seen {
    /// Of records in the order of [`keys`].
    fn new(records: Vec<Record>) -> Self {
        let mut records = records.into_iter();
        Self {
            login: records.next().unwrap_or_default(),
            network: records.next().zip(records.next()),
        }
    }

    /// Microseconds that the wrong passwords took which say most of this attempt.
    fn took(&self) -> u32 {
        let (network, pair) = self
            .network
            .as_ref()
            .map_or((0, 0), |(network, pair)| (network.took, pair.took));
        let known = [pair, self.login.took, network];
        known.into_iter().find(|took| *took != 0).unwrap_or(0)
    }

    fn exempt(&self) -> bool {
        let pair = self.network.as_ref().map(|(_, pair)| pair);
        pair.is_some_and(|pair| pair.succeeded != 0)
    }
}

/// A login as it is counted: stores may take other cases, and blanks around it, for the same; a domain has
/// two spellings.
pub fn counted(login: &[u8]) -> Vec<u8> {
    domain::folded(login.trim_ascii()).to_ascii_lowercase()
}

fn keys(login: Vec<u8>, network: Option<Network>) -> Vec<Key> {
    let mut keys = vec![Key::Login(login.clone())];
    if let Some(network) = network {
        keys.extend([Key::Network(network), Key::Pair(network, login)]);
    }
    keys
}

impl Throttle {
    /// A throttle; nothing is connected yet. Counts in memory are those of `before`, if there are.
    pub fn open(settings: &Settings, counting: Counting, before: Option<&Self>) -> Self {
        let before = before.filter(|before| {
            let (new, old) = (settings, &before.settings);
            (&new.place, new.spans) == (&old.place, old.spans)
        });
        Self {
            counts: Shared::open(settings, counting, before.map(|before| &before.counts)),
            settings: settings.clone(),
        }
    }

    /// What it counts, and what follows.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// An attempt to prove to be `login`; `None` if it is not to be counted. An error where the
    /// counts cannot be had and logins are not to be decided without.
    pub fn visit<'a>(
        &'a self,
        client: &Client<'_>,
        login: &[u8],
        proof: &Proof,
        deadline: Instant,
    ) -> Result<Option<Visit<'a>>, Trouble> {
        match proof {
            Proof::Password(_) | Proof::CramMd5(_) | Proof::Apop(_) => {}
            // There is no guessing a token or a key.
            Proof::External | Proof::Token(_) => return Ok(None),
        }
        let believed = client.address.filter(|_| client.vouched_for);
        if believed.is_some_and(|address| self.always_allows(address)) {
            return Ok(None);
        }
        let settings = &self.settings;
        let network = believed
            .map(|address| Network::around(address, settings.ipv4_prefix, settings.ipv6_prefix));
        let login = counted(login);
        let keys = keys(login.clone(), network);
        let started = Instant::now();
        let (source, records, now) = self.counts.read(&keys, deadline)?;
        let seen = Seen::new(records);
        let own = match source {
            Source::Own => Seen::default(),
            Source::Shared => Seen::new(self.counts.read_own(&keys)?),
        };
        let by_own = || self.refusal(&own).filter(|_| !seen.exempt());
        Ok(Some(Visit {
            throttle: self,
            source,
            started,
            now,
            deadline,
            login,
            refused: self.refusal(&seen).or_else(by_own),
            keys,
            seen,
            own,
        }))
    }

    fn always_allows(&self, address: IpAddr) -> bool {
        let mut networks = self.settings.always_allow.iter();
        networks.any(|network| network.contains(address))
    }

    /// Why such an attempt is not even looked at.
    fn refusal(&self, seen: &Seen) -> Option<Refusal> {
        let settings = &self.settings;
        let over =
            |record: &Record, most: Option<u32>| most.is_some_and(|most| record.failures >= most);
        if seen.exempt() {
            return None;
        }
        let what = match &seen.network {
            Some((_, pair)) if over(pair, Some(settings.patience())) => "this login from there",
            Some((network, _)) if over(network, settings.refuse_network) => "the network",
            _ if over(&seen.login, settings.refuse_login) => "the login",
            _ => return None,
        };
        Some(Refusal::Throttled(what))
    }

    /// Seconds that an answer is held back, by the longest of the three counts.
    fn wait(&self, seen: &Seen) -> u32 {
        if seen.exempt() {
            return 0;
        }
        let mut failures = seen.login.failures;
        if let Some((network, pair)) = &seen.network {
            failures = failures.max(network.failures).max(pair.failures);
        }
        self.settings.wait(failures)
    }

    /// All that is remembered, in no order; for an administrator.
    pub fn list(&self, deadline: Instant) -> Result<Vec<(Key, Record)>, String> {
        self.counts.list(deadline)
    }

    /// Forgets what is remembered of these keys; for an administrator.
    pub fn forget(&self, keys: &[Key], deadline: Instant) -> Result<(), String> {
        self.counts.forget(keys, deadline)
    }

    /// Tries whether the counts can be had; the error says what is wrong.
    pub fn test(&self, deadline: Instant) -> Result<(), String> {
        self.counts.test(deadline)
    }

    /// What follows from the counts of a key, in a word.
    pub fn status(&self, key: &Key, record: &Record) -> Status {
        let settings = &self.settings;
        if record.succeeded != 0 {
            return Status::Exempt;
        }
        match (settings.most(key), settings.wait(record.failures)) {
            (Some(most), _) if record.failures >= most => Status::Refused,
            (_, 0) => Status::Free,
            (_, seconds) => Status::Slowed(seconds),
        }
    }
}

/// What follows from the counts of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing.
    Free,
    /// Refusals are held back for so many seconds.
    Slowed(u32),
    /// Nobody is asked any more.
    Refused,
    /// The login has succeeded from there.
    Exempt,
}

impl Settings {
    /// Failures after which a key is refused; `None` for never.
    fn most(&self, key: &Key) -> Option<u32> {
        match key {
            Key::Network(_) => self.refuse_network,
            Key::Login(_) => self.refuse_login,
            Key::Pair(..) => Some(self.patience()),
        }
    }

    /// Failures of one login from one network after which it is refused.
    fn patience(&self) -> u32 {
        let waits = u32::try_from(self.waits.len()).unwrap_or(u32::MAX);
        self.free.saturating_add(waits)
    }

    /// Seconds that the answer to the last of so many failures is held back.
    fn wait(&self, failures: u32) -> u32 {
        let Some(step) = failures.checked_sub(self.free).filter(|step| *step > 0) else {
            return 0;
        };
        let step = usize::try_from(step).unwrap_or(usize::MAX) - 1;
        let wait = self.waits.get(step).or(self.waits.last());
        wait.copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
