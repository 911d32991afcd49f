//! One login attempt, and how it is counted.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::key::Key;
use super::record::{Record, TAG_BITS, Tag};
use super::shared::CountsSource;
use super::{AttemptRecords, Delay, Throttle};
use crate::nginx::refusal::{Refusal, Trouble};
use crate::secret::{Proof, keyed_digest};

/// The number of wrong passwords after which a network loses its exemption for a login.
const EXEMPT_FAILURES: u32 = 100;

/// The maximum delay of an answer that imitates the time of a wrong password check: the time of a mail server
/// that delays a wrong password by two seconds.
const LONGEST: Duration = Duration::from_secs(3);

/// One login attempt, from before its credentials are checked until after it.
pub struct CountedAttempt<'a> {
    pub(super) throttle: &'a Throttle,
    pub(super) source: CountsSource,
    pub(super) started: Instant,
    /// When the counts were read, by the clock that they use.
    pub(super) now: u64,
    pub(super) deadline: Instant,
    /// The login in the form that [`counted`](super::counted) returns.
    pub(super) login: Vec<u8>,
    pub(super) keys: Vec<Key>,
    pub(super) refused: Option<Refusal>,
    pub(super) seen: AttemptRecords,
    /// The records of this process's own counts, used while the shared counts were unavailable.
    pub(super) own: AttemptRecords,
}

/// The consequence of a wrong password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongPasswordResult {
    /// Seconds by which the answer is delayed.
    pub wait: Option<NonZeroU32>,
    /// Why the attempt is refused anyway, if other attempts were counted meanwhile.
    pub too_late: Option<Refusal>,
}

impl CountedAttempt<'_> {
    /// Why the attempt is refused without asking a store, if it is.
    pub fn refused(&self) -> Option<Refusal> {
        self.refused.clone()
    }

    /// Whether the login has succeeded from that network.
    pub fn is_exempt(&self) -> bool {
        self.seen.exempt()
    }

    /// Until when the credentials must be checked: part of the decision's time `whole` is reserved for
    /// counting the result.
    pub fn deadline_of_stores(&self, whole: Duration) -> Instant {
        let kept = self.throttle.settings.timeout.min(whole / 2);
        self.deadline.checked_sub(kept).unwrap_or(self.deadline)
    }

    /// How long the answer is delayed if no store was asked: at least as long as checking the counted wrong
    /// passwords took. Other servers may have checked some of them.
    pub fn delay_of_refusal(self, proof: &Proof) -> Delay {
        let took = self.seen.took().max(self.own.took());
        let took = Duration::from_micros(took.into()).min(LONGEST);
        Delay {
            wait: self.wait(proof),
            earliest: Some((self.started + took).min(self.deadline)),
        }
    }

    /// Counts a wrong password, whose answer is delayed by `delay` from now. An error if it could not be
    /// counted and logins must not be decided without the counts. Of concurrent wrong passwords, those beyond
    /// the bound are refused as if no store had been asked.
    pub fn failed(
        mut self,
        proof: &Proof,
        delay: Duration,
    ) -> Result<WrongPasswordResult, Trouble> {
        let counts = &self.throttle.counts;
        let mut too_late = None;
        let mut count_in = |source: CountsSource| {
            let tag = self.tag(proof, source);
            let mut before = Vec::new();
            let mut fail = |records: &mut [Record], now: u64| {
                before = records.to_vec();
                too_late = self.throttle.refusal(&AttemptRecords::new(before.clone()));
                // Includes the time for reading the counts: a later refused attempt only reads them.
                let took = (self.started.elapsed() + delay).as_micros();
                let took = u32::try_from(took).unwrap_or(u32::MAX);
                count(records, tag, now, took);
            };
            let records = counts.change(source, &self.keys, &mut fail, self.deadline)?;
            self.report(&before, &records);
            Ok(AttemptRecords::new(records))
        };
        match count_in(self.source) {
            Ok(seen) => self.seen = seen,
            Err(trouble) if counts.must_refuse(&trouble) => return Err(trouble),
            // The shared counts have logged their outage already.
            Err(_) => {
                self.own = count_in(CountsSource::Own)?;
                // The counts of this process do not know the exemptions.
                too_late = too_late.filter(|_| !self.seen.exempt());
            }
        }
        Ok(WrongPasswordResult {
            wait: self.wait(proof),
            too_late,
        })
    }

    /// Counts a right password. The attempt is still refused if too many wrong ones were counted while it was
    /// checked: concurrent guesses have the same bound as sequential ones.
    pub fn succeeded(mut self, proof: &Proof) -> Result<(), (Refusal, Option<NonZeroU32>)> {
        let settings = &self.throttle.settings;
        let counts = &self.throttle.counts;
        match &self.seen.network {
            None if settings.refuse_login.is_none() => return Ok(()),
            Some((_, pair)) if pair.succeeded != 0 => {
                // Not at every login: an hour more or less does not matter.
                let renewed = settings.spans.exempt.min(Duration::from_secs(3600)) / 2;
                let since = self.now.saturating_sub(pair.succeeded);
                if since < renewed.as_secs() {
                    return Ok(());
                }
            }
            None | Some(_) => {}
        }
        let mut refused = None;
        let mut succeed = |records: &mut [Record], now: u64| {
            refused = self
                .throttle
                .refusal(&AttemptRecords::new(records.to_vec()));
            if let ([_, _, pair], None) = (records, &refused) {
                pair.succeed(now);
            }
        };
        match counts.change(self.source, &self.keys, &mut succeed, self.deadline) {
            Err(trouble) if counts.must_refuse(&trouble) => return Err((trouble.into(), None)),
            // This process has counted alone while the shared counts were unavailable.
            Err(_) => {
                let records = counts.read_own_counts(&self.keys);
                self.own = AttemptRecords::new(records.map_err(|trouble| (trouble.into(), None))?);
                let by_own = self.throttle.refusal(&self.own);
                refused = by_own.filter(|_| !self.seen.exempt());
            }
            Ok(records) => self.seen = AttemptRecords::new(records),
        }
        match refused {
            None => Ok(()),
            // With the text that a concurrent wrong password gets.
            Some(why) => Err((why, self.wait(proof))),
        }
    }

    /// Seconds by which an answer is delayed.
    fn wait(&self, proof: &Proof) -> Option<NonZeroU32> {
        let digest = matches!(proof, Proof::CramMd5(_) | Proof::Apop(_));
        if digest && !self.throttle.settings.wait_after_digests {
            return None;
        }
        let own = match self.seen.exempt() {
            true => 0,
            false => self.throttle.wait(&self.own),
        };
        NonZeroU32::new(self.throttle.wait(&self.seen).max(own))
    }

    /// Identifies a wrong password. Digests of the same password differ each time, so each of them counts.
    fn tag(&self, proof: &Proof, source: CountsSource) -> Option<Tag> {
        let Proof::Password(password) = proof else {
            return None;
        };
        let key = self.throttle.counts.tag_key(source, self.deadline)?;
        let digest = keyed_digest::Key::shared(key).digest(&[&self.login, password.reveal()])?;
        let bits = digest.first_chunk().copied().map(Tag::from_le_bytes)?;
        Some(bits >> (Tag::BITS - TAG_BITS))
    }

    /// Logs, once, the keys that are refused from now on.
    fn report(&self, before: &[Record], after: &[Record]) {
        let settings = &self.throttle.settings;
        let seconds = settings.spans.window.as_secs();
        for ((key, before), after) in self.keys.iter().zip(before).zip(after) {
            let Some(most) = settings.most(key) else {
                continue;
            };
            if before.failures < most && after.failures >= most && after.succeeded == 0 {
                let failures = after.failures;
                log::warn!("throttle: {key} is refused after {failures} failures, for {seconds} s");
            }
        }
    }
}

/// Counts a wrong password in the record of its login and, if the network is known, in the records of the
/// network and of the pair.
fn count(records: &mut [Record], tag: Option<Tag>, now: u64, took: u32) {
    let (login, from) = match records {
        [login, network, pair] => (login, Some((network, pair))),
        [login] => (login, None),
        _ => return,
    };
    if let Some((network, pair)) = from {
        if pair.knows(tag) {
            return;
        }
        pair.fail(tag, now, took);
        if pair.succeeded != 0 {
            if pair.failures >= EXEMPT_FAILURES {
                pair.succeeded = 0;
            }
            return;
        }
        network.fail(None, now, took);
    }
    if !login.knows(tag) {
        login.fail(tag, now, took);
    }
}
