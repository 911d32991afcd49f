//! Remembers right passwords, so that they are not hashed again.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::secret::keyed_digest::Key;
use crate::secret::{Password, Secret};

/// Remembers that a password was right for a stored hash.
///
/// It stores a keyed digest of the two together. The key is new in each process and never leaves
/// it, so passwords cannot be read from the digest or guessed with it elsewhere. The stored hash is
/// part of the digest, and the store is asked for it at every login; so a changed or deleted hash
/// takes effect at once, and no entry can be stale. A wrong password is always hashed.
pub(super) struct Verified {
    /// `None`: nothing is remembered.
    tags: Option<Tags>,
}

/// The digest of one stored hash and its password.
pub(super) type Tag = u128;

struct Tags {
    key: Key,
    /// The maximum number of tags in one generation.
    bound: usize,
    generations: Mutex<Generations>,
}

/// New tags go into the younger generation. When it is full it becomes the older one, and the tags
/// of the old one that were not used since are forgotten.
#[derive(Default)]
struct Generations {
    younger: HashSet<Tag>,
    older: HashSet<Tag>,
}

impl Verified {
    /// Remembers up to this number. Without random bytes for a key, it remembers nothing.
    pub(super) fn new(bound: Option<NonZeroUsize>) -> Self {
        let tags = bound.and_then(|bound| {
            Some(Tags {
                key: Key::random()?,
                bound: bound.get().div_ceil(2),
                generations: Mutex::default(),
            })
        });
        Self { tags }
    }

    /// The maximum number of remembered passwords.
    pub(super) fn bound(&self) -> Option<usize> {
        self.tags.as_ref().map(|tags| tags.bound)
    }

    /// The tag of a stored hash with a password; `None` if nothing is remembered.
    pub(super) fn tag(&self, secret: &Secret, password: &Password) -> Option<Tag> {
        let tags = self.tags.as_ref()?;
        let digest = tags.key.digest(&[secret.stored(), password.reveal()])?;
        let (half, _) = digest.split_first_chunk::<16>()?;
        Some(Tag::from_le_bytes(*half))
    }

    /// Whether this password was right before.
    pub(super) fn knows(&self, tag: Tag) -> bool {
        let Some(tags) = &self.tags else {
            return false;
        };
        let mut generations = tags.lock();
        if generations.younger.contains(&tag) {
            return true;
        }
        let known = generations.older.remove(&tag);
        if known {
            tags.keep(&mut generations, tag);
        }
        known
    }

    /// Remembers that this password was right.
    pub(super) fn remember(&self, tag: Tag) {
        if let Some(tags) = &self.tags {
            tags.keep(&mut tags.lock(), tag);
        }
    }
}

impl Tags {
    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, generations: &mut Generations, tag: Tag) {
        if generations.younger.len() >= self.bound {
            generations.older = std::mem::take(&mut generations.younger);
        }
        generations.younger.insert(tag);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::WeakSchemes;

    fn secret(text: &str) -> Secret {
        Secret::parse(text.as_bytes(), WeakSchemes::Allowed)
            .unwrap()
            .unwrap()
    }

    fn password(text: &str) -> Password {
        Password::new(text.into()).unwrap()
    }

    fn tag(verified: &Verified, stored: &str, typed: &str) -> Tag {
        verified.tag(&secret(stored), &password(typed)).unwrap()
    }

    #[test]
    fn only_the_same_pair_is_remembered() {
        let verified = Verified::new(NonZeroUsize::new(10));
        verified.remember(tag(&verified, "{PLAIN}ab", "cd"));
        assert!(verified.knows(tag(&verified, "{PLAIN}ab", "cd")));
        for (stored, typed) in [
            ("{PLAIN}ab", "ce"),
            ("{PLAIN}ax", "cd"),
            ("{PLAIN}abc", "d"),
            ("{PLAIN}a", "bcd"),
        ] {
            assert!(
                !verified.knows(tag(&verified, stored, typed)),
                "{stored} {typed}"
            );
        }
        // Another process has another key.
        let other = Verified::new(NonZeroUsize::new(10));
        assert_ne!(
            tag(&verified, "{PLAIN}ab", "cd"),
            tag(&other, "{PLAIN}ab", "cd")
        );
    }

    #[test]
    fn the_bound_holds_and_what_is_used_stays() {
        let verified = Verified::new(NonZeroUsize::new(100));
        verified.remember(0);
        for tag in 1..10_000 {
            verified.remember(tag);
            assert!(verified.knows(0));
        }
        let tags = verified.tags.as_ref().unwrap().lock();
        assert!(tags.younger.len() + tags.older.len() <= 100);
        assert!(!tags.younger.contains(&1) && !tags.older.contains(&1));
    }

    /// Each generation holds half of the bound.
    #[test]
    fn a_generation_is_dropped_when_the_next_one_is_full() {
        let verified = Verified::new(NonZeroUsize::new(5));
        assert_eq!(verified.bound(), Some(3));
        let held = || {
            let tags = verified.tags.as_ref().unwrap().lock();
            let sorted = |tags: &HashSet<Tag>| {
                let mut tags: Vec<_> = tags.iter().copied().collect();
                tags.sort_unstable();
                tags
            };
            (sorted(&tags.older), sorted(&tags.younger))
        };
        for tag in 1..=3 {
            verified.remember(tag);
        }
        assert_eq!(held(), (vec![], vec![1, 2, 3]));
        verified.remember(4);
        assert_eq!(held(), (vec![1, 2, 3], vec![4]));
        assert!(verified.knows(2) && verified.knows(4) && !verified.knows(9));
        assert_eq!(held(), (vec![1, 3], vec![2, 4]));
        verified.remember(5);
        verified.remember(6);
        assert_eq!(held(), (vec![2, 4, 5], vec![6]));
        assert!(!verified.knows(1) && !verified.knows(3));
    }

    #[test]
    fn a_bound_of_zero_remembers_nothing() {
        let verified = Verified::new(None);
        assert_eq!(verified.tag(&secret("{PLAIN}a"), &password("b")), None);
        verified.remember(1);
        assert!(!verified.knows(1));
    }
}
