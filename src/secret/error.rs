//! Why a stored text is no usable secret.

use std::fmt;

use super::scheme::Scheme;

/// Why a stored text is no usable secret. No variant holds anything of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretError {
    /// A scheme that is known but cannot be checked here.
    Unsupported(&'static str),
    /// A weak scheme, and those are not allowed.
    Weak(Scheme),
    /// No scheme that is known.
    UnknownScheme,
    /// The text is not what its scheme asks for.
    Damaged(&'static str),
    /// Checking a password would cost more than is ever granted.
    TooCostly(&'static str),
    /// Checking a password takes more milliseconds than the configuration grants.
    OverLimit {
        /// So many, about.
        takes_ms: u32,
        /// `limits.max-hash-ms`.
        max_ms: u32,
    },
}

impl SecretError {
    /// Whether the text is a sound one, and this program or its configuration does not take it:
    /// then only this login suffers. Anything else is a fault of the file that holds it.
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
            Self::TooCostly(what) => write!(f, "the password hash asks for too much: {what}"),
        }
    }
}

impl std::error::Error for SecretError {}

/// There is not enough memory for a hash that needs much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;
