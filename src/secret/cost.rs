//! How much work the hash of a password may take.

use super::scheme::WeakSchemes;

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
