//! MD5-crypt: `$1$` of FreeBSD and glibc, and Apache's variant `$apr1$`.
//!
//! The algorithm of Poul-Henning Kamp. Apache's variant differs in the identifier, which is part of
//! the digest's input.

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

use super::digest::{digest, finish};
use super::error::SecretError;
use super::unix64;

/// The fixed number of rounds.
const ROUNDS: usize = 1000;
/// The number of salt characters that both implementations use.
const MAX_SALT_BYTES: usize = 8;
/// The positions of the digest's bytes in its text.
const ORDER: [usize; 16] = [12, 6, 0, 13, 7, 1, 14, 8, 2, 15, 9, 3, 5, 10, 4, 11];

/// A hash of either variant.
#[derive(Clone)]
pub(super) struct Md5Crypt {
    identifier: &'static [u8],
    salt: Vec<u8>,
    digest: Vec<u8>,
}

impl Md5Crypt {
    /// Reads `salt$digest`, the text after the identifier.
    pub(super) fn parse(identifier: &'static [u8], rest: &[u8]) -> Result<Self, SecretError> {
        let mut fields = rest.split(|byte| *byte == b'$');
        let (Some(salt), Some(digest), None) = (fields.next(), fields.next(), fields.next()) else {
            return Err(SecretError::Damaged("not of the form $id$salt$digest"));
        };
        if salt.len() > MAX_SALT_BYTES {
            return Err(SecretError::Damaged("the salt is too long"));
        }
        let digest = unix64::decode(digest)
            .filter(|digest| digest.len() == ORDER.len())
            .ok_or(SecretError::Damaged("the digest is damaged"))?;
        Ok(Self {
            identifier,
            salt: salt.to_vec(),
            digest,
        })
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let digest = self.digest_of(password);
        ORDER
            .map(|place| digest[place])
            .ct_eq(self.digest.as_slice())
            .into()
    }

    fn digest_of(&self, password: &[u8]) -> [u8; 16] {
        let inner = digest::<Md5>(&[password, &self.salt, password]);
        let mut outer = Md5::new();
        outer.update(password);
        outer.update(self.identifier);
        outer.update(&self.salt);
        for part in password.chunks(inner.len()) {
            outer.update(&inner[..part.len()]);
        }
        let mut length = password.len();
        while length > 0 {
            outer.update(if length & 1 == 1 {
                &[0]
            } else {
                &password[..1]
            });
            length >>= 1;
        }
        let mut digest = [0; 16];
        digest.copy_from_slice(&finish(&mut outer));
        for round in 0..ROUNDS {
            let odd = round % 2 == 1;
            let mut state = Md5::new();
            state.update(if odd { password } else { &digest });
            if round % 3 != 0 {
                state.update(&self.salt);
            }
            if round % 7 != 0 {
                state.update(password);
            }
            state.update(if odd { &digest } else { password });
            digest.copy_from_slice(&finish(&mut state));
        }
        digest
    }
}
