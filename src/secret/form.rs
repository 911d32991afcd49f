//! The families of hashes: checks a password or a digest against each, and estimates the work.

use md5::Md5;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::cram_md5::CramMd5;
use super::digest::{Digested, digest};
use super::error::OutOfMemory;
use super::{argon2, bcrypt, md5_crypt, pbkdf2, scram, sha_crypt, yescrypt};

/// A stored hash, by its family.
#[derive(Clone)]
pub(super) enum Form {
    Plain(Zeroizing<Vec<u8>>),
    Digest(Digested),
    Md5Crypt(md5_crypt::Md5Crypt),
    ShaCrypt(sha_crypt::ShaCrypt),
    Bcrypt(bcrypt::Bcrypt),
    Yescrypt(yescrypt::Yescrypt),
    Pbkdf2(pbkdf2::Pbkdf2),
    Scram(scram::Scram),
    Argon2(argon2::Argon2Hash),
    CramMd5(CramMd5),
}

impl Form {
    pub(super) fn check(&self, password: &[u8]) -> Result<bool, OutOfMemory> {
        Ok(match self {
            // The digests have the same length, so the time does not reveal that of the secret.
            Self::Plain(secret) => digest::<Sha256>(&[password])
                .ct_eq(&digest::<Sha256>(&[secret]))
                .into(),
            Self::Digest(hash) => hash.matches(password),
            Self::Md5Crypt(hash) => hash.matches(password),
            Self::ShaCrypt(hash) => hash.matches(password),
            Self::Bcrypt(hash) => hash.matches(password),
            Self::Yescrypt(hash) => hash.check(password)?,
            Self::Pbkdf2(hash) => hash.matches(password),
            Self::Scram(keys) => keys.matches(password),
            Self::Argon2(hash) => hash.check(password)?,
            Self::CramMd5(states) => states.matches(password),
        })
    }

    /// The right answer to a challenge of `cram-md5`; `None` if this form cannot compute it.
    pub(super) fn cram_md5(&self, challenge: &[u8]) -> Option<[u8; 16]> {
        match self {
            Self::Plain(password) => Some(CramMd5::of(password).digest(challenge)),
            Self::CramMd5(states) => Some(states.digest(challenge)),
            _ => None,
        }
    }

    /// The right answer to a challenge of `apop`; `None` if this form cannot compute it.
    pub(super) fn apop(&self, challenge: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Self::Plain(password) => Some(digest::<Md5>(&[challenge, password])),
            _ => None,
        }
    }

    /// The estimated milliseconds of a check, by the parameters: measured on one core of a server
    /// of 2020, rounded up.
    pub(super) fn takes_ms(&self) -> u32 {
        match self {
            Self::Plain(_) | Self::Digest(_) | Self::Md5Crypt(_) | Self::CramMd5(_) => 0,
            Self::ShaCrypt(hash) => hash.takes_ms(),
            Self::Bcrypt(hash) => hash.takes_ms(),
            Self::Yescrypt(hash) => hash.takes_ms(),
            Self::Pbkdf2(hash) => hash.takes_ms(),
            Self::Scram(keys) => keys.takes_ms(),
            Self::Argon2(hash) => hash.takes_ms(),
        }
    }
}
