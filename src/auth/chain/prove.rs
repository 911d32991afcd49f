//! Checks a proof against the account of one store, within the limits on the work.

use std::time::{Duration, Instant, SystemTime};

use super::super::Step;
use super::super::outcome::{Denied, Guess, Rank, Said};
use super::{Chain, Proven, Source};
use crate::login::Network;
use crate::nginx::refusal::{Refusal, Trouble};
use crate::secret::{OutOfMemory, Proof, Secret};
use crate::sys::semaphore::machine::MachinePermit;
use crate::users::MAX_CREDENTIALS;
use crate::users::{Account, Checked, Credential, Decoy, Passwords, Question, StoreError};

impl Chain {
    /// Checks the proof of a user that the store knows. Adds the time by which the answer must be
    /// delayed to `owed`.
    pub(super) fn prove(
        &self,
        source: &Source,
        asked: &Question<'_>,
        mut account: Account,
        proof: &Proof,
        owed: &mut Duration,
        note: &mut impl FnMut(Step<'_>),
    ) -> Said {
        // A user who is disabled here is not accepted by other stores. Neither is a user with a
        // broken entry: the entry may be there to keep the user out. App passwords do not change
        // that.
        let without_own = !account.has_own_password();
        let own_broken = account.unusable_password.is_some() && without_own;
        let kept_out = account.disabled || account.unusable.is_some() || own_broken;
        let no: fn(Rank, Refusal) -> Said = match kept_out {
            true => Said::Never,
            false => Said::No,
        };
        let credentials = match (&mut account.passwords, proof) {
            (Passwords::Stored(credentials), _) => std::mem::take(credentials),
            (Passwords::Any, Proof::Password(_)) => {
                return Said::Yes(Box::new(Proven::new(account)));
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
                    source.pace.note(took);
                }
                if !matches!(checked, Ok(Checked::Right)) {
                    *owed += source.pace.owed(took);
                }
                let named = |what: String| format!("{}: {what}", source.name);
                return match checked {
                    Ok(Checked::Right) => Said::Yes(Box::new(Proven::new(account))),
                    Ok(Checked::Wrong) => no(Rank::Wrong, Refusal::WrongPassword),
                    Ok(Checked::NoPassword) => no(Rank::NoPassword, Refusal::NoPassword),
                    Ok(Checked::KeptOut(what)) => {
                        Said::Never(Rank::KeptOut, Refusal::AccountRefused(named(what)))
                    }
                    // The store received the password, and may only be slow to refuse it.
                    Err(error @ StoreError::Unanswered(_)) => {
                        Said::Cannot(source.trouble_of(&error), Guess::Yes)
                    }
                    Err(error @ (StoreError::Unusable(_) | StoreError::Unavailable(_))) => {
                        Said::Cannot(source.trouble_of(&error), Guess::No)
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
            return match self.spend_time(asked, proof, owed) {
                Ok(Spent::OnCheck) => no(Rank::NoPassword, why),
                Ok(Spent::Nothing) => no(Rank::NotComparable, Refusal::DigestNotPossible),
                Err(what) => Said::Cannot(what, Guess::No),
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
            match self.fits(&credential.secret, asked, proof) {
                // The earlier comparisons are a guess, even if the rest cannot be compared.
                Err(what) => return Said::Cannot(what, tried),
                Ok(false) => {
                    tried = Guess::Yes;
                    continue;
                }
                Ok(true) => {}
            }
            match unusable_now(credential, asked) {
                Some(limit) => limited = Some(limit),
                None => {
                    note(Step::FitsPassword(
                        source.table,
                        credential.label.as_deref(),
                    ));
                    return Said::Yes(Box::new(Proven {
                        account,
                        app_password: credential.label.clone(),
                        stored_password: credential.secret.in_clear(),
                    }));
                }
            }
        }
        if source.app_passwords {
            let took = started.elapsed();
            source.pace.note(took);
            *owed += source.pace.owed(took);
        }
        match limited {
            Some(limit) => Said::Never(Rank::KeptOut, limit),
            None => no(Rank::Wrong, unusable.unwrap_or(Refusal::WrongPassword)),
        }
    }

    /// Checks a proof against one secret, within the limits on the work.
    pub(in crate::auth) fn fits(
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
        let _turn = self.turn(asked)?;
        let right = secret.check(proof).map_err(|OutOfMemory| Trouble::Memory)?;
        if right && let Some(tag) = tag {
            self.verified.remember(tag);
        }
        Ok(right)
    }

    /// Refuses an unknown login. The work is done nevertheless, so that the time of the answer does
    /// not reveal which logins exist. A digest that could not be compared for any user gets that
    /// refusal: it is not a guess, and the consequences of a guess would reveal the difference.
    pub(super) fn unknown(&self, asked: &Question<'_>, proof: &Proof) -> Denied {
        let mut owed = Duration::ZERO;
        let denied = match self.spend_time(asked, proof, &mut owed) {
            Ok(Spent::OnCheck) => Refusal::UnknownUser.into(),
            Ok(Spent::Nothing) => Refusal::DigestNotPossible.into(),
            Err(trouble) => Denied::from(trouble),
        };
        Denied { owed, ..denied }
    }

    /// Refuses a digest that could not be compared. If another store of this login could have
    /// compared one, it counts like an unknown login: otherwise the counts would reveal which store
    /// has the login, and guesses against the other store would not count.
    pub(super) fn not_comparable(&self, asked: &Question<'_>, proof: &Proof) -> Denied {
        let denied = Denied::from(Refusal::DigestNotPossible);
        let mut owed = Duration::ZERO;
        match self.spend_time(asked, proof, &mut owed) {
            Ok(Spent::OnCheck) => Denied {
                guess: Guess::Yes,
                ..denied
            },
            Ok(Spent::Nothing) | Err(_) => denied,
        }
    }

    /// Does the work of checking a proof if there is no secret to check it against.
    ///
    /// The remaining time of a store with app passwords, or of one that checks passwords itself, is
    /// added to `owed`.
    fn spend_time(
        &self,
        asked: &Question<'_>,
        proof: &Proof,
        owed: &mut Duration,
    ) -> Result<Spent, Trouble> {
        let started = Instant::now();
        let spent = self.check_decoy(asked, proof, owed)?;
        let mut serving = self.sources.iter().filter(|it| it.serves(asked.login));
        if spent == Spent::OnCheck
            && let Some(source) = serving.find(|it| it.app_passwords)
        {
            *owed += source.pace.owed(started.elapsed());
        }
        Ok(spent)
    }

    /// Does the work of checking a proof if there is no secret to check it against: that of the
    /// first store with a decoy. For a digest, that of the first store that can compare one.
    ///
    /// The remaining time of a store that checks passwords itself is added to `owed`. An empty
    /// password costs no time if such a store would not check it either.
    fn check_decoy(
        &self,
        asked: &Question<'_>,
        proof: &Proof,
        owed: &mut Duration,
    ) -> Result<Spent, Trouble> {
        let by_password = matches!(proof, Proof::Password(_));
        let empty = matches!(proof, Proof::Password(password) if password.reveal().is_empty());
        let serving = self.sources.iter().filter(|it| it.serves(asked.login));
        for Source { store, pace, .. } in serving {
            match store.decoy(asked) {
                Decoy::AskStore if by_password => {
                    if !empty {
                        let started = Instant::now();
                        store.spend_time(asked);
                        *owed += pace.owed(started.elapsed());
                    }
                    return Ok(Spent::OnCheck);
                }
                Decoy::Secret(secret) if by_password || secret.can_check(proof) => {
                    std::hint::black_box(self.fits(&secret, asked, proof)?);
                    return Ok(Spent::OnCheck);
                }
                Decoy::Nothing | Decoy::AskStore | Decoy::Secret(_) => {}
            }
        }
        Ok(match by_password {
            true => Spent::OnCheck,
            false => Spent::Nothing,
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
enum Spent {
    /// The work of a check.
    OnCheck,
    /// None: a digest that could not have been compared for any user.
    Nothing,
}

/// Why the right password is not valid for this login, network and time; `None` if it is.
pub(super) fn unusable_now(credential: &Credential, asked: &Question<'_>) -> Option<Refusal> {
    let now = SystemTime::now();
    if credential.expires.is_some_and(|end| end <= now) {
        Some(Refusal::PasswordExpired)
    } else if credential
        .protocols
        .as_ref()
        .is_some_and(|protocols| !protocols.contains(&asked.protocol))
    {
        Some(Refusal::ProtocolNotAllowed)
    } else if !may_come(credential.allow_nets.as_deref(), asked) {
        Some(Refusal::NetworkNotAllowed)
    } else {
        None
    }
}

/// Whether the client comes from one of these networks; true without networks.
pub(in crate::auth) fn may_come(networks: Option<&[Network]>, asked: &Question<'_>) -> bool {
    networks.is_none_or(|networks| {
        asked
            .client
            .is_some_and(|address| networks.iter().any(|network| network.contains(address)))
    })
}
