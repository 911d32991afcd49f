//! Checks a proof against the account of one store, within the limits on the work.

use std::time::{Duration, Instant, SystemTime};

use super::super::Step;
use super::super::outcome::{FailedAttempt, Guess, Rank, StoreOutcome};
use super::{Chain, Proven, Source};
use crate::login::Network;
use crate::nginx::refusal::{Refusal, Trouble};
use crate::secret::{OutOfMemory, Proof, Secret};
use crate::sys::semaphore::machine::MachinePermit;
use crate::sys::steps::TimedStep;
use crate::users::MAX_CREDENTIALS;
use crate::users::{Account, Credential, Decoy, PasswordCheck, Passwords, Question, StoreError};

impl Chain {
    /// Checks the proof of a user that the store knows. Adds the time by which the answer must be
    /// delayed to `delay`.
    pub(super) fn prove(
        &self,
        source: &Source,
        asked: &Question<'_>,
        mut account: Account,
        proof: &Proof,
        delay: &mut Duration,
        note: &mut impl FnMut(Step<'_>),
    ) -> StoreOutcome {
        // A user who is disabled here is not accepted by other stores. Neither is a user with a
        // broken entry: the entry may be there to keep the user out. App passwords do not change
        // that.
        let without_own = !account.has_own_password();
        let own_broken = account.unusable_password.is_some() && without_own;
        let not_permitted = account.is_disabled() || account.unusable.is_some() || own_broken;
        let no: fn(Rank, Refusal) -> StoreOutcome = match not_permitted {
            true => StoreOutcome::RefusedForAll,
            false => StoreOutcome::Refused,
        };
        let credentials = match (&mut account.passwords, proof) {
            (Passwords::Stored(credentials), _) => std::mem::take(credentials),
            (Passwords::Any, Proof::Password(_)) => {
                return StoreOutcome::Accepted(Box::new(Proven::new(account)));
            }
            (Passwords::AskStore, Proof::Password(password)) => {
                // An unauthenticated bind succeeds (RFC 4513, 5.1.2), so the store is not asked.
                if password.reveal().is_empty() {
                    return no(Rank::Wrong, Refusal::WrongPassword);
                }
                let started = Instant::now();
                let checked = source.verify(asked, &mut account, password);
                let took = started.elapsed();
                if checked.is_ok() {
                    source.refusal_time.note(took);
                }
                if !matches!(checked, Ok(PasswordCheck::Right)) {
                    *delay += source.refusal_time.delay(took);
                }
                let named = |what: String| format!("{}: {what}", source.name);
                return match checked {
                    Ok(PasswordCheck::Right) => {
                        StoreOutcome::Accepted(Box::new(Proven::new(account)))
                    }
                    Ok(PasswordCheck::Wrong) => no(Rank::Wrong, Refusal::WrongPassword),
                    Ok(PasswordCheck::NoPassword) => no(Rank::NoPassword, Refusal::NoPassword),
                    Ok(PasswordCheck::NotPermitted(what)) => StoreOutcome::RefusedForAll(
                        Rank::NotPermitted,
                        Refusal::AccountRefused(named(what)),
                    ),
                    // The store received the password, and may only be slow to refuse it.
                    Err(error @ StoreError::Unanswered(_)) => {
                        StoreOutcome::CannotAnswer(source.trouble_of(&error), Guess::Yes)
                    }
                    Err(error @ (StoreError::Unusable(_) | StoreError::Unavailable(_))) => {
                        StoreOutcome::CannotAnswer(source.trouble_of(&error), Guess::No)
                    }
                };
            }
            // A digest can only be compared with a stored password.
            (Passwords::Any | Passwords::AskStore, _) => {
                return no(Rank::NotComparable, Refusal::DigestNotPossible);
            }
        };
        let named = |what: &String| format!("{}: {what}", source.name);
        // If the user's own password can be compared, a broken entry is reported only once the
        // password is right.
        let entry = account.unusable.as_ref().filter(|_| without_own);
        let unusable = match (entry, &account.unusable_password) {
            (Some(what), _) => Some(Refusal::UnusableEntry(named(what))),
            (None, Some(what)) => Some(Refusal::UnusablePassword(named(what))),
            (None, None) => None,
        };
        if credentials.is_empty() {
            let why = unusable.unwrap_or(Refusal::NoPassword);
            return match self.spend_time(asked, proof, delay) {
                Ok(DecoyWork::Done) => no(Rank::NoPassword, why),
                Ok(DecoyWork::NotNeeded) => no(Rank::NotComparable, Refusal::DigestNotPossible),
                Err(what) => StoreOutcome::CannotAnswer(what, Guess::No),
            };
        }
        let comparable = |credential: &Credential| credential.secret.can_check(proof);
        if !credentials.iter().any(comparable) {
            return no(Rank::NotComparable, Refusal::DigestNotPossible);
        }
        let mut limited = None;
        let mut tried = Guess::No;
        let started = Instant::now();
        for credential in credentials.iter().take(MAX_CREDENTIALS) {
            match self.check_proof(&credential.secret, asked, proof) {
                // The earlier comparisons are a guess, even if the rest cannot be compared.
                Err(what) => return StoreOutcome::CannotAnswer(what, tried),
                Ok(false) => {
                    tried = Guess::Yes;
                    continue;
                }
                Ok(true) => {}
            }
            match limit_violated(credential, asked) {
                Some(limit) => limited = Some(limit),
                None => {
                    if let (Proof::Password(password), None, false) =
                        (proof, &credential.label, not_permitted)
                    {
                        let stored = &credential.secret;
                        source.store.note_right(asked, stored, password);
                    }
                    note(Step::PasswordMatches(
                        source.table,
                        credential.label.as_deref(),
                    ));
                    return StoreOutcome::Accepted(Box::new(Proven {
                        account,
                        app_password: credential.label.clone(),
                        stored_password: credential.secret.cleartext(),
                    }));
                }
            }
        }
        if source.app_passwords {
            let took = started.elapsed();
            source.refusal_time.note(took);
            *delay += source.refusal_time.delay(took);
        }
        match limited {
            Some(limit) => StoreOutcome::RefusedForAll(Rank::NotPermitted, limit),
            None => no(Rank::Wrong, unusable.unwrap_or(Refusal::WrongPassword)),
        }
    }

    /// Checks a proof against one secret, within the limits on the work.
    pub(in crate::auth) fn check_proof(
        &self,
        secret: &Secret,
        asked: &Question<'_>,
        proof: &Proof,
    ) -> Result<bool, Trouble> {
        if !secret.is_heavy() {
            return Ok(secret.matches(proof));
        }
        let Proof::Password(password) = proof else {
            return Ok(false);
        };
        // A decoy has the hash of some user; a cache hit would reveal that this user's password is
        // remembered.
        let tag = self
            .verified
            .tag(secret, password)
            .filter(|_| !secret.is_decoy());
        if tag.is_some_and(|tag| self.verified.knows(tag)) {
            return Ok(true);
        }
        let _turn = asked.time(TimedStep::HashQueue, || self.turn(asked))?;
        let checked = asked.time(TimedStep::Hash, || secret.check(proof));
        let right = checked.map_err(|OutOfMemory| Trouble::Memory)?;
        if right && let Some(tag) = tag {
            self.verified.remember(tag);
        }
        Ok(right)
    }

    /// Refuses an unknown login. The work is done nevertheless, so that the time of the answer does
    /// not reveal which logins exist. A digest that could not be compared for any user gets that
    /// refusal: it is not a guess, and the consequences of a guess would reveal the difference.
    pub(super) fn unknown(&self, asked: &Question<'_>, proof: &Proof) -> FailedAttempt {
        let mut delay = Duration::ZERO;
        let denied = match self.spend_time(asked, proof, &mut delay) {
            Ok(DecoyWork::Done) => Refusal::UnknownUser.into(),
            Ok(DecoyWork::NotNeeded) => Refusal::DigestNotPossible.into(),
            Err(trouble) => FailedAttempt::from(trouble),
        };
        FailedAttempt { delay, ..denied }
    }

    /// Refuses a digest that could not be compared. If another store of this login could have
    /// compared one, it counts like an unknown login: otherwise the counts would reveal which store
    /// has the login, and guesses against the other store would not count.
    pub(super) fn not_comparable(&self, asked: &Question<'_>, proof: &Proof) -> FailedAttempt {
        let denied = FailedAttempt::from(Refusal::DigestNotPossible);
        let mut delay = Duration::ZERO;
        match self.spend_time(asked, proof, &mut delay) {
            Ok(DecoyWork::Done) => FailedAttempt {
                guess: Guess::Yes,
                ..denied
            },
            Ok(DecoyWork::NotNeeded) | Err(_) => denied,
        }
    }

    /// Does the work of checking a proof if there is no secret to check it against.
    ///
    /// The remaining time of a store with app passwords, or of one that checks passwords itself, is
    /// added to `delay`.
    fn spend_time(
        &self,
        asked: &Question<'_>,
        proof: &Proof,
        delay: &mut Duration,
    ) -> Result<DecoyWork, Trouble> {
        let started = Instant::now();
        let spent = self.check_decoy(asked, proof, delay)?;
        let mut serving = self.sources.iter().filter(|it| it.serves(asked.login));
        if spent == DecoyWork::Done
            && let Some(source) = serving.find(|it| it.app_passwords)
        {
            *delay += source.refusal_time.delay(started.elapsed());
        }
        Ok(spent)
    }

    /// Does the work of checking a proof if there is no secret to check it against: that of the
    /// first store with a decoy. For a digest, that of the first store that can compare one.
    ///
    /// The remaining time of a store that checks passwords itself is added to `delay`. An empty
    /// password costs no time if such a store would not check it either.
    fn check_decoy(
        &self,
        asked: &Question<'_>,
        proof: &Proof,
        delay: &mut Duration,
    ) -> Result<DecoyWork, Trouble> {
        let by_password = matches!(proof, Proof::Password(_));
        let empty = matches!(proof, Proof::Password(password) if password.reveal().is_empty());
        let serving = self.sources.iter().filter(|it| it.serves(asked.login));
        for Source {
            table,
            store,
            refusal_time,
            ..
        } in serving
        {
            match store.decoy(asked) {
                Decoy::AskStore if by_password => {
                    if !empty {
                        let started = Instant::now();
                        asked.time(TimedStep::Store(*table), || store.spend_time(asked));
                        *delay += refusal_time.delay(started.elapsed());
                    }
                    return Ok(DecoyWork::Done);
                }
                Decoy::Secret(secret) if by_password || secret.can_check(proof) => {
                    std::hint::black_box(self.check_proof(&secret, asked, proof)?);
                    return Ok(DecoyWork::Done);
                }
                Decoy::Nothing | Decoy::AskStore | Decoy::Secret(_) => {}
            }
        }
        Ok(match by_password {
            true => DecoyWork::Done,
            false => DecoyWork::NotNeeded,
        })
    }

    pub(super) fn turn(&self, asked: &Question<'_>) -> Result<MachinePermit<'_>, Trouble> {
        // This also stops a login with several hashes that take too long in sequence.
        if Instant::now() >= asked.deadline {
            return Err(Trouble::Busy);
        }
        let turn = self.hashing.acquire(asked.claim(), asked.deadline);
        turn.ok_or(Trouble::Busy)
    }
}

/// The work done for a proof without a secret to check it against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DecoyWork {
    /// The work of a check.
    Done,
    /// None: a digest that could not have been compared for any user.
    NotNeeded,
}

/// Why the right password is not valid for this login, network and time; `None` if it is.
pub(super) fn limit_violated(credential: &Credential, asked: &Question<'_>) -> Option<Refusal> {
    let now = SystemTime::now();
    if credential.expires.is_some_and(|end| end <= now) {
        Some(Refusal::PasswordExpired)
    } else if credential
        .protocols
        .as_ref()
        .is_some_and(|protocols| !protocols.contains(&asked.protocol))
    {
        Some(Refusal::ProtocolNotAllowed)
    } else if !network_allowed(credential.allow_nets.as_deref(), asked) {
        Some(Refusal::NetworkNotAllowed)
    } else {
        None
    }
}

/// Whether the client comes from one of these networks; true without networks.
pub(in crate::auth) fn network_allowed(networks: Option<&[Network]>, asked: &Question<'_>) -> bool {
    networks.is_none_or(|networks| {
        asked
            .client
            .is_some_and(|address| networks.iter().any(|network| network.contains(address)))
    })
}
