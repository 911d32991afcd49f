//! The stores in their order: who knows a login, and whether what the client brings is right.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crate::login::Likeness;
use crate::login::Login;
use crate::login::domain;
use crate::login::relayed::Value;
use crate::nginx::refusal::{Refusal, Trouble};
use crate::nginx::request::LoginRequest;
use crate::route::{Destination, OwnPassword};
use crate::secret::{Password, Proof};
use crate::sys::semaphore::machine::MachineSemaphore;
use crate::users::bound::Bound;
use crate::users::cache::Cache;
use crate::users::{Account, Checked, Passwords, Question, StoreError, UserStore};

use super::Step;
use super::outcome::{Denied, Guess, Lost, Rank, Said, Tally};
use super::refusal_time::Pace;
use super::remembered::Verified;

mod prove;

pub(super) use prove::may_come;

/// One `[[users]]` at work.
pub struct Source {
    /// Which `[[users]]` it is, from 0.
    pub table: usize,
    /// What the log and the commands call it.
    pub name: String,
    /// Where its users are.
    pub store: Arc<dyn UserStore>,
    /// The bound on questions that wait for the store, where it asks another server.
    pub bound: Option<Arc<Bound>>,
    /// The right passwords that the store is not asked about again for a while.
    pub cache: Option<Arc<Cache>>,
    /// The domains whose logins it is asked about, in canonical form; an empty one stands for logins
    /// without a domain, `*.example.org` for all below it. `None`: all.
    pub domains: Option<Vec<Box<[u8]>>>,
    /// What follows a wrong password.
    pub wrong: Then,
    /// What follows where the store cannot say.
    pub trouble: Then,
    /// How long it takes to check passwords, where it does so itself or has app passwords.
    pub pace: Pace,
    /// Whether a user may have several passwords: then the time of a no would tell how many.
    pub app_passwords: bool,
}

/// What follows an outcome that is not success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Then {
    /// It is the last word.
    #[default]
    Stop,
    /// The next store is asked.
    Next,
}

impl Source {
    fn serves(&self, login: &Login) -> bool {
        let domain = login.domain().unwrap_or_default();
        self.domains
            .as_ref()
            .is_none_or(|domains| domains.iter().any(|served| domain::covers(served, domain)))
    }

    fn find(&self, asked: &Question<'_>) -> Result<Option<Account>, Trouble> {
        // A store that tells nothing without a password asks no server here.
        let found = match &self.bound {
            Some(bound) if self.store.knows_users() => bound.ask(asked, || self.store.find(asked)),
            _ => self.store.find(asked),
        };
        found.map_err(|error| self.trouble_of(&error))
    }

    /// Has the store check a password that only the store can check. A cache hit does not count against the
    /// bound.
    fn verify(
        &self,
        asked: &Question<'_>,
        account: &mut Account,
        password: &Password,
    ) -> Result<Checked, StoreError> {
        let verify = |account: &mut Account| {
            let mut verify = || self.store.verify(asked, account, password);
            match &self.bound {
                Some(bound) => bound.ask(asked, verify),
                None => verify(),
            }
        };
        match &self.cache {
            Some(cache) => cache.verify(asked, account, password, verify),
            None => verify(account),
        }
    }

    fn trouble_of(&self, error: &StoreError) -> Trouble {
        Trouble::Store(format!("{}: {error}", self.name))
    }
}

/// Somebody who has proven who they are.
#[derive(Clone, Debug)]
pub struct Proven {
    /// What is known of the user.
    pub account: Account,
    /// Which password it was, if not the one that the mail server knows too.
    pub app_password: Option<String>,
    /// The password in clear, where the client did not send it but the store has it.
    pub stored_password: Option<Password>,
}

impl Proven {
    /// By a certificate. The mail server takes the user's own password, if it is known.
    pub fn by_certificate(account: Account) -> Self {
        let clear = match &account.passwords {
            Passwords::Stored(credentials) => credentials
                .iter()
                .filter(|credential| credential.label.is_none())
                .find_map(|credential| credential.secret.in_clear()),
            Passwords::Any | Passwords::AskStore => None,
        };
        Self {
            stored_password: clear,
            ..Self::new(account)
        }
    }

    /// By the password that the mail server knows too, or without any.
    pub fn new(account: Account) -> Self {
        Self {
            account,
            app_password: None,
            stored_password: None,
        }
    }

    /// What is known of the password that the mail server asks for.
    pub(super) fn own_password(
        &self,
        request: &LoginRequest<'_>,
        destination: &Destination,
    ) -> OwnPassword {
        let known = self.account.upstream_password.as_ref();
        if let Some(password) = known {
            return OwnPassword::Known(password.clone());
        }
        // A mail server that has no login for us must know app passwords too.
        if self.app_password.is_some() && destination.master.is_some() {
            return OwnPassword::Unknown;
        }
        match request.proof {
            Proof::Password(_) if matches!(self.account.passwords, Passwords::Any) => {
                OwnPassword::Unchecked
            }
            // The forks of nginx that have tokens pass them on.
            Proof::Password(_) | Proof::Token(_) => OwnPassword::Sent,
            Proof::CramMd5(_) | Proof::Apop(_) | Proof::External => match &self.stored_password {
                Some(known) if Value::AuthPass.fits_header(known.reveal()) => {
                    OwnPassword::Known(known.clone())
                }
                Some(_) => OwnPassword::Unsayable,
                None => OwnPassword::Unknown,
            },
        }
    }
}

/// All stores, and what bounds the work of asking them.
pub struct Chain {
    sources: Vec<Source>,
    hashing: MachineSemaphore,
    verified: Arc<Verified>,
}

impl Chain {
    /// Stores that are asked in order. `hashing` bounds the password hashes computed at once;
    /// `remembered` is how many right passwords need not be hashed again.
    pub fn new(sources: Vec<Source>, hashing: MachineSemaphore, remembered: usize) -> Self {
        Self {
            sources,
            hashing,
            verified: Arc::new(Verified::new(NonZeroUsize::new(remembered))),
        }
    }

    /// The same, with what another one remembers, if that is as much: what is remembered goes with
    /// the stored hash, so a reload makes none of it wrong.
    #[must_use]
    pub fn with_memory_of(mut self, before: Option<&Self>) -> Self {
        if let Some(before) = before.filter(|it| it.verified.bound() == self.verified.bound()) {
            self.verified = Arc::clone(&before.verified);
        }
        self
    }

    /// The stores.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Asks one store after the other whether the login and its proof are right.
    ///
    /// A store that does not know the login leaves it to the next one. After a wrong password, or
    /// where a store cannot say, the next one is asked only if [`Source`] has it so. If none says
    /// yes then, a store that could not say makes it the temporary failure: it might have.
    pub fn authenticate(
        &self,
        asked: &Question<'_>,
        proof: &Proof,
        note: &mut impl FnMut(Step<'_>),
    ) -> Result<Proven, Denied> {
        let all = |_: &Source| true;
        let mut owed = Duration::ZERO;
        self.walk(asked, note, all, |source, account, note| {
            self.prove(source, asked, account, proof, &mut owed, note)
        })
        .map_err(|lost| {
            let denied = match lost {
                Lost::Refused(why, guess) => Denied {
                    guess,
                    ..Denied::from(why)
                },
                Lost::NotComparable => self.not_comparable(asked, proof),
                Lost::Unknown => self.unknown(asked, proof),
            };
            Denied {
                owed: denied.owed + owed,
                ..denied
            }
        })
    }

    /// Looks a login up that has proven itself otherwise, or need not. A store that only knows its
    /// users by their passwords is not asked: it would take everybody for one. One that has found a
    /// user of another login does not know this one; one that does not say whom it has found leaves
    /// nobody in, also none of a later store.
    pub fn look_up(
        &self,
        asked: &Question<'_>,
        note: &mut impl FnMut(Step<'_>),
    ) -> Result<Account, Refusal> {
        let knows_users = |source: &Source| source.store.knows_users();
        let mut unlike = None;
        let found = self.walk(asked, note, knows_users, |_, account, _| {
            match account.likeness {
                Likeness::Same => return Said::Yes(Box::new(Proven::new(account))),
                Likeness::Other => unlike.get_or_insert(Likeness::Other),
                Likeness::Unsaid => unlike.insert(Likeness::Unsaid),
            };
            Said::Unknown
        });
        match (found, unlike) {
            (Err(Lost::Refused(why, _)), _) => Err(why),
            (_, Some(Likeness::Unsaid)) => Err(Refusal::LoginNotProven(Likeness::Unsaid)),
            (Ok(proven), _) => Ok(proven.account),
            (Err(Lost::NotComparable | Lost::Unknown), Some(other)) => {
                Err(Refusal::LoginNotProven(other))
            }
            (Err(Lost::NotComparable | Lost::Unknown), None) => Err(Refusal::UnknownUser),
        }
    }

    /// What [`Chain::authenticate`] would find with a right password, as far as that can be told
    /// without one: nothing to let anybody in by.
    pub fn presume(
        &self,
        asked: &Question<'_>,
        note: &mut impl FnMut(Step<'_>),
    ) -> Result<Account, Refusal> {
        let found = self.walk(
            asked,
            note,
            |_| true,
            |_, account, _| Said::Yes(Box::new(Proven::new(account))),
        );
        found
            .map(|proven| proven.account)
            .map_err(|lost| match lost {
                Lost::Refused(why, _) => why,
                Lost::NotComparable | Lost::Unknown => Refusal::UnknownUser,
            })
    }

    fn walk<N: FnMut(Step<'_>)>(
        &self,
        asked: &Question<'_>,
        note: &mut N,
        counts: impl Fn(&Source) -> bool,
        mut judge: impl FnMut(&Source, Account, &mut N) -> Said,
    ) -> Result<Proven, Lost> {
        let mut tally = Tally::default();
        let mut kept_out = false;
        for source in &self.sources {
            let number = source.table;
            if !source.serves(asked.login) {
                note(Step::NotAsked(number));
                continue;
            }
            if !counts(source) {
                note(Step::CannotTell(number));
                continue;
            }
            let said = match source.find(asked) {
                Err(what) => Said::Cannot(what, Guess::No),
                Ok(None) => {
                    note(Step::NotIn(number));
                    Said::Unknown
                }
                Ok(Some(mut account)) => {
                    account.source = Some(number);
                    note(Step::FoundIn(number, &account));
                    judge(source, account, note)
                }
            };
            // Where the password is right, or none is needed, but what else is stored cannot be used.
            let said = match said {
                Said::Yes(proven) => match &proven.account.unusable {
                    Some(what) if !proven.account.disabled => {
                        let what = format!("{}: {what}", source.name);
                        Said::Never(Rank::KeptOut, Refusal::UnusableEntry(what))
                    }
                    _ => Said::Yes(proven),
                },
                other => other,
            };
            kept_out |= matches!(said, Said::Never(..));
            let then = match said {
                Said::Yes(proven) if !kept_out => return Ok(*proven),
                Said::Yes(_) => Then::Stop,
                Said::Unknown => Then::Next,
                // The others are asked after [`Said::Never`] too, though none lets the user in now:
                // it takes as long as where the password is wrong.
                Said::No(rank, why) | Said::Never(rank, why) => {
                    note(Step::Wrong(number, &why));
                    tally.refuse(rank, why);
                    source.wrong
                }
                Said::Cannot(what, guess) => {
                    note(Step::InTrouble(number, &what));
                    tally.cannot(what, guess);
                    source.trouble
                }
            };
            if then == Then::Stop {
                break;
            }
        }
        Err(tally.lost())
    }

    /// Says of a host that nobody knows which store has it, and where.
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
