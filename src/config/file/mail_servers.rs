//! `[routes]`, `[hosts]`, `[moves]`, `[probes]`, `[ports]`: which mail servers there are, and whose
//! is which.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use toml::Spanned;

use super::unplaced;

/// `[probes]`: how mail servers with several addresses are watched.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct Probes {
    /// `greeting`, `connect` or `off`. Default: "greeting".
    pub(in crate::config) kind: Spanned<String>,
    /// Seconds between two probes of one address, 1 to 3600. Default: 10.
    pub(in crate::config) interval: Spanned<i64>,
    /// Milliseconds that a probe may take, 50 to 10000. Default: 1000.
    pub(in crate::config) timeout_ms: Spanned<i64>,
}

impl Default for Probes {
    fn default() -> Self {
        Self {
            kind: unplaced("greeting".to_owned()),
            interval: unplaced(10),
            timeout_ms: unplaced(1000),
        }
    }
}

/// One of `[moves]`: users on their way from one host to another. Its name can stand wherever a
/// host's can.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct Move {
    /// The host that they come from. Required.
    pub(in crate::config) old: Option<Spanned<String>>,
    /// The host that they go to. Required.
    pub(in crate::config) new: Option<Spanned<String>>,
    /// How many percent of them have arrived. Default: 0.
    pub(in crate::config) moved: Option<Spanned<i64>>,
    /// Up to how many percent they are on their way, and get the temporary failure. Default:
    /// as many as have arrived.
    pub(in crate::config) moving: Option<Spanned<i64>>,
}

/// `[routes]`: which host a login goes to. By exact login, else by domain, else by first letter,
/// else the default. A host is a name of `[hosts]`, or an address or DNS name itself.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct Routes {
    /// The host of all logins that no other route takes. Default: they get a temporary failure.
    pub(in crate::config) default: Option<Spanned<String>>,
    /// Whether upper and lower case ASCII letters are the same in logins and first letters.
    /// Domains are always compared that way. Default: false.
    pub(in crate::config) fold_case: bool,
    /// Seconds after which a host's DNS name is looked up again, 1 to 86400. Default: 300.
    pub(in crate::config) resolve_ttl: Spanned<i64>,
    /// The networks that mail servers may be in, in CIDR form: for addresses from this
    /// file, from stores and from DNS. Default: anywhere.
    pub(in crate::config) allowed_networks: Option<Spanned<Vec<Spanned<String>>>>,
    /// `"alice@example.org" = "host"`.
    pub(in crate::config) login: BTreeMap<Spanned<String>, Spanned<String>>,
    /// `"example.org" = "host"`: what follows the last `@`.
    pub(in crate::config) domain: BTreeMap<Spanned<String>, Spanned<String>>,
    /// `acfg = "host"`: sets and ranges (`a-m`) of ASCII letters and digits.
    pub(in crate::config) first_letter: BTreeMap<Spanned<String>, Spanned<String>>,
}

impl Default for Routes {
    fn default() -> Self {
        Self {
            default: None,
            fold_case: false,
            resolve_ttl: unplaced(300),
            allowed_networks: None,
            login: BTreeMap::new(),
            domain: BTreeMap::new(),
            first_letter: BTreeMap::new(),
        }
    }
}

/// One entry of `[hosts]`: a table, or just its address as a string.
pub(in crate::config) struct HostEntry(pub(in crate::config) Host);

/// A mail server.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct Host {
    /// An address, or a DNS name. Required, unless there are `addresses`, or `state` is `moving`.
    pub(in crate::config) address: Option<Spanned<String>>,
    /// Several of them: the users are shared out among those that answer.
    pub(in crate::config) addresses: Option<Spanned<Vec<Spanned<AddressEntry>>>>,
    /// `serving`, or `moving`: its users get the temporary failure. Default: "serving".
    pub(in crate::config) state: Option<Spanned<String>>,
    /// Who may log in there for everybody, where the user's own password is not known.
    pub(in crate::config) master_login: Option<Spanned<String>>,
    /// A file whose first line is the password of `master-login`.
    pub(in crate::config) master_password_file: Option<Spanned<String>>,
    /// What stands between the user's login and `master-login`. Default: "*".
    pub(in crate::config) master_separator: Option<Spanned<String>>,
    /// `when-needed`, or `always`. Default: "when-needed".
    pub(in crate::config) master_use: Option<Spanned<String>>,
    /// The port for all protocols. Default: those of `[ports]`.
    pub(in crate::config) port: Option<Spanned<i64>>,
    /// The port for IMAP. Default: `port`.
    pub(in crate::config) imap: Option<Spanned<i64>>,
    /// The port for POP3. Default: `port`.
    pub(in crate::config) pop3: Option<Spanned<i64>>,
    /// The port for SMTP. Default: `port`.
    pub(in crate::config) smtp: Option<Spanned<i64>>,
}

/// One of a host's `addresses`: a table, or just the address as a string.
pub(in crate::config) struct AddressEntry(pub(in crate::config) Address);

/// One of a host's `addresses`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct Address {
    /// An address, or a DNS name. Required.
    pub(in crate::config) address: Option<Spanned<String>>,
    /// How many users it gets, compared with the others, 1 to 1000. Default: 1.
    pub(in crate::config) weight: Option<Spanned<i64>>,
    /// Whether it gets users only while all others are dead. Default: false.
    pub(in crate::config) backup: Option<Spanned<bool>>,
    /// Whether it gets no users at all. Default: false.
    pub(in crate::config) drain: Option<Spanned<bool>>,
}

/// By hand, as serde's untagged enums lose the places of errors.
struct StringOrTable<T>(PhantomData<T>);

/// What may be written as a string alone: its address.
trait FromAddress: Sized {
    fn from_address(address: String) -> Self;
}

impl FromAddress for Host {
    fn from_address(address: String) -> Self {
        Self {
            address: Some(unplaced(address)),
            ..Self::default()
        }
    }
}

impl FromAddress for Address {
    fn from_address(address: String) -> Self {
        Self {
            address: Some(unplaced(address)),
            ..Self::default()
        }
    }
}

impl<'de, T: FromAddress + Deserialize<'de>> Visitor<'de> for StringOrTable<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a table")
    }

    fn visit_str<E: Error>(self, address: &str) -> Result<T, E> {
        Ok(T::from_address(address.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

impl<'de> Deserialize<'de> for HostEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = StringOrTable(PhantomData);
        deserializer.deserialize_any(visitor).map(Self)
    }
}

impl<'de> Deserialize<'de> for AddressEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = StringOrTable(PhantomData);
        deserializer.deserialize_any(visitor).map(Self)
    }
}

/// `[ports]`: the ports of hosts that have none of their own, 1 to 65535.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct Ports {
    /// Default: 143.
    pub(in crate::config) imap: Spanned<i64>,
    /// Default: 110.
    pub(in crate::config) pop3: Spanned<i64>,
    /// Default: 25.
    pub(in crate::config) smtp: Spanned<i64>,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            imap: unplaced(143),
            pop3: unplaced(110),
            smtp: unplaced(25),
        }
    }
}
