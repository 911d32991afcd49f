//! Right passwords that a store which only checks them need not be asked about again, for a short
//! while.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hmac::{HmacReset, KeyInit as _, Mac as _};
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Account, Checked, Decoy, Question, StoreError, UserStore};
use crate::secret::Password;

/// How many logins are remembered. The oldest go first.
const MAX_ENTRIES: usize = 10_000;

/// A store whose yes is remembered for some time.
///
/// Only a yes is: never a no, and never that the store could not say. It ends when its time is up,
/// counted from the store's own word; being asked for does not lengthen it, nor does a wrong
/// password, about which the store is always asked, end it. As in Dovecot's cache, what does end
/// it is the store's yes to another password of the same login: the old one is likely no longer
/// right. Until then, or until its time is up, an old password stays good although it was changed.
///
/// What is kept is a keyed digest of everything that the answer may depend on: what the store says
/// of the account before it checks the password, login, password, protocol, address of the
/// client, and what else nginx says of its connection, such as whether it is encrypted. The key is made anew for each store that is opened and wiped when it goes, so no
/// password can be read or tried from what is left. Another store has another memory.
pub struct Cached<S> {
    store: S,
    lifetime: Duration,
    /// `None`: there were no random bytes for it, and nothing is remembered.
    key: Option<Zeroizing<[u8; 32]>>,
    memory: Mutex<Memory>,
}

type Digest = [u8; 32];

#[derive(Default)]
struct Memory {
    entries: HashMap<Digest, Entry>,
    /// The entries in the order of their ends, with some that are no more.
    order: VecDeque<(Digest, Instant)>,
}

struct Entry {
    login: Digest,
    password: Digest,
    account: Account,
    end: Instant,
}

/// What a question is remembered by.
struct Digests {
    whole: Digest,
    login: Digest,
    password: Digest,
}

impl<S: UserStore> Cached<S> {
    /// Remembers each yes of `store` for `lifetime`.
    pub fn new(store: S, lifetime: Duration) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        // Up to 256 bytes come whole (getrandom(2)).
        let got = getrandom(&mut *key, GetRandomFlags::empty());
        Self {
            store,
            lifetime,
            key: (got == Ok(key.len())).then_some(key),
            memory: Mutex::default(),
        }
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
        // But for what is new at each connection: the attempt and the client's port.
        let proxied_from = session.proxied_from.map(|(address, _)| address);
        let session = (session.host, session.tls, proxied_from, session.proxied_to);
        let session = format!("{session:?}");
        let whole: [&[u8]; 6] = [
            login,
            password.reveal(),
            asked.protocol.word().as_bytes(),
            client.as_deref().unwrap_or_default().as_bytes(),
            account.as_bytes(),
            session.as_bytes(),
        ];
        Some(Digests {
            whole: digest(key, b"question", &whole)?,
            login: digest(key, b"login", &[login])?,
            password: digest(key, b"password", &[password.reveal()])?,
        })
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keyed digest of some values; each is preceded by its length, so that no two lists look
/// alike.
fn digest(key: &[u8; 32], kind: &[u8], values: &[&[u8]]) -> Option<Digest> {
    let mut mac = HmacReset::<Sha256>::new_from_slice(key).ok()?;
    for value in [kind].iter().chain(values) {
        mac.update(&(value.len() as u64).to_be_bytes());
        mac.update(value);
    }
    // Not by value: that would leave what it holds of the password on the stack.
    Some(mac.finalize_reset().into_bytes().into())
}

impl Memory {
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

impl<S: UserStore> UserStore for Cached<S> {
    fn find(&self, asked: &Question<'_>) -> Result<Option<Account>, StoreError> {
        self.store.find(asked)
    }

    fn verify(
        &self,
        asked: &Question<'_>,
        account: &mut Account,
        password: &Password,
    ) -> Result<Checked, StoreError> {
        let Some(digests) = self.digests(asked, account, password) else {
            return self.store.verify(asked, account, password);
        };
        if let Some(known) = self.memory().recall(&digests, Instant::now()) {
            *account = known;
            return Ok(Checked::Right);
        }
        let checked = self.store.verify(asked, account, password)?;
        if checked == Checked::Right {
            let known = account.clone();
            self.memory()
                .remember(digests, known, Instant::now(), self.lifetime);
        }
        Ok(checked)
    }

    fn host_field(&self) -> String {
        self.store.host_field()
    }

    fn knows_users(&self) -> bool {
        self.store.knows_users()
    }

    fn lacks_likeness(&self) -> Option<String> {
        self.store.lacks_likeness()
    }

    fn remarks(&self) -> Vec<String> {
        self.store.remarks()
    }

    fn decoy(&self, asked: &Question<'_>) -> Decoy {
        self.store.decoy(asked)
    }

    fn spend_time(&self, asked: &Question<'_>) {
        self.store.spend_time(asked);
    }

    fn test(&self, deadline: Instant) -> Vec<String> {
        self.store.test(deadline)
    }
}

#[cfg(test)]
mod tests;
