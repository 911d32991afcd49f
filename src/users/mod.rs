//! Where logins and their secrets come from.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::time::{Instant, SystemTime};

use crate::login::{Likeness, Login, Network, Protocol};
use crate::nginx::refusal::Trouble;
use crate::nginx::request::Session;
use crate::secret::{Password, Secret};
use crate::sys::semaphore::Claim;

pub mod accept;
#[cfg(any(feature = "ldap", feature = "remote", feature = "oauth"))]
pub(crate) mod alive;
pub mod bound;
pub mod cache;
#[cfg(feature = "remote")]
mod codes;
#[cfg(any(feature = "ldap", feature = "sql"))]
mod decoys;
pub mod file;
mod host;
#[cfg(feature = "remote")]
pub mod http;
#[cfg(feature = "ldap")]
pub mod ldap;
mod limits;
mod misspelt;
#[cfg(feature = "remote")]
pub mod server;
#[cfg(feature = "sql")]
pub mod sql;
#[cfg(feature = "remote")]
mod texts;
#[cfg(feature = "remote")]
mod trouble;
mod variable;

/// The most secrets of one user that are tried: each may take a tenth of a second.
pub const MAX_CREDENTIALS: usize = 32;

/// The most app passwords of one user: one of the secrets is the user's own password.
pub const MAX_APP_PASSWORDS: usize = MAX_CREDENTIALS - 1;

/// What a store is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The login, after the rules of `[logins]`.
    pub login: &'a Login,
    /// The mail protocol of the client.
    pub protocol: Protocol,
    /// The address of the mail client, if nginx says one.
    pub client: Option<IpAddr>,
    /// What else nginx says of the client's connection.
    pub session: Session<'a>,
    /// The network of the client, if somebody vouches for its address: whose share of the work it is.
    pub network: Option<Network>,
    /// When the answer must be there. A store that cannot keep it says that it is
    /// [unavailable](StoreError::Unavailable).
    pub deadline: Instant,
}

impl Question<'_> {
    /// Whose work it is to answer it.
    pub fn claim(&self) -> Claim<'_> {
        Claim {
            login: Some(self.login.as_bytes()),
            network: self.network,
        }
    }
}

/// A directory of users: one `[[users]]` of the configuration.
pub trait UserStore: Send + Sync {
    /// Looks the login up; `Ok(None)` means that the store answered and has no such user.
    fn find(&self, asked: &Question<'_>) -> Result<Option<Account>, StoreError>;

    /// Checks a password where only the store itself can: that of an account whose passwords are
    /// [`Passwords::AskStore`]. It may fill in more of the account.
    ///
    /// An empty password is never right; the gate does not even ask.
    fn verify(
        &self,
        _asked: &Question<'_>,
        _account: &mut Account,
        _password: &Password,
    ) -> Result<Checked, StoreError> {
        let what = "this store checks no passwords itself";
        Err(StoreError::Unavailable(what.to_owned()))
    }

    /// Whether [`UserStore::find`] tells who is a user. One that takes every login for a user, as
    /// only a password shows who is, is not asked about logins that come without.
    fn knows_users(&self) -> bool {
        true
    }

    /// Why the store cannot say which login it has found, if so: then it lets nobody in who shows no
    /// password.
    fn lacks_likeness(&self) -> Option<String> {
        None
    }

    /// What the store gives and nothing is made of, in words, once it has been asked; none of it is at fault.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }

    /// Why nobody could be asked when the store was opened, in words; told once.
    fn unasked(&self) -> Option<String> {
        None
    }

    /// What the time of an unknown login is spent on, so that it is answered no sooner than a
    /// known one.
    fn decoy(&self, _asked: &Question<'_>) -> Decoy {
        Decoy::Nothing
    }

    /// Takes as long as to check the password of a user, for [`Decoy::AskStore`].
    fn spend_time(&self, _asked: &Question<'_>) {}

    /// Where the store has a user's host, for the log: `column host`.
    fn host_field(&self) -> String {
        "host".to_owned()
    }

    /// Tries everything for real by `deadline`: connects, prepares, binds. What is to be mended
    /// comes back in words, one entry each, without any secret.
    fn test(&self, _deadline: Instant) -> Vec<String> {
        Vec::new()
    }
}

/// What a store says of a password that it has checked itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It is right.
    Right,
    /// A plain no: the password is wrong, or nobody has that login.
    Wrong,
    /// The user is known and has no password that could be right.
    NoPassword,
    /// The user is known and is not to log in, whatever the password: switched off, locked, expired. The
    /// text says why, for the log, and holds no secret.
    KeptOut(String),
}

/// What an unknown login's time is spent on.
#[derive(Clone, Debug)]
pub enum Decoy {
    /// The store has nothing; another one may.
    Nothing,
    /// A secret that matches nothing, and costs as much to check as that of a user.
    Secret(Secret),
    /// What [`UserStore::spend_time`] does.
    AskStore,
}

/// What a store knows of one login.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// What the user can log in with.
    pub passwords: Passwords,
    /// The login that the mail server is to see in place of the one that was typed.
    pub user: Option<Vec<u8>>,
    /// The mail server of this user: a name of `[hosts]` or an address.
    pub host: Option<String>,
    /// The port on it, whatever the protocol.
    pub port: Option<NonZeroU16>,
    /// Whether the login is switched off (Dovecot's `nologin`).
    pub disabled: bool,
    /// The networks that the user may come from (Dovecot's `allow_nets`); `None` for all.
    pub allow_nets: Option<Vec<Network>>,
    /// The password that the mail server is to see in place of the one that was typed, where the
    /// store knows it.
    pub upstream_password: Option<Password>,
    /// Whether the user is the one of the login, or one that the store takes for the same.
    pub likeness: Likeness,
    /// What the store itself calls the user, for its own [`UserStore::verify`].
    pub handle: Option<Vec<u8>>,
    /// Why a password that is stored for the user cannot be used: of an unknown or forbidden scheme,
    /// damaged, too costly. It is none then, and the user like one without. For the log; it holds no secret.
    pub unusable_password: Option<String>,
    /// Why the user cannot be let in even with the right password, as something else that is stored cannot be
    /// used. No other store lets the user in then. For the log; it holds no secret.
    pub unusable: Option<String>,
    /// Which `[[users]]` it comes from, from 0; whoever asks the stores notes it.
    pub source: Option<usize>,
}

impl Account {
    /// Whether a password that is stored for it can let somebody in.
    pub(crate) fn lets_in(&self) -> bool {
        let stored = match &self.passwords {
            Passwords::Stored(credentials) => !credentials.is_empty(),
            Passwords::AskStore | Passwords::Any => true,
        };
        stored && !self.disabled && self.unusable.is_none()
    }

    /// Whether there is something to compare a password with that is not an app password.
    pub(crate) fn has_own_password(&self) -> bool {
        match &self.passwords {
            Passwords::Stored(credentials) => credentials.iter().any(|it| it.label.is_none()),
            Passwords::AskStore | Passwords::Any => true,
        }
    }

    /// A login about which the store has something that cannot be used, such as two entries: nobody gets in by
    /// it. The text says what, and holds no secret.
    pub fn unusable(what: String) -> Self {
        Self {
            unusable: Some(what),
            likeness: Likeness::Same,
            ..Self::default()
        }
    }
}

/// What a user can log in with.
#[derive(Clone, Debug)]
pub enum Passwords {
    /// Any of these secrets; with none of them, the user has no password.
    Stored(Vec<Credential>),
    /// Only the store itself can tell ([`UserStore::verify`]).
    AskStore,
    /// Every password, also the empty one: the mail server itself checks.
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
    /// What the user calls it; `None` for the password itself.
    pub label: Option<String>,
    /// The protocols that it is good for; `None` for all.
    pub protocols: Option<Vec<Protocol>>,
    /// The networks that it may be used from; `None` for all.
    pub allow_nets: Option<Vec<Network>>,
    /// When it ends.
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

/// The store could not say. It never means "wrong password".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// What is stored for this login cannot be used, or the store says that it cannot tell about this
    /// login; others it can. The text says what and where, and holds no secret.
    Unusable(String),
    /// The store answers, but not whether this password is right: it got the password and then said
    /// nothing in time, closed the connection, or refused it in words that are not known. Some servers are
    /// slow to say no, and some say it in another language, so it is a guess. The text says what was tried,
    /// and holds no secret.
    Unanswered(String),
    /// The store cannot be asked: it is down, too slow, or answers what cannot be understood. The
    /// text says what was tried, and holds no secret.
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
