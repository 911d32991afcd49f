//! `[logins]` and `[master]`: what a login means.

use std::collections::BTreeMap;

use toml::Spanned;

use super::Checker;
use crate::config::source::written;
use crate::config::{MasterConfig, StoreConfig, UsersConfig, file};
use crate::domain;
use crate::logins::LoginRules;
use crate::request::Login;
use crate::store::file::Settings;

impl Checker<'_> {
    pub(super) fn logins(&mut self, logins: file::Logins) -> LoginRules {
        let strip_domains: Vec<_> = logins
            .strip_domains
            .iter()
            .filter_map(|domain| self.domain("logins.strip-domains", domain))
            .collect();
        let default_domain = logins.default_domain.as_ref().and_then(|domain| {
            let checked = self.domain("logins.default-domain", domain)?;
            if strip_domains.contains(&checked) {
                let message = "is one of strip-domains too: logins would lose and get it again";
                self.warn(&domain.span(), "logins.default-domain", message);
            }
            Some(checked)
        });
        let mut aliases = BTreeMap::new();
        for (from, to) in &logins.aliases {
            let key = format!("logins.aliases.{}", written(from.get_ref()));
            let from = self.alias_login(&key, from).map(|mut login| {
                if logins.lower_case {
                    login.make_ascii_lowercase();
                }
                login
            });
            let to_login = self.alias_login(&key, to);
            if let (Some(from), Some(login)) = (from, to_login)
                && aliases.insert(from, login).is_some()
            {
                self.report(
                    &to.span(),
                    &key,
                    "stands here twice, in another case or spelling",
                );
            }
        }
        LoginRules {
            lower_case: logins.lower_case,
            strip_domains,
            default_domain,
            aliases,
        }
    }

    fn alias_login(&mut self, key: &str, login: &Spanned<String>) -> Option<Vec<u8>> {
        let bytes = login.get_ref().as_bytes().to_vec();
        if bytes.is_empty() || Login::new(bytes.clone()).is_err() {
            let message = "a login has 1 to 254 bytes and no control characters";
            self.report(&login.span(), key, message);
            return None;
        }
        Some(domain::folded(&bytes).into_owned())
    }

    /// A domain, in canonical form.
    pub(super) fn domain(&mut self, key: &str, domain: &Spanned<String>) -> Option<String> {
        let name = domain.get_ref();
        let stray = |byte: u8| byte == b'@' || byte == b' ' || byte.is_ascii_control();
        if name.is_empty() || name.len() > 253 || name.bytes().any(stray) {
            let message = "a domain has 1 to 253 bytes, and no @ or blank";
            self.report(&domain.span(), key, message);
            return None;
        }
        Some(domain::canonical_text(name))
    }

    pub(super) fn master(
        &mut self,
        master: file::Master,
        users: &[UsersConfig],
    ) -> Option<MasterConfig> {
        let path = master.path.as_ref()?;
        let separator = master.separator.get_ref();
        if separator.is_empty() || separator.len() > 16 || separator.chars().any(char::is_control) {
            let message = "must have 1 to 16 bytes and no control characters";
            self.report(&master.separator.span(), "master.separator", message);
        }
        let separator = separator.as_bytes().to_vec();
        let file = self.path("master.path", &path.span(), Some(path))?;
        let of_users = |users: &UsersConfig| matches!(&users.store, StoreConfig::File(settings) if settings.path == file);
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
            },
            place: self.source.place(path.span().start),
        })
    }
}
