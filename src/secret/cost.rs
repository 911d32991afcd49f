//! How much work the hash of a password may take.

use super::scheme::WeakSchemes;
use super::stored::Form;

/// Milliseconds of work that a hash may take where nothing is configured: more than what tools write
/// by themselves, `htpasswd -B`, `doveadm pw`, PHP, passlib, Authelia and `mkpasswd` among them.
pub const MAX_HASH_MS: u32 = 500;

/// Which stored secrets are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Whether weak schemes are.
    pub weak: WeakSchemes,
    /// The most milliseconds of work that checking a password may take, by an estimate from the
    /// parameters of the hash.
    pub max_ms: u32,
}

/// With hashes as costly as they may be where nothing is configured.
impl From<WeakSchemes> for Accepted {
    fn from(weak: WeakSchemes) -> Self {
        Self {
            weak,
            max_ms: MAX_HASH_MS,
        }
    }
}

impl Form {
    /// Milliseconds that a check takes, by the parameters: measured on one core of a server of 2020,
    /// rounded up.
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
