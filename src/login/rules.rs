//! Rewrites a login by the rules of `[logins]` before any store sees it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{BadLogin, Login};
use crate::login::domain;

/// The rules of `[logins]`, in the order in which they are applied. Each rule is applied once; its
/// result is not rewritten again by the same rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginRules {
    /// Whether blanks at the start and the end are dropped.
    pub trim: bool,
    /// Whether upper case ASCII letters become lower case.
    pub lower_case: bool,
    /// Alias domains and their targets, in canonical form. No name is both an alias and a target.
    pub domain_aliases: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Domains, in canonical form, that are removed together with the `@`; `*.example.org` matches
    /// all below `example.org`.
    pub strip_domains: Vec<String>,
    /// The domain, in canonical form, for logins that have none after the rules before.
    pub default_domain: Option<String>,
    /// Alias logins and their targets, with domains in canonical form. With `lower_case`, the names
    /// are in lower case.
    pub aliases: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl LoginRules {
    /// The login that stores and routes see, always with its domain in [canonical
    /// form](domain::canonical). An error if its new domain makes it too long.
    pub fn canonical(&self, typed: &Login) -> Result<Login, BadLogin> {
        let login = self.without_aliases(typed.as_bytes());
        match self.aliases.get(&*login) {
            Some(canonical) => Login::new(canonical.clone()),
            None => Login::new(login.into_owned()),
        }
    }

    /// The login after all rules except the aliases.
    pub fn without_aliases<'a>(&self, typed: &'a [u8]) -> Cow<'a, [u8]> {
        let mut login = self.spelt(typed);
        if self.lower_case && login.iter().any(u8::is_ascii_uppercase) {
            login.to_mut().make_ascii_lowercase();
        }
        if !self.strip_domains.is_empty()
            && let Some((at, domain)) = domain_of(&login)
        {
            let is = |strip: &String| domain::covers(strip.as_bytes(), domain);
            if self.strip_domains.iter().any(is) {
                login.to_mut().truncate(at);
            }
        }
        if let Some(domain) = &self.default_domain
            && !login.is_empty()
            && !login.contains(&b'@')
        {
            let login = login.to_mut();
            login.push(b'@');
            login.extend_from_slice(domain.as_bytes());
        }
        login
    }

    /// The login in the spelling that is compared: by the rules that apply to masters too.
    pub fn spelt<'a>(&self, typed: &'a [u8]) -> Cow<'a, [u8]> {
        let typed = match self.trim {
            true => typed.trim_ascii(),
            false => typed,
        };
        let mut login = domain::folded(typed);
        if !self.domain_aliases.is_empty()
            && let Some((at, domain)) = domain_of(&login)
            && let Some(other) = self.domain_aliases.get(domain)
        {
            let login = login.to_mut();
            login.truncate(at + 1);
            login.extend_from_slice(other);
        }
        login
    }

    /// The rules for masters: of their logins only the [spelling](Self::spelt) changes.
    pub fn of_masters(&self) -> Self {
        Self {
            trim: self.trim,
            domain_aliases: self.domain_aliases.clone(),
            ..Self::default()
        }
    }

    /// The domain that this one is an alias of, or the domain itself; in canonical form.
    pub fn domain<'a>(&'a self, canonical: &'a [u8]) -> &'a [u8] {
        let other = self.domain_aliases.get(canonical);
        other.map_or(canonical, Vec::as_slice)
    }
}

/// The position of the last `@`, and the text after it.
fn domain_of(login: &[u8]) -> Option<(usize, &[u8])> {
    let at = login.iter().rposition(|byte| *byte == b'@')?;
    Some((at, login.get(at + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(text: &str) -> Login {
        Login::new(text.as_bytes().to_vec()).unwrap()
    }

    fn rules() -> LoginRules {
        let alias = |from: &str, to: &str| (from.as_bytes().to_vec(), to.as_bytes().to_vec());
        LoginRules {
            lower_case: true,
            trim: false,
            domain_aliases: BTreeMap::new(),
            strip_domains: vec!["old.example".to_owned()],
            default_domain: Some("example.org".to_owned()),
            aliases: BTreeMap::from([
                alias("sales@example.org", "alice@example.org"),
                alias("alice@example.org", "never"),
                alias("a@b", "Bob"),
            ]),
        }
    }

    #[test]
    fn rules_are_applied_in_order_and_once() {
        for (typed, canonical) in [
            ("bob", "bob@example.org"),
            ("Bob@Example.ORG", "bob@example.org"),
            ("Sales", "alice@example.org"),
            ("bob@OLD.example", "bob@example.org"),
            ("sales@old.example", "alice@example.org"),
            ("alice", "never"),
            ("a@b", "Bob"),
            ("@old.example", ""),
            ("", ""),
            ("x@y@old.example", "x@y"),
            ("x@old.example@y", "x@old.example@y"),
        ] {
            let made = rules().canonical(&login(typed)).unwrap();
            assert_eq!(made, login(canonical), "{typed}");
        }
    }

    #[test]
    fn without_rules_a_login_stays_as_it_is() {
        for typed in ["Bob", "", "Bob@example.org", "a*b"] {
            let made = LoginRules::default().canonical(&login(typed)).unwrap();
            assert_eq!(made, login(typed));
        }
    }

    #[test]
    fn the_domain_is_folded_without_any_rule() {
        let made = LoginRules::default().canonical(&login("Bob@Example.ORG"));
        assert_eq!(made, Ok(login("Bob@example.org")));
    }

    #[test]
    fn blanks_go_first_and_domains_have_other_names() {
        let alias = |from: &str, to: &str| (from.as_bytes().to_vec(), to.as_bytes().to_vec());
        let rules = LoginRules {
            trim: true,
            domain_aliases: BTreeMap::from([alias("alias.example", "example.org")]),
            strip_domains: vec!["*.example.com".to_owned()],
            aliases: BTreeMap::from([alias("sales@example.org", "alice@example.org")]),
            ..LoginRules::default()
        };
        for (typed, canonical) in [
            (" Bob@Alias.EXAMPLE  ", "Bob@example.org"),
            ("bob@sub.alias.example", "bob@sub.alias.example"),
            ("sales@alias.example", "alice@example.org"),
            ("bob@a.example.com ", "bob"),
            ("bob@example.com", "bob@example.com"),
            ("  ", ""),
            ("a b", "a b"),
        ] {
            let made = rules.canonical(&login(typed)).unwrap();
            assert_eq!(made, login(canonical), "{typed}");
        }
        let kept = LoginRules::default().canonical(&login(" bob "));
        assert_eq!(kept, Ok(login(" bob ")));
    }

    #[test]
    fn one_that_becomes_too_long_is_refused() {
        let long = login(&"a".repeat(250));
        assert_eq!(rules().canonical(&long), Err(BadLogin::TooLong));
    }

    #[test]
    fn bytes_that_are_no_text_stay() {
        let odd = Login::new(b"\xe9@\xffA".to_vec()).unwrap();
        let made = LoginRules::default().canonical(&odd).unwrap();
        assert_eq!(made.as_bytes(), b"\xe9@\xffa");
        let odd = Login::new(b"\xe9\xff".to_vec()).unwrap();
        let made = rules().canonical(&odd).unwrap();
        assert_eq!(made.as_bytes(), b"\xe9\xff@example.org");
    }
}
