//! Chooses the decoy of an unknown login from the secrets of users that the store has seen.
//!
//! If users have passwords of several schemes, some take longer to check than others. If all unknown logins
//! took the time of one scheme, a login that takes longer or shorter would be known to exist. So unknown
//! logins are spread over the secrets of users, and each login always uses the same one.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::secret::Secret;

/// The maximum number of remembered secrets: enough to have the schemes in about the same proportion as the
/// users.
const PLACES: usize = 64;

/// How long a secret is kept, although another user would get its slot. If the time of a login kept changing,
/// a client could tell that it is unknown.
const KEPT: Duration = Duration::from_secs(3600);

/// Secrets of users that serve as decoys.
pub(super) struct Decoys {
    /// A client cannot tell which logins share a slot.
    key: RandomState,
    places: Mutex<[Option<KnownDecoy>; PLACES]>,
}

struct KnownDecoy {
    decoy: Secret,
    since: Instant,
}

impl Default for Decoys {
    fn default() -> Self {
        Self {
            key: RandomState::new(),
            places: Mutex::new([const { None }; PLACES]),
        }
    }
}

impl Decoys {
    /// Takes note of the secret of a user.
    pub(super) fn see(&self, user: &[u8], secret: &Secret) {
        let place = self.place_of(user);
        let mut places = self.lock();
        if let Some(place) = places.get_mut(place)
            && place
                .as_ref()
                .is_none_or(|kept| kept.since.elapsed() > KEPT)
        {
            *place = Some(KnownDecoy {
                decoy: secret.clone().into_decoy(),
                since: Instant::now(),
            });
        }
    }

    /// The decoy of an unknown login; `None` if the store has seen no secret yet.
    pub(super) fn of(&self, login: &[u8]) -> Option<Secret> {
        let places = self.lock();
        let (before, after) = places.split_at_checked(self.place_of(login))?;
        let mut kept = after.iter().chain(before).flatten();
        kept.next().map(|kept| kept.decoy.clone())
    }

    fn place_of(&self, name: &[u8]) -> usize {
        (self.key.hash_one(name) % PLACES as u64) as usize
    }

    fn lock(&self) -> MutexGuard<'_, [Option<KnownDecoy>; PLACES]> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Scheme, WeakSchemes};

    fn secret(stored: &str) -> Secret {
        let parsed = Secret::parse(stored.as_bytes(), WeakSchemes::Allowed);
        parsed.unwrap().unwrap()
    }

    #[test]
    fn unknown_logins_are_spread_as_the_schemes_are_and_stay_where_they_are() {
        let decoys = Decoys::default();
        assert!(decoys.of(b"nobody").is_none());
        let (slow, fast) = (
            secret("$5$saltsalt$hcyDOxdIg0p3xyqtpHh/v8Ph.am06tQaovp1KpEklb7"),
            secret("{SHA}EfatjsUqKYSrqv18O1FlA3hcIHI="),
        );
        let see = |from: u32| {
            for number in from..from + 1000 {
                let user = format!("user{number}");
                decoys.see(user.as_bytes(), if number % 4 == 0 { &slow } else { &fast });
            }
        };
        see(0);
        let scheme_of = |number: u32| {
            let decoy = decoys.of(format!("nobody{number}").as_bytes()).unwrap();
            assert!(decoy.is_decoy());
            decoy.scheme()
        };
        let before: Vec<_> = (0..1000).map(scheme_of).collect();
        let slow = before
            .iter()
            .filter(|scheme| **scheme == Scheme::Sha256Crypt);
        // A quarter of the places, more or less.
        let slow = slow.count();
        assert!((20..600).contains(&slow), "{slow}");
        see(1001);
        let after: Vec<_> = (0..1000).map(scheme_of).collect();
        assert_eq!(before, after);
    }
}
