//! The log lines about the start and the end of a server, and what changed at a reload.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Service;
use crate::config::{StoreConfig, UsersConfig};
use crate::sys::logger::{Event, MAX_FIELD, TakeField, Value};
use crate::sys::sandbox::Sandbox;

/// The maximum number of characters of the sockets and of the stores in a line.
const MAX_LIST: usize = 2 * MAX_FIELD;

/// A server that answers from now on: `started version=0.1.0 features=servers sandbox=whole
/// config="/etc/nginx-mail-auth/auth.toml" sockets="unix:/run/mail.sock" stores="file: 2 users"`.
pub(super) struct Started<'a> {
    pub(super) config: &'a Path,
    /// The sockets that web servers connect to.
    pub(super) sockets: &'a [String],
    pub(super) sandbox: Option<&'a Sandbox>,
    /// `None`: no configuration could be loaded yet.
    pub(super) service: Option<&'a Service>,
}

impl Event for Started<'_> {
    const NAME: &'static str = "started";

    fn fields(&self, take: &mut TakeField<'_>) -> fmt::Result {
        take("version", Value::Word(&env!("CARGO_PKG_VERSION")))?;
        let features = match cfg!(feature = "servers") {
            true => "servers",
            false => "none",
        };
        take("features", Value::Word(&features))?;
        let sandbox = match self.sandbox {
            Some(sandbox) if sandbox.is_whole() => "whole",
            Some(_) => "partial",
            None => "none",
        };
        take("sandbox", Value::Word(&sandbox))?;
        let config = self.config.as_os_str().as_encoded_bytes();
        take("config", Value::Text(config, MAX_FIELD))?;
        let sockets = self.sockets.join(", ");
        take("sockets", Value::Text(sockets.as_bytes(), MAX_LIST))?;
        match self.service.map(Service::stores) {
            Some(stores) => take("stores", Value::Text(stores.as_bytes(), MAX_LIST)),
            None => take("stores", Value::Absent),
        }
    }
}

/// A server that ends: `stopped signal=SIGTERM requests=1042 uptime-s=86400`.
pub(super) struct Stopped<'a> {
    pub(super) signal: &'a str,
    /// How many requests were answered.
    pub(super) requests: u64,
    pub(super) uptime: Duration,
}

impl Event for Stopped<'_> {
    const NAME: &'static str = "stopped";

    fn fields(&self, take: &mut TakeField<'_>) -> fmt::Result {
        take("signal", Value::Word(&self.signal))?;
        take("requests", Value::Number(&self.requests))?;
        take("uptime-s", Value::Number(&self.uptime.as_secs()))
    }
}

/// A number of users: `1 user`.
pub(super) fn users_in_words(count: usize) -> String {
    match count {
        1 => "1 user".to_owned(),
        count => format!("{count} users"),
    }
}

impl Service {
    /// The stores in their order, each with the number of its users if it is known.
    pub(super) fn stores(&self) -> String {
        let users = self.config.users.iter();
        let users = users.map(|users| match self.count(users) {
            Some(count) => format!("{}: {}", users.name, users_in_words(count)),
            None => users.name.clone(),
        });
        users.collect::<Vec<_>>().join(", ")
    }

    /// The number of users of a store with password files.
    fn count(&self, users: &UsersConfig) -> Option<usize> {
        match &users.store {
            StoreConfig::File(settings) => {
                let mut files = self.files.iter();
                let file = files.find(|file| file.settings() == settings)?;
                Some(file.current()?.users())
            }
            StoreConfig::Domains(settings) => {
                let mut folders = self.domain_files.iter();
                let folder = folders.find(|folder| folder.settings() == settings)?;
                let files = folder.all().into_iter();
                let stores = files.filter_map(|(_, file)| file.current());
                Some(stores.map(|store| store.users()).sum())
            }
            _ => None,
        }
    }

    /// What is different from an earlier version: tables of the configuration, files that it names,
    /// and stores that were opened again.
    pub(super) fn changes_since(&self, before: &Self) -> String {
        let tables = self.config.tables.changed_since(&before.config.tables);
        let tables = tables.iter().map(|name| format!("[{name}]"));
        let is_new = |(path, version): &&(_, _)| {
            let mut known = before.config.files.iter();
            known.any(|(other, seen)| other == path && seen != version)
        };
        let files = self.config.files.iter().skip(1).filter(is_new);
        let files = files.map(|(path, _)| path.display().to_string());
        let is_kept = |store: &Arc<_>| {
            let mut sources = before.gate.chain.sources().iter();
            sources.any(|source| Arc::ptr_eq(&source.store, store))
        };
        let sources = self.gate.chain.sources().iter();
        let opened = sources.filter(|source| !is_kept(&source.store));
        let opened = opened.map(|source| format!("store {} opened", source.name));
        let all: Vec<_> = tables.chain(files).chain(opened).collect();
        match all.is_empty() {
            true => "nothing changed".to_owned(),
            false => format!("changed: {}", all.join(", ")),
        }
    }
}
