//! `[[users]]`: the keys of all stores. Each store has a source file with its other keys.

use std::num::NonZeroUsize;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::KeyPositions;
use super::checker::Checker;
use crate::auth::Then;

mod file;
mod http;
mod keys;
mod ldap;
mod mail_server;
mod shared;
mod sql;
mod store;

use keys::{STORES, equivalent_key, has, parts};
pub(super) use keys::{Users, names};
pub use store::StoreConfig;

/// The keys of all stores.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Common {
    /// `accept`, `file`, `sql`, `ldap`, `imap`, `pop3` or `http`.
    pub(super) store: Option<Spanned<String>>,
    /// The name of the store in the log and in commands. Default: the value of `store`.
    pub(super) name: Option<Spanned<String>>,
    /// The domains whose logins the store is asked about; `""` means logins without a domain. Default: all.
    pub(super) domains: Option<Spanned<Vec<Spanned<String>>>>,
    /// After a wrong password: `stop` refuses the login, `next` asks the next store. Default: "stop".
    pub(super) wrong: Option<Spanned<String>>,
    /// After trouble in the store: `stop` answers with the temporary failure, `next` asks the next
    /// store. Default: "stop".
    pub(super) trouble: Option<Spanned<String>>,
}

/// One `[[users]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsersConfig {
    /// The name of the store in the log and in commands.
    pub name: String,
    /// The domains whose logins it is asked about, in lower case; an empty one means logins without a domain.
    /// `None`: all.
    pub domains: Option<Vec<String>>,
    /// What happens after a wrong password.
    pub wrong: Then,
    /// What happens after trouble in the store.
    pub trouble: Then,
    /// The configured maximum number of logins that wait for it at the same time.
    pub max_questions: Option<NonZeroUsize>,
    /// The store itself.
    pub store: StoreConfig,
    /// The positions of the keys in the file.
    pub positions: KeyPositions,
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
        let Some(store) = &users.common.store else {
            self.report(span, "users.store", format!("is missing; {}", known()));
            return None;
        };
        let word = store.get_ref().as_str();
        if !STORES.contains(&word) {
            let message = format!("there is no store {word:?}; {}", known());
            self.report(&store.span(), "users.store", message);
            return None;
        }
        let parts = parts();
        let other = |(key, _): &&(&str, _)| !has(&parts, word, key);
        for (key, position) in users.given.iter().filter(other) {
            let is_given = |own: &str| users.given.iter().any(|(key, _)| *key == own);
            let instead = equivalent_key(word, key).filter(|own| !is_given(own));
            let message = match instead {
                Some(own) => format!("store {word:?} has no such key; did you mean `{own}`?"),
                None => format!("store {word:?} has no such key"),
            };
            self.report(position, &format!("users.{key}"), message);
            self.meant.extend(instead.map(|own| format!("users.{own}")));
        }
        let position = |position: &Range<usize>| self.source.position(position.start);
        let given = users.given.iter();
        let positions = KeyPositions {
            whole: position(span),
            keys: given.map(|(key, at)| (*key, position(at))).collect(),
        };
        let name = match &users.common.name {
            Some(name) => self.store_name(name),
            None => word.to_owned(),
        };
        let domains = users.common.domains.as_ref().map(|domains| {
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
        let wrong = self.then("users.wrong", users.common.wrong.as_ref());
        let trouble = self.then("users.trouble", users.common.trouble.as_ref());
        let max_questions = self.questions(
            "users.max-questions",
            users.connection.max_questions.as_ref(),
        );
        let store = self.store(span, store, users)?;
        Some(UsersConfig {
            name,
            domains,
            wrong,
            trouble,
            max_questions,
            store,
            positions,
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
            #[cfg(feature = "servers")]
            "sql" => self.sql(span, users).map(Box::new).map(StoreConfig::Sql),
            #[cfg(feature = "servers")]
            "ldap" => self.ldap(span, users).map(Box::new).map(StoreConfig::Ldap),
            #[cfg(feature = "servers")]
            "imap" | "pop3" => self.server(span, store, users).map(StoreConfig::Server),
            #[cfg(feature = "servers")]
            "http" => self.http(span, users).map(StoreConfig::Http),
            other => {
                // Only the name of a known store reaches this point.
                let message = format!("this program was built without the store {other:?}");
                self.report(&store.span(), "users.store", message);
                None
            }
        }
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
