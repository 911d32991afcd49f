//! Places in a string of TOML: which byte of the file a byte of the value comes from.

/// The position in `written`, a string with its quotes, of a byte of its value.
pub(super) fn position(written: &str, byte: usize) -> usize {
    let quotes = ["\"\"\"", "'''", "\"", "'"];
    let Some(quote) = quotes.into_iter().find(|quote| written.starts_with(quote)) else {
        return 0;
    };
    let mut at = quote.len();
    let rest = |at: usize| written.get(at..).unwrap_or_default();
    // A newline directly behind three quotes is not part of the value (TOML 1.0, "String").
    if quote.len() == 3 {
        let newline = ["\r\n", "\n"]
            .into_iter()
            .find(|it| rest(at).starts_with(it));
        at += newline.map_or(0, str::len);
    }
    let is_literal = quote.starts_with('\'');
    let mut before = 0;
    while before < byte {
        let Some(next) = rest(at).chars().next() else {
            break;
        };
        let (of_file, of_value) = match next {
            '\\' if !is_literal => escape(rest(at)),
            next => (next.len_utf8(), next.len_utf8()),
        };
        at += of_file;
        before += of_value;
    }
    // A line that goes on behind a backslash goes on where its text does.
    while !is_literal && rest(at).starts_with('\\') {
        match escape(rest(at)) {
            (of_file, 0) => at += of_file,
            _ => break,
        }
    }
    at
}

/// How many bytes an escape takes in the file, and in the value.
fn escape(text: &str) -> (usize, usize) {
    let digits = match text.as_bytes().get(1) {
        Some(b'x') => 2,
        Some(b'u') => 4,
        Some(b'U') => 8,
        Some(blank) if blank.is_ascii_whitespace() => {
            let rest = text.get(1..).unwrap_or_default();
            return (1 + rest.len() - rest.trim_ascii_start().len(), 0);
        }
        _ => return (2, 1),
    };
    let code = text.get(2..2 + digits).unwrap_or_default();
    let character = u32::from_str_radix(code, 16).ok().and_then(char::from_u32);
    (2 + digits, character.map_or(0, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use super::position;

    #[test]
    fn a_byte_of_a_value_is_found_in_the_file() {
        for written in [
            r#""a X b""#,
            "'a X b'",
            "'''\na\nX'''",
            "'''\r\na\r\nX'''",
            "'''a\\nX'''",
            "\"\"\"\na \\\n   b\n  X\"\"\"",
            "\"\"\"\\\n   X\"\"\"",
            r#""\u00e9\U0001F600\x41\t\"é\\X""#,
            r#""X""#,
        ] {
            let text = format!("key = {written}");
            let read: toml::Table = toml::from_str(&text).unwrap();
            let value = read["key"].as_str().unwrap();
            let byte = value.find('X').unwrap();
            assert_eq!(
                position(written, byte),
                written.find('X').unwrap(),
                "{written}"
            );
        }
    }

    #[test]
    fn what_is_no_string_is_one_place() {
        assert_eq!(position("3", 5), 0);
        assert_eq!(position("\"a\\", 9), 4);
    }
}
