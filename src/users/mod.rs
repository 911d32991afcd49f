//! The user stores: they find the accounts of logins, and some check passwords.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::time::{Instant, SystemTime};

use crate::login::{Likeness, Login, Network, Protocol};
use crate::nginx::refusal::Trouble;
use crate::nginx::request::Session;
use crate::secret::{Password, Secret};
use crate::sys::semaphore::Requester;
use crate::sys::steps::{StepTimes, TimedStep};

pub mod accept;
#[cfg(feature = "servers")]
pub(crate) mod alive;
pub mod bound;
pub mod cache;
#[cfg(feature = "servers")]
mod codes;
#[cfg(feature = "servers")]
mod decoys;
pub mod file;
mod host;
#[cfg(feature = "servers")]
pub mod http;
#[cfg(feature = "servers")]
pub mod ldap;
mod limits;
mod misspelt;
pub mod placeholder;
#[cfg(feature = "servers")]
pub mod server;
#[cfg(feature = "servers")]
mod server_error;
#[cfg(feature = "servers")]
pub mod sql;
pub mod store_counts;
#[cfg(feature = "servers")]
mod texts;
mod variable;

#[cfg(feature = "servers")]
pub(crate) use texts::is_temporary;

/// The maximum number of secrets of one user: checking each may take a tenth of a second.
pub const MAX_CREDENTIALS: usize = 32;

/// The maximum number of app passwords of one user: one of the secrets is the user's own password.
pub const MAX_APP_PASSWORDS: usize = MAX_CREDENTIALS - 1;

/// The question to a store.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The login, after the rules of `[logins]`.
    pub login: &'a Login,
    /// The mail protocol of the client.
    pub protocol: Protocol,
    /// The address of the mail client, if nginx sends one.
    pub client: Option<IpAddr>,
    /// The other values that nginx sends about the client's connection.
    pub session: Session<'a>,
    /// The network of the client, if its address is trustworthy. The work of the answer is charged to it.
    pub network: Option<Network>,
    /// The deadline of the answer. A store that cannot meet it reports that it is
    /// [unavailable](StoreError::Unavailable).
    pub deadline: Instant,
    /// Measures the parts of the decision; `None`: nobody wants to know.
    pub steps: Option<&'a StepTimes>,
}

impl Question<'_> {
    /// Does a part of the answer's work, and measures it if somebody wants to know.
    pub fn time<T>(&self, step: TimedStep, work: impl FnOnce() -> T) -> T {
        StepTimes::time(self.steps, step, work)
    }

    /// The network that the work of the answer is charged to.
    pub fn claim(&self) -> Requester<'_> {
        Requester {
            login: Some(self.login.as_bytes()),
            network: self.network,
        }
    }
}

/// A directory of users: one `[[users]]` table of the configuration.
pub trait UserStore: Send + Sync {
    /// Looks the login up; `Ok(None)` means that the store answered and does not have the user.
    fn find(&self, asked: &Question<'_>) -> Result<Option<Account>, StoreError>;

    /// Checks a password that only the store itself can check: that of an account whose passwords are
    /// [`Passwords::AskStore`]. It can fill in more of the account.
    ///
    /// An empty password is never right; the caller does not pass one.
    fn verify(
        &self,
        _asked: &Question<'_>,
        _account: &mut Account,
        _password: &Password,
    ) -> Result<PasswordCheck, StoreError> {
        let what = "this store checks no passwords itself";
        Err(StoreError::Unavailable(what.to_owned()))
    }

    /// Whether [`UserStore::find`] knows which logins are users. A store that takes every login for a user,
    /// because only a password can show it, is not asked about logins without a password.
    fn knows_users(&self) -> bool {
        true
    }

    /// Why the store cannot tell which login it has found; `None` if it can. Such a store accepts no login
    /// without a password.
    fn lacks_likeness(&self) -> Option<String> {
        None
    }

    /// The values that the store returns and this program does not use, in words; known after the first
    /// question. They are not errors.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }

    /// Why the store could not be asked when it was opened, in words; returned once.
    fn open_problem(&self) -> Option<String> {
        None
    }

    /// The decoy of an unknown login, so that its answer takes as long as that of a known one.
    fn decoy(&self, _asked: &Question<'_>) -> Decoy {
        Decoy::Nothing
    }

    /// Takes as long as checking the password of a user, for [`Decoy::AskStore`].
    fn spend_time(&self, _asked: &Question<'_>) {}

    /// Notes that the password was right for the stored one, so that the store can replace that by a stronger
    /// hash. It returns at once.
    fn note_right(&self, _asked: &Question<'_>, _stored: &Secret, _password: &Password) {}

    /// Where the store keeps a user's host, for the log: `column host`.
    fn host_field(&self) -> String {
        "host".to_owned()
    }

    /// Runs every operation of a login by `deadline`: connects, prepares, binds. Returns the problems in
    /// words, one entry each, without any secret.
    fn test(&self, _deadline: Instant) -> Vec<String> {
        Vec::new()
    }
}

/// The result of a store's own password check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordCheck {
    /// The password is right.
    Right,
    /// The password is wrong, or no user has that login.
    Wrong,
    /// The user is known, and no password is right for this user.
    NoPassword,
    /// The user is known and may not log in with any password: disabled, locked or expired. The text gives
    /// the reason for the log, without any secret.
    NotPermitted(String),
}

/// The work for an unknown login.
#[derive(Clone, Debug)]
pub enum Decoy {
    /// This store has no decoy; another one may have one.
    Nothing,
    /// A secret that matches nothing, and costs as much to check as that of a user.
    Secret(Secret),
    /// The work of [`UserStore::spend_time`].
    AskStore,
}

/// A store's data on one login.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// The passwords of the user.
    pub passwords: Passwords,
    /// The login for the mail server, in place of the one that the client sent.
    pub user: Option<Vec<u8>>,
    /// The mail server of this user: a name of `[hosts]` or an address.
    pub host: Option<String>,
    /// The port on that server, for all protocols.
    pub port: Option<NonZeroU16>,
    /// Whether the login is disabled (Dovecot's `nologin`).
    pub disabled: bool,
    /// Why the login is disabled, in the words of the administrator, for the log.
    pub reason: Option<String>,
    /// The protocols that the user may log in with; `None` for all.
    pub protocols: Option<Vec<Protocol>>,
    /// When the account expires; from then on it is disabled.
    pub expires: Option<SystemTime>,
    /// The networks from which the user may log in (Dovecot's `allow_nets`); `None` for all.
    pub allow_nets: Option<Vec<Network>>,
    /// The password for the mail server, in place of the one that the client sent, if the store knows it.
    pub upstream_password: Option<Password>,
    /// Whether the store found exactly the login that it was asked for, or one that it treats as the same.
    pub likeness: Likeness,
    /// The store's own name of the user, for its [`UserStore::verify`].
    pub handle: Option<Vec<u8>>,
    /// Why a stored password of the user is unusable: an unknown or forbidden scheme, damaged, or too costly.
    /// It is then ignored, as if it were not stored. For the log, without any secret.
    pub unusable_password: Option<String>,
    /// Why the user is refused even with the right password, because another stored value is unusable. No
    /// other store accepts the user then. For the log, without any secret.
    pub unusable: Option<String>,
    /// The index of its `[[users]]` table, from 0; the chain fills it in.
    pub source: Option<usize>,
}

impl Account {
    /// Whether the account has a password that can be accepted.
    pub(crate) fn has_usable_password(&self) -> bool {
        let stored = match &self.passwords {
            Passwords::Stored(credentials) => !credentials.is_empty(),
            Passwords::AskStore | Passwords::Any => true,
        };
        stored && !self.is_disabled() && self.unusable.is_none()
    }

    /// Whether no proof is accepted for the login: the store disables it, or it has expired.
    pub(crate) fn is_disabled(&self) -> bool {
        self.disabled || self.has_expired()
    }

    /// Why the login is disabled, for the log.
    pub(crate) fn why_disabled(&self) -> Option<String> {
        let expired = || {
            self.has_expired()
                .then(|| "the account has expired".to_owned())
        };
        self.reason
            .clone()
            .filter(|_| self.disabled)
            .or_else(expired)
    }

    fn has_expired(&self) -> bool {
        self.expires.is_some_and(|end| end <= SystemTime::now())
    }

    /// Whether the account has a password that is not an app password.
    pub(crate) fn has_own_password(&self) -> bool {
        match &self.passwords {
            Passwords::Stored(credentials) => credentials.iter().any(|it| it.label.is_none()),
            Passwords::AskStore | Passwords::Any => true,
        }
    }

    /// The account of a login for which the store has something unusable, such as two entries: it accepts no
    /// password. The text gives the reason, without any secret.
    pub fn unusable(what: String) -> Self {
        Self {
            unusable: Some(what),
            likeness: Likeness::Same,
            ..Self::default()
        }
    }
}

/// The passwords of a user.
#[derive(Clone, Debug)]
pub enum Passwords {
    /// Any of these secrets; if the list is empty, the user has no password.
    Stored(Vec<Credential>),
    /// Only the store itself can check a password ([`UserStore::verify`]).
    AskStore,
    /// Every password, even the empty one: the mail server itself checks it.
    Any,
}

/// A user without a password.
impl Default for Passwords {
    fn default() -> Self {
        Self::Stored(Vec::new())
    }
}

/// One secret of a user: the password itself, or an app password with its limits.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The stored secret.
    pub secret: Secret,
    /// The user's name for it; `None` for the user's own password.
    pub label: Option<String>,
    /// The protocols that it is accepted for; `None` for all.
    pub protocols: Option<Vec<Protocol>>,
    /// The networks that it is accepted from; `None` for all.
    pub allow_nets: Option<Vec<Network>>,
    /// When it expires.
    pub expires: Option<SystemTime>,
}

/// A password without limits.
impl From<Secret> for Credential {
    fn from(secret: Secret) -> Self {
        Self {
            secret,
            label: None,
            protocols: None,
            allow_nets: None,
            expires: None,
        }
    }
}

/// A store that could not decide. This never means "wrong password".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The stored data of this login is unusable, or the store reports that it cannot decide about this
    /// login; other logins are not affected. The text says what is wrong and where, without any secret.
    Unusable(String),
    /// The store works but did not decide about this password: it received the password and then sent nothing
    /// in time, closed the connection, or refused with an unknown text. Some servers are slow to reject a
    /// password, and some use another language, so the attempt counts as a guess. The text says what was
    /// attempted, without any secret.
    Unanswered(String),
    /// The store is unavailable: it is down, too slow, or sends invalid answers. The text says what was
    /// attempted, without any secret.
    Unavailable(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable(what) | Self::Unanswered(what) | Self::Unavailable(what) => {
                f.write_str(what)
            }
        }
    }
}

impl std::error::Error for StoreError {}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}
