//! Why a stored text cannot be used as a secret.

use std::fmt;

use super::scheme::Scheme;

/// Why a stored text cannot be used as a secret. No variant contains any part of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretError {
    /// A known scheme that this program cannot check.
    Unsupported(&'static str),
    /// A weak scheme, which the configuration does not allow.
    Weak(Scheme),
    /// An unknown scheme.
    UnknownScheme,
    /// The text does not have the form of its scheme.
    Damaged(&'static str),
    /// Checking a password would exceed the fixed limits.
    TooCostly(&'static str),
    /// Checking a password takes more milliseconds than the configuration allows.
    OverLimit {
        /// The estimated milliseconds.
        takes_ms: u32,
        /// `limits.max-hash-ms`.
        max_ms: u32,
    },
}

impl SecretError {
    /// Whether the text is well-formed, but this program or its configuration does not accept it:
    /// then only this login is affected. Any other error is a fault of its file.
    pub fn is_choice(&self) -> bool {
        matches!(
            self,
            Self::Unsupported(_) | Self::Weak(_) | Self::OverLimit { .. }
        )
    }
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(name) => {
                write!(f, "passwords stored as {name} cannot be checked")
            }
            Self::Weak(scheme) => write!(
                f,
                "the password scheme {scheme} is weak, and allow-weak-schemes is not set"
            ),
            Self::UnknownScheme => f.write_str("the password scheme is not known"),
            Self::Damaged(what) => write!(f, "the password hash is damaged: {what}"),
            Self::OverLimit { takes_ms, max_ms } => write!(
                f,
                "a check of the password hash takes about {takes_ms} ms of work, and \
                 limits.max-hash-ms is {max_ms}: raise that, or make a new hash"
            ),
            Self::TooCostly(what) => write!(f, "the password hash exceeds a limit: {what}"),
        }
    }
}

impl std::error::Error for SecretError {}

/// There is not enough memory for the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;
