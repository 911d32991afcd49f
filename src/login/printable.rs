//! Makes untrusted bytes safe to print on one line.

use std::fmt::{self, Write as _};

/// Shows bytes on one line, without escapes. Bytes that are not UTF-8, and characters that a
/// terminal would act on or not show, become U+FFFD. The log escapes the whole detail once, so this
/// function escapes nothing.
pub(crate) struct Printable<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                let shown =
                    matches!(character, '\'' | '"' | '\\') || character.escape_debug().len() == 1;
                f.write_char(if shown {
                    character
                } else {
                    char::REPLACEMENT_CHARACTER
                })?;
            }
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_escaped_and_nothing_acts_on_a_terminal() {
        for (bytes, shown) in [
            (
                &b"the attribute's \"value\" \\ is"[..],
                "the attribute's \"value\" \\ is",
            ),
            ("Müller €".as_bytes(), "Müller €"),
            (b"a\r\n\x1b[0m\x7f", "a\u{fffd}\u{fffd}\u{fffd}[0m\u{fffd}"),
            (b"a\xe9b", "a\u{fffd}b"),
            ("a\u{202e}b\u{9b}".as_bytes(), "a\u{fffd}b\u{fffd}"),
        ] {
            assert_eq!(Printable(bytes).to_string(), shown);
        }
    }
}
