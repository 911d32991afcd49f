//! Bytes as DNs and filters write them: a backslash and two hexadecimal digits (RFC 4514, RFC 4515).

use crate::net::percent;
use crate::users::placeholder::{KNOWN, Placeholder};

/// Reads the placeholder at the start of `text`, which begins with a brace. A brace that is text must be
/// escaped.
pub(super) fn placeholder(text: &str) -> Result<Placeholder, String> {
    let none = match text.split_inclusive('}').next() {
        Some(name) if name.ends_with('}') => format!("there is no {name}; {KNOWN}"),
        _ => format!("a brace is not closed; {KNOWN}"),
    };
    match Placeholder::read(text) {
        Ok(Some(placeholder)) => Ok(placeholder),
        Ok(None) | Err(_) => Err(format!("{none}; a brace itself is \\7b or \\7d")),
    }
}

/// Appends a byte as RFC 4514 and RFC 4515 both take it: a backslash and two hexadecimal digits.
pub(super) fn push_escaped(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(b'\\');
    out.extend(DIGITS.get(usize::from(byte >> 4)));
    out.extend(DIGITS.get(usize::from(byte & 0xf)));
}

/// The byte that two hexadecimal digits stand for.
pub(super) fn from_hex(digits: &[u8]) -> Option<u8> {
    percent::from_hex(digits.try_into().ok()?)
}
