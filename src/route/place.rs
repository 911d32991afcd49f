//! The place of a login: a permanent number, by which users move between hosts and are shared among the
//! addresses of one.
//!
//! Places and scores are hashes that are the same on every machine and in every version: otherwise users
//! would change their server when the program is updated. The login is hashed in ASCII lower case, because
//! the mail clients of one user write it in different ways.

use std::fmt;
use std::num::NonZeroU16;

use sha2::{Digest as _, Sha256};

use crate::login::Login;

/// The position of a login among all logins, from 0 % to under 100 %: the first 8 bytes of the SHA-256 of the
/// login in lower case, as a fraction of 2^64.
///
/// `printf %s alice@example.org | sha256sum` begins with `7a64adf2`, and 0x7a64adf2 / 2^32 is 47.80 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MovePlace(u64);

impl MovePlace {
    /// The place of `login`.
    pub fn of(login: &Login) -> Self {
        Self(hash(login, None))
    }

    /// Whether it is below this percentage. A place below one percentage is below every larger one.
    pub fn is_below(self, percent: u8) -> bool {
        (u128::from(self.0) * 100) >> 64 < u128::from(percent)
    }
}

/// In percent, with two decimals, truncated rather than rounded: 29.999 % is still below 30.
impl fmt::Display for MovePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = (u128::from(self.0) * 10_000) >> 64;
        write!(f, "{}.{:02} %", hundredths / 100, hundredths % 100)
    }
}

/// The first 8 bytes of SHA-256, big-endian: of the login, or of login, NUL and `with`. A login contains no
/// NUL, so different pairs give different texts.
fn hash(login: &Login, with: Option<&str>) -> u64 {
    let mut hash = Sha256::new();
    hash.update(login.as_bytes().to_ascii_lowercase());
    if let Some(with) = with {
        hash.update([0]);
        hash.update(with);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

//------------ Score ---------------------------------------------------------

/// The score of an address for a login: the greatest score wins (rendezvous hashing, with the weights of
/// Schindelhauer and Schomaker, "Weighted distributed hash tables", 2005).
///
/// It is `weight / -log2(u)`, where `u` is the hash of login and address as a fraction of 2^64. Each address
/// wins with a probability in proportion to its weight. A score depends on no other address, so the removal
/// of an address moves only the logins that it had.
///
/// The calculation uses integers only: floating point logarithms differ between C libraries.
#[derive(Clone, Copy, Debug)]
pub struct Score {
    weight: NonZeroU16,
    /// `-log2(u)`, with [`FRACTION_BITS`]; never 0.
    cost: u64,
}

/// The number of binary digits after the point of a logarithm.
const FRACTION_BITS: u32 = 40;

impl Score {
    /// The score of an address, which is given as text, for a login.
    pub fn of(login: &Login, address: &str, weight: NonZeroU16) -> Self {
        let hash = hash(login, Some(address));
        Self {
            weight,
            cost: minus_log2(hash),
        }
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // a/c < b/d without a division. A cost has at most 47 bits, a weight 16.
        let weight = |score: &Self| u64::from(score.weight.get());
        (weight(self) * other.cost).cmp(&(weight(other) * self.cost))
    }
}

impl PartialEq for Score {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// With three decimals.
impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cost = u128::from(self.cost.max(1));
        let thousandths = ((u128::from(self.weight.get()) * 1000) << FRACTION_BITS) / cost;
        write!(f, "{}.{:03}", thousandths / 1000, thousandths % 1000)
    }
}

/// `-log2((hash + 1) / 2^64)`, but never 0, in units of 2^-[`FRACTION_BITS`].
fn minus_log2(hash: u64) -> u64 {
    let whole = hash.max(1).ilog2();
    // From 1 to under 2, with 63 digits after the point.
    let mut x = hash.max(1) << (63 - whole);
    let mut log = u64::from(whole);
    // Squaring doubles the logarithm; the overflow is its next digit.
    for _ in 0..FRACTION_BITS {
        let square = u128::from(x) * u128::from(x);
        let overflows = square >> 127;
        x = (square >> (63 + overflows)) as u64;
        log = log << 1 | overflows as u64;
    }
    (64 << FRACTION_BITS) - log
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(text: &str) -> Login {
        Login::new(text.into()).unwrap()
    }

    fn logins(count: usize) -> impl Iterator<Item = Login> {
        (0..count).map(|number| login(&format!("user{number}@example.org")))
    }

    /// Computed by another program, once and for all: these never change.
    #[test]
    fn places_are_the_same_for_ever() {
        for (text, place) in [
            ("", "88.94 %"),
            ("alice", "17.12 %"),
            ("ALICE", "17.12 %"),
            ("alice@example.org", "47.80 %"),
            ("Alice@Example.Org", "47.80 %"),
            ("bob@example.org", "40.78 %"),
            ("b\u{fc}cher", "58.42 %"),
        ] {
            assert_eq!(MovePlace::of(&login(text)).to_string(), place, "{text}");
        }
        let raw = Login::new(b"\xff\xfe".to_vec()).unwrap();
        assert_eq!(MovePlace::of(&raw).to_string(), "70.24 %");
    }

    #[test]
    fn places_are_from_0_to_below_100() {
        for (hash, percent, below) in [
            (0, 0, false),
            (0, 1, true),
            (u64::MAX, 99, false),
            (u64::MAX, 100, true),
            // 0.5 and the number before.
            (1 << 63, 50, false),
            ((1 << 63) - 1, 50, true),
        ] {
            assert_eq!(MovePlace(hash).is_below(percent), below, "{hash} {percent}");
        }
        assert_eq!(MovePlace(u64::MAX).to_string(), "99.99 %");
        assert_eq!(MovePlace(0).to_string(), "0.00 %");
    }

    #[test]
    fn places_are_spread_evenly_and_never_leave_what_they_were_below() {
        const COUNT: usize = 10_000;
        let places: Vec<_> = logins(COUNT).map(|login| MovePlace::of(&login)).collect();
        let mut before = vec![false; COUNT];
        for percent in 0..=100 {
            let now: Vec<_> = places.iter().map(|place| place.is_below(percent)).collect();
            assert!(before.iter().zip(&now).all(|(before, now)| before <= now));
            let share = now.iter().filter(|below| **below).count() * 100;
            let expected = usize::from(percent) * COUNT;
            assert!(
                share.abs_diff(expected) <= 2 * COUNT,
                "{percent} %: {share}"
            );
            before = now;
        }
        assert!(before.iter().all(|below| *below));
    }

    #[test]
    fn logarithms() {
        let exact = |hash: u64| -((hash.max(1) as f64).log2() - 64.0);
        for hash in [0, 1, 2, 3, 1000, 1 << 32, 1 << 63, u64::MAX / 3, u64::MAX] {
            let ours = minus_log2(hash) as f64 / (1u64 << FRACTION_BITS) as f64;
            assert!((ours - exact(hash)).abs() < 1e-9, "{hash}: {ours}");
            assert!(minus_log2(hash) > 0);
        }
        assert_eq!(minus_log2(1 << 63), 1 << FRACTION_BITS);
        assert_eq!(minus_log2(0), 64 << FRACTION_BITS);
    }

    /// Computed by another program, too.
    #[test]
    fn scores_are_the_same_for_ever() {
        for (text, address, weight, score) in [
            ("alice@example.org", "192.0.2.1", 1, "13.945"),
            ("ALICE@example.org", "192.0.2.1", 1, "13.945"),
            ("alice@example.org", "192.0.2.1", 3, "41.837"),
            ("alice@example.org", "192.0.2.2", 1, "7.501"),
            ("bob", "2001:db8::1", 1000, "4080.693"),
        ] {
            let weight = NonZeroU16::new(weight).unwrap();
            let computed = Score::of(&login(text), address, weight);
            assert_eq!(computed.to_string(), score, "{text} {address} {weight}");
        }
    }

    #[test]
    fn scores_compare_as_their_quotients() {
        let score = |weight, cost| Score {
            weight: NonZeroU16::new(weight).unwrap(),
            cost,
        };
        assert!(score(2, 10) > score(1, 10));
        assert!(score(1, 9) > score(1, 10));
        assert!(score(2, 20) == score(1, 10));
        assert!(score(1000, u64::from(u32::MAX)) > score(999, u64::from(u32::MAX)));
        assert!(score(u16::MAX, 64 << FRACTION_BITS) > score(u16::MAX - 1, 64 << FRACTION_BITS));
    }
}
