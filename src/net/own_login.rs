//! Our own accounts at servers: who searches a directory, who reads a database, who asks about tokens.
//!
//! Some servers lock an account after a few wrong passwords. A password of ours that has become
//! wrong would be one at every login of a user, so it rests once it was refused. With another
//! password, or at another server, an account is another one.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a password that was refused is not tried again.
const REST: Duration = Duration::from_secs(60);

/// How many accounts are remembered. Each reload with another password adds one.
const MOST: usize = 1000;

/// The accounts of this process; those of a configuration that is loaded again are the same.
static ACCOUNTS: LazyLock<Accounts> = LazyLock::new(|| Accounts {
    key: RandomState::new(),
    states: Mutex::default(),
    changed: Condvar::new(),
});

struct Accounts {
    /// Passwords are remembered by a digest with a key that nobody outside knows.
    key: RandomState,
    states: Mutex<HashMap<u64, State>>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// When it was refused, and in which words, since it last was taken.
    refused: Option<(Instant, String)>,
    /// Whether somebody tries it alone.
    trying: bool,
}

impl Accounts {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One account with its password.
pub struct OwnLogin {
    digest: u64,
}

/// Why an account is not tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// It was refused, in these words, and rests.
    Rests(String),
    /// Somebody tries it, and did not come back in time.
    Late,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rests(why) => write!(f, "it was refused less than a minute ago: {why}"),
            Self::Late => f.write_str("no answer in time"),
        }
    }
}

impl OwnLogin {
    /// The account `user` at the servers that `place` names.
    pub fn new(place: &dyn fmt::Display, user: &[u8], password: &[u8]) -> Self {
        let digest = ACCOUNTS.key.hash_one((place.to_string(), user, password));
        Self { digest }
    }

    /// The right to try it, unless it rests. When its rest is over, one may.
    pub fn attempt(&self) -> Result<Attempt<'_>, Closed> {
        self.enter(&mut ACCOUNTS.lock(), false, Instant::now())
    }

    /// The same, and nobody else tries it meanwhile, for a server that locks accounts: of several
    /// logins that find the password wrong at once, each would be one more.
    pub fn attempt_alone(&self, deadline: Instant) -> Result<Attempt<'_>, Closed> {
        let mut states = ACCOUNTS.lock();
        while states.get(&self.digest).is_some_and(|state| state.trying) {
            let left = deadline.checked_duration_since(Instant::now());
            let left = left.ok_or(Closed::Late)?;
            (states, _) = ACCOUNTS
                .changed
                .wait_timeout(states, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
        self.enter(&mut states, true, Instant::now())
    }

    fn enter(
        &self,
        states: &mut HashMap<u64, State>,
        alone: bool,
        now: Instant,
    ) -> Result<Attempt<'_>, Closed> {
        if states.len() >= MOST {
            states.retain(|_, state| state.trying || state.refused.is_some());
        }
        if !alone && !states.contains_key(&self.digest) {
            return Ok(Attempt {
                own: self,
                alone,
                before: None,
            });
        }
        let state = states.entry(self.digest).or_default();
        let mut before = None;
        if let Some((since, why)) = &mut state.refused {
            if now.saturating_duration_since(*since) < REST {
                return Err(Closed::Rests(why.clone()));
            }
            // The others wait for what comes of it.
            before = Some(*since);
            *since = now;
        }
        state.trying |= alone;
        Ok(Attempt {
            own: self,
            alone,
            before,
        })
    }
}

/// One attempt to log in with an account. If nothing is said of it, it was not answered.
#[must_use]
pub struct Attempt<'a> {
    own: &'a OwnLogin,
    alone: bool,
    /// Since when the account had been refused.
    before: Option<Instant>,
}

impl Attempt<'_> {
    /// It was refused, in these words. Whether that is news.
    pub fn refused(mut self, why: impl Into<String>) -> bool {
        let news = self.before.take().is_none();
        let mut states = ACCOUNTS.lock();
        let state = states.entry(self.own.digest).or_default();
        state.refused = Some((Instant::now(), why.into()));
        news
    }

    /// It was taken. Whether it was refused before.
    pub fn accepted(mut self) -> bool {
        self.before = None;
        let mut states = ACCOUNTS.lock();
        let state = states.get_mut(&self.own.digest);
        state.is_some_and(|state| state.refused.take().is_some())
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.alone && self.before.is_none() {
            return;
        }
        let mut states = ACCOUNTS.lock();
        if let Some(state) = states.get_mut(&self.own.digest) {
            // Who comes next may try.
            if let (Some(before), Some((since, _))) = (self.before, &mut state.refused) {
                *since = before;
            }
            if self.alone {
                state.trying = false;
            }
        }
        drop(states);
        ACCOUNTS.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn own(user: &str, password: &str) -> OwnLogin {
        OwnLogin::new(&"ldap://test", user.as_bytes(), password.as_bytes())
    }

    #[test]
    fn what_was_refused_rests_until_its_password_is_another_or_a_minute_is_over() {
        let old = own("rests", "old");
        assert!(old.attempt().unwrap().refused("wrong"));
        let rests = Err(Closed::Rests("wrong".to_owned()));
        for own in [&old, &own("rests", "old")] {
            assert_eq!(own.attempt().map(drop), rests);
            let soon = Instant::now() + Duration::from_secs(20);
            assert_eq!(own.attempt_alone(soon).map(drop), rests);
        }
        for other in [own("rests", "new"), own("other", "old")] {
            assert!(!other.attempt().unwrap().accepted());
        }
        // When it is over, one tries again; if nobody answers, the next one.
        let later = Instant::now() + REST;
        let again = |now| old.enter(&mut ACCOUNTS.lock(), false, now);
        let attempt = again(later).unwrap();
        assert_eq!(again(later).map(drop), rests);
        drop(attempt);
        let attempt = again(later).unwrap();
        assert!(!attempt.refused("still wrong"), "that is no news");
        assert!(old.attempt().is_err());
        let attempt = again(Instant::now() + REST).unwrap();
        assert!(attempt.accepted());
        assert!(!old.attempt().unwrap().accepted());
    }

    #[test]
    fn alone_means_that_the_others_see_what_comes_of_it() {
        let own = own("alone", "x");
        let long = Instant::now() + Duration::from_secs(20);
        let first = own.attempt_alone(long).unwrap();
        assert_eq!(
            own.attempt_alone(Instant::now()).map(drop),
            Err(Closed::Late)
        );
        thread::scope(|scope| {
            let others: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| own.attempt_alone(long).map(drop)))
                .collect();
            first.refused("wrong");
            for other in others {
                let said = other.join().unwrap();
                assert_eq!(said, Err(Closed::Rests("wrong".to_owned())));
            }
        });
    }
}
