//! The configuration as it is written: every key, what it means, and its default.
//!
//! Nothing here is checked but the types; [`super::check`] does the rest. Numbers are `i64`, as
//! TOML has them, so that one out of range gets our words.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use toml::Spanned;

/// The whole file.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    pub(super) nginx: Nginx,
    /// Where users come from, asked in this order; the first that knows a login decides.
    pub(super) users: Vec<Spanned<Users>>,
    pub(super) routes: Routes,
    /// Mail servers by name.
    pub(super) hosts: BTreeMap<Spanned<String>, Spanned<HostEntry>>,
    pub(super) ports: Ports,
    pub(super) messages: Messages,
    pub(super) answers: Answers,
    pub(super) fastcgi: FastCgi,
    pub(super) limits: Limits,
    pub(super) log: Log,
}

/// `[nginx]`: how nginx shows that it is nginx.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Nginx {
    /// The value of `X-Auth-Key` that every request must bring (`auth_http_header X-Auth-Key …`).
    /// Default: none is asked for.
    pub(super) key: Option<Spanned<String>>,
    /// A file whose first line is that key. Only one of the two.
    pub(super) key_file: Option<Spanned<String>>,
}

/// One `[[users]]`. Which keys it may have depends on `store`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Users {
    /// `accept`: everybody, with every password; the mail server itself checks.
    /// `file`: the password file at `path`.
    pub(super) store: Option<Spanned<String>>,
    /// `file`: the password file, in the form of Dovecot's passwd-file or of htpasswd.
    pub(super) path: Option<Spanned<String>>,
    /// `file`: whether hashes that are fast to guess are taken too. Default: false.
    pub(super) allow_weak_schemes: Option<Spanned<bool>>,
}

/// `[routes]`: which host a login goes to. By exact login, else by domain, else by first letter,
/// else the default. A host is a name of `[hosts]`, or an address or DNS name itself.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Routes {
    /// The host of all logins that no other route takes. Default: they get a temporary failure.
    pub(super) default: Option<Spanned<String>>,
    /// Whether upper and lower case ASCII letters are the same in logins and first letters.
    /// Domains are always compared that way. Default: false.
    pub(super) fold_case: bool,
    /// Seconds after which a host's DNS name is looked up again, 1 to 86400. Default: 300.
    pub(super) resolve_ttl: Spanned<i64>,
    /// `"alice@example.org" = "host"`.
    pub(super) login: BTreeMap<Spanned<String>, Spanned<String>>,
    /// `"example.org" = "host"`: what follows the last `@`.
    pub(super) domain: BTreeMap<Spanned<String>, Spanned<String>>,
    /// `acfg = "host"`: sets and ranges (`a-m`) of ASCII letters and digits.
    pub(super) first_letter: BTreeMap<Spanned<String>, Spanned<String>>,
}

impl Default for Routes {
    fn default() -> Self {
        Self {
            default: None,
            fold_case: false,
            resolve_ttl: unplaced(300),
            login: BTreeMap::new(),
            domain: BTreeMap::new(),
            first_letter: BTreeMap::new(),
        }
    }
}

/// One entry of `[hosts]`: a table, or just its address as a string.
pub(super) struct HostEntry(pub(super) Host);

/// A mail server.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Host {
    /// An address, or a DNS name. Required.
    pub(super) address: Option<Spanned<String>>,
    /// The port for all protocols. Default: those of `[ports]`.
    pub(super) port: Option<Spanned<i64>>,
    /// The port for IMAP. Default: `port`.
    pub(super) imap: Option<Spanned<i64>>,
    /// The port for POP3. Default: `port`.
    pub(super) pop3: Option<Spanned<i64>>,
    /// The port for SMTP. Default: `port`.
    pub(super) smtp: Option<Spanned<i64>>,
}

/// By hand, as serde's untagged enums lose the places of errors.
impl<'de> Deserialize<'de> for HostEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StringOrTable;

        impl<'de> Visitor<'de> for StringOrTable {
            type Value = HostEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a table")
            }

            fn visit_str<E: Error>(self, address: &str) -> Result<HostEntry, E> {
                Ok(HostEntry(Host {
                    address: Some(unplaced(address.to_owned())),
                    ..Host::default()
                }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HostEntry, A::Error> {
                Host::deserialize(MapAccessDeserializer::new(map)).map(HostEntry)
            }
        }

        deserializer.deserialize_any(StringOrTable)
    }
}

/// `[ports]`: the ports of hosts that have none of their own, 1 to 65535.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Ports {
    /// Default: 143.
    pub(super) imap: Spanned<i64>,
    /// Default: 110.
    pub(super) pop3: Spanned<i64>,
    /// Default: 25.
    pub(super) smtp: Spanned<i64>,
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

/// `[messages]`: what mail clients get to see. One line of at most 200 bytes, neither `OK` nor
/// `WAIT`.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Messages {
    /// For every login that is refused, whatever the reason.
    pub(super) refused: Spanned<String>,
    /// Where the fault is ours, and the client should keep its password and come again.
    pub(super) temporary: Spanned<String>,
}

impl Default for Messages {
    fn default() -> Self {
        use crate::answer::Messages;
        Self {
            refused: unplaced(Messages::REFUSED.to_owned()),
            temporary: unplaced(Messages::TEMPORARY.to_owned()),
        }
    }
}

/// `[answers]`: whether a client may try again on its connection.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Answers {
    /// Seconds that nginx holds a refusal back before the client may try again, at most 60.
    /// Default: 0, nginx closes the connection.
    pub(super) retry_wait: Spanned<i64>,
    /// The attempt after which nginx closes the connection all the same, 1 to 1000. Default: 10.
    pub(super) max_attempts: Spanned<i64>,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            retry_wait: unplaced(0),
            max_attempts: unplaced(10),
        }
    }
}

/// `[fastcgi]`: bounds of the FastCGI server.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FastCgi {
    /// Connections served at once, 1 to 10000. Default: 64.
    pub(super) max_connections: Spanned<i64>,
    /// Seconds that a kept connection may stay without a request, 1 to 3600. Default: 60.
    pub(super) idle_timeout: Spanned<i64>,
    /// Seconds that a request may take to arrive, 1 to 39: mod_fcgid waits 40. Default: 10.
    pub(super) read_timeout: Spanned<i64>,
    /// Bytes of variables in one request, 4096 to 1048576. Default: 131072.
    pub(super) max_params_bytes: Spanned<i64>,
    /// Variables in one request, 64 to 10000. Default: 512.
    pub(super) max_params: Spanned<i64>,
    /// Who may connect to a Unix socket that we make, as an octal file mode. Default: "0660".
    pub(super) socket_mode: Spanned<String>,
}

impl Default for FastCgi {
    fn default() -> Self {
        // The transport has its own, for a server that has no configuration yet.
        let bounds = crate::fcgi::Limits::default();
        Self {
            max_connections: unplaced(bounds.connections as i64),
            idle_timeout: unplaced(bounds.idle_timeout.as_secs().cast_signed()),
            read_timeout: unplaced(bounds.read_timeout.as_secs().cast_signed()),
            max_params_bytes: unplaced(bounds.params_bytes as i64),
            max_params: unplaced(bounds.params_pairs as i64),
            socket_mode: unplaced("0660".to_owned()),
        }
    }
}

/// `[limits]`: bounds of the work.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Limits {
    /// Password hashes computed at once, at most 1024. Default: 0, as many as there are cores.
    pub(super) max_hashes: Spanned<i64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_hashes: unplaced(0),
        }
    }
}

/// `[log]`: what is logged.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Log {
    /// `off`, `error`, `warn`, `info` (each decision), `debug` or `trace`. Default: "info".
    pub(super) level: Spanned<String>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: unplaced("info".to_owned()),
        }
    }
}

/// A value that stands nowhere in the file, or whose place its surroundings know.
fn unplaced<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}
