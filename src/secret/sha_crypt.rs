//! SHA-crypt: `$5$` and `$6$` of crypt(3).

use sha_crypt::Params;
use subtle::ConstantTimeEq;

use super::MAX_PASSWORD_BYTES;
use super::encoding::number;
use super::error::SecretError;
use super::unix64;

/// The maximum number of rounds: about a second of work. `rounds=` allows up to 999,999,999.
const MAX_ROUNDS: u32 = 1_000_000;
/// The default number of rounds.
const DEFAULT_ROUNDS: u32 = 5000;
/// The number of password bytes that take about as long as the rest of a round.
const STEP_BYTES: usize = 64;
/// The number of salt characters that crypt(3) uses.
const MAX_SALT_BYTES: usize = 16;

/// The digest size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Sha256,
    Sha512,
}

/// A hash of either size.
#[derive(Clone)]
pub(super) struct ShaCrypt {
    size: Size,
    rounds: Params,
    /// The same as a number.
    count: u32,
    salt: Vec<u8>,
    digest: Vec<u8>,
    /// The maximum length of a password, above which it does not match: each round hashes it again.
    longest: usize,
}

impl ShaCrypt {
    /// Reads `[rounds=N$]salt$digest`, the text after the identifier.
    pub(super) fn parse(size: Size, rest: &[u8]) -> Result<Self, SecretError> {
        let mut fields: Vec<&[u8]> = rest.split(|byte| *byte == b'$').collect();
        let rounds = match fields
            .first()
            .and_then(|field| field.strip_prefix(b"rounds="))
        {
            Some(rounds) => {
                fields.remove(0);
                read_rounds(rounds)?
            }
            None => DEFAULT_ROUNDS,
        };
        let [salt, digest] = fields[..] else {
            return Err(SecretError::Damaged("not of the form $id$salt$digest"));
        };
        if salt.len() > MAX_SALT_BYTES {
            return Err(SecretError::Damaged("the salt is too long"));
        }
        let digest = unix64::decode(digest)
            .filter(|digest| digest.len() == size.digest_bytes())
            .ok_or(SecretError::Damaged("the digest is damaged"))?;
        Ok(Self {
            size,
            count: rounds,
            rounds: Params::new(rounds)
                .map_err(|_| SecretError::Damaged("the rounds are too few"))?,
            salt: salt.to_vec(),
            digest,
            longest: MAX_PASSWORD_BYTES,
        })
    }

    /// The estimated milliseconds for a password of ordinary length: 0.4 microseconds for each
    /// round.
    pub(super) fn takes_ms(&self) -> u32 {
        self.count / 2500
    }

    /// Limits the time also for the longest passwords: each 64 bytes take as long as a password of
    /// ordinary length.
    pub(super) fn limit(&mut self, max_ms: u32) {
        let times = max_ms / self.takes_ms().max(1);
        let longest = (times as usize)
            .saturating_sub(1)
            .saturating_mul(STEP_BYTES);
        self.longest = longest.clamp(STEP_BYTES, MAX_PASSWORD_BYTES);
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let taken = password.get(..self.longest).unwrap_or(password);
        let fits = compute(self.size, self.rounds, &self.salt, taken).ct_eq(&self.digest);
        // A password that is too long takes the same time.
        taken.len() == password.len() && bool::from(fits)
    }
}

/// A new hash, as text; `None` if the rounds are too few.
pub(super) fn make(size: Size, rounds: u32, salt: &str, password: &[u8]) -> Option<String> {
    let rounds = Params::new(rounds).ok()?;
    let identifier = match size {
        Size::Sha256 => 5,
        Size::Sha512 => 6,
    };
    let digest = unix64::encode(&compute(size, rounds, salt.as_bytes(), password));
    Some(format!("${identifier}${rounds}${salt}${digest}"))
}

/// The digest, with its bytes in the order of the text.
fn compute(size: Size, rounds: Params, salt: &[u8], password: &[u8]) -> Vec<u8> {
    match size {
        Size::Sha256 => {
            let digest = sha_crypt::sha256_crypt(password, salt, rounds);
            size.order().map(|place| digest[place]).collect()
        }
        Size::Sha512 => {
            let digest = sha_crypt::sha512_crypt(password, salt, rounds);
            size.order().map(|place| digest[place]).collect()
        }
    }
}

impl Size {
    fn digest_bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// The positions of the digest's bytes in its text: groups of three, a third of the digest
    /// apart; each group is rotated further than the one before (SHA-crypt, step 22).
    fn order(self) -> impl Iterator<Item = usize> {
        let (third, turn, rest) = match self {
            Self::Sha256 => (10, 2, 30..32),
            Self::Sha512 => (21, 1, 63..64),
        };
        (0..third)
            .flat_map(move |group| {
                (0..3).map(move |place| group + third * ((group * turn + 2 - place) % 3))
            })
            .chain(rest)
    }
}

fn read_rounds(text: &[u8]) -> Result<u32, SecretError> {
    let rounds = number(text).ok_or(SecretError::Damaged("the rounds are damaged"))?;
    if rounds > MAX_ROUNDS {
        return Err(SecretError::TooCostly("more than 1,000,000 rounds"));
    }
    Ok(rounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_the_digest_is_written_once() {
        for size in [Size::Sha256, Size::Sha512] {
            let mut places: Vec<usize> = size.order().collect();
            places.sort_unstable();
            assert!(places.into_iter().eq(0..size.digest_bytes()));
        }
        // The first groups as the specification lists them, the lowest byte first.
        assert!(Size::Sha256.order().take(6).eq([20, 10, 0, 11, 1, 21]));
        assert!(Size::Sha512.order().take(6).eq([42, 21, 0, 1, 43, 22]));
    }
}
