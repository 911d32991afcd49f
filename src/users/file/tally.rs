//! Counts the users of a password file, and those that can never log in.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use super::FileStore;
use super::line::{FlawKind, Line};
use super::text::lines;
use crate::secret::SecretError;

/// The users of a password file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The number of lines with a login.
    pub users: usize,
    /// How many of them can never log in, by reason.
    pub never: BTreeMap<&'static str, usize>,
}

impl Tally {
    /// Adds the users of another file.
    pub fn add(&mut self, other: &Self) {
        self.users += other.users;
        for (why, number) in &other.never {
            *self.never.entry(why).or_default() += number;
        }
    }
}

impl FileStore {
    /// Counts the users. Each line is counted under the first reason that applies.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        let mut times: HashMap<Vec<u8>, usize> = HashMap::new();
        let all = || lines(&self.bytes).filter_map(|(_, text)| Line::cut(text));
        for line in all() {
            *times
                .entry(self.logins.asked(line.login).to_vec())
                .or_default() += 1;
        }
        for line in all() {
            tally.users += 1;
            let twice = times
                .get(&*self.logins.asked(line.login))
                .is_some_and(|times| *times > 1);
            let why = match twice {
                true => Some("the login is on several lines"),
                false => self.why_never(&line),
            };
            if let Some(why) = why {
                *tally.never.entry(why).or_default() += 1;
            }
        }
        tally
    }

    fn why_never(&self, line: &Line<'_>) -> Option<&'static str> {
        let account = match line.check(&self.rules, |_, _| {}) {
            Ok(account) => account,
            Err(flaw) => {
                return Some(match flaw.kind {
                    FlawKind::Secret(SecretError::Weak(_)) => "a weak scheme, which is not allowed",
                    FlawKind::Secret(SecretError::UnknownScheme) => "an unknown scheme",
                    FlawKind::Secret(SecretError::Unsupported(_)) => {
                        "a scheme that is not supported"
                    }
                    FlawKind::Secret(SecretError::OverLimit { .. } | SecretError::TooCostly(_)) => {
                        "a hash that costs too much"
                    }
                    FlawKind::Secret(SecretError::Damaged(_)) => "a damaged hash",
                    FlawKind::Structure(_) => "a malformed line",
                    FlawKind::Twice { .. } => "the login is on several lines",
                });
            }
        };
        let expired = account.expires.is_some_and(|end| end <= SystemTime::now());
        let locked = || self.apps.is_none() && matches!(line.secret(&self.rules), Ok(None));
        match () {
            () if account.disabled => Some("disabled by nologin"),
            () if expired => Some("expired"),
            () if locked() => Some("no password, or a locked one"),
            () => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::file::Settings;

    #[test]
    fn each_user_that_can_never_log_in_is_counted_once() {
        let text = "# a comment\n\
                    good:{SSHA512}damaged\n\
                    alice:$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$y9M0zV0z3b2XrTq2Q2dS1f8qvXq7pJmQxw2k3G1u8jM\n\
                    weak:{PLAIN}x\n\
                    unknown:{NO-SUCH}x\n\
                    locked:!\n\
                    off:!::::::nologin\n\
                    twice:!\n\
                    twice:!\n\
                    no colon\n";
        let settings = Settings {
            path: "users".into(),
            allow_weak_schemes: false,
            max_hash_ms: 500,
            app_passwords: None,
            default_scheme: None,
            logins: Default::default(),
            rehash: None,
        };
        let store = FileStore::load(text.as_bytes().to_vec(), &settings).unwrap();
        let tally = store.tally();
        assert_eq!(tally.users, 9);
        let never = [
            ("a damaged hash", 1),
            ("a malformed line", 1),
            ("a weak scheme, which is not allowed", 1),
            ("an unknown scheme", 1),
            ("disabled by nologin", 1),
            ("no password, or a locked one", 1),
            ("the login is on several lines", 2),
        ];
        assert_eq!(tally.never, never.into());
        let mut both = tally.clone();
        both.add(&tally);
        assert_eq!((both.users, both.never["an unknown scheme"]), (18, 2));
    }
}
