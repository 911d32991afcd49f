//! The limit on the work of a password hash.

use super::scheme::WeakSchemes;

/// The default limit of milliseconds per hash: above the defaults of the usual tools: `htpasswd
/// -B`, `doveadm pw`, PHP, passlib, Authelia and `mkpasswd` among them.
pub const MAX_HASH_MS: u32 = 500;

/// Which stored secrets are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptedHashes {
    /// Whether weak schemes are accepted.
    pub weak: WeakSchemes,
    /// The maximum milliseconds for checking a password, estimated from the parameters of the hash.
    pub max_ms: u32,
}

/// With the default limit.
impl From<WeakSchemes> for AcceptedHashes {
    fn from(weak: WeakSchemes) -> Self {
        Self {
            weak,
            max_ms: MAX_HASH_MS,
        }
    }
}
