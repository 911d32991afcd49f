//! The decision about a request: whether the login is accepted, and which mail server has its
//! mailbox.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::login::Login;
use crate::login::rules::LoginRules;
use crate::nginx::refusal::{Refusal, Trouble};
use crate::nginx::request::{AuthRequest, Method};
use crate::route::{Destination, Query, Routes};
use crate::secret::Password;
use crate::sys::steps::StepTimes;
use crate::throttle::{Delay, Throttle};
use crate::users::{Account, Question};

pub mod certificate;
mod chain;
pub mod incoming_mail;
mod log_in;
mod masters;
mod methods;
mod outcome;
mod refusal_time;
mod remembered;
pub(crate) mod switches;
mod take_mail;
#[cfg(feature = "servers")]
pub mod token;

pub use chain::{Chain, Proven, Source, Then};
pub use masters::Masters;
pub use methods::Methods;
pub use outcome::{FailedAttempt, Guess};
pub use refusal_time::RefusalTime;

/// When a refused client may try again on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Seconds that nginx delays the refusal.
    pub wait: NonZeroU32,
    /// The attempt after which nginx closes the connection.
    pub max_attempts: u32,
    /// Whether this includes a client that was refused with `cram-md5` or `apop`.
    pub after_digests: bool,
}

/// Decides about logins. It knows no header and no transport.
pub struct Gate {
    /// The rules that rewrite a login before any store sees it.
    pub logins: LoginRules,
    /// The users that may log in as other users.
    pub masters: Option<Masters>,
    /// The methods to prove a login without a password.
    pub methods: Methods,
    /// The stores.
    pub chain: Chain,
    /// The routes to mail servers.
    pub routes: Routes,
    /// `None`: nginx closes the connection after a refusal.
    pub retry: Option<Retry>,
    /// The throttle of wrong passwords; `None`: wrong passwords have no consequence.
    pub throttle: Option<Throttle>,
    /// How long a decision may take. nginx waits for 60 s, mod_fcgid for 40 s, most mail clients
    /// for 30 s.
    pub deadline: Duration,
}

/// An accepted login.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The mail server, and what led to it.
    pub destination: Destination,
    /// The login for the mail server, if it differs from the one that was typed.
    pub user: Option<Vec<u8>>,
    /// The password for the mail server, if it differs from the one that was sent.
    pub password: Option<Password>,
    /// The label of the app password that was used.
    pub app_password: Option<String>,
}

/// A login that is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The reason, for the log.
    pub why: Refusal,
    /// Seconds that nginx delays the answer, so that the client may try again.
    pub wait: Option<NonZeroU32>,
    /// The earliest time to send the answer, so that its time reveals nothing.
    pub earliest: Option<Instant>,
}

/// A step of a decision, for the `test` command. Stores count from 0.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// The rules of `[logins]` rewrote the login.
    Renamed(&'a Login),
    /// A master logs in as another user: the master's name.
    AsMaster(&'a [u8]),
    /// The store does not serve the domain of this login.
    DomainNotServed(usize),
    /// The store cannot look a login up without its password, and is not asked.
    CannotLookUp(usize),
    /// The store does not know the login.
    NotFound(usize),
    /// The store knows the login.
    Found(usize, &'a Account),
    /// A stored password matches; its label, if it is an app password.
    PasswordMatches(usize, Option<&'a str>),
    /// The store refuses the login.
    Refused(usize, &'a Refusal),
    /// The store cannot answer.
    CannotAnswer(usize, &'a Trouble),
    /// The client has proven its login.
    Proven,
    /// The user may log in from this network; next, the mail server is chosen.
    Permitted,
    /// The mail server.
    Routed(&'a Destination),
}

impl Gate {
    /// Decides a request, and reports each step to `note`.
    pub fn admit(
        &self,
        request: &AuthRequest<'_>,
        note: &mut impl FnMut(Step<'_>),
    ) -> Result<Admission, Denial> {
        self.admit_measured(request, None, note)
    }

    /// The same, and measures the parts of the decision.
    pub fn admit_measured(
        &self,
        request: &AuthRequest<'_>,
        steps: Option<&StepTimes>,
        note: &mut impl FnMut(Step<'_>),
    ) -> Result<Admission, Denial> {
        let mut slowed = Delay::default();
        let decided = match request {
            AuthRequest::LogIn(request) => self.log_in(request, &mut slowed, steps, note),
            AuthRequest::TakeMail(request) => self.take_mail(request, steps, note),
        };
        decided.map_err(|why| Denial {
            why,
            wait: self.wait(request).max(slowed.wait),
            earliest: slowed.earliest,
        })
    }

    /// The login that a wrong password for `typed` counts against: the master's, if `typed` names
    /// one.
    pub fn counted_login(&self, typed: &Login) -> Result<Vec<u8>, Refusal> {
        let masters = self.masters.as_ref();
        let master =
            masters.and_then(|masters| Some((masters, masters.split(typed, &self.logins)?.1)));
        match master {
            Some((masters, master)) => Ok(masters.join(b"", &master)),
            None => Ok(self.logins.canonical(typed)?.as_bytes().to_vec()),
        }
    }

    /// Seconds that nginx delays a refusal, so that the client may try again on its connection.
    pub fn wait(&self, request: &AuthRequest<'_>) -> Option<NonZeroU32> {
        self.wait_after(request.method(), request.connection().attempt)
    }

    /// The same for a request of which only the method and the attempt are known.
    pub fn wait_after(&self, method: Method, attempt: Option<u32>) -> Option<NonZeroU32> {
        let retry = self.retry?;
        match method {
            // A retry after these crashes nginx's worker before 1.29.7 and 1.28.3 (CVE-2026-27651).
            Method::CramMd5 | Method::Apop if !retry.after_digests => None,
            Method::CramMd5
            | Method::Apop
            | Method::Plain
            | Method::External
            | Method::None
            | Method::Token => (attempt? < retry.max_attempts).then_some(retry.wait),
        }
    }
}

/// The question to the routes for an account.
pub fn wanted<'a>(asked: &Question<'a>, account: &'a Account) -> Query<'a> {
    Query {
        login: asked.login,
        protocol: asked.protocol,
        host: account.host.as_deref(),
        port: account.port,
        deadline: asked.deadline,
    }
}

#[cfg(test)]
mod tests;
