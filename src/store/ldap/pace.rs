//! How long the binds of users take, so that those of nobody take as long.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::request::Login;

/// How many binds are remembered.
const RECENT: usize = 16;

/// The last binds of users that there are.
#[derive(Default)]
pub(super) struct Pace {
    recent: Mutex<VecDeque<Duration>>,
    key: RandomState,
}

impl Pace {
    /// Takes in how long the bind of a user took, whether the password was right or not.
    pub(super) fn note(&self, took: Duration) {
        let mut recent = self.recent();
        if recent.len() >= RECENT {
            recent.pop_front();
        }
        recent.push_back(took);
    }

    /// How long a bind of this login, which nobody has, is to take. Which of the last ones it is
    /// like depends on the login: were it another each time, their mean would give it away.
    pub(super) fn of(&self, login: &Login) -> Duration {
        let recent = self.recent();
        let place = self.key.hash_one(login.as_bytes()) as usize;
        let place = place.checked_rem(recent.len()).unwrap_or_default();
        recent.get(place).copied().unwrap_or_default()
    }

    fn recent(&self) -> MutexGuard<'_, VecDeque<Duration>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_like_one_of_the_last_users() {
        let pace = Pace::default();
        let login = Login::new(b"nobody".to_vec()).unwrap();
        assert_eq!(pace.of(&login), Duration::ZERO);
        for milliseconds in 0..100 {
            pace.note(Duration::from_millis(milliseconds));
        }
        let like = pace.of(&login);
        assert!((84..100).contains(&like.as_millis()), "{like:?}");
        assert_eq!(pace.of(&login), like);
        assert_eq!(pace.recent().len(), RECENT);
    }
}
