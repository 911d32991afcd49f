//! `[logins]`: how a login is changed before a store is asked.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::checker::Checker;
use super::source::written;
use crate::login::Login;
use crate::login::domain;
use crate::login::rules::LoginRules;

mod unreached;

/// The message for a duplicate name.
const DUPLICATE_NAME: &str = "is listed twice, in another case or spelling";

fn bytes(aliases: &BTreeMap<String, String>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let bytes =
        |(from, to): (&String, &String)| (from.clone().into_bytes(), to.clone().into_bytes());
    aliases.iter().map(bytes).collect()
}

/// `[logins]`: how a login is changed before a store is asked, in the order of the keys.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Logins {
    /// Whether leading and trailing blanks are removed. Default: false.
    pub(super) trim: bool,
    /// Whether upper case ASCII letters become lower case. Default: false.
    pub(super) lower_case: bool,
    /// `"alias.example" = "example.org"`.
    pub(super) domain_aliases: BTreeMap<Spanned<String>, Spanned<String>>,
    /// Domains that are removed, together with the `@`. Default: none.
    pub(super) strip_domains: Vec<Spanned<String>>,
    /// The domain for logins without one. Default: they remain unchanged.
    pub(super) default_domain: Option<Spanned<String>>,
    /// `"sales@example.org" = "alice@example.org"`.
    pub(super) aliases: BTreeMap<Spanned<String>, Spanned<String>>,
}

impl Checker<'_> {
    pub(super) fn logins(&mut self, logins: &Logins) -> LoginRules {
        let domain_aliases = self.domain_aliases(&logins.domain_aliases);
        self.rules.domain_aliases = bytes(&domain_aliases);
        let strip_domains: Vec<_> = logins
            .strip_domains
            .iter()
            .filter_map(|domain| self.domains("logins.strip-domains", domain))
            .collect();
        let default_domain = logins.default_domain.as_ref().and_then(|domain| {
            let checked = self.domain("logins.default-domain", domain)?;
            let stripped = |strip: &String| domain::covers(strip.as_bytes(), checked.as_bytes());
            if strip_domains.iter().any(stripped) {
                let message =
                    "is one of strip-domains too: the domain would be removed and added again";
                self.warn(&domain.span(), "logins.default-domain", message);
            }
            Some(checked)
        });
        self.rules = LoginRules {
            trim: logins.trim,
            lower_case: logins.lower_case,
            domain_aliases: bytes(&domain_aliases),
            strip_domains,
            default_domain,
            aliases: BTreeMap::new(),
        };
        let mut aliases = BTreeMap::new();
        for (from, to) in &logins.aliases {
            let key = format!("logins.aliases.{}", written(from.get_ref()));
            let name = from;
            let from = self.alias_login(&key, from).map(|mut login| {
                if logins.lower_case {
                    login.make_ascii_lowercase();
                }
                login
            });
            if let Some(login) = &from {
                self.warn_of_login(&key, name, login, false);
            }
            let to_login = self.alias_login(&key, to);
            if let (Some(from), Some(login)) = (from, to_login)
                && aliases.insert(from, login).is_some()
            {
                self.report(&to.span(), &key, DUPLICATE_NAME);
            }
        }
        self.rules.aliases = aliases;
        self.rules.clone()
    }

    /// Other names of domains. An alias of an alias is an error.
    fn domain_aliases(
        &mut self,
        aliases: &BTreeMap<Spanned<String>, Spanned<String>>,
    ) -> BTreeMap<String, String> {
        let mut checked = BTreeMap::new();
        let mut positions = Vec::new();
        for (from, to) in aliases {
            let key = format!("logins.domain-aliases.{}", written(from.get_ref()));
            let name = self.domain(&key, from);
            let other = self.domain(&key, to);
            if let (Some(name), Some(other)) = (name, other) {
                if checked.insert(name.clone(), other).is_some() {
                    self.report(&from.span(), &key, DUPLICATE_NAME);
                }
                positions.push((name, key, to.span()));
            }
        }
        for (name, key, span) in positions {
            let mut end = &name;
            for _ in 0..=checked.len() {
                match checked.get(end) {
                    Some(next) => end = next,
                    None => break,
                }
            }
            if checked.contains_key(end) {
                self.report(
                    &span,
                    &key,
                    "is an alias of itself, directly or through others",
                );
            } else if checked.get(&name).is_some_and(|next| next != end) {
                let message = format!("is an alias too, and is not looked up again: write {end:?}");
                self.report(&span, &key, message);
            }
        }
        checked
    }

    fn alias_login(&mut self, key: &str, login: &Spanned<String>) -> Option<Vec<u8>> {
        let bytes = login.get_ref().as_bytes().to_vec();
        if bytes.is_empty() || Login::new(bytes.clone()).is_err() {
            let message = "a login has 1 to 254 bytes and no control characters";
            self.report(&login.span(), key, message);
            return None;
        }
        if let Some(flaw) = domain::login_flaw(login.get_ref(), "[logins.domain-aliases]") {
            let message = format!("{:?} {flaw}", login.get_ref());
            self.report(&login.span(), key, message);
            return None;
        }
        let folded = domain::folded(&bytes).into_owned();
        if let Some(name) = str::from_utf8(&folded)
            .ok()
            .and_then(|it| it.rsplit_once('@'))
        {
            self.warn_of_alias(key, login, name.1);
        }
        Some(folded)
    }

    /// A domain, in canonical form.
    pub(super) fn domain(&mut self, key: &str, domain: &Spanned<String>) -> Option<String> {
        self.one_or_all_below(key, domain, false)
    }

    /// A domain, or all below one: `*.example.org`. In canonical form.
    pub(super) fn domains(&mut self, key: &str, domain: &Spanned<String>) -> Option<String> {
        self.one_or_all_below(key, domain, true)
    }

    fn one_or_all_below(
        &mut self,
        key: &str,
        domain: &Spanned<String>,
        below: bool,
    ) -> Option<String> {
        if let Some(flaw) = domain::flaw(domain.get_ref(), below) {
            self.report(
                &domain.span(),
                key,
                format!("{:?} {flaw}", domain.get_ref()),
            );
            return None;
        }
        let name = domain::written(domain.get_ref());
        if !key.starts_with("inbound.") {
            self.warn_of_domain(key, domain, &name);
        }
        Some(name)
    }
}
