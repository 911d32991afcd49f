//! `store = "file"`: the keys of password files.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::{StoreConfig, Users};
use crate::config::FileUse;
use crate::config::checker::Checker;
use crate::secret::{Recipe, Scheme};
use crate::users::file::domains::{DomainSettings, Pattern};
use crate::users::file::{LineLogins, Rehash, Settings};
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
    /// The scheme of the hash that replaces a weaker one after a login. Default: none, hashes stay.
    pub(super) rehash: Option<Spanned<String>>,
    /// Whether `rehash` also replaces passwords that `cram-md5`, `apop` or SCRAM need. Default: false.
    pub(super) rehash_all: Option<Spanned<bool>>,
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
        self.written_folder(users, &path);
        Some(StoreConfig::File(self.each_file(path, apps, users)))
    }

    /// `rehash` writes in the folder of the file, and in that of the file that a link leads to.
    fn written_folder(&mut self, users: &Users, file: &Path) {
        let Some(rehash) = &users.file.rehash else {
            return;
        };
        let real = file.canonicalize().ok();
        let folders: BTreeSet<PathBuf> = [Some(file), real.as_deref()]
            .into_iter()
            .filter_map(|file| Some(file?.parent()?.to_owned()))
            .collect();
        let own = self.beside("");
        for folder in folders {
            if own.starts_with(&folder) {
                self.warn(
                    &rehash.span(),
                    "users.rehash",
                    "lets the server write in the folder of the configuration: move the password file \
                     to a folder of its own",
                );
            }
            self.name("users.rehash", &rehash.span(), &folder, FileUse::Write);
        }
    }

    fn rehash(&mut self, users: &Users) -> Option<Rehash> {
        let all = users.file.rehash_all.as_ref();
        let Some(name) = &users.file.rehash else {
            if let Some(all) = all {
                self.report(
                    &all.span(),
                    "users.rehash-all",
                    "means nothing without rehash",
                );
            }
            return None;
        };
        let slow: Vec<_> = Scheme::MADE
            .into_iter()
            .filter_map(|scheme| Some((scheme, Recipe::from(scheme).takes_ms()?)))
            .collect();
        let found = slow
            .iter()
            .find(|(scheme, _)| scheme.name() == name.get_ref());
        let Some((scheme, takes_ms)) = found else {
            let names: Vec<_> = slow.iter().map(|(scheme, _)| scheme.name()).collect();
            let message = format!("must be one of {}", names.join(", "));
            self.report(&name.span(), "users.rehash", message);
            return None;
        };
        if let Some(all) = all.filter(|all| *all.get_ref()) {
            let message = "replaces passwords in clear: their users can then no longer log in with \
                           cram-md5 and apop";
            self.warn(&all.span(), "users.rehash-all", message);
        }
        if *takes_ms > self.max_hash_ms {
            let message = format!(
                "makes hashes that take about {takes_ms} ms, and limits.max-hash-ms is {}",
                self.max_hash_ms
            );
            self.report(&name.span(), "users.rehash", message);
        }
        Some(Rehash {
            recipe: Recipe::from(*scheme),
            takes_ms: *takes_ms,
            all: all.is_some_and(|all| *all.get_ref()),
        })
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
        self.written_folder(users, &any);
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
            rehash: self.rehash(users),
        }
    }
}
