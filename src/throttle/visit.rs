//! One attempt to log in, and how it is counted.

use std::num::NonZeroU32;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hmac::{HmacReset, KeyInit, Mac};
use sha2::Sha256;

use super::key::Key;
use super::record::{Record, Tag};
use super::shared::Source;
use super::{Seen, Throttle};
use crate::refusal::Refusal;
use crate::request::Login;
use crate::secret::Proof;

/// A network that is exempt for a login may have so many wrong passwords for it, and is not exempt
/// any more then.
const EXEMPT_FAILURES: u32 = 100;

/// The longest time that an answer is held back so that it takes no less than a wrong password.
const LONGEST_PACE: Duration = Duration::from_secs(2);

/// By how much an answer must be quicker than a wrong password to be held back.
const NOTABLE: Duration = Duration::from_millis(1);

/// One attempt to log in, from before its proof is checked until after it.
pub struct Visit<'a> {
    pub(super) throttle: &'a Throttle,
    pub(super) source: Source,
    pub(super) started: Instant,
    pub(super) deadline: Instant,
    pub(super) login: &'a Login,
    pub(super) keys: Vec<Key>,
    pub(super) refused: Option<Refusal>,
    pub(super) seen: Seen,
}

impl Visit<'_> {
    /// Why nobody is to be asked about this attempt, if so.
    pub fn refused(&self) -> Option<Refusal> {
        self.refused.clone()
    }

    /// Seconds to hold the answer back where nobody was asked. Does not return before a wrong
    /// password would have been found out, as far as that is known: some of that time may pass in
    /// other servers.
    pub fn turned_away(self, proof: &Proof) -> Option<NonZeroU32> {
        let pace = Duration::from_micros(self.throttle.pace.load(Ordering::Relaxed));
        let left = pace
            .min(LONGEST_PACE)
            .saturating_sub(self.started.elapsed());
        if left >= NOTABLE.max(pace / 4) {
            let end = self.deadline.saturating_duration_since(Instant::now());
            std::thread::sleep(left.min(end));
        }
        self.wait_for(proof, &self.seen)
    }

    /// Counts a wrong password. Seconds to hold the answer back.
    pub fn failed(mut self, proof: &Proof) -> Option<NonZeroU32> {
        self.throttle.keep_pace(self.started.elapsed());
        let tag = self.tag(proof);
        let mut fail = |records: &mut [Record], now: u64| count(records, tag, now);
        let counts = &self.throttle.counts;
        let changed = counts.change(self.source, &self.keys, &mut fail, self.deadline);
        // Where they cannot be had, that has been said.
        if let Ok(records) = changed {
            let seen = Seen::new(records);
            self.report(&seen);
            self.seen = seen;
        }
        self.wait_for(proof, &self.seen)
    }

    /// Notes a right password. It is refused all the same if too many wrong ones were found out
    /// while it was checked: guesses made at once are as many as those made one after the other.
    pub fn succeeded(self) -> Result<(), Refusal> {
        let Some((_, pair)) = &self.seen.network else {
            return Ok(());
        };
        // Not at every login: an hour more or less does not matter.
        let settings = &self.throttle.settings;
        let renewed = settings.spans.exempt.min(Duration::from_secs(3600)) / 2;
        let counts = &self.throttle.counts;
        let since = counts.now(self.source).saturating_sub(pair.succeeded);
        let recent = since < renewed.as_secs();
        if pair.succeeded != 0 && pair.failures == 0 && recent {
            return Ok(());
        }
        let mut refused = None;
        let throttle = self.throttle;
        let mut succeed = |records: &mut [Record], now: u64| {
            refused = throttle.refusal(&Seen::new(records.to_vec()));
            if let ([.., pair], None) = (records, &refused) {
                pair.succeed(now);
            }
        };
        match counts.change(self.source, &self.keys, &mut succeed, self.deadline) {
            Err(trouble) if !settings.go_on => Err(trouble.into()),
            Err(_) => Ok(()),
            Ok(_) => refused.map_or(Ok(()), Err),
        }
    }

    fn wait_for(&self, proof: &Proof, seen: &Seen) -> Option<NonZeroU32> {
        let digest = matches!(proof, Proof::CramMd5(_) | Proof::Apop(_));
        if digest && !self.throttle.settings.wait_after_digests {
            return None;
        }
        NonZeroU32::new(self.throttle.wait(seen))
    }

    /// What a wrong password is known by. Digests of the same password differ each time, so each of
    /// them counts.
    fn tag(&self, proof: &Proof) -> Option<Tag> {
        let Proof::Password(password) = proof else {
            return None;
        };
        let key = self.throttle.counts.tag_key(self.source, self.deadline)?;
        let mut mac = <HmacReset<Sha256> as KeyInit>::new_from_slice(&*key).ok()?;
        let login = self.login.as_bytes().to_ascii_lowercase();
        // With its length, so that no other pair makes the same bytes.
        mac.update(&(login.len() as u64).to_le_bytes());
        mac.update(&login);
        mac.update(password.reveal());
        // Not by value: that would leave what it holds of the password on the stack.
        let digest = mac.finalize_reset().into_bytes();
        digest.first_chunk().copied().map(Tag::from_le_bytes)
    }

    /// Says once who is refused from now on.
    fn report(&self, seen: &Seen) {
        let Some((network, pair)) = &seen.network else {
            return;
        };
        let settings = &self.throttle.settings;
        let crossed = |before: u32, after: u32, most: u32| before < most && after >= most;
        let before = self.seen.network.as_ref();
        let [before_network, before_pair] =
            before.map_or([0, 0], |(network, pair)| [network.failures, pair.failures]);
        let [_, network_key, pair_key] = self.keys.as_slice() else {
            return;
        };
        let say = |key: &Key, failures: u32| {
            let seconds = settings.spans.window.as_secs();
            log::warn!("throttle: {key} is refused after {failures} failures, for {seconds} s");
        };
        if settings
            .refuse_network
            .is_some_and(|most| crossed(before_network, network.failures, most))
        {
            say(network_key, network.failures);
        }
        if crossed(before_pair, pair.failures, settings.patience()) {
            say(pair_key, pair.failures);
        }
    }
}

/// Counts a wrong password in the records of its login and, where they are known, of its network and
/// of the two together.
fn count(records: &mut [Record], tag: Option<Tag>, now: u64) {
    let (login, from) = match records {
        [login, network, pair] => (login, Some((network, pair))),
        [login] => (login, None),
        _ => return,
    };
    if let Some((network, pair)) = from {
        if pair.knows(tag) {
            return;
        }
        pair.fail(tag, now);
        if pair.succeeded != 0 {
            if pair.failures >= EXEMPT_FAILURES {
                pair.succeeded = 0;
            }
            return;
        }
        network.fail(None, now);
    }
    if !login.knows(tag) {
        login.fail(tag, now);
    }
}
