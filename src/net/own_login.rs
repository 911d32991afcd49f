//! The program's own accounts at other servers: for searching a directory, reading a database,
//! asking about tokens.
//!
//! Some servers lock an account after a few wrong passwords. If the program's password has become
//! wrong, each login of a user would send it again. So a refused account pauses. The same account
//! with another password, or at another server, counts as another account.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a refused password is not tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);

/// The maximum number of remembered accounts. Each reload with another password adds one.
const MAX_ACCOUNTS: usize = 1000;

/// The accounts of this process; they stay the same when a configuration is loaded again.
static ACCOUNTS: LazyLock<Accounts> = LazyLock::new(|| Accounts {
    key: RandomState::new(),
    states: Mutex::default(),
    changed: Condvar::new(),
});

struct Accounts {
    /// Passwords are remembered as a digest under a secret key of this process.
    key: RandomState,
    states: Mutex<HashMap<u64, State>>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The time and the server's text of the last refusal, if there was no success since.
    refused: Option<(Instant, String)>,
    /// Whether an exclusive attempt is in progress.
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

/// Why an account is not used now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// The server refused it with this text, and it pauses.
    Refused(String),
    /// Another exclusive attempt did not end in time.
    TimedOut,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "it was refused less than a minute ago: {why}"),
            Self::TimedOut => f.write_str("no answer in time"),
        }
    }
}

impl OwnLogin {
    /// The account `user` at the servers that `place` names.
    pub fn new(place: &dyn fmt::Display, user: &[u8], password: &[u8]) -> Self {
        let digest = ACCOUNTS.key.hash_one((place.to_string(), user, password));
        Self { digest }
    }

    /// Allows an attempt, unless the account pauses. After the pause, one attempt is allowed.
    pub fn attempt(&self) -> Result<Attempt<'_>, Unavailable> {
        self.enter(&mut ACCOUNTS.lock(), false, Instant::now())
    }

    /// Like [`Self::attempt`], but exclusive, for a server that locks accounts: if several logins
    /// found a wrong password at once, each would count as one more failure there.
    pub fn attempt_alone(&self, deadline: Instant) -> Result<Attempt<'_>, Unavailable> {
        let mut states = ACCOUNTS.lock();
        while states.get(&self.digest).is_some_and(|state| state.trying) {
            let left = deadline.checked_duration_since(Instant::now());
            let left = left.ok_or(Unavailable::TimedOut)?;
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
    ) -> Result<Attempt<'_>, Unavailable> {
        if states.len() >= MAX_ACCOUNTS {
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
            if now.saturating_duration_since(*since) < RETRY_INTERVAL {
                return Err(Unavailable::Refused(why.clone()));
            }
            // The others wait for the result.
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

/// One attempt to log in with an account. If neither outcome is reported, the server did not
/// answer.
#[must_use]
pub struct Attempt<'a> {
    own: &'a OwnLogin,
    alone: bool,
    /// When the account was refused before this attempt.
    before: Option<Instant>,
}

impl Attempt<'_> {
    /// Notes a refusal with this text. Returns whether it is the first.
    pub fn refused(mut self, why: impl Into<String>) -> bool {
        let news = self.before.take().is_none();
        let mut states = ACCOUNTS.lock();
        let state = states.entry(self.own.digest).or_default();
        state.refused = Some((Instant::now(), why.into()));
        news
    }

    /// Notes a success. Returns whether it was refused before.
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
            // The next attempt is allowed.
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
        let rests = Err(Unavailable::Refused("wrong".to_owned()));
        for own in [&old, &own("rests", "old")] {
            assert_eq!(own.attempt().map(drop), rests);
            let soon = Instant::now() + Duration::from_secs(20);
            assert_eq!(own.attempt_alone(soon).map(drop), rests);
        }
        for other in [own("rests", "new"), own("other", "old")] {
            assert!(!other.attempt().unwrap().accepted());
        }
        // After the pause one attempt is allowed; if the server does not answer it, the next one.
        let later = Instant::now() + RETRY_INTERVAL;
        let again = |now| old.enter(&mut ACCOUNTS.lock(), false, now);
        let attempt = again(later).unwrap();
        assert_eq!(again(later).map(drop), rests);
        drop(attempt);
        let attempt = again(later).unwrap();
        assert!(!attempt.refused("still wrong"), "that is no news");
        assert!(old.attempt().is_err());
        let attempt = again(Instant::now() + RETRY_INTERVAL).unwrap();
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
            Err(Unavailable::TimedOut)
        );
        thread::scope(|scope| {
            let others: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| own.attempt_alone(long).map(drop)))
                .collect();
            first.refused("wrong");
            for other in others {
                let said = other.join().unwrap();
                assert_eq!(said, Err(Unavailable::Refused("wrong".to_owned())));
            }
        });
    }
}
