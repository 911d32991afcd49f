//! Digests under a key of this process, to recognise a secret without keeping it.

use hmac::{HmacReset, KeyInit as _, Mac as _};
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A digest. Without its [`Key`] it tells nothing of what it was made from, and no value can be tried.
pub type Digest = [u8; 32];

/// A key; it is wiped when it goes.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// A new one. `None` if the system gives no random bytes at the moment.
    pub fn random() -> Option<Self> {
        let mut key = Zeroizing::new([0; 32]);
        // Up to 256 bytes come whole (getrandom(2)).
        let got = getrandom(&mut *key, GetRandomFlags::empty());
        (got == Ok(key.len())).then_some(Self(key))
    }

    /// One that processes share.
    pub fn shared(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// The bytes, for those who are to share it.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest of a list of values. Each but the last is preceded by its length, so that no two lists of
    /// one length look alike. `None` if the digest cannot be made: then nothing may be recognised by it.
    pub fn digest(&self, values: &[&[u8]]) -> Option<Digest> {
        let mut mac = HmacReset::<Sha256>::new_from_slice(&*self.0).ok()?;
        let (last, others) = values.split_last()?;
        for value in others {
            mac.update(&(value.len() as u64).to_le_bytes());
            mac.update(value);
        }
        mac.update(last);
        // Not by value: that would leave what it holds of the password on the stack.
        Some(mac.finalize_reset().into_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_lists_of_one_length_look_alike() {
        let key = Key::random().unwrap();
        let lists: [[&[u8]; 2]; 4] = [[b"ab", b"c"], [b"a", b"bc"], [b"", b"abc"], [b"abc", b""]];
        let digests = lists.map(|list| key.digest(&list).unwrap());
        for (number, digest) in digests.iter().enumerate() {
            assert_eq!(digests.iter().position(|it| it == digest), Some(number));
        }
        assert_eq!(key.digest(&lists[0]), Some(digests[0]));
        assert_ne!(Key::random().unwrap().digest(&lists[0]), Some(digests[0]));
        assert_eq!(key.digest(&[]), None);
    }
}
