//! The login of a line: the one that `[logins]` makes of the written one.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::login::MAX_LOGIN_BYTES;
use crate::login::domain;
use crate::login::rules::LoginRules;

/// How the logins of a file are read.
///
/// A store is asked for logins after all rules of `[logins]`. A line whose login is written in another form
/// accepts no login. But it may be meant to lock its user, so it is found by the login that the rules make of
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineLogins {
    rules: Arc<LoginRules>,
    /// Whether the rules only change the form of a login's domain.
    plain: bool,
    /// The targets of the aliases, which the rules do not change again.
    targets: Arc<BTreeSet<Vec<u8>>>,
    /// The domain, in canonical form, of all logins in the file.
    domain: Option<Box<[u8]>>,
}

/// Without rules.
impl Default for LineLogins {
    fn default() -> Self {
        Self::under(&LoginRules::default())
    }
}

impl LineLogins {
    /// The logins of a file that is asked for logins after these rules.
    pub fn under(rules: &LoginRules) -> Self {
        Self {
            plain: *rules == LoginRules::default(),
            targets: Arc::new(rules.aliases.values().cloned().collect()),
            rules: Arc::new(rules.clone()),
            domain: None,
        }
    }

    /// The same for the file of one domain, where logins may omit the domain.
    #[must_use]
    pub fn of_domain(&self, domain: &str) -> Self {
        Self {
            domain: Some(domain.as_bytes().into()),
            ..self.clone()
        }
    }

    /// Whether logins of this domain, in canonical form, still have it after the rules.
    pub(super) fn keep_domain(&self, domain: &[u8]) -> bool {
        let login = [b"x@", domain].concat();
        *self.rules.without_aliases(&login) == *login
    }

    /// A login as written in the file, with its domain in canonical form.
    pub(super) fn written<'a>(&self, login: &'a [u8]) -> Cow<'a, [u8]> {
        match &self.domain {
            Some(domain) if !login.is_empty() && !login.contains(&b'@') => {
                Cow::Owned([login, b"@", domain].concat())
            }
            _ => domain::folded(login),
        }
    }

    /// The login that the store is asked for when a client sends `typed`, or one that leads to it.
    /// Aliases are not followed.
    pub fn meant(&self, typed: &[u8]) -> Vec<u8> {
        self.asked(typed).into_owned()
    }

    /// Why no client can have a login that [`Self::meant`] returned.
    pub fn unreachable(&self, meant: &[u8]) -> Option<String> {
        self.unreachable_login(meant, &self.asked(meant))
    }

    /// A login for a new line: in a file of one domain without that domain, if the last line (`like`) is
    /// without it too.
    pub(super) fn written_like<'a>(&self, like: Option<&[u8]>, login: &'a [u8]) -> &'a [u8] {
        let is_short = |login: &[u8]| !login.contains(&b'@');
        self.domain
            .as_ref()
            .filter(|_| like.is_some_and(is_short))
            .and_then(|domain| login.strip_suffix(&**domain)?.strip_suffix(b"@"))
            .filter(|local| is_short(local) && !local.is_empty())
            .unwrap_or(login)
    }

    /// The login by which a line with this one is found.
    pub(super) fn asked<'a>(&self, login: &'a [u8]) -> Cow<'a, [u8]> {
        let written = self.written(login);
        if self.plain || self.targets.contains(&*written) {
            return written;
        }
        match written {
            Cow::Borrowed(written) => self.rules.without_aliases(written),
            Cow::Owned(written) => Cow::Owned(self.rules.without_aliases(&written).into_owned()),
        }
    }

    /// Why no client can log in with a login as written; a line with it is found by the login `asked`.
    pub(super) fn unreachable_login(&self, login: &[u8], asked: &[u8]) -> Option<String> {
        if self.plain && self.domain.is_none() {
            return None;
        }
        let what = if asked.is_empty() || asked.len() > MAX_LOGIN_BYTES {
            "[logins] accepts no such login: remove the line".to_owned()
        } else if *self.written(login) != *asked {
            let asked = String::from_utf8_lossy(asked);
            format!("[logins] rewrites it to {asked:?}: write that")
        } else if let Some(domain) = &self.domain
            && asked
                .iter()
                .rposition(|byte| *byte == b'@')
                .map(|at| &asked[at + 1..])
                != Some(&**domain)
        {
            let domain = String::from_utf8_lossy(domain);
            format!("the file is for the domain {domain:?}")
        } else if let Some(other) = self.rules.aliases.get(asked)
            && !self.targets.contains(asked)
        {
            let other = String::from_utf8_lossy(other);
            format!("[logins.aliases] rewrites it to {other:?}: write that")
        } else {
            return None;
        };
        Some(format!("this login is never looked up: {what}"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn rules() -> LoginRules {
        let alias = |from: &str, to: &str| (from.as_bytes().to_vec(), to.as_bytes().to_vec());
        LoginRules {
            trim: true,
            lower_case: true,
            domain_aliases: BTreeMap::from([alias("alias.example", "example.org")]),
            strip_domains: vec!["old.example".to_owned()],
            default_domain: Some("example.org".to_owned()),
            aliases: BTreeMap::from([
                alias("sales@example.org", "alice@example.org"),
                alias("alice@example.org", "Boss"),
            ]),
        }
    }

    fn found(logins: &LineLogins, login: &str) -> (String, Option<String>) {
        let asked = logins.asked(login.as_bytes());
        let unreachable_login = logins.unreachable_login(login.as_bytes(), &asked);
        (
            String::from_utf8(asked.into_owned()).unwrap(),
            unreachable_login,
        )
    }

    #[test]
    fn a_line_is_found_by_its_rewritten_login() {
        let logins = LineLogins::under(&rules());
        let write = |what: &str| Some(format!("[logins] rewrites it to {what:?}: write that"));
        let long = "a".repeat(250);
        for (login, asked, why) in [
            ("bob@example.org", "bob@example.org", None),
            ("bob@EXAMPLE.org", "bob@example.org", None),
            (
                "BOB@example.org",
                "bob@example.org",
                write("bob@example.org"),
            ),
            (
                " bob@example.org",
                "bob@example.org",
                write("bob@example.org"),
            ),
            (
                "bob@alias.example",
                "bob@example.org",
                write("bob@example.org"),
            ),
            (
                "bob@old.example",
                "bob@example.org",
                write("bob@example.org"),
            ),
            ("bob", "bob@example.org", write("bob@example.org")),
            ("bob@example.com", "bob@example.com", None),
            // An alias, which another leads to.
            ("alice@example.org", "alice@example.org", None),
            ("Boss", "Boss", None),
            ("boss", "boss@example.org", write("boss@example.org")),
            (
                "sales@example.org",
                "sales@example.org",
                Some(
                    "[logins.aliases] rewrites it to \"alice@example.org\": write that".to_owned(),
                ),
            ),
            (
                &long,
                &format!("{long}@example.org"),
                Some("[logins] accepts no such login: remove the line".to_owned()),
            ),
        ] {
            let why = why.map(|why| format!("this login is never looked up: {why}"));
            assert_eq!(found(&logins, login), (asked.to_owned(), why), "{login}");
        }
        let masters = LineLogins::under(&rules().of_masters());
        assert_eq!(found(&masters, "Bob"), ("Bob".to_owned(), None));
        assert_eq!(found(&masters, "Bob@alias.example").0, "Bob@example.org");
    }

    #[test]
    fn without_rules_every_login_counts_as_it_is_written() {
        for logins in [
            LineLogins::default(),
            LineLogins::under(&LoginRules::default()),
        ] {
            for (login, asked) in [
                ("Bob", "Bob"),
                ("Bob@EXAMPLE.org", "Bob@example.org"),
                ("", ""),
            ] {
                assert_eq!(found(&logins, login), (asked.to_owned(), None));
            }
        }
    }

    #[test]
    fn in_the_file_of_a_domain_logins_can_be_without_it() {
        let logins = LineLogins::under(&LoginRules::default()).of_domain("example.org");
        let strange = "this login is never looked up: the file is for the domain \"example.org\"";
        for (login, asked, why) in [
            ("bob", "bob@example.org", None),
            ("bob@Example.org", "bob@example.org", None),
            ("bob@example.com", "bob@example.com", Some(strange)),
            ("bob@", "bob@", Some(strange)),
            (
                "bob@example.com@example.org",
                "bob@example.com@example.org",
                None,
            ),
        ] {
            let why = why.map(str::to_owned);
            assert_eq!(found(&logins, login), (asked.to_owned(), why), "{login}");
        }
        let stripped = LineLogins::under(&rules()).of_domain("example.org");
        assert_eq!(found(&stripped, "Bob").0, "bob@example.org");
    }
}
