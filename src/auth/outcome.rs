//! The outcomes of stores, their order, and the result of a chain in which no store accepts the
//! login.
//!
//! | outcome of one store | rank | is a guess | is a guess if another store cannot answer |
//! |---|---|---|---|
//! | accepted | ends the chain | | |
//! | not permitted: a disabled user, or a right password that is expired or not allowed for this network or protocol | 4 | yes | yes |
//! | wrong: a password or digest was compared and does not match | 3 | yes | yes |
//! | no password: the user is known, and has no password that could match | 2 | yes | no |
//! | not comparable: a digest, and the stored password is not in clear | 1 | if another store could compare one | no |
//! | unknown login | 0 | a password: yes; a digest: if a store could compare one | no |
//! | cannot answer | | if the password was sent and not answered | |
//!
//! The client gets the temporary failure if any store cannot answer, and otherwise a refusal. The
//! log has the refusal of the highest rank; among equals, the first. It is a guess if any outcome
//! is one: a weaker outcome never replaces a stronger one, in any order of the stores.

use std::time::Duration;

use super::chain::Proven;
use crate::nginx::refusal::{Refusal, Trouble};

/// Whether an attempt counts against its network and its login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess {
    /// A secret was tried and did not match, or there was none to match.
    Yes,
    /// No secret was tried, or that is unknown.
    No,
}

/// Why no store accepted a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedAttempt {
    /// The reason, for the log.
    pub why: Refusal,
    /// Whether it counts as a guess.
    pub guess: Guess,
    /// How long to delay the answer, so that it takes as long as other answers of these stores.
    pub delay: Duration,
}

impl From<Refusal> for FailedAttempt {
    fn from(why: Refusal) -> Self {
        let guess = match why {
            // No password was tried: many clients try a digest first, and then send their password.
            Refusal::Temporary(_) | Refusal::DigestNotPossible => Guess::No,
            // The proof of the client is right.
            Refusal::LoginNotProven(_) => Guess::No,
            _ => Guess::Yes,
        };
        Self {
            why,
            guess,
            delay: Duration::ZERO,
        }
    }
}

impl From<Trouble> for FailedAttempt {
    fn from(trouble: Trouble) -> Self {
        Refusal::Temporary(trouble).into()
    }
}

/// The rank of a refusal by one store. The strongest is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// A digest could not be compared.
    NotComparable,
    /// The user is known and has no password that could match.
    NoPassword,
    /// The proof was compared and does not match.
    Wrong,
    /// The user is not permitted to log in, here and by other stores.
    NotPermitted,
}

/// The answer of one store about a login and its proof.
pub(super) enum StoreOutcome {
    Accepted(Box<Proven>),
    /// Refused; another store may accept it.
    Refused(Rank, Refusal),
    /// Refused, and no other store may accept it: the user is known here and not permitted to log in.
    RefusedForAll(Rank, Refusal),
    Unknown,
    /// The store cannot answer; and whether the proof was tried before that.
    CannotAnswer(Trouble, Guess),
}

/// The answers of a chain's stores so far.
#[derive(Default)]
pub(super) struct Tally {
    refused: Option<(Rank, Refusal)>,
    trouble: Option<Trouble>,
    tried: bool,
}

/// The result of a chain in which no store accepted the login.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ChainRefusal {
    /// The reason, and whether it is a guess.
    Refused(Refusal, Guess),
    /// A digest that none of the stores that know the login could compare.
    NotComparable,
    /// No store knows the login.
    Unknown,
}

impl Tally {
    /// Adds a refusal.
    pub(super) fn refuse(&mut self, rank: Rank, why: Refusal) {
        self.tried |= rank >= Rank::Wrong;
        if self.refused.as_ref().is_none_or(|(known, _)| rank > *known) {
            self.refused = Some((rank, why));
        }
    }

    /// Adds the failure of a store.
    pub(super) fn cannot(&mut self, what: Trouble, guess: Guess) {
        self.tried |= guess == Guess::Yes;
        self.trouble.get_or_insert(what);
    }

    /// The result of all answers.
    pub(super) fn into_refusal(self) -> ChainRefusal {
        match (self.trouble, self.refused) {
            (Some(trouble), _) => {
                let guess = if self.tried { Guess::Yes } else { Guess::No };
                ChainRefusal::Refused(trouble.into(), guess)
            }
            (None, Some((Rank::NotComparable, _))) => ChainRefusal::NotComparable,
            (None, Some((_, why))) => ChainRefusal::Refused(why, Guess::Yes),
            (None, None) => ChainRefusal::Unknown,
        }
    }
}
