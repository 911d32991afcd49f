//! Texts of the configuration with holes that parts of a login go into: the common ground of DNs
//! and filters.
//!
//! A hole is filled once; what comes out is not looked at for further holes.

use std::fmt;

use crate::request::Login;

/// A part of a login, as a hole names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// `{login}`: all of it.
    Login,
    /// `{local}`: what stands before the last `@`; all of it without one.
    Local,
    /// `{domain}`: what follows the last `@`.
    Domain,
}

impl Part {
    /// The bytes of this part. A login that lacks it, or has an empty one, cannot be asked for: an
    /// empty value in a filter or DN means something else than a user without a name.
    pub(super) fn of(self, login: &Login) -> Option<&[u8]> {
        let bytes = match self {
            Self::Login => login.as_bytes(),
            Self::Local => login.local(),
            Self::Domain => login.domain()?,
        };
        (!bytes.is_empty()).then_some(bytes)
    }

    /// Reads a hole at the start of `text`, which begins with a brace: the part, and how many
    /// bytes its name takes, braces included.
    pub(super) fn read(text: &str) -> Result<(Self, usize), String> {
        const KNOWN: &str =
            "known are {login}, {local} and {domain}; a brace itself is \\7b or \\7d";
        let Some(end) = text.find('}') else {
            return Err(format!("a brace is not closed; {KNOWN}"));
        };
        let part = match text.get(..=end) {
            Some("{login}") => Self::Login,
            Some("{local}") => Self::Local,
            Some("{domain}") => Self::Domain,
            other => return Err(format!("there is no {}; {KNOWN}", other.unwrap_or("{"))),
        };
        Ok((part, end + 1))
    }

    /// Whether it says who it is. A domain has many users.
    pub(super) fn names_a_user(self) -> bool {
        match self {
            Self::Login | Self::Local => true,
            Self::Domain => false,
        }
    }
}

/// What is wrong with a text of the configuration, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The character, from 1.
    place: usize,
    what: String,
}

impl Flaw {
    /// A flaw at a byte of `text`.
    pub(super) fn at(text: &str, byte: usize, what: impl Into<String>) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        Self {
            place: before.chars().count() + 1,
            what: what.into(),
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: {}", self.place, self.what)
    }
}

impl std::error::Error for Flaw {}

/// Appends a byte as RFC 4514 and RFC 4515 both take it: a backslash and two hexadecimal digits.
pub(super) fn push_escaped(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(b'\\');
    out.extend(DIGITS.get(usize::from(byte >> 4)));
    out.extend(DIGITS.get(usize::from(byte & 0xf)));
}

/// The byte that two hexadecimal digits stand for.
pub(super) fn from_hex(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    match digits {
        [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_are_missing_or_empty_cannot_be_asked_for() {
        let login = |text: &str| Login::new(text.into()).unwrap();
        for (text, local, domain) in [
            ("alice@example.org", Some("alice"), Some("example.org")),
            ("a@b@c", Some("a@b"), Some("c")),
            ("alice", Some("alice"), None),
            ("alice@", Some("alice"), None),
            ("@example.org", None, Some("example.org")),
            ("", None, None),
        ] {
            let login = login(text);
            assert_eq!(Part::Local.of(&login), local.map(str::as_bytes), "{text}");
            assert_eq!(Part::Domain.of(&login), domain.map(str::as_bytes), "{text}");
        }
        assert_eq!(Part::Login.of(&login("")), None);
    }

    #[test]
    fn unknown_holes_are_named() {
        assert_eq!(Part::read("{local}@x"), Ok((Part::Local, 7)));
        for (text, named) in [("{user}x", "{user}"), ("{}", "{}"), ("{Login}", "{Login}")] {
            assert!(Part::read(text).unwrap_err().contains(named), "{text}");
        }
        assert!(
            Part::read("{login")
                .unwrap_err()
                .starts_with("a brace is not closed")
        );
    }

    #[test]
    fn a_place_counts_characters() {
        assert_eq!(
            Flaw::at("\u{e9}\u{e9}x", 4, "no").to_string(),
            "at character 3: no"
        );
    }
}
