//! Keyed digests: they recognise a secret without storing it.

use hmac::{HmacReset, KeyInit as _, Mac as _};
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A keyed digest. Without its [`Key`] it reveals nothing about its input, and guesses cannot be
/// checked against it.
pub type Digest = [u8; 32];

/// A key; it is wiped on drop.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// A new key. `None` if the system returns no random bytes.
    pub fn random() -> Option<Self> {
        let mut key = Zeroizing::new([0; 32]);
        // Up to 256 bytes are never returned in part (getrandom(2)).
        let got = getrandom(&mut *key, GetRandomFlags::empty());
        (got == Ok(key.len())).then_some(Self(key))
    }

    /// A key that several processes share.
    pub fn shared(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// The bytes, for sharing the key.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest of a list of values. The length of each value is part of the input, so that two
    /// different lists never give the same input; `kind` separates lists of different use. `None`
    /// if the digest cannot be made: then nothing may be recognised by it.
    pub fn digest(&self, kind: &[u8], values: &[&[u8]]) -> Option<Digest> {
        let mut mac = HmacReset::<Sha256>::new_from_slice(&*self.0).ok()?;
        for value in [kind].iter().chain(values) {
            mac.update(&(value.len() as u64).to_be_bytes());
            mac.update(value);
        }
        // Not by value: a move would leave a copy of its password data on the stack.
        Some(mac.finalize_reset().into_bytes().into())
    }
}
