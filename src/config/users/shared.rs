//! The keys that several stores have.

use std::num::NonZeroUsize;
#[cfg(feature = "servers")]
use std::ops::Range;
#[cfg(feature = "servers")]
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::Users;
use crate::config::checker::Checker;
#[cfg(feature = "servers")]
use crate::net::tls::CaFile;
#[cfg(feature = "servers")]
use crate::secret::{AcceptedHashes, WeakSchemes};
use crate::secret::{Secret, SecretError};

/// Which stored passwords are accepted.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Secrets {
    /// Whether hashes that are fast to guess are accepted. Default: false.
    pub(super) allow_weak_schemes: Option<Spanned<bool>>,
    /// The scheme of stored passwords that name none, such as "SHA512-CRYPT".
    pub(super) default_scheme: Option<Spanned<String>>,
}

/// The address of a server.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Address {
    /// The URL of the server.
    pub(super) url: Option<Spanned<String>>,
    /// The URLs of several servers; the first one that answers is asked.
    pub(super) urls: Option<Spanned<Vec<Spanned<String>>>>,
}

/// How the program connects to a server and asks it.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Connection {
    /// The user that the server on a Unix socket must run as, by name or number. Default: root, the
    /// user of this program, or the owner of the socket's folder.
    pub(super) socket_user: Option<Spanned<String>>,
    /// Whether an unencrypted connection is upgraded to TLS before it is used. Default: false.
    pub(super) starttls: Option<Spanned<bool>>,
    /// Certificates, in PEM form, that are trusted instead of the system's; `sql`: in addition to them.
    pub(super) ca_file: Option<Spanned<String>>,
    /// The maximum number of connections, 1 to 1000. Default: 4.
    pub(super) connections: Option<Spanned<i64>>,
    /// The maximum number of logins that wait for the store at the same time, 1 to 10000; further ones get
    /// the temporary failure at once. Default: an equal share of `fastcgi.max-connections`; one share remains
    /// for all other logins.
    pub(super) max_questions: Option<Spanned<i64>>,
    /// The time-out of connecting in seconds, 1 to 60. Default: 2.
    pub(super) connect_timeout: Option<Spanned<i64>>,
    /// The time-out of a whole question in seconds, 1 to 60. Default: 4.
    pub(super) timeout: Option<Spanned<i64>>,
    /// Seconds for which a right password is cached, at most 3600. Default: 0, no cache.
    pub(super) cache: Option<Spanned<i64>>,
}

impl Secrets {
    /// The value of `allow-weak-schemes`.
    pub(super) fn allow_weak(&self) -> bool {
        let allow = self.allow_weak_schemes.as_ref();
        allow.is_some_and(|allow| *allow.get_ref())
    }
}

/// The stores that have one of these keys.
pub(super) fn stores_with(key: &str) -> &'static [&'static str] {
    match key {
        "allow-weak-schemes" | "default-scheme" => &["file", "sql", "ldap"],
        "url" => &["sql", "imap", "pop3", "http"],
        "urls" => &["ldap"],
        "starttls" => &["ldap", "imap", "pop3"],
        "connections" => &["sql", "ldap"],
        "cache" => &["ldap", "imap", "pop3", "http"],
        // All stores that ask a server.
        _ => &["sql", "ldap", "imap", "pop3", "http"],
    }
}

impl Checker<'_> {
    /// The scheme of stored passwords that name none.
    pub(super) fn default_scheme(&mut self, users: &Users) -> Option<String> {
        let scheme = users.secrets.default_scheme.as_ref()?;
        if let Err(error) = Secret::takes_scheme(scheme.get_ref()) {
            let message = match error {
                SecretError::UnknownScheme => {
                    let name = scheme.get_ref();
                    let bare = name.trim_start_matches('{').trim_end_matches('}');
                    match bare != name && Secret::takes_scheme(bare).is_ok() {
                        true => format!("write {bare:?}, without braces"),
                        false => format!("there is no scheme {name:?} here"),
                    }
                }
                error => error.to_string(),
            };
            self.report(&scheme.span(), "users.default-scheme", message);
        }
        Some(scheme.get_ref().clone())
    }

    pub(in crate::config) fn questions(
        &mut self,
        key: &str,
        most: Option<&Spanned<i64>>,
    ) -> Option<NonZeroUsize> {
        most.and_then(|most| NonZeroUsize::new(self.number(key, most, 1..=10_000)))
    }
}

/// The settings of stores that ask a server.
#[cfg(feature = "servers")]
impl Checker<'_> {
    /// Which stored secrets are accepted.
    #[cfg(feature = "servers")]
    pub(super) fn accepted(&self, users: &Users) -> AcceptedHashes {
        AcceptedHashes {
            weak: match users.secrets.allow_weak() {
                true => WeakSchemes::Allowed,
                false => WeakSchemes::Refused,
            },
            max_ms: self.max_hash_ms,
        }
    }

    /// The maximum number of connections.
    #[cfg(feature = "servers")]
    pub(super) fn connections(&mut self, users: &Users) -> NonZeroUsize {
        let connections = match &users.connection.connections {
            Some(connections) => self.number("users.connections", connections, 1..=1000),
            None => 4,
        };
        NonZeroUsize::new(connections).unwrap_or(NonZeroUsize::MIN)
    }

    #[cfg(feature = "servers")]
    pub(super) fn url<'u>(
        &mut self,
        span: &Range<usize>,
        users: &'u Users,
    ) -> Option<&'u Spanned<String>> {
        if users.address.url.is_none() {
            self.report(span, "users.url", "is missing");
        }
        users.address.url.as_ref()
    }

    /// The time-outs of connecting and of a whole question, and the lifetime of a cached success.
    #[cfg(feature = "servers")]
    pub(super) fn times(&mut self, users: &Users) -> [Duration; 3] {
        let mut seconds = |key, value: &Option<Spanned<i64>>, default, range| {
            let value = value.as_ref();
            let seconds = value.map_or(default, |value| self.number(key, value, range));
            Duration::from_secs(seconds)
        };
        [
            seconds(
                "users.connect-timeout",
                &users.connection.connect_timeout,
                2,
                1..=60,
            ),
            seconds("users.timeout", &users.connection.timeout, 4, 1..=60),
            seconds("users.cache", &users.connection.cache, 0, 0..=3600),
        ]
    }

    /// The certificates of `ca-file`; warns where the connection has no TLS.
    #[cfg(feature = "servers")]
    pub(super) fn ca_file(&mut self, users: &Users, encrypted: bool) -> Option<CaFile> {
        const KEY: &str = "users.ca-file";
        let file = users.connection.ca_file.as_ref()?;
        if !encrypted {
            let message = "has no effect: the connection is not encrypted";
            self.warn(&file.span(), KEY, message);
        }
        self.authorities(KEY, file)
    }

    /// The uid that the server on the Unix socket must run as.
    #[cfg(feature = "servers")]
    pub(super) fn socket_user(&mut self, users: &Users, is_unix: bool) -> Option<u32> {
        const KEY: &str = "users.socket-user";
        let user = users.connection.socket_user.as_ref()?;
        if !is_unix {
            self.report(&user.span(), KEY, "has an effect only with a Unix socket");
            return None;
        }
        self.user(KEY, user)
    }
}
