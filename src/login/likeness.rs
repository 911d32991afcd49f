//! Whether the user that a store has found is the one that was asked for.

use super::domain;

/// How the login of a user that a store has found is like the one that was asked for.
///
/// A database and a directory compare by rules of their own: `álice` and `alice` may be the same
/// there. Only a user who shows the password is one that they may say so of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Likeness {
    /// It is the same, but for the case of ASCII letters and the spelling of the domain: compared
    /// here, by bytes.
    Same,
    /// It is another one.
    Other,
    /// The store does not say which login it has found.
    #[default]
    Unsaid,
}

impl Likeness {
    /// The login that was found, compared with the one that was asked for.
    pub fn of(found: &[u8], asked: &[u8]) -> Self {
        match domain::folded(found).eq_ignore_ascii_case(&domain::folded(asked)) {
            true => Self::Same,
            false => Self::Other,
        }
    }
}
