//! Compares the login that a store found with the login that it was asked for.

use super::domain;

/// How the login that a store found compares with the login that it was asked for.
///
/// Databases and directories have their own rules of comparison: `álice` and `alice` may be equal
/// there. Only a client that proves the password can use an account that merely compares equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Likeness {
    /// The same login, except for the case of ASCII letters and the spelling of the domain. This
    /// program compares the bytes.
    Same,
    /// Another login.
    Other,
    /// The store does not report which login it found.
    #[default]
    Unsaid,
}

impl Likeness {
    /// Compares the login that was found with the login that was asked for.
    pub fn of(found: &[u8], asked: &[u8]) -> Self {
        match domain::folded(found).eq_ignore_ascii_case(&domain::folded(asked)) {
            true => Self::Same,
            false => Self::Other,
        }
    }
}
