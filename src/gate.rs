//! The decision, whole: who may in, and which mail server is theirs.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::refusal::{Refusal, Trouble};
use crate::request::AuthRequest;
use crate::route::{Destination, Routes};
use crate::secret::{Proof, Secret};
use crate::store::{Account, UserStore};
use crate::turnstile::{Turn, Turnstile};

/// How long a login waits for its turn to have a password hash computed, before it gets the
/// temporary failure. nginx waits for 60 s, mod_fcgid for 40 s, most mail clients for 30 s.
const HASHING_PATIENCE: Duration = Duration::from_secs(5);

/// When a refused client may try again on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Seconds that nginx holds the refusal back.
    pub wait: NonZeroU32,
    /// The attempt after which nginx is to close the connection.
    pub max_attempts: u32,
}

/// Decides about logins. It knows no header and no transport.
pub struct Gate {
    /// Asked in order; the first that knows a login decides about it.
    pub stores: Vec<Box<dyn UserStore>>,
    /// Where each login's mail server is.
    pub routes: Routes,
    /// Bounds the password hashes that are computed at once.
    pub hashing: Turnstile,
    /// `None`: nginx closes the connection after a refusal.
    pub retry: Option<Retry>,
}

/// A login that may in.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The mail server, and what led to it.
    pub destination: Destination,
    /// The login that the mail server is to see, if another.
    pub user: Option<Vec<u8>>,
}

/// What happened on the way to a decision, for the `test` command. Stores count from 0.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// The store does not know the login.
    NotIn(usize),
    /// The store knows the login.
    FoundIn(usize, &'a Account),
    /// The store said yes to the password.
    Proven,
    /// The user may log in, from there; now the mail server is chosen.
    Admitted,
    /// The mail server.
    Routed(&'a Destination),
}

impl Gate {
    /// Decides, telling `note` each step.
    pub fn admit(
        &self,
        request: &AuthRequest<'_>,
        note: &mut impl FnMut(Step<'_>),
    ) -> Result<Admission, Refusal> {
        match request.proof {
            Proof::Password(_) => {}
            Proof::CramMd5 { .. } => return Err(Refusal::UnsupportedMethod("cram-md5")),
            Proof::Apop { .. } => return Err(Refusal::UnsupportedMethod("apop")),
            Proof::External => return Err(Refusal::UnsupportedMethod("external")),
            Proof::None => return Err(Refusal::UnsupportedMethod("none")),
        }
        let account = self.authenticate(request, note)?;
        note(Step::Proven);
        // Only now, so that a user who is switched off looks like one with another password.
        if account.disabled {
            return Err(Refusal::Disabled);
        }
        if let Some(networks) = &account.allow_nets {
            let allowed = |address| networks.iter().any(|network| network.contains(address));
            if !request.client.address.is_some_and(allowed) {
                return Err(Refusal::NetworkNotAllowed);
            }
        }
        note(Step::Admitted);
        let destination = self
            .routes
            .choose(&request.login, request.protocol, &account)?;
        note(Step::Routed(&destination));
        Ok(Admission {
            destination,
            user: account.user,
        })
    }

    /// Seconds to hold a refusal back, so that the client may try again on its connection.
    pub fn wait(&self, request: &AuthRequest<'_>) -> Option<NonZeroU32> {
        let retry = self.retry?;
        match request.proof {
            // A retry after these crashes nginx's worker before 1.29.7 (CVE-2026-27651).
            Proof::CramMd5 { .. } | Proof::Apop { .. } => None,
            Proof::Password(_) | Proof::External | Proof::None => {
                (request.attempt? < retry.max_attempts).then_some(retry.wait)
            }
        }
    }

    fn authenticate(
        &self,
        request: &AuthRequest<'_>,
        note: &mut impl FnMut(Step<'_>),
    ) -> Result<Account, Refusal> {
        for (number, store) in self.stores.iter().enumerate() {
            let found = store.find(&request.login).map_err(Trouble::from)?;
            let Some(account) = found else {
                note(Step::NotIn(number));
                continue;
            };
            note(Step::FoundIn(number, &account));
            let _turn = self.turn(account.secret.as_ref())?;
            return if store
                .verify(&account, &request.proof)
                .map_err(Trouble::from)?
            {
                Ok(account)
            } else if account.secret.is_none() {
                self.spend_time(request)?;
                Err(Refusal::NoPassword)
            } else {
                Err(Refusal::WrongPassword)
            };
        }
        self.spend_time(request)?;
        Err(Refusal::UnknownUser)
    }

    /// Does the work of checking a password where there is nothing to check it against, so that
    /// the time of the answer does not tell who exists.
    fn spend_time(&self, request: &AuthRequest<'_>) -> Result<(), Refusal> {
        let decoy = self
            .stores
            .iter()
            .find_map(|store| store.decoy(&request.login));
        if let Some(secret) = decoy {
            let _turn = self.turn(Some(&secret))?;
            std::hint::black_box(secret.matches(&request.proof));
        }
        Ok(())
    }

    fn turn(&self, secret: Option<&Secret>) -> Result<Option<Turn<'_>>, Refusal> {
        if !secret.is_some_and(Secret::is_heavy) {
            return Ok(None);
        }
        let turn = self.hashing.enter(HASHING_PATIENCE);
        Ok(Some(turn.ok_or(Refusal::Temporary(Trouble::Busy))?))
    }
}
