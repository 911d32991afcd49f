//! `[[users]]`: which store, what follows its outcomes, and whether its keys are its own.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::checker::Checker;
use crate::auth::Then;
use crate::secret::{Secret, SecretError};
use crate::sys::problem::Problem;
use crate::users as stores;

mod file;
#[cfg(feature = "ldap")]
mod ldap;
#[cfg(feature = "remote")]
mod mail_server;
#[cfg(any(feature = "ldap", feature = "remote"))]
mod shared;
#[cfg(feature = "sql")]
mod sql;

/// The words that `store` may be.
const STORES: [&str; 7] = ["accept", "file", "sql", "ldap", "imap", "pop3", "http"];

/// A key of `[[users]]`, where it stands if it does, and the stores that have it.
type Key = (&'static str, Option<Range<usize>>, &'static [&'static str]);

/// Every key but those that all stores have.
fn keys(users: &Users) -> Vec<Key> {
    fn at<T>(value: &Option<Spanned<T>>) -> Option<Range<usize>> {
        value.as_ref().map(Spanned::span)
    }
    const NETWORK: &[&str] = &["sql", "ldap", "imap", "pop3", "http"];
    vec![
        ("path", at(&users.path), &["file"]),
        (
            "app-passwords-path",
            at(&users.app_passwords_path),
            &["file"],
        ),
        (
            "allow-weak-schemes",
            at(&users.allow_weak_schemes),
            &["file", "sql", "ldap"],
        ),
        (
            "default-scheme",
            at(&users.default_scheme),
            &["file", "sql", "ldap"],
        ),
        ("url", at(&users.url), &["sql", "imap", "pop3", "http"]),
        ("urls", at(&users.urls), &["ldap"]),
        ("password-file", at(&users.password_file), &["sql"]),
        ("query", at(&users.query), &["sql"]),
        (
            "app-passwords-query",
            at(&users.app_passwords_query),
            &["sql"],
        ),
        ("tls", at(&users.tls), &["sql"]),
        (
            "server-public-key-file",
            at(&users.server_public_key_file),
            &["sql"],
        ),
        ("socket-user", at(&users.socket_user), NETWORK),
        ("starttls", at(&users.starttls), &["ldap", "imap", "pop3"]),
        ("ca-file", at(&users.ca_file), NETWORK),
        ("connections", at(&users.connections), &["sql", "ldap"]),
        ("max-questions", at(&users.max_questions), NETWORK),
        ("connect-timeout", at(&users.connect_timeout), NETWORK),
        ("timeout", at(&users.timeout), NETWORK),
        ("cache", at(&users.cache), &["ldap", "imap", "pop3", "http"]),
        ("auth", at(&users.auth), &["ldap"]),
        ("user-dn", at(&users.user_dn), &["ldap"]),
        ("bind-dn", at(&users.bind_dn), &["ldap"]),
        (
            "bind-password-file",
            at(&users.bind_password_file),
            &["ldap"],
        ),
        ("base", at(&users.base), &["ldap"]),
        ("scope", at(&users.scope), &["ldap"]),
        ("filter", at(&users.filter), &["ldap"]),
        (
            "password-attribute",
            at(&users.password_attribute),
            &["ldap"],
        ),
        ("host-attribute", at(&users.host_attribute), &["ldap"]),
        ("port-attribute", at(&users.port_attribute), &["ldap"]),
        ("login-attribute", at(&users.login_attribute), &["ldap"]),
        ("nologin-attribute", at(&users.nologin_attribute), &["ldap"]),
        (
            "allow-nets-attribute",
            at(&users.allow_nets_attribute),
            &["ldap"],
        ),
        ("headers", at(&users.headers), &["http"]),
        ("key-file", at(&users.key_file), &["http"]),
        ("temporary", at(&users.temporary), &["imap", "pop3", "http"]),
        ("refused", at(&users.refused), &["imap", "pop3"]),
    ]
}

/// The key of a store that says what `key` says for another.
fn instead(store: &str, key: &str) -> Option<&'static str> {
    Some(match (store, key) {
        ("ldap", "url" | "path") => "urls",
        ("sql" | "imap" | "pop3" | "http", "urls" | "path") => "url",
        ("file", "url" | "urls") => "path",
        ("sql", "bind-password-file") => "password-file",
        ("ldap", "password-file") => "bind-password-file",
        ("sql", "filter") => "query",
        ("ldap", "query") => "filter",
        ("sql", "app-passwords-path") => "app-passwords-query",
        ("file", "app-passwords-query") => "app-passwords-path",
        _ => return None,
    })
}

/// Whether a key is the one with this name, and in the file.
fn is_there(name: &str) -> impl Fn(&Key) -> bool {
    move |(key, place, _)| *key == name && place.is_some()
}

/// One `[[users]]`. Which keys it may have depends on `store`: [`check`](crate::config::check) has the list.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Users {
    /// `accept`, `file`, `sql`, `ldap`, `imap`, `pop3` or `http`.
    pub(super) store: Option<Spanned<String>>,
    /// What the log and the commands call it. Default: the word in `store`.
    pub(super) name: Option<Spanned<String>>,
    /// The domains whose logins it is asked about; `""` stands for logins without one. Default:
    /// all.
    pub(super) domains: Option<Spanned<Vec<Spanned<String>>>>,
    /// What follows a wrong password: `stop`, the login is refused, or `next`, the next store is
    /// asked. Default: "stop".
    pub(super) wrong: Option<Spanned<String>>,
    /// What follows where the store cannot say: `stop`, the temporary failure, or `next`.
    /// Default: "stop".
    pub(super) trouble: Option<Spanned<String>>,
    /// `file`: the password file, in the form of Dovecot's passwd-file or of htpasswd; with `{domain}` in it, one
    /// for each domain.
    pub(super) path: Option<Spanned<String>>,
    /// `file`: a file with further passwords of the same logins.
    pub(super) app_passwords_path: Option<Spanned<String>>,
    /// `file`, `sql`, `ldap`: whether hashes that are fast to guess are taken too. Default: false.
    pub(super) allow_weak_schemes: Option<Spanned<bool>>,
    /// `file`, `sql`, `ldap`: the scheme of stored passwords that name none, such as "SHA512-CRYPT".
    pub(super) default_scheme: Option<Spanned<String>>,
    /// `sql`, `imap`, `pop3`, `http`: where it is.
    pub(super) url: Option<Spanned<String>>,
    /// `ldap`: where it is; the first that answers is asked.
    pub(super) urls: Option<Spanned<Vec<Spanned<String>>>>,
    /// `sql`: a file whose first line is the password of the URL's user.
    pub(super) password_file: Option<Spanned<String>>,
    /// `sql`: the statement that gives one row for a login.
    pub(super) query: Option<Spanned<String>>,
    /// `sql`: the statement that gives the app passwords of a login.
    pub(super) app_passwords_query: Option<Spanned<String>>,
    /// `sql`: `off`, `prefer`, `require` or `verify`. Default: "verify", but "off" on this machine.
    pub(super) tls: Option<Spanned<String>>,
    /// `sql`: the public key of a MySQL server, by which it gets the password without TLS.
    pub(super) server_public_key_file: Option<Spanned<String>>,
    /// All stores that ask a server: who listens on its Unix socket, the name of a user, or a
    /// number. Default: root, the user we run as, or the owner of the socket's folder.
    pub(super) socket_user: Option<Spanned<String>>,
    /// `ldap`, `imap`, `pop3`: whether an unencrypted connection is upgraded before it is used.
    /// Default: false.
    pub(super) starttls: Option<Spanned<bool>>,
    /// Certificates, in PEM form, that are trusted in place of the system's; `sql`: besides them.
    pub(super) ca_file: Option<Spanned<String>>,
    /// Connections at once, 1 to 1000. Default: 4.
    pub(super) connections: Option<Spanned<i64>>,
    /// All stores that ask a server: logins that wait for its answer at the same time, 1 to 10000;
    /// more get the temporary failure at once. Default: such an even share of
    /// `fastcgi.max-connections` that one more is left over for all other logins.
    pub(super) max_questions: Option<Spanned<i64>>,
    /// Seconds that connecting may take, 1 to 60. Default: 2.
    pub(super) connect_timeout: Option<Spanned<i64>>,
    /// Seconds that one question may take in all, 1 to 60. Default: 4.
    pub(super) timeout: Option<Spanned<i64>>,
    /// `ldap`, `imap`, `pop3`, `http`: seconds that a right password is remembered, at most 3600.
    /// Default: 0, not at all.
    pub(super) cache: Option<Spanned<i64>>,
    /// `ldap`: `bind`, `search-bind` or `compare`.
    pub(super) auth: Option<Spanned<String>>,
    /// `ldap`: the template of a user's DN, with `{login}`, `{local}`, `{domain}`, `{protocol}` and
    /// `{client_ip}`; for Active Directory also of `user@domain` or `DOMAIN\user`.
    pub(super) user_dn: Option<Spanned<String>>,
    /// `ldap`: who searches, by DN or by a name that Active Directory knows. Default: anonymous.
    pub(super) bind_dn: Option<Spanned<String>>,
    /// `ldap`: a file whose first line is the password of `bind-dn`.
    pub(super) bind_password_file: Option<Spanned<String>>,
    /// `ldap`: where users are searched; a template too.
    pub(super) base: Option<Spanned<String>>,
    /// `ldap`: `base`, `one` or `sub`. Default: "sub".
    pub(super) scope: Option<Spanned<String>>,
    /// `ldap`: the template of the filter that finds a user.
    pub(super) filter: Option<Spanned<String>>,
    /// `ldap`: the attribute with the stored password. Default: "userPassword".
    pub(super) password_attribute: Option<Spanned<String>>,
    /// `ldap`: the attribute with the user's host.
    pub(super) host_attribute: Option<Spanned<String>>,
    /// `ldap`: the attribute with the port on it.
    pub(super) port_attribute: Option<Spanned<String>>,
    /// `ldap`: the attribute with the login that the mail server is to see.
    pub(super) login_attribute: Option<Spanned<String>>,
    /// `ldap`: the attribute that switches a user off, whatever its value but "FALSE".
    pub(super) nologin_attribute: Option<Spanned<String>>,
    /// `ldap`: the attribute with the networks that the user may come from.
    pub(super) allow_nets_attribute: Option<Spanned<String>>,
    /// `http`: headers that are sent along.
    pub(super) headers: Option<Spanned<BTreeMap<Spanned<String>, Spanned<String>>>>,
    /// `http`: a file whose first line is sent as X-Auth-Key.
    pub(super) key_file: Option<Spanned<String>>,
    /// `http`: texts of Auth-Status that mean that the other service cannot say. `imap`, `pop3`: parts of the
    /// texts by which the server says so, besides those that are known.
    pub(super) temporary: Option<Spanned<Vec<Spanned<String>>>>,
    /// `imap`, `pop3`: parts of the texts by which the server says that login and password do not fit, besides
    /// those that are known.
    pub(super) refused: Option<Spanned<Vec<Spanned<String>>>>,
}

/// One `[[users]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsersConfig {
    /// What the log and the commands call it.
    pub name: String,
    /// The domains whose logins it is asked about, in lower case; an empty one stands for logins
    /// without a domain. `None`: all.
    pub domains: Option<Vec<String>>,
    /// What follows a wrong password.
    pub wrong: Then,
    /// What follows where the store cannot say.
    pub trouble: Then,
    /// How many logins may wait for its answer at the same time, if that is said.
    pub max_questions: Option<NonZeroUsize>,
    /// The store itself.
    pub store: StoreConfig,
    /// Where the configuration says all that.
    pub places: Places,
}

/// The store of one `[[users]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreConfig {
    /// Everybody, with every password.
    Accept,
    /// A password file.
    File(stores::file::Settings),
    /// A password file for each domain.
    Domains(stores::file::domains::DomainSettings),
    /// A database.
    #[cfg(feature = "sql")]
    Sql(Box<stores::sql::Settings>),
    /// A directory.
    #[cfg(feature = "ldap")]
    Ldap(Box<stores::ldap::Settings>),
    /// A mail server.
    #[cfg(feature = "remote")]
    Server(stores::server::Settings),
    /// Another `auth_http` service.
    #[cfg(feature = "remote")]
    Http(stores::http::Settings),
}

impl StoreConfig {
    /// Whether somebody else has the answer, who may be slow. SQLite is one too: its file may be
    /// locked, or on a slow disk.
    pub fn asks_a_server(&self) -> bool {
        match self {
            Self::Accept | Self::File(_) | Self::Domains(_) => false,
            #[cfg(feature = "sql")]
            Self::Sql(_) => true,
            #[cfg(feature = "ldap")]
            Self::Ldap(_) => true,
            #[cfg(feature = "remote")]
            Self::Server(_) | Self::Http(_) => true,
        }
    }

    /// Whether its users may have app passwords.
    pub fn has_app_passwords(&self) -> bool {
        match self {
            Self::File(settings) => settings.app_passwords.is_some(),
            #[cfg(feature = "sql")]
            Self::Sql(settings) => settings.app_passwords.is_some(),
            _ => false,
        }
    }

    /// Whether it can tell who is a user without a password.
    pub fn knows_its_users(&self) -> bool {
        match self {
            Self::Accept => false,
            Self::File(_) | Self::Domains(_) => true,
            #[cfg(feature = "sql")]
            Self::Sql(_) => true,
            #[cfg(feature = "ldap")]
            Self::Ldap(settings) => settings.lookup.is_some(),
            #[cfg(feature = "remote")]
            Self::Server(_) | Self::Http(_) => false,
        }
    }
}

/// Lines and columns, from 1, of a table and its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The table as a whole.
    pub whole: (usize, usize),
    /// The values of the keys that are there.
    pub keys: BTreeMap<&'static str, (usize, usize)>,
}

impl Places {
    /// The place of a key's value; that of the table if it is not there.
    pub fn of(&self, key: &str) -> (usize, usize) {
        self.keys.get(key).copied().unwrap_or(self.whole)
    }

    /// Whether a problem is with what this store is reached and asked by: its place, its credentials or its
    /// statements.
    pub(crate) fn reach(&self, problem: &Problem) -> bool {
        const REACH: [&str; 8] = [
            "app-passwords-query",
            "ca-file",
            "password-file",
            "query",
            "server-public-key-file",
            "socket-user",
            "tls",
            "url",
        ];
        let at =
            |key: &&str| problem.place.is_some() && self.keys.get(*key).copied() == problem.place;
        REACH.iter().any(at)
    }
}

impl Checker<'_> {
    pub(super) fn users(&mut self, all: Vec<Spanned<Users>>) -> Vec<UsersConfig> {
        let mut checked: Vec<UsersConfig> = Vec::new();
        for users in all {
            let span = users.span();
            let accepts_all =
                |users: &UsersConfig| users.store == StoreConfig::Accept && users.domains.is_none();
            if checked.iter().any(accepts_all) {
                self.warn(
                    &span,
                    "users",
                    "is never asked: a store before it accepts everybody",
                );
            }
            checked.extend(self.one_users(&span, &users.into_inner()));
        }
        checked
    }

    fn one_users(&mut self, span: &Range<usize>, users: &Users) -> Option<UsersConfig> {
        let known = || {
            let words = STORES.map(|word| format!("{word:?}"));
            format!("known stores: {}", words.join(", "))
        };
        let Some(store) = &users.store else {
            self.report(span, "users.store", format!("is missing; {}", known()));
            return None;
        };
        let word = store.get_ref().as_str();
        if !STORES.contains(&word) {
            let message = format!("there is no store {word:?}; {}", known());
            self.report(&store.span(), "users.store", message);
            return None;
        }
        let keys = keys(users);
        for (key, place, stores) in &keys {
            if let Some(place) = place
                && !stores.contains(&word)
            {
                let instead = instead(word, key);
                let instead = instead.filter(|own| !keys.iter().any(is_there(own)));
                let message = match instead {
                    Some(own) => format!("store {word:?} has no such key; did you mean `{own}`?"),
                    None => format!("store {word:?} has no such key"),
                };
                self.report(place, &format!("users.{key}"), message);
                self.meant.extend(instead.map(|own| format!("users.{own}")));
            }
        }
        let places = Places {
            whole: self.source.place(span.start),
            keys: keys
                .into_iter()
                .filter_map(|(key, place, _)| Some((key, self.source.place(place?.start))))
                .collect(),
        };
        let name = match &users.name {
            Some(name) => self.store_name(name),
            None => word.to_owned(),
        };
        let domains = users.domains.as_ref().map(|domains| {
            if domains.get_ref().is_empty() {
                let message = "is empty: the store would never be asked";
                self.report(&domains.span(), "users.domains", message);
            }
            let domains = domains.get_ref().iter();
            domains
                .filter_map(|domain| match domain.get_ref().as_str() {
                    "" => {
                        self.warn_of_domain("users.domains", domain, "");
                        Some(String::new())
                    }
                    _ => self.domains("users.domains", domain),
                })
                .collect()
        });
        let wrong = self.then("users.wrong", users.wrong.as_ref());
        let trouble = self.then("users.trouble", users.trouble.as_ref());
        let max_questions = self.questions("users.max-questions", users.max_questions.as_ref());
        let store = self.store(span, store, users)?;
        Some(UsersConfig {
            name,
            domains,
            wrong,
            trouble,
            max_questions,
            store,
            places,
        })
    }

    fn store(
        &mut self,
        span: &Range<usize>,
        store: &Spanned<String>,
        users: &Users,
    ) -> Option<StoreConfig> {
        match store.get_ref().as_str() {
            "accept" => {
                self.warn(
                    &store.span(),
                    "users.store",
                    "accept takes every login with every password: the mail servers must check \
                     them again; one that does not do so for SMTP becomes an open relay",
                );
                Some(StoreConfig::Accept)
            }
            "file" => self.password_file(span, users),
            #[cfg(feature = "sql")]
            "sql" => self.sql(span, users).map(Box::new).map(StoreConfig::Sql),
            #[cfg(feature = "ldap")]
            "ldap" => self.ldap(span, users).map(Box::new).map(StoreConfig::Ldap),
            #[cfg(feature = "remote")]
            "imap" | "pop3" => self.server(span, store, users).map(StoreConfig::Server),
            #[cfg(feature = "remote")]
            "http" => self.http(span, users).map(StoreConfig::Http),
            other => {
                // All that are no store at all are gone by now.
                let message = format!("this program was built without the store {other:?}");
                self.report(&store.span(), "users.store", message);
                None
            }
        }
    }

    /// The scheme of stored passwords that name none, if a stored password can have it.
    pub(super) fn default_scheme(&mut self, users: &Users) -> Option<String> {
        let scheme = users.default_scheme.as_ref()?;
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

    pub(super) fn questions(
        &mut self,
        key: &str,
        most: Option<&Spanned<i64>>,
    ) -> Option<NonZeroUsize> {
        most.and_then(|most| NonZeroUsize::new(self.number(key, most, 1..=10_000)))
    }

    fn store_name(&mut self, name: &Spanned<String>) -> String {
        let text = name.get_ref();
        if text.is_empty() || text.len() > 64 || !text.chars().all(|c| c.is_ascii_graphic()) {
            let message = "must be 1 to 64 characters of printable ASCII without blanks";
            self.report(&name.span(), "users.name", message);
        }
        text.clone()
    }

    fn then(&mut self, key: &str, word: Option<&Spanned<String>>) -> Then {
        word.and_then(|word| self.word(key, word, &[("stop", Then::Stop), ("next", Then::Next)]))
            .unwrap_or_default()
    }
}
