//! Settings of a password file.

use std::path::PathBuf;

use super::{LineLogins, PasswordRules, Rehash};
use crate::secret::{AcceptedHashes, WeakSchemes};

/// A password file as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The path of the file.
    pub path: PathBuf,
    /// Whether weak schemes are accepted; [`Scheme::is_weak`](crate::secret::Scheme::is_weak).
    pub allow_weak_schemes: bool,
    /// The maximum work for a hash, in milliseconds; [`AcceptedHashes::max_ms`].
    pub max_hash_ms: u32,
    /// A file with app passwords of the same logins.
    pub app_passwords: Option<PathBuf>,
    /// The scheme of passwords that name none, in both files (Dovecot's `scheme=`).
    pub default_scheme: Option<String>,
    /// The logins in the file.
    pub logins: LineLogins,
    /// How weaker passwords are stored again after a login; `None`: they stay.
    pub rehash: Option<Rehash>,
}

impl Settings {
    /// How its passwords are parsed.
    pub fn rules(&self) -> PasswordRules {
        PasswordRules {
            accepted: AcceptedHashes {
                weak: match self.allow_weak_schemes {
                    true => WeakSchemes::Allowed,
                    false => WeakSchemes::Refused,
                },
                max_ms: self.max_hash_ms,
            },
            default_scheme: self.default_scheme.clone(),
        }
    }
}
