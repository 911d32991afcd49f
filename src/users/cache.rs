//! The cache of right passwords, for stores that check passwords themselves.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Account, PasswordCheck, Question, StoreError};
use crate::secret::Password;
use crate::secret::keyed_digest::{Digest, Key};

/// The maximum number of remembered logins. The oldest entries are removed first.
const MAX_ENTRIES: usize = 10_000;

/// The accepted passwords of one store, each remembered for the lifetime of the cache.
///
/// The cache remembers acceptances only, never a refusal and never trouble. An entry expires when its
/// lifetime is over, counted from the store's own answer. A cache hit does not prolong it. A wrong password,
/// about which the store is always asked, does not end it. If the store accepts another password of the same
/// login, the entry ends, as in Dovecot's cache: the old password is probably no longer right. Until then, or
/// until the entry expires, an old password is accepted although the user has changed it.
///
/// An entry is a keyed digest of everything that the answer can depend on: the account that the store found
/// before it checked the password, the login, the password, the protocol, the address of the client, and the
/// other values that nginx sends about the connection, such as whether it is encrypted. The digest reveals no
/// password, and no password can be tested against it. Each store has its own cache and key.
pub struct Cache {
    lifetime: Duration,
    /// `None`: the system provided no random bytes for it, and nothing is remembered.
    key: Option<Key>,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    entries: HashMap<Digest, Entry>,
    /// The entries in the order of their ends; some of them have been removed from the map already.
    order: VecDeque<(Digest, Instant)>,
}

struct Entry {
    login: Digest,
    password: Digest,
    account: Account,
    end: Instant,
}

/// The key of a question in the cache.
struct Digests {
    whole: Digest,
    login: Digest,
    password: Digest,
}

impl Cache {
    /// Remembers each acceptance for `lifetime`.
    pub fn new(lifetime: Duration) -> Self {
        Self {
            lifetime,
            key: Key::random(),
            entries: Mutex::default(),
        }
    }

    /// Whether the password is right: from the cache, else by `verify`, which asks the store.
    pub fn verify(
        &self,
        asked: &Question<'_>,
        account: &mut Account,
        password: &Password,
        verify: impl FnOnce(&mut Account) -> Result<PasswordCheck, StoreError>,
    ) -> Result<PasswordCheck, StoreError> {
        let Some(digests) = self.digests(asked, account, password) else {
            return verify(account);
        };
        if let Some(known) = self.entries().recall(&digests, Instant::now()) {
            *account = known;
            return Ok(PasswordCheck::Right);
        }
        let checked = verify(account)?;
        if checked == PasswordCheck::Right {
            let known = account.clone();
            self.entries()
                .remember(digests, known, Instant::now(), self.lifetime);
        }
        Ok(checked)
    }

    fn digests(
        &self,
        asked: &Question<'_>,
        account: &Account,
        password: &Password,
    ) -> Option<Digests> {
        let key = self.key.as_ref()?;
        let login = asked.login.as_bytes();
        let client = asked.client.map(|address| address.to_string());
        let account = format!("{account:?}");
        let session = &asked.session;
        // Without the values that differ for each connection: the number of the attempt and the client's
        // port.
        let proxied_from = session.proxied_from.map(|(address, _)| address);
        let session = (session.host, session.tls, proxied_from, session.proxied_to);
        let session = format!("{session:?}");
        let whole: [&[u8]; 7] = [
            b"question",
            login,
            password.reveal(),
            asked.protocol.word().as_bytes(),
            client.as_deref().unwrap_or_default().as_bytes(),
            account.as_bytes(),
            session.as_bytes(),
        ];
        Some(Digests {
            whole: key.digest(&whole)?,
            login: key.digest(&[b"login", login])?,
            password: key.digest(&[b"password", password.reveal()])?,
        })
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn recall(&self, digests: &Digests, now: Instant) -> Option<Account> {
        let entry = self.entries.get(&digests.whole)?;
        (now < entry.end).then(|| entry.account.clone())
    }

    fn remember(&mut self, digests: Digests, account: Account, now: Instant, lifetime: Duration) {
        let Digests {
            whole,
            login,
            password,
        } = digests;
        self.entries
            .retain(|_, entry| entry.login != login || entry.password == password);
        let end = now + lifetime;
        let entry = Entry {
            login,
            password,
            account,
            end,
        };
        self.entries.insert(whole, entry);
        self.order.push_back((whole, end));
        while let Some((oldest, its_end)) = self.order.front().copied() {
            if self.order.len() <= MAX_ENTRIES && now < its_end {
                break;
            }
            self.order.pop_front();
            if self
                .entries
                .get(&oldest)
                .is_some_and(|entry| entry.end == its_end)
            {
                self.entries.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests;
