//! bcrypt: `$2a$`, `$2b$` and `$2y$`, Dovecot's `{BLF-CRYPT}` and `htpasswd -B`.

use bcrypt::{HashParts, Version};

use super::error::SecretError;

/// The highest cost taken, about two seconds of work; each step doubles it.
const MAX_COST: u32 = 15;
/// What bcrypt looks at of a password.
///
/// A longer one is refused, never cut: else all that begin alike would be right.
pub(super) const MAX_PASSWORD_BYTES: usize = 72;

/// A hash, checked to be one.
#[derive(Clone)]
pub(super) struct Bcrypt {
    text: String,
    cost: u32,
}

impl Bcrypt {
    /// Reads the whole text.
    pub(super) fn parse(text: &[u8]) -> Result<Self, SecretError> {
        let damaged = SecretError::Damaged("the bcrypt hash is damaged");
        let text = str::from_utf8(text).map_err(|_| damaged.clone())?;
        let digits = text.get(4..6).unwrap_or_default();
        let parts: HashParts = text.parse().map_err(|_| damaged.clone())?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) || parts.get_cost() < 4 {
            return Err(damaged);
        }
        if parts.get_cost() > MAX_COST {
            return Err(SecretError::TooCostly("a cost of more than 15"));
        }
        Ok(Self {
            text: text.to_owned(),
            cost: parts.get_cost(),
        })
    }

    /// Milliseconds, about: 65 microseconds, doubled by each step.
    pub(super) fn takes_ms(&self) -> u32 {
        (65 << self.cost) / 1000
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        password.len() <= MAX_PASSWORD_BYTES
            && bcrypt::verify(password, &self.text).is_ok_and(|same| same)
    }
}

/// A new hash, as text; `None` if the password is too long or the cost none.
pub(super) fn make(cost: u32, salt: [u8; 16], password: &[u8]) -> Option<String> {
    if password.len() > MAX_PASSWORD_BYTES {
        return None;
    }
    let parts = bcrypt::hash_with_salt(password, cost, salt).ok()?;
    Some(parts.format_for_version(Version::TwoY))
}
