//! Passwords and other proofs of a client, and the stored secrets that they are checked against.

use std::fmt;

use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::login::relayed::Value;

mod argon2;
mod bcrypt;
mod challenge;
mod cost;
mod cram_md5;
mod crypt;
mod digest;
mod encoding;
mod error;
mod form;
mod hash_function;
mod hashing;
pub mod keyed_digest;
mod md5_crypt;
mod pbkdf2;
mod random;
mod recipe;
mod scheme;
mod scram;
mod sha_crypt;
mod stored;
mod token;
mod unix64;
mod yescrypt;

pub use challenge::{BadChallengeResponse, ChallengeResponse, apop_answer, cram_md5_answer};
pub use cost::{AcceptedHashes, MAX_HASH_MS};
pub use error::{OutOfMemory, SecretError};
pub use hashing::HashError;
pub use recipe::{BadCost, Costs, Recipe};
pub use scheme::{CannotHashWith, Scheme, WeakSchemes};
pub use stored::Secret;
#[cfg(test)]
pub(crate) use stored::work;
pub use token::{MAX_TOKEN_BYTES, Token};

/// The maximum length of a password in bytes. The time of some hashes grows with the password; a
/// longer one is refused before a hash is computed.
pub const MAX_PASSWORD_BYTES: usize = 512;

//------------ Password ------------------------------------------------------

/// A password in clear, as bytes: without NUL, CR and LF, at most [`MAX_PASSWORD_BYTES`] long.
///
/// It cannot be printed, and its memory is wiped on drop.
#[derive(Clone)]
pub struct Password(Zeroizing<Vec<u8>>);

/// Why bytes are not an accepted password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPassword {
    /// It contains NUL, CR or LF, which nginx would copy into the dialogue with the mail server.
    ControlByte,
    /// It is longer than [`MAX_PASSWORD_BYTES`].
    TooLong,
}

impl Password {
    /// Checks the bytes; rejected ones are wiped.
    pub fn new(bytes: Vec<u8>) -> Result<Self, BadPassword> {
        let bytes = Zeroizing::new(bytes);
        if bytes.len() > MAX_PASSWORD_BYTES {
            return Err(BadPassword::TooLong);
        }
        if !Value::Password.allows(&bytes) {
            return Err(BadPassword::ControlByte);
        }
        Ok(Self(bytes))
    }

    /// The password itself, for the hash functions and for stores that must send it.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

/// Compares in a time that does not depend on where two passwords differ.
impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl Eq for Password {}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

//------------ Proof ---------------------------------------------------------

/// The proof that a client sends for its login: nginx's `Auth-Method` and its data.
#[derive(Clone, Debug)]
pub enum Proof {
    /// `plain`: the password itself.
    Password(Password),
    /// `cram-md5`: the digest of the challenge, keyed with the password (RFC 2195).
    CramMd5(ChallengeResponse),
    /// `apop`: the digest of challenge and password (RFC 1939, 7).
    Apop(ChallengeResponse),
    /// `external`: the client's certificate. `Auth-Pass` may be stale and is ignored.
    External,
    /// `xoauth2` and `oauthbearer` of freenginx and Angie: a token in place of the password.
    Token(Token),
}

//------------ SharedKey -----------------------------------------------------

/// A key that nginx and this program share: the value of `X-Auth-Key`.
#[derive(Clone)]
pub struct SharedKey(Zeroizing<Vec<u8>>);

impl SharedKey {
    /// A key of at least one byte.
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (!bytes.is_empty()).then(|| Self(Zeroizing::new(bytes)))
    }

    /// The key itself, for a request in the form of nginx.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }

    /// Compares in a time that does not depend on where the two differ.
    pub fn matches(&self, offered: &[u8]) -> bool {
        self.fits(offered).into()
    }

    /// Whether one of `keys` is the offered one. All of them are compared in every case, so that
    /// the time reveals neither whether one matches nor which.
    pub fn any_matches(keys: &[Self], offered: &[u8]) -> bool {
        keys.iter()
            .fold(Choice::from(0), |any, key| any | key.fits(offered))
            .into()
    }

    fn fits(&self, offered: &[u8]) -> Choice {
        self.0.ct_eq(offered)
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKey(..)")
    }
}

#[cfg(test)]
mod tests;
