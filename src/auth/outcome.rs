//! The order of outcomes: what a login comes to that no store of a chain lets in.
//!
//! | outcome of one store | rank | is a guess | beside a store that cannot say |
//! |---|---|---|---|
//! | yes | ends the chain | | |
//! | kept out: switched off, or a right password that is not good now or from there | 4 | yes | yes |
//! | wrong: a password or digest was compared and does not fit | 3 | yes | yes |
//! | no password: the user is known, and nothing could fit | 2 | yes | no |
//! | not comparable: a digest, and what is stored is no clear text | 1 | if another store could compare one | no |
//! | unknown login | 0 | a password: yes; a digest: if a store could compare one | no |
//! | cannot say | | if the password was sent and not answered | |
//!
//! The client is told by the temporary failure if any store cannot say, and else that it is refused.
//! The log has the refusal of the highest rank, of equal ones the first. It is a guess if any outcome
//! is one: a weaker outcome never takes back a stronger one, whatever the order of the stores.

use std::time::Duration;

use super::chain::Proven;
use crate::nginx::refusal::{Refusal, Trouble};

/// Whether an attempt counts against its network and its login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess {
    /// A secret was tried and is not right, or would have been if there were one.
    Yes,
    /// Nothing was tried, or nobody can say.
    No,
}

/// Why nobody let a login in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The reason, for the log.
    pub why: Refusal,
    /// Whether it counts as a guess.
    pub guess: Guess,
    /// The answer is to be held back for so long, so that it takes as long as others of these stores.
    pub owed: Duration,
}

impl From<Refusal> for Denied {
    fn from(why: Refusal) -> Self {
        let guess = match why {
            // No password was tried: many clients ask for this first, and then send theirs.
            Refusal::Temporary(_) | Refusal::DigestNotPossible => Guess::No,
            // What the client has shown is right.
            Refusal::LoginNotProven(_) => Guess::No,
            _ => Guess::Yes,
        };
        Self {
            why,
            guess,
            owed: Duration::ZERO,
        }
    }
}

impl From<Trouble> for Denied {
    fn from(trouble: Trouble) -> Self {
        Refusal::Temporary(trouble).into()
    }
}

/// How much a refusal by one store says. The strongest is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// A digest could not be compared.
    NotComparable,
    /// The user is known and has no password that could fit.
    NoPassword,
    /// What the client sent was compared and does not fit.
    Wrong,
    /// The user is not to get in, here or elsewhere.
    KeptOut,
}

/// What one store says of a login and its proof.
pub(super) enum Said {
    Yes(Box<Proven>),
    /// No; another store may say otherwise.
    No(Rank, Refusal),
    /// No, and no other store is to say otherwise: the user is known here, and kept out.
    Never(Rank, Refusal),
    Unknown,
    /// It cannot say, and whether what the client sent was tried before that.
    Cannot(Trouble, Guess),
}

/// What the stores of a chain have said so far.
#[derive(Default)]
pub(super) struct Tally {
    refused: Option<(Rank, Refusal)>,
    trouble: Option<Trouble>,
    tried: bool,
}

/// What a chain came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The reason, and whether it is a guess.
    Refused(Refusal, Guess),
    /// A digest that no store that knows the login could compare.
    NotComparable,
    /// No store knows the login.
    Unknown,
}

impl Tally {
    /// Takes in a refusal.
    pub(super) fn refuse(&mut self, rank: Rank, why: Refusal) {
        self.tried |= rank >= Rank::Wrong;
        if self.refused.as_ref().is_none_or(|(known, _)| rank > *known) {
            self.refused = Some((rank, why));
        }
    }

    /// Takes in that a store cannot say.
    pub(super) fn cannot(&mut self, what: Trouble, guess: Guess) {
        self.tried |= guess == Guess::Yes;
        self.trouble.get_or_insert(what);
    }

    /// What all of it comes to.
    pub(super) fn lost(self) -> Lost {
        match (self.trouble, self.refused) {
            (Some(trouble), _) => {
                let guess = if self.tried { Guess::Yes } else { Guess::No };
                Lost::Refused(trouble.into(), guess)
            }
            (None, Some((Rank::NotComparable, _))) => Lost::NotComparable,
            (None, Some((_, why))) => Lost::Refused(why, Guess::Yes),
            (None, None) => Lost::Unknown,
        }
    }
}
