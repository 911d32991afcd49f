//! `store = "file"`: the keys of password files.

use std::ops::Range;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::{StoreConfig, Users};
use crate::config::FileUse;
use crate::config::checker::Checker;
use crate::users::file::domains::{DomainSettings, Pattern};
use crate::users::file::{LineLogins, Settings};
use crate::users::placeholder::{self, Placeholder};

/// The keys of this store only.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Keys {
    /// The password file, in the format of Dovecot's passwd-file or of htpasswd; with `{domain}` in the path,
    /// one file for each domain.
    pub(super) path: Option<Spanned<String>>,
    /// A file with app passwords of the same logins.
    pub(super) app_passwords_path: Option<Spanned<String>>,
}

impl Checker<'_> {
    pub(super) fn password_file(
        &mut self,
        span: &Range<usize>,
        users: &Users,
    ) -> Option<StoreConfig> {
        let apps = users.file.app_passwords_path.as_ref();
        if let Some(path) = &users.file.path
            && let Some(pattern) = self.pattern(path)?
        {
            if let Some(apps) = apps {
                let message = "cannot be used with a path that has {domain}: files of domains have no \
                               app passwords";
                self.report(&apps.span(), "users.app-passwords-path", message);
            }
            return Some(self.files_of_domains(path, pattern, users));
        }
        let path = self.path("users.path", span, users.file.path.as_ref())?;
        let apps = apps.and_then(|apps| {
            self.one_path("users.app-passwords-path", apps);
            self.path("users.app-passwords-path", span, Some(apps))
        });
        Some(StoreConfig::File(self.each_file(path, apps, users)))
    }

    /// Reports a placeholder in a path other than `[[users]] path`.
    pub(in crate::config) fn one_path(&mut self, key: &str, path: &Spanned<String>) {
        match placeholder::first(path.get_ref()) {
            Ok(None) => {}
            Ok(Some(found)) => {
                let message = format!("holds {found}, which only path of [[users]] can hold");
                self.report(&path.span(), key, message);
            }
            Err(flaw) => self.report_flaw(key, path, &flaw),
        }
    }

    /// The path of files of domains; `Some(None)` for the path of one file, `None` after a report.
    fn pattern(&mut self, path: &Spanned<String>) -> Option<Option<Pattern>> {
        Pattern::parse(path.get_ref(), &self.beside(""))
            .map_err(|flaw| self.report_flaw("users.path", path, &flaw))
            .ok()
    }

    fn files_of_domains(
        &mut self,
        path: &Spanned<String>,
        pattern: Pattern,
        users: &Users,
    ) -> StoreConfig {
        // The program reads every file in the folder, now and later.
        let any = pattern.folder().join(Placeholder::Domain.to_string());
        self.name("users.path", &path.span(), &any, FileUse::Read);
        let each = self.each_file(pattern.whole().to_owned(), None, users);
        StoreConfig::Domains(DomainSettings { pattern, each })
    }

    fn each_file(
        &mut self,
        path: PathBuf,
        app_passwords: Option<PathBuf>,
        users: &Users,
    ) -> Settings {
        Settings {
            path,
            allow_weak_schemes: users.secrets.allow_weak(),
            max_hash_ms: self.max_hash_ms,
            app_passwords,
            default_scheme: self.default_scheme(users),
            logins: LineLogins::default(),
        }
    }
}
