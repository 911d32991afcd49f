//! Stored secrets: password hashes in the forms of Dovecot, htpasswd and crypt(3).
use super::Proof;

/// A stored secret.
#[derive(Clone, Debug)]
pub struct Secret;
impl Secret {
    /// Whether `proof` fits.
    pub fn matches(&self, _proof: &Proof) -> bool {
        false
    }
}
