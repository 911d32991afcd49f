//! The decoy of an unknown login at a directory.

use std::time::{Duration, Instant};

use rustix::rand::{GetRandomFlags, getrandom};

use super::LdapStore;
use super::entry::Stored;
use super::filter::FilledFilter;
use super::message::Scope;
use super::pool::Role;
use crate::secret::Secret;
use crate::users::{Passwords, Question};

/// The time limit of a decoy.
const DECOY_TIME: Duration = Duration::from_millis(300);

impl LdapStore {
    /// Sends the server the operations of a password check, with a name that no user has. The server computes
    /// no hash for that name; the decision delays the answer for the remaining time.
    ///
    /// The name of an existing user is unsuitable: failed binds may lock the account.
    pub(super) fn bind_as_nobody(&self, asked: &Question<'_>, base: &[u8]) {
        let (Some(nobody), Some(password)) = (random_word(), random_word()) else {
            return;
        };
        let separator: &[u8] = if base.is_empty() { b"" } else { b"," };
        let name = [b"cn=", nobody.as_bytes(), separator, base].concat();
        let deadline = asked.deadline.min(Instant::now() + DECOY_TIME);
        self.pool.ask_aside(Role::Bind, deadline, |connection| {
            connection.bind(&name, password.as_bytes())
        });
    }

    /// The secret of some user, if none has been read yet.
    pub(super) fn any_secret(
        &self,
        stored: &Stored,
        asked: &Question<'_>,
        base: &[u8],
        scope: Scope,
    ) -> Option<Secret> {
        let filter = FilledFilter::present(&stored.attribute);
        let deadline = asked.deadline.min(Instant::now() + DECOY_TIME);
        let found = self.pool.ask_aside(Role::Search, deadline, |connection| {
            self.search(connection, (base, scope), &filter, 1, deadline)
        })?;
        match stored.passwords(found.entries.first()?).0 {
            Some(Passwords::Stored(credentials)) => {
                Some(credentials.first()?.secret.clone().into_decoy())
            }
            _ => None,
        }
    }
}

/// A random word of 32 characters.
pub(super) fn random_word() -> Option<String> {
    let mut bytes = [0u8; 16];
    // getrandom(2) always fills up to 256 bytes.
    let got = getrandom(&mut bytes, GetRandomFlags::empty()).ok()?;
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    (got == bytes.len()).then(|| digits.collect())
}
