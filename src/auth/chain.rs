//! The chain of stores: asks them in order about a login and its proof.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::login::Likeness;
use crate::login::Login;
use crate::login::domain;
use crate::login::relayed::Value;
use crate::nginx::refusal::{Refusal, Trouble};
use crate::nginx::request::LoginRequest;
use crate::route::{Destination, OwnPassword};
use crate::secret::{Password, Proof};
use crate::sys::semaphore::machine::MachineSemaphore;
use crate::sys::steps::TimedStep;
use crate::users::bound::StoreLimit;
use crate::users::cache::Cache;
use crate::users::store_counts::StoreCounts;
use crate::users::{Account, PasswordCheck, Passwords, Question, StoreError, UserStore};

use super::Step;
use super::outcome::{ChainRefusal, FailedAttempt, Guess, Rank, StoreOutcome, Tally};
use super::refusal_time::RefusalTime;
use super::remembered::Verified;

mod prove;

pub(super) use prove::network_allowed;

/// One store with its rules: a `[[users]]` table.
pub struct Source {
    /// The index of its `[[users]]`, from 0.
    pub table: usize,
    /// Its name in the log and the commands.
    pub name: String,
    /// The store.
    pub store: Arc<dyn UserStore>,
    /// Limits the questions that wait for the store, if it asks another server.
    pub bound: Option<Arc<StoreLimit>>,
    /// The cache of right passwords, for which the store is not asked again for a while.
    pub cache: Option<Arc<Cache>>,
    /// The domains that it serves, in canonical form; an empty one means logins without a domain,
    /// `*.example.org` all domains below it. `None`: all.
    pub domains: Option<Vec<Box<[u8]>>>,
    /// The next step after a wrong password.
    pub wrong: Then,
    /// The next step if the store cannot answer.
    pub trouble: Then,
    /// The time that it takes to check passwords, if it checks them itself or has app passwords.
    pub refusal_time: RefusalTime,
    /// What it answered so far. A reload keeps it.
    pub counts: Arc<StoreCounts>,
    /// Whether a user may have several passwords: then the time of a refusal would reveal their
    /// number.
    pub app_passwords: bool,
}

/// The next step after an outcome other than success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Then {
    /// The chain ends.
    #[default]
    Stop,
    /// The next store is asked.
    Next,
}

impl Source {
    /// The counts of the store with this name after a reload: those that it had `before`. Of stores with the
    /// same name, each keeps its own; `opened` are the ones in front of it.
    pub fn kept_counts(name: &str, opened: &[Self], before: &[Self]) -> Arc<StoreCounts> {
        let same = |source: &&Self| source.name == name;
        let number = opened.iter().filter(same).count();
        let kept = before.iter().filter(same).nth(number);
        kept.map_or_else(Arc::default, |source| Arc::clone(&source.counts))
    }

    fn serves(&self, login: &Login) -> bool {
        let domain = login.domain().unwrap_or_default();
        self.domains
            .as_ref()
            .is_none_or(|domains| domains.iter().any(|served| domain::covers(served, domain)))
    }

    fn find(&self, asked: &Question<'_>) -> Result<Option<Account>, Trouble> {
        // A store that needs the password to look a login up asks no server here.
        let found = asked.time(TimedStep::Store(self.table), || match &self.bound {
            Some(bound) if self.store.knows_users() => {
                bound.ask(asked, || self.timed(|| self.store.find(asked)))
            }
            // It answers without a question to a server.
            Some(_) => self.store.find(asked),
            None => self.timed(|| self.store.find(asked)),
        });
        found.map_err(|error| self.trouble_of(&error))
    }

    /// Asks the store to check a password that only the store can check. A cache hit does not count
    /// against the concurrency limit.
    fn verify(
        &self,
        asked: &Question<'_>,
        account: &mut Account,
        password: &Password,
    ) -> Result<PasswordCheck, StoreError> {
        let verify = |account: &mut Account| {
            let mut verify = || self.timed(|| self.store.verify(asked, account, password));
            match &self.bound {
                Some(bound) => bound.ask(asked, verify),
                None => verify(),
            }
        };
        asked.time(TimedStep::Store(self.table), || match &self.cache {
            Some(cache) => cache.verify(asked, account, password, verify),
            None => verify(account),
        })
    }

    /// Notes how long a question took.
    fn timed<T>(&self, question: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let answer = question();
        self.counts.took.observe(started.elapsed());
        answer
    }

    fn trouble_of(&self, error: &StoreError) -> Trouble {
        Trouble::Store(format!("{}: {error}", self.name))
    }
}

/// A user whose login has been proven.
#[derive(Clone, Debug)]
pub struct Proven {
    /// The account of the user.
    pub account: Account,
    /// The label of the password, if the mail server does not know that password.
    pub app_password: Option<String>,
    /// The password in clear, if the client did not send it but the store has it.
    pub stored_password: Option<Password>,
}

impl Proven {
    /// Proven by a certificate. The mail server gets the user's own password, if it is known.
    pub fn by_certificate(account: Account) -> Self {
        let clear = match &account.passwords {
            Passwords::Stored(credentials) => credentials
                .iter()
                .filter(|credential| credential.label.is_none())
                .find_map(|credential| credential.secret.cleartext()),
            Passwords::Any | Passwords::AskStore => None,
        };
        Self {
            stored_password: clear,
            ..Self::new(account)
        }
    }

    /// Proven by the password that the mail server knows too, or without a password.
    pub fn new(account: Account) -> Self {
        Self {
            account,
            app_password: None,
            stored_password: None,
        }
    }

    /// The password for the mail server, as far as it is known.
    pub(super) fn own_password(
        &self,
        request: &LoginRequest<'_>,
        destination: &Destination,
    ) -> OwnPassword {
        let known = self.account.upstream_password.as_ref();
        if let Some(password) = known {
            return OwnPassword::Known(password.clone());
        }
        // A mail server without a master login must know app passwords too.
        if self.app_password.is_some() && destination.master.is_some() {
            return OwnPassword::Unknown;
        }
        match request.proof {
            Proof::Password(_) if matches!(self.account.passwords, Passwords::Any) => {
                OwnPassword::Unchecked
            }
            // The forks of nginx that support tokens pass them on.
            Proof::Password(_) | Proof::Token(_) => OwnPassword::Sent,
            Proof::CramMd5(_) | Proof::Apop(_) | Proof::External => match &self.stored_password {
                Some(known) if Value::AuthPass.fits_header(known.reveal()) => {
                    OwnPassword::Known(known.clone())
                }
                Some(_) => OwnPassword::CannotBeSent,
                None => OwnPassword::Unknown,
            },
        }
    }
}

/// All stores, and the limits on their work.
pub struct Chain {
    sources: Vec<Source>,
    hashing: MachineSemaphore,
    verified: Arc<Verified>,
}

impl Chain {
    /// The stores are asked in order. `hashing` limits the password hashes computed at once;
    /// `remembered` is the number of right passwords that are not hashed again.
    pub fn new(sources: Vec<Source>, hashing: MachineSemaphore, remembered: usize) -> Self {
        Self {
            sources,
            hashing,
            verified: Arc::new(Verified::new(NonZeroUsize::new(remembered))),
        }
    }

    /// Keeps the remembered passwords of an earlier chain if the bound is the same. They are bound
    /// to the stored hashes, so a reload makes none of them wrong.
    #[must_use]
    pub fn with_memory_of(mut self, before: Option<&Self>) -> Self {
        if let Some(before) = before.filter(|it| it.verified.bound() == self.verified.bound()) {
            self.verified = Arc::clone(&before.verified);
        }
        self
    }

    /// The limit on password hashes.
    pub fn hashing(&self) -> &MachineSemaphore {
        &self.hashing
    }

    /// The stores.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Asks the stores in order whether the login and its proof are right.
    ///
    /// If a store does not know the login, the next one is asked. After a wrong password, or if a
    /// store cannot answer, the next one is asked only if [`Source`] says so. If no store accepts
    /// the login then, and one could not answer, the result is the temporary failure: that store
    /// might have accepted it.
    pub fn authenticate(
        &self,
        asked: &Question<'_>,
        proof: &Proof,
        note: &mut impl FnMut(Step<'_>),
    ) -> Result<Proven, FailedAttempt> {
        let all = |_: &Source| true;
        let mut delay = Duration::ZERO;
        self.walk(asked, note, all, |source, account, note| {
            self.prove(source, asked, account, proof, &mut delay, note)
        })
        .map_err(|lost| {
            let denied = match lost {
                ChainRefusal::Refused(why, guess) => FailedAttempt {
                    guess,
                    ..FailedAttempt::from(why)
                },
                ChainRefusal::NotComparable => self.not_comparable(asked, proof),
                ChainRefusal::Unknown => self.unknown(asked, proof),
            };
            FailedAttempt {
                delay: denied.delay + delay,
                ..denied
            }
        })
    }

    /// Looks up a login that was proven without a store, or does not need a proof. A store that can
    /// look up users only with their passwords is not asked: it would find every login. A store
    /// that found a user of another login does not know this one. If a store does not report which
    /// login it found, the login is refused, also by the stores after it.
    pub fn look_up(
        &self,
        asked: &Question<'_>,
        note: &mut impl FnMut(Step<'_>),
    ) -> Result<Account, Refusal> {
        let knows_users = |source: &Source| source.store.knows_users();
        let mut unlike = None;
        let found = self.walk(asked, note, knows_users, |_, account, _| {
            match account.likeness {
                Likeness::Same => return StoreOutcome::Accepted(Box::new(Proven::new(account))),
                Likeness::Other => unlike.get_or_insert(Likeness::Other),
                Likeness::Unsaid => unlike.insert(Likeness::Unsaid),
            };
            StoreOutcome::Unknown
        });
        match (found, unlike) {
            (Err(ChainRefusal::Refused(why, _)), _) => Err(why),
            (_, Some(Likeness::Unsaid)) => Err(Refusal::LoginNotProven(Likeness::Unsaid)),
            (Ok(proven), _) => Ok(proven.account),
            (Err(ChainRefusal::NotComparable | ChainRefusal::Unknown), Some(other)) => {
                Err(Refusal::LoginNotProven(other))
            }
            (Err(ChainRefusal::NotComparable | ChainRefusal::Unknown), None) => {
                Err(Refusal::UnknownUser)
            }
        }
    }

    /// The result of [`Chain::authenticate`] for a right password, as far as it is known without
    /// one. It must not be used to accept a login.
    pub fn presume(
        &self,
        asked: &Question<'_>,
        note: &mut impl FnMut(Step<'_>),
    ) -> Result<Account, Refusal> {
        let found = self.walk(
            asked,
            note,
            |_| true,
            |_, account, _| StoreOutcome::Accepted(Box::new(Proven::new(account))),
        );
        found
            .map(|proven| proven.account)
            .map_err(|lost| match lost {
                ChainRefusal::Refused(why, _) => why,
                ChainRefusal::NotComparable | ChainRefusal::Unknown => Refusal::UnknownUser,
            })
    }

    fn walk<N: FnMut(Step<'_>)>(
        &self,
        asked: &Question<'_>,
        note: &mut N,
        counts: impl Fn(&Source) -> bool,
        mut judge: impl FnMut(&Source, Account, &mut N) -> StoreOutcome,
    ) -> Result<Proven, ChainRefusal> {
        let mut tally = Tally::default();
        let mut not_permitted = false;
        for source in &self.sources {
            let number = source.table;
            if !source.serves(asked.login) {
                note(Step::DomainNotServed(number));
                continue;
            }
            if !counts(source) {
                note(Step::CannotLookUp(number));
                continue;
            }
            let outcome = match source.find(asked) {
                Err(what) => StoreOutcome::CannotAnswer(what, Guess::No),
                Ok(None) => {
                    note(Step::NotFound(number));
                    StoreOutcome::Unknown
                }
                Ok(Some(mut account)) => {
                    account.source = Some(number);
                    note(Step::Found(number, &account));
                    judge(source, account, note)
                }
            };
            // The password is right or not needed, but another stored value of the user cannot be
            // used.
            let outcome = match outcome {
                StoreOutcome::Accepted(proven) => match &proven.account.unusable {
                    Some(what) if !proven.account.is_disabled() => {
                        let what = format!("{}: {what}", source.name);
                        StoreOutcome::RefusedForAll(
                            Rank::NotPermitted,
                            Refusal::UnusableEntry(what),
                        )
                    }
                    _ => StoreOutcome::Accepted(proven),
                },
                other => other,
            };
            match &outcome {
                StoreOutcome::Accepted(_) => &source.counts.yes,
                StoreOutcome::Unknown => &source.counts.unknown,
                StoreOutcome::Refused(..) | StoreOutcome::RefusedForAll(..) => &source.counts.no,
                StoreOutcome::CannotAnswer(..) => &source.counts.trouble,
            }
            .add_one();
            not_permitted |= matches!(outcome, StoreOutcome::RefusedForAll(..));
            let then = match outcome {
                StoreOutcome::Accepted(proven) if !not_permitted => return Ok(*proven),
                StoreOutcome::Accepted(_) => Then::Stop,
                StoreOutcome::Unknown => Then::Next,
                // After [`StoreOutcome::RefusedForAll`] no other store can accept the user, but all are asked: so
                // it takes as long as after a wrong password.
                StoreOutcome::Refused(rank, why) | StoreOutcome::RefusedForAll(rank, why) => {
                    note(Step::Refused(number, &why));
                    tally.refuse(rank, why);
                    source.wrong
                }
                StoreOutcome::CannotAnswer(what, guess) => {
                    note(Step::CannotAnswer(number, &what));
                    tally.cannot(what, guess);
                    source.trouble
                }
            };
            if then == Then::Stop {
                break;
            }
        }
        Err(tally.into_refusal())
    }

    /// Adds the store and the field that an unknown host comes from.
    pub fn with_origin(&self, trouble: Trouble, account: &Account) -> Trouble {
        let of_account = |source: &&Source| Some(source.table) == account.source;
        match (trouble, self.sources.iter().find(of_account)) {
            (Trouble::UnknownHost(what), Some(source)) => {
                let (name, field) = (&source.name, source.store.host_field());
                Trouble::UnknownHost(format!("{name}: {field}: {what}"))
            }
            (trouble, _) => trouble,
        }
    }
}

#[cfg(test)]
mod tests;
