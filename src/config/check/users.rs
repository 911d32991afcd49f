//! `[[users]]`: which store, what follows its outcomes, and whether its keys are its own.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;

use super::Checker;
use crate::auth::Then;
use crate::config::{Places, StoreConfig, Use, UsersConfig, file};
use crate::secret::{Secret, SecretError};
use crate::users::file::domains::{DomainSettings, PLACEHOLDER, Pattern};
use crate::users::file::{LineLogins, Settings};

/// The words that `store` may be.
const STORES: [&str; 7] = ["accept", "file", "sql", "ldap", "imap", "pop3", "http"];

/// A key of `[[users]]`, where it stands if it does, and the stores that have it.
type Key = (&'static str, Option<Range<usize>>, &'static [&'static str]);

/// Every key but those that all stores have.
fn keys(users: &file::Users) -> Vec<Key> {
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

impl Checker<'_> {
    pub(super) fn users(&mut self, all: Vec<Spanned<file::Users>>) -> Vec<UsersConfig> {
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

    fn one_users(&mut self, span: &Range<usize>, users: &file::Users) -> Option<UsersConfig> {
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
        users: &file::Users,
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
            "file" => {
                let holds = |path: &&Spanned<String>| path.get_ref().contains(PLACEHOLDER);
                let apps = users.app_passwords_path.as_ref();
                if let Some(path) = users.path.as_ref().filter(holds) {
                    if let Some(apps) = apps {
                        let message = format!(
                            "cannot stand beside a path with {PLACEHOLDER}: files of domains have no \
                             app passwords"
                        );
                        self.report(&apps.span(), "users.app-passwords-path", message);
                    }
                    return self.files_of_domains(path, users);
                }
                let path = self.path("users.path", span, users.path.as_ref())?;
                let apps = apps.and_then(|apps| {
                    self.one_path("users.app-passwords-path", apps);
                    self.path("users.app-passwords-path", span, Some(apps))
                });
                Some(StoreConfig::File(self.each_file(path, apps, users)))
            }
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

    /// Says of a path that only `[[users]] path` can hold the placeholder.
    pub(super) fn one_path(&mut self, key: &str, path: &Spanned<String>) {
        if path.get_ref().contains(PLACEHOLDER) {
            let message = format!("holds {PLACEHOLDER}, which only path of [[users]] can hold");
            self.report(&path.span(), key, message);
        }
    }

    fn files_of_domains(
        &mut self,
        path: &Spanned<String>,
        users: &file::Users,
    ) -> Option<StoreConfig> {
        let base = self.beside("");
        let pattern = match Pattern::parse(path.get_ref(), &base) {
            Ok(pattern) => pattern,
            Err(what) => {
                self.report(&path.span(), "users.path", what);
                return None;
            }
        };
        // All that is in the folder, now and later, is what is read.
        let any = pattern.folder().join(PLACEHOLDER);
        self.name("users.path", &path.span(), &any, Use::Read);
        let each = self.each_file(pattern.whole().to_owned(), None, users);
        Some(StoreConfig::Domains(DomainSettings { pattern, each }))
    }

    fn each_file(
        &mut self,
        path: PathBuf,
        app_passwords: Option<PathBuf>,
        users: &file::Users,
    ) -> Settings {
        let weak = users.allow_weak_schemes.as_ref();
        Settings {
            path,
            allow_weak_schemes: weak.is_some_and(|allow| *allow.get_ref()),
            max_hash_ms: self.max_hash_ms,
            app_passwords,
            default_scheme: self.default_scheme(users),
            logins: LineLogins::default(),
        }
    }

    /// The scheme of stored passwords that name none, if a stored password can have it.
    pub(super) fn default_scheme(&mut self, users: &file::Users) -> Option<String> {
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
