//! A password file as configured.

use std::path::PathBuf;

use super::{LineLogins, PasswordRules};
use crate::secret::{Accepted, WeakSchemes};

/// A password file as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where it is.
    pub path: PathBuf,
    /// Whether weak schemes may be used; [`Scheme::is_weak`](crate::secret::Scheme::is_weak).
    pub allow_weak_schemes: bool,
    /// The most milliseconds of work for a hash; [`Accepted::max_ms`].
    pub max_hash_ms: u32,
    /// A file with further passwords of the same logins.
    pub app_passwords: Option<PathBuf>,
    /// The scheme of passwords that name none, in both files (Dovecot's `scheme=`).
    pub default_scheme: Option<String>,
    /// The logins that it is asked for.
    pub logins: LineLogins,
}

impl Settings {
    /// How its passwords are read.
    pub fn rules(&self) -> PasswordRules {
        PasswordRules {
            accepted: Accepted {
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
