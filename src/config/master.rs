//! `[master]`: users who may log in as other users.

use serde::Deserialize;
use toml::Spanned;

use super::checker::Checker;
use super::source::unplaced;
use super::users::{StoreConfig, UsersConfig};
use crate::users::file::{LineLogins, Settings};

/// `[master]`: logins such as `alice*support`, with the password of `support`.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Master {
    /// The separator between user and master. Default: "*".
    pub(super) separator: Spanned<String>,
    /// The password file of the masters. Default: there are none.
    pub(super) path: Option<Spanned<String>>,
    /// Whether hashes that are fast to guess are accepted. Default: false.
    pub(super) allow_weak_schemes: bool,
}

impl Default for Master {
    fn default() -> Self {
        Self {
            separator: unplaced("*".to_owned()),
            path: None,
            allow_weak_schemes: false,
        }
    }
}

/// `[master]`, if it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterConfig {
    /// The separator between the user's login and the master's.
    pub separator: Vec<u8>,
    /// Their password file.
    pub settings: Settings,
    /// Its line and column in the configuration.
    pub position: (usize, usize),
}

impl Checker<'_> {
    pub(super) fn master(&mut self, master: Master, users: &[UsersConfig]) -> Option<MasterConfig> {
        let path = master.path.as_ref()?;
        let separator = master.separator.get_ref();
        if separator.is_empty() || separator.len() > 16 || separator.chars().any(char::is_control) {
            let message = "must have 1 to 16 bytes and no control characters";
            self.report(&master.separator.span(), "master.separator", message);
        }
        let separator = separator.as_bytes().to_vec();
        self.one_path("master.path", path);
        let file = self.path("master.path", &path.span(), Some(path))?;
        let of_users = |users: &UsersConfig| match &users.store {
            StoreConfig::File(settings) => settings.path == file,
            StoreConfig::Domains(settings) => settings.pattern.leads_to(&file),
            _ => false,
        };
        if users.iter().any(of_users) {
            let message =
                "is the password file of [[users]] too: each user could log in as any other";
            self.report(&path.span(), "master.path", message);
        }
        Some(MasterConfig {
            separator,
            settings: Settings {
                path: file,
                allow_weak_schemes: master.allow_weak_schemes,
                max_hash_ms: self.max_hash_ms,
                app_passwords: None,
                default_scheme: None,
                logins: LineLogins::default(),
                rehash: None,
            },
            position: self.source.position(path.span().start),
        })
    }
}
