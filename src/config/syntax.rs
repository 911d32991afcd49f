//! What to write instead of what is no TOML: toml's messages, reworded.
//!
//! A message names keys, never a value: that may be a secret.

use toml::de::{DeTable, DeValue};

/// toml's message about what begins at `start`, with what to do. `line` says in which line an
/// offset is.
pub(super) fn of_syntax(
    message: &str,
    text: &str,
    start: usize,
    line: impl Fn(usize) -> usize,
) -> String {
    let rest = text.get(start..).unwrap_or_default();
    if rest.starts_with([
        '\u{201c}', '\u{201d}', '\u{201e}', '\u{2018}', '\u{2019}', '\u{ab}', '\u{bb}',
    ]) {
        return "typographic quotes: write \" or '".into();
    }
    if message == "duplicate key" {
        let (table, _) = DeTable::parse_recoverable(text);
        let name = rest.split(['=', ']', '\n']).next().unwrap_or_default();
        let name = name.trim().trim_matches(['"', '\'']);
        let first = last_before(table.get_ref(), name, start)
            .or_else(|| text[..start].find(&format!("[{name}]")));
        return match first {
            Some(first) => format!(
                "`{name}` is here twice; the first is in line {}",
                line(first)
            ),
            None => message.into(),
        };
    }
    let line_start = text[..start].rfind('\n').map_or(0, |end| end + 1);
    match in_words(
        message,
        text[line_start..].lines().next().unwrap_or_default(),
        rest,
    ) {
        Some(words) => words.into(),
        None => message.into(),
    }
}

/// What to write in place of a line that toml complains about; `rest` begins where it does.
fn in_words(message: &str, line: &str, rest: &str) -> Option<&'static str> {
    let begins = |with: &[char]| line.trim_start().starts_with(with);
    let number = rest.starts_with(|first: char| first.is_ascii_digit());
    let mode = "a number has no leading zero; a file mode stands in quotes, \"0660\"";
    let address = "an address needs quotes, and a number holds digits only";
    Some(match message {
        _ if rest.starts_with(|first: char| !first.is_ascii() && first.is_whitespace()) => {
            "a special blank: write an ordinary one"
        }
        _ if message.starts_with("invalid unquoted key") => {
            "a name with other characters than letters, digits, `-` and `_` needs quotes"
        }
        "key with no value, expected `=`" if begins(&[';', '/', '!']) => {
            "is no line of TOML; a comment begins with #"
        }
        "key with no value, expected `=`" => "is no line of TOML: write KEY = VALUE",
        "string values must be quoted, expected literal string" if number => {
            "a number has no unit, and everything else needs quotes"
        }
        "string values must be quoted, expected literal string" => {
            "a text needs quotes; what is switched on or off is true or false, without"
        }
        _ if message.starts_with("invalid boolean") => "write true or false, in small letters",
        _ if message.starts_with("unexpected leading zero") => mode,
        _ if message.starts_with("invalid float") || message.starts_with("invalid integer") => {
            address
        }
        _ if message.starts_with("unexpected key or value, expected newline") => {
            "only a comment, which begins with #, can follow the value in its line"
        }
        "invalid basic string, expected `\"`" => "the quote at the end of the string is missing",
        "unclosed table, expected `]`" => "the bracket at the end of the table's name is missing",
        "unclosed array, expected `]`" => "the bracket at the end of the array is missing",
        _ if message.starts_with("missing escaped value")
            || message.starts_with("too few unicode value digits") =>
        {
            "a backslash is written \\\\ between \"; between ' it stands for itself"
        }
        _ => return None,
    })
}

/// Where a key of this name comes last before `end`: in one table it is there once.
fn last_before(table: &DeTable<'_>, name: &str, end: usize) -> Option<usize> {
    let inside = |value: &DeValue<'_>| match value {
        DeValue::Table(table) => last_before(table, name, end),
        DeValue::Array(array) => array
            .iter()
            .filter_map(|element| last_before(element.get_ref().as_table()?, name, end))
            .max(),
        _ => None,
    };
    table
        .iter()
        .flat_map(|(key, value)| {
            let own = (key.get_ref() == name).then(|| key.span().start);
            [own.filter(|start| *start < end), inside(value.get_ref())]
        })
        .flatten()
        .max()
}
