//! The hash functions for PBKDF2 and SCRAM.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use zeroize::Zeroizing;

/// The hash function inside HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Sha1,
    Sha256,
    Sha512,
}

impl Function {
    /// The length of its digest in bytes.
    pub(super) fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// The estimated number of rounds per millisecond.
    pub(super) fn rounds_in_a_ms(self) -> u32 {
        match self {
            Self::Sha1 => 3000,
            Self::Sha256 => 2000,
            Self::Sha512 => 800,
        }
    }

    /// Fills `key`.
    pub(super) fn derive(self, rounds: u32, salt: &[u8], password: &[u8], key: &mut [u8]) {
        match self {
            Self::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, rounds, key),
            Self::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, rounds, key),
            Self::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, rounds, key),
        }
    }

    /// HMAC of a text.
    pub(super) fn hmac(self, key: &[u8], text: &[u8]) -> Zeroizing<Vec<u8>> {
        fn of<M: Mac + KeyInit>(key: &[u8], text: &[u8]) -> Zeroizing<Vec<u8>> {
            // HMAC accepts keys of every length.
            let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else {
                return Zeroizing::default();
            };
            mac.update(text);
            Zeroizing::new(mac.finalize().into_bytes().to_vec())
        }
        match self {
            Self::Sha1 => of::<Hmac<Sha1>>(key, text),
            Self::Sha256 => of::<Hmac<Sha256>>(key, text),
            Self::Sha512 => of::<Hmac<Sha512>>(key, text),
        }
    }
}
