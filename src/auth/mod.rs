//! The decision, whole: who may in, and which mail server is theirs.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::login::Login;
use crate::login::rules::LoginRules;
use crate::nginx::refusal::{Refusal, Trouble};
use crate::nginx::request::{AuthRequest, Method};
use crate::route::{Destination, Query, Routes};
use crate::secret::Password;
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
mod take_mail;
#[cfg(feature = "oauth")]
pub mod token;

pub use chain::{Chain, Proven, Source, Then};
pub use masters::Masters;
pub use methods::Methods;
pub use outcome::{Denied, Guess};
pub use refusal_time::Pace;

/// When a refused client may try again on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Seconds that nginx holds the refusal back.
    pub wait: NonZeroU32,
    /// The attempt after which nginx is to close the connection.
    pub max_attempts: u32,
    /// Whether that includes a client that was refused with `cram-md5` or `apop`.
    pub after_digests: bool,
}

/// Decides about logins. It knows no header and no transport.
pub struct Gate {
    /// What is made of a login before anybody is asked about it.
    pub logins: LoginRules,
    /// Who may log in as somebody else.
    pub masters: Option<Masters>,
    /// What else but passwords shows who a client is.
    pub methods: Methods,
    /// Where users are.
    pub chain: Chain,
    /// Where each login's mail server is.
    pub routes: Routes,
    /// `None`: nginx closes the connection after a refusal.
    pub retry: Option<Retry>,
    /// What slows guessing down; `None`: passwords can be tried without end.
    pub throttle: Option<Throttle>,
    /// How long a decision may take. nginx waits for 60 s, mod_fcgid for 40 s, most mail clients
    /// for 30 s.
    pub deadline: Duration,
}

/// A login that may in.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The mail server, and what led to it.
    pub destination: Destination,
    /// The login that the mail server is to see, if another.
    pub user: Option<Vec<u8>>,
    /// The password that the mail server is to see, if another.
    pub password: Option<Password>,
    /// The label of the app password that it was.
    pub app_password: Option<String>,
}

/// A login that may not in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The reason, for the log.
    pub why: Refusal,
    /// Seconds that nginx is to hold the answer back, so that the client may try again.
    pub wait: Option<NonZeroU32>,
    /// The answer is not to leave before, so that its time says nothing.
    pub earliest: Option<Instant>,
}

/// What happened on the way to a decision, for the `test` command. Stores count from 0.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// The rules of `[logins]` made another login of it.
    Renamed(&'a Login),
    /// Somebody wants to log in as another: the master's name.
    AsMaster(&'a [u8]),
    /// The store is not asked about logins of this domain.
    NotAsked(usize),
    /// The store cannot tell without a password whether it knows the login, and is not asked.
    CannotTell(usize),
    /// The store does not know the login.
    NotIn(usize),
    /// The store knows the login.
    FoundIn(usize, &'a Account),
    /// One of the passwords that the store has fits; its label, if it is an app password.
    FitsPassword(usize, Option<&'a str>),
    /// The store says no.
    Wrong(usize, &'a Refusal),
    /// The store cannot say.
    InTrouble(usize, &'a Trouble),
    /// The client has proven to be who it says.
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
    ) -> Result<Admission, Denial> {
        let mut slowed = Delay::default();
        let decided = match request {
            AuthRequest::LogIn(request) => self.log_in(request, &mut slowed, note),
            AuthRequest::TakeMail(request) => self.take_mail(request, note),
        };
        decided.map_err(|why| Denial {
            why,
            wait: self.wait(request).max(slowed.wait),
            earliest: slowed.earliest,
        })
    }

    /// The login that a wrong password of `typed` counts for: the master's, if it is one of a master.
    pub fn counted_login(&self, typed: &Login) -> Result<Vec<u8>, Refusal> {
        let masters = self.masters.as_ref();
        let master =
            masters.and_then(|masters| Some((masters, masters.split(typed, &self.logins)?.1)));
        match master {
            Some((masters, master)) => Ok(masters.join(b"", &master)),
            None => Ok(self.logins.canonical(typed)?.as_bytes().to_vec()),
        }
    }

    /// Seconds to hold a refusal back, so that the client may try again on its connection.
    pub fn wait(&self, request: &AuthRequest<'_>) -> Option<NonZeroU32> {
        self.wait_after(request.method(), request.connection().attempt)
    }

    /// The same for a request of which no more is known than that.
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

/// Which mail server is wanted for an account.
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
