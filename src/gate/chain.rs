//! The stores in their order: who knows a login, and whether what the client brings is right.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::refusal::{Refusal, Trouble};
use crate::request::{AuthRequest, Login};
use crate::route::{Destination, OwnPassword};
use crate::secret::{OutOfMemory, Password, Proof, Secret};
use crate::store::{
    Account, Credential, Decoy, Likeness, Network, Passwords, Question, StoreError, UserStore,
};
use crate::turnstile::{Turn, Turnstile};

use super::Step;
use super::outcome::{Denied, Guess, Lost, Rank, Said, Tally};
use super::verified::Verified;

/// The most secrets of one user that are tried: each may take a tenth of a second.
pub const MAX_CREDENTIALS: usize = 32;

/// One `[[users]]` at work.
pub struct Source {
    /// Which `[[users]]` it is, from 0.
    pub table: usize,
    /// What the log and the commands call it.
    pub name: String,
    /// Where its users are.
    pub store: Arc<dyn UserStore>,
    /// The domains whose logins it is asked about, in lower case; an empty one stands for logins
    /// without a domain. `None`: all.
    pub domains: Option<Vec<Box<[u8]>>>,
    /// What follows a wrong password.
    pub wrong: Then,
    /// What follows where the store cannot say.
    pub trouble: Then,
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
        self.domains.as_ref().is_none_or(|domains| {
            domains
                .iter()
                .any(|served| served.eq_ignore_ascii_case(domain))
        })
    }

    fn find(&self, asked: &Question<'_>) -> Result<Option<Account>, Trouble> {
        self.store
            .find(asked)
            .map_err(|error| self.trouble_of(&error))
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
        request: &AuthRequest<'_>,
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
            Proof::CramMd5(_) | Proof::Apop(_) | Proof::External | Proof::None => self
                .stored_password
                .clone()
                .map_or(OwnPassword::Unknown, OwnPassword::Known),
        }
    }
}

/// All stores, and what bounds the work of asking them.
pub struct Chain {
    sources: Vec<Source>,
    hashing: Turnstile,
    verified: Arc<Verified>,
}

impl Chain {
    /// Stores that are asked in order. `hashing` bounds the password hashes computed at once;
    /// `remembered` is how many right passwords need not be hashed again.
    pub fn new(sources: Vec<Source>, hashing: Turnstile, remembered: usize) -> Self {
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
        self.walk(asked, note, all, |source, account, note| {
            self.prove(source, asked, account, proof, note)
        })
        .map_err(|lost| match lost {
            Lost::Refused(why, guess) => Denied {
                why,
                guess,
                owed: Duration::ZERO,
            },
            Lost::NotComparable => self.not_comparable(asked, proof),
            Lost::Unknown => self.unknown(asked, proof),
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

    fn prove(
        &self,
        source: &Source,
        asked: &Question<'_>,
        mut account: Account,
        proof: &Proof,
        note: &mut impl FnMut(Step<'_>),
    ) -> Said {
        // Who is switched off here does not get in elsewhere.
        let no: fn(Rank, Refusal) -> Said = match account.disabled {
            true => Said::Never,
            false => Said::No,
        };
        let credentials = match (&mut account.passwords, proof) {
            (Passwords::Stored(credentials), _) => std::mem::take(credentials),
            (Passwords::Any, Proof::Password(_)) => {
                return Said::Yes(Box::new(Proven::new(account)));
            }
            (Passwords::AskStore, Proof::Password(password)) => {
                // An unauthenticated bind succeeds (RFC 4513, 5.1.2), so nobody is asked.
                if password.reveal().is_empty() {
                    return no(Rank::Wrong, Refusal::WrongPassword);
                }
                return match source.store.verify(asked, &mut account, password) {
                    Ok(true) => Said::Yes(Box::new(Proven::new(account))),
                    Ok(false) => no(Rank::Wrong, Refusal::WrongPassword),
                    Err(error) => Said::Cannot(source.trouble_of(&error), Guess::No),
                };
            }
            // A digest can only be compared with that of a password that is at hand.
            (Passwords::Any | Passwords::AskStore, _) => {
                return no(Rank::NotComparable, Refusal::DigestNotPossible);
            }
        };
        if credentials.is_empty() {
            return match self.spend_time(asked, proof) {
                Ok(Spent::OnCheck) => no(Rank::NoPassword, Refusal::NoPassword),
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
        for credential in credentials.iter().take(MAX_CREDENTIALS) {
            match self.fits(&credential.secret, asked, proof) {
                // What was compared before is a guess, though the rest cannot be.
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
        match limited {
            Some(limit) => Said::Never(Rank::KeptOut, limit),
            None => no(Rank::Wrong, Refusal::WrongPassword),
        }
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

    /// Checks a proof against one secret, within the bounds of the work.
    pub(super) fn fits(
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
        // A decoy has the hash of some user: that this user's password is known must not show.
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

    /// Nobody knows the login. The work is done all the same, so that the time of the answer does
    /// not tell who exists. A digest that could not be compared if somebody did is refused as that:
    /// it is no guess, and what follows from guesses would tell.
    fn unknown(&self, asked: &Question<'_>, proof: &Proof) -> Denied {
        match self.spend_time(asked, proof) {
            Ok(Spent::OnCheck) => Refusal::UnknownUser.into(),
            Ok(Spent::Nothing) => Refusal::DigestNotPossible.into(),
            Err(trouble) => trouble.into(),
        }
    }

    /// A digest came that could not be compared. Where another store of this login could have
    /// compared one, it counts as an unknown login does: otherwise the counts would tell which store
    /// has the login, and guesses at those of the other store would count for nothing.
    fn not_comparable(&self, asked: &Question<'_>, proof: &Proof) -> Denied {
        let denied = Denied::from(Refusal::DigestNotPossible);
        match self.spend_time(asked, proof) {
            Ok(Spent::OnCheck) => Denied {
                guess: Guess::Yes,
                ..denied
            },
            Ok(Spent::Nothing) | Err(_) => denied,
        }
    }

    /// Does the work of checking a proof where there is nothing to check it against: that of the
    /// first store that has some. A digest is checked by the first that can compare one.
    pub(super) fn spend_time(&self, asked: &Question<'_>, proof: &Proof) -> Result<Spent, Trouble> {
        let by_password = matches!(proof, Proof::Password(_));
        let serving = self.sources.iter().filter(|it| it.serves(asked.login));
        for Source { store, .. } in serving {
            match store.decoy(asked) {
                Decoy::Nothing => {}
                Decoy::AskStore if by_password => {
                    store.spend_time(asked);
                    return Ok(Spent::OnCheck);
                }
                Decoy::AskStore => {}
                Decoy::Secret(secret) if by_password || secret.can_check(proof) => {
                    std::hint::black_box(self.fits(&secret, asked, proof)?);
                    return Ok(Spent::OnCheck);
                }
                Decoy::Secret(_) => {}
            }
        }
        Ok(match by_password {
            true => Spent::OnCheck,
            false => Spent::Nothing,
        })
    }

    fn turn(&self, asked: &Question<'_>) -> Result<Turn<'_>, Trouble> {
        // Also where several hashes of one login take too long one after the other.
        if Instant::now() >= asked.deadline {
            return Err(Trouble::Busy);
        }
        let turn = self.hashing.enter_for(asked.claim(), asked.deadline);
        turn.ok_or(Trouble::Busy)
    }
}

/// What was done about a proof that there is nothing to check against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spent {
    /// What checking it would have cost.
    OnCheck,
    /// Nothing: a digest, which users' passwords could not have been compared with either.
    Nothing,
}

/// What keeps the right password from being good for this login, here and now.
fn unusable_now(credential: &Credential, asked: &Question<'_>) -> Option<Refusal> {
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

/// Whether the client comes from one of these networks, if there are any to come from.
pub(super) fn may_come(networks: Option<&[Network]>, asked: &Question<'_>) -> bool {
    networks.is_none_or(|networks| {
        asked
            .client
            .is_some_and(|address| networks.iter().any(|network| network.contains(address)))
    })
}

#[cfg(test)]
mod tests;
