//! The keys of one `[[users]]` table, and the stores that have each of them.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::shared::{self, Address, Connection, Secrets};
use super::{Common, file, http, ldap, mail_server, sql};
use crate::config::keys::names_of;
use crate::config::unreadable::Unreadable;

/// The values of `store`.
pub(super) const STORES: [&str; 7] = ["accept", "file", "sql", "ldap", "imap", "pop3", "http"];

/// One `[[users]]` table. Each part has some of the keys; the allowed ones depend on `store`.
#[derive(Default)]
#[cfg_attr(
    not(feature = "servers"),
    expect(dead_code, reason = "a build without a store does not read its keys")
)]
pub(in crate::config) struct Users {
    pub(super) common: Common,
    pub(super) file: file::Keys,
    pub(super) secrets: Secrets,
    pub(super) address: Address,
    pub(super) sql: sql::Keys,
    pub(super) connection: Connection,
    pub(super) ldap: ldap::Keys,
    pub(super) http: http::Keys,
    pub(super) mail_server: mail_server::Keys,
    /// The present keys, except those of all stores, and the positions of their values.
    pub(super) given: Vec<(&'static str, Range<usize>)>,
}

/// Some keys of `[[users]]`.
pub(super) struct KeyGroup {
    keys: &'static [&'static str],
    /// The stores that have one of them.
    stores: fn(&str) -> &'static [&'static str],
}

/// All keys, in the order of the message about an unknown key.
pub(super) fn parts() -> [KeyGroup; 9] {
    fn part<T: DeserializeOwned>(stores: fn(&str) -> &'static [&'static str]) -> KeyGroup {
        let keys = names_of::<T>();
        KeyGroup { keys, stores }
    }
    [
        part::<Common>(|_| &STORES),
        part::<file::Keys>(|_| &["file"]),
        part::<Secrets>(shared::stores_with),
        part::<Address>(shared::stores_with),
        part::<sql::Keys>(|_| &["sql"]),
        part::<Connection>(shared::stores_with),
        part::<ldap::Keys>(|_| &["ldap"]),
        part::<http::Keys>(|_| &["http"]),
        part::<mail_server::Keys>(|_| &["imap", "pop3"]),
    ]
}

/// The names of all keys, each once.
pub(in crate::config) fn names() -> Vec<&'static str> {
    names_in(&parts())
}

fn names_in(parts: &[KeyGroup]) -> Vec<&'static str> {
    let mut names = Vec::new();
    for name in parts.iter().flat_map(|part| part.keys) {
        if !names.contains(name) {
            names.push(*name);
        }
    }
    names
}

/// Whether a store has a key of this name.
pub(super) fn has(parts: &[KeyGroup], store: &str, key: &str) -> bool {
    let has = |part: &KeyGroup| part.keys.contains(&key) && (part.stores)(key).contains(&store);
    parts.iter().any(has)
}

/// The key of a store with the same purpose as `key` of another store.
pub(super) fn equivalent_key(store: &str, key: &str) -> Option<&'static str> {
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

impl Users {
    /// Parses every `[[users]]` table of a file; none if `users` is not an array of tables.
    pub(in crate::config) fn read_all(
        file: &DeTable<'_>,
    ) -> Result<Vec<Spanned<Self>>, Unreadable> {
        let Some(DeValue::Array(all)) = file.get("users").map(Spanned::get_ref) else {
            return Ok(Vec::new());
        };
        let parts = parts();
        let [common, ..] = &parts;
        let names = names_in(&parts);
        let tables = all
            .iter()
            .filter_map(|users| Some((users.span(), users.get_ref().as_table()?)));
        let read = |(span, table): (Range<usize>, _)| {
            Ok(Spanned::new(
                span.clone(),
                Self::read(table, &span, &names, common)?,
            ))
        };
        tables.map(read).collect()
    }

    fn read(
        table: &DeTable<'_>,
        span: &Range<usize>,
        names: &[&'static str],
        common: &KeyGroup,
    ) -> Result<Self, Unreadable> {
        let mut given = Vec::new();
        for (key, value) in table {
            match names.iter().find(|name| *name == key.get_ref()) {
                None => return Err(Unreadable::unknown_key(key, names)),
                Some(name) if common.keys.contains(name) => {}
                Some(name) => given.push((*name, value.span())),
            }
        }
        Ok(Self {
            common: part(table, span)?,
            file: part(table, span)?,
            secrets: part(table, span)?,
            address: part(table, span)?,
            sql: part(table, span)?,
            connection: part(table, span)?,
            ldap: part(table, span)?,
            http: part(table, span)?,
            mail_server: part(table, span)?,
            given,
        })
    }
}

/// Parses the keys of a part.
fn part<T: DeserializeOwned>(table: &DeTable<'_>, span: &Range<usize>) -> Result<T, Unreadable> {
    let mut own = DeTable::new();
    for name in names_of::<T>() {
        if let Some((key, value)) = table.get_key_value(*name) {
            own.insert(key.clone(), value.clone());
        }
    }
    let own = Deserializer::from(Spanned::new(span.clone(), own));
    Ok(T::deserialize(own)?)
}
