//! Slows down password guessing: counts failures, delays the answers after too many of them, and then refuses
//! further attempts without asking a store.
//!
//! Failures are counted per network, per login, and per pair of both. The same wrong password of a login
//! counts once, so a device that keeps sending an old password locks no user out. A network from which a
//! login has succeeded is exempt for that login. By default, the count of a login alone only delays answers:
//! otherwise any client could lock the owner of a login out.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::login::Network;
use crate::login::domain;
use crate::nginx::refusal::{Refusal, Trouble};
use crate::nginx::request::Client;
use crate::secret::Proof;

mod attempt;
mod attempt_counts;
mod key;
mod location;
mod memory;
mod record;
#[cfg(feature = "servers")]
pub mod redis;
mod refused;
mod shared;
#[cfg(feature = "servers")]
mod sqlite;
mod state;
#[cfg(feature = "servers")]
mod written;

pub use attempt::{CountedAttempt, WrongPasswordResult};
pub use attempt_counts::AttemptCounts;
pub use key::Key;
pub use location::StateLocation;
pub use record::{Record, Spans};
pub use refused::{Refused, Refusing};
pub use state::CountingMode;

use refused::Looks;
use shared::{CountsSource, Shared};

/// Which counts are kept, and their consequences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the counts are stored.
    pub place: StateLocation,
    /// Whether logins are decided without the counts while these are unavailable.
    pub go_on: bool,
    /// How long reading or changing the counts may take.
    pub timeout: Duration,
    /// Failures without a consequence.
    pub free: u32,
    /// Seconds by which the answers to further failures are delayed, in this order; the last value applies to
    /// all that follow.
    pub waits: Vec<u32>,
    /// Failures after which a network is refused; `None`: never.
    pub refuse_network: Option<u32>,
    /// Failures after which a login is refused, from any network; `None`: never.
    pub refuse_login: Option<u32>,
    /// When failures expire.
    pub spans: Spans,
    /// The prefix length, in bits, of an IPv4 network.
    pub ipv4_prefix: u8,
    /// The prefix length, in bits, of an IPv6 network.
    pub ipv6_prefix: u8,
    /// Networks that are neither delayed nor counted.
    pub always_allow: Vec<Network>,
    /// Whether nginx supports `Auth-Wait` after `cram-md5` and `apop`: since 1.29.7 and 1.28.3. In older
    /// versions it crashes the worker (CVE-2026-27651).
    pub wait_after_digests: bool,
}

/// Counts failures and applies their consequences.
pub struct Throttle {
    settings: Settings,
    counts: Shared,
    /// For the status page.
    looks: Looks,
}

/// How long the answer to an attempt is delayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delay {
    /// Seconds that nginx waits.
    pub wait: Option<NonZeroU32>,
    /// The time before which this program does not send the answer.
    pub earliest: Option<Instant>,
}

/// The records of an attempt.
#[derive(Default)]
struct AttemptRecords {
    login: Record,
    /// The records of the network, and of the login from there; `None` if the network is unknown.
    network: Option<(Record, Record)>,
}

impl AttemptRecords {
    /// Takes records in the order of [`keys`].
    fn new(records: Vec<Record>) -> Self {
        let mut records = records.into_iter();
        Self {
            login: records.next().unwrap_or_default(),
            network: records.next().zip(records.next()),
        }
    }

    /// Microseconds that checking the wrong passwords took, from the most specific record that has a value.
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

/// The form of a login for counting: stores may ignore case and surrounding blanks, and a domain has two
/// spellings.
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
    /// Makes a throttle; connects to nothing yet. Takes over the counts in memory of `before`, if there are
    /// any.
    pub fn open(settings: &Settings, counting: CountingMode, before: Option<&Self>) -> Self {
        let before = before.filter(|before| {
            let (new, old) = (settings, &before.settings);
            (&new.place, new.spans) == (&old.place, old.spans)
        });
        Self {
            counts: Shared::open(settings, counting, before.map(|before| &before.counts)),
            settings: settings.clone(),
            looks: Looks::default(),
        }
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Begins an attempt to authenticate as `login`; `None` if the attempt is not counted. An error if the
    /// counts are unavailable and logins must not be decided without them.
    pub fn begin_attempt<'a>(
        &'a self,
        client: &Client<'_>,
        login: &[u8],
        proof: &Proof,
        deadline: Instant,
    ) -> Result<Option<CountedAttempt<'a>>, Trouble> {
        match proof {
            Proof::Password(_) | Proof::CramMd5(_) | Proof::Apop(_) => {}
            // Tokens and keys cannot be guessed.
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
        let seen = AttemptRecords::new(records);
        let own = match source {
            CountsSource::Own => AttemptRecords::default(),
            CountsSource::Shared => AttemptRecords::new(self.counts.read_own_counts(&keys)?),
        };
        let by_own = || self.refusal(&own).filter(|_| !seen.exempt());
        Ok(Some(CountedAttempt {
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

    /// Why such an attempt is refused before any check.
    fn refusal(&self, seen: &AttemptRecords) -> Option<Refusal> {
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

    /// Seconds by which an answer is delayed: the longest delay of the three counts.
    fn wait(&self, seen: &AttemptRecords) -> u32 {
        if seen.exempt() {
            return 0;
        }
        let mut failures = seen.login.failures;
        if let Some((network, pair)) = &seen.network {
            failures = failures.max(network.failures).max(pair.failures);
        }
        self.settings.wait(failures)
    }

    /// All records, in no order; for an administrator.
    pub fn list(&self, deadline: Instant) -> Result<Vec<(Key, Record)>, String> {
        self.counts.list(deadline)
    }

    /// Removes the records of these keys; for an administrator.
    pub fn forget(&self, keys: &[Key], deadline: Instant) -> Result<(), String> {
        self.counts.forget(keys, deadline)
    }

    /// Tests whether the counts can be read and changed; the error says why not.
    pub fn test(&self, deadline: Instant) -> Result<(), String> {
        self.counts.test(deadline)
    }

    /// The consequence of the counts of a key, as a word.
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

/// The consequence of the counts of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// None.
    Free,
    /// Refusals are delayed by this number of seconds.
    Slowed(u32),
    /// Attempts are refused without asking a store.
    Refused,
    /// The login has succeeded from this network and is exempt there.
    Exempt,
}

impl Settings {
    /// Failures after which a key is refused; `None`: never.
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

    /// Seconds by which the answer to failure number `failures` is delayed.
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
