//! Where logins and their secrets come from.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::time::{Instant, SystemTime};

use crate::domain;
use crate::embedded;
use crate::request::{Login, Protocol, Session};
use crate::secret::{Password, Secret};
use crate::shares::Claim;

pub mod accept;
#[cfg(any(feature = "ldap", feature = "remote", feature = "oauth"))]
pub(crate) mod alive;
#[cfg(any(feature = "sql", feature = "ldap", feature = "remote"))]
pub mod bounded;
#[cfg(any(feature = "ldap", feature = "remote"))]
pub mod cached;
#[cfg(feature = "remote")]
mod codes;
#[cfg(any(feature = "ldap", feature = "sql"))]
mod decoys;
pub mod file;
#[cfg(any(feature = "sql", feature = "ldap"))]
mod host;
#[cfg(feature = "remote")]
pub mod http;
#[cfg(feature = "ldap")]
pub mod ldap;
mod limits;
pub mod open;
#[cfg(feature = "remote")]
mod outage;
mod probe;
#[cfg(feature = "remote")]
pub mod server;
#[cfg(feature = "sql")]
pub mod sql;
#[cfg(feature = "remote")]
mod texts;

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

/// How the login of a user that a store has found is like the one that was asked for.
///
/// A database and a directory compare by rules of their own: `álice` and `alice` may be the same
/// there. Only a user who shows the password is one that they may say so of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Likeness {
    /// It is the same, but for the case of ASCII letters and the spelling of the domain: compared
    /// here, by bytes.
    Same,
    /// It is another one.
    Other,
    /// The store does not say which login it has found.
    #[default]
    Unsaid,
}

impl Likeness {
    /// The login that was found, compared with the one that was asked for.
    pub fn of(found: &[u8], asked: &[u8]) -> Self {
        match domain::folded(found).eq_ignore_ascii_case(&domain::folded(asked)) {
            true => Self::Same,
            false => Self::Other,
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

/// A network in CIDR form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads `192.0.2.0/24`, `2001:db8::/32` or a bare address.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) if prefix.bytes().all(|b| b.is_ascii_digit()) => {
                (address, Some(prefix.parse::<u8>().ok()?))
            }
            Some(_) => return None,
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(longest);
        let network = (prefix <= longest).then_some(Self { address, prefix })?;
        // `::ffff:192.0.2.0/120` is 192.0.2.0/24; with a shorter prefix it is more than IPv4.
        match (address, address.to_canonical(), prefix.checked_sub(96)) {
            (IpAddr::V6(_), address @ IpAddr::V4(_), Some(prefix)) => {
                Some(Self { address, prefix })
            }
            _ => Some(network),
        }
    }

    /// The network without the bits of the host, if it was written with some: 10.0.0.0/8 for
    /// 10.0.0.1/8.
    pub fn without_host_bits(&self) -> Option<Self> {
        let around = match self.address {
            IpAddr::V4(_) => Self::around(self.address, self.prefix, 128),
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix));
                let network = u128::from(address) & mask.unwrap_or(0);
                Self {
                    address: IpAddr::V6(network.into()),
                    prefix: self.prefix,
                }
            }
        };
        (around != *self).then_some(around)
    }

    /// The network that a client is counted with, with prefixes of so many bits; one that has an
    /// IPv4 address inside its IPv6 address counts by that.
    pub fn around(address: IpAddr, ipv4_prefix: u8, ipv6_prefix: u8) -> Self {
        match embedded::counted(address) {
            IpAddr::V4(address) => {
                let prefix = ipv4_prefix.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                Self {
                    address: IpAddr::V4((u32::from(address) & mask).into()),
                    prefix,
                }
            }
            IpAddr::V6(address) => {
                let prefix = ipv6_prefix.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                Self {
                    address: IpAddr::V6((u128::from(address) & mask).into()),
                    prefix,
                }
            }
        }
    }

    /// The one whose clients are counted as those of this one: a single address counts by the IPv4
    /// address inside, as in [`Self::around`].
    pub fn as_counted(self) -> Self {
        match self.prefix {
            128 => Self::around(self.address, 32, 128),
            _ => self,
        }
    }

    /// Whether one of the two lies in the other.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }

    /// Whether `address` lies in this network; an IPv4-mapped IPv6 address counts as IPv4. Other
    /// IPv4 addresses inside IPv6 addresses do not count: what lets somebody in is to be written
    /// as the front says it, and not to be widened by what stands in an address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(host)) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(self.prefix))
                    .unwrap_or(0);
                u32::from(net) & mask == u32::from(host) & mask
            }
            (IpAddr::V6(net), IpAddr::V6(host)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.prefix))
                    .unwrap_or(0);
                u128::from(net) & mask == u128::from(host) & mask
            }
            _ => false,
        }
    }
}

/// `192.0.2.0/24`.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (network, address, inside) in [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("192.0.2.0/24", "::ffff:192.0.2.9", true),
            ("::ffff:192.0.2.0/120", "192.0.2.9", true),
            ("::ffff:192.0.2.0/120", "192.0.3.9", false),
            ("::ffff:192.0.2.7", "::ffff:192.0.2.7", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db9::1", true),
            // NAT64, 6to4, Teredo, IPv4-compatible: written as such or not at all.
            ("192.0.2.0/24", "64:ff9b::192.0.2.9", false),
            ("192.0.2.0/24", "64:ff9b:1::192.0.2.9", false),
            ("192.0.2.0/24", "2002:c000:209::1", false),
            ("192.0.2.0/24", "2001::3fff:fdf6", false),
            ("192.0.2.0/24", "::192.0.2.9", false),
            ("64:ff9b::192.0.2.0/120", "64:ff9b::192.0.2.9", true),
            ("64:ff9b::192.0.2.0/120", "192.0.2.9", false),
        ] {
            let parsed = Network::parse(network).unwrap();
            assert_eq!(
                parsed.contains(address.parse().unwrap()),
                inside,
                "{network} {address}"
            );
        }
        for (network, without) in [
            ("10.0.0.1/8", Some("10.0.0.0/8")),
            ("10.0.0.0/8", None),
            ("10.0.0.1", None),
            ("10.0.0.1/0", Some("0.0.0.0/0")),
            ("2001:db8::1/32", Some("2001:db8::/32")),
            ("2001:db8::1/128", None),
            ("2002:a00:1::1/48", Some("2002:a00:1::/48")),
            ("::1/0", Some("::/0")),
            ("::ffff:10.0.0.1/104", Some("10.0.0.0/8")),
        ] {
            let found = Network::parse(network).unwrap().without_host_bits();
            assert_eq!(
                found.map(|it| it.to_string()).as_deref(),
                without,
                "{network}"
            );
        }
        for bad in [
            "",
            "192.0.2.0/33",
            "192.0.2.0/",
            "192.0.2.0/+8",
            "::/129",
            "example.com",
        ] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }
}
