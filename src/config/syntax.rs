//! Turns toml's syntax errors into messages that say what to write instead.
//!
//! A message contains keys, never a value, which may be a secret.

use toml::de::{DeTable, DeValue};

/// toml's message about the text at `start`, with a correction, and the start of the error. `line` returns
/// the line of an offset.
pub(super) fn of_syntax(
    message: &str,
    text: &str,
    start: usize,
    line: impl Fn(usize) -> usize,
) -> (usize, String) {
    let rest = text.get(start..).unwrap_or_default();
    if let Some(what) = rest.chars().next().and_then(odd_character) {
        return (start, what);
    }
    if message == "duplicate key" {
        return (start, of_duplicate(text, start, line));
    }
    let line_start = text[..start].rfind('\n').map_or(0, |end| end + 1);
    let whole = text[line_start..].lines().next().unwrap_or_default();
    let first = line_start + (whole.len() - whole.trim_start().len());
    if message.starts_with("key with no value") && !begins_a_key(whole) {
        let what = match whole.trim_start() {
            line if ["<<<<<<<", "=======", ">>>>>>>"]
                .iter()
                .any(|mark| line.starts_with(mark)) =>
            {
                "is a conflict marker of a merge: keep one of the two versions, and delete such lines"
            }
            line if line.starts_with([';', '/', '!', '-', '\'', '%']) => {
                "is not a line of TOML; a comment begins with #"
            }
            _ => "is not a line of TOML: write KEY = VALUE, and # before a comment",
        };
        return (first, what.into());
    }
    if message.starts_with("missing comma between array elements") {
        let on_next_line = start == first && begins_an_entry(whole);
        return match on_next_line {
            true => {
                let end = text[..start].trim_end().len();
                let what = "the bracket at the end of the array, `]`, is missing";
                (end, what.into())
            }
            false => (
                start,
                "write a comma between two elements of an array".into(),
            ),
        };
    }
    let words = in_words(message, rest).unwrap_or(message);
    (start, words.into())
}

/// The message about a character that resembles one of TOML's.
fn odd_character(character: char) -> Option<String> {
    let instead = match character {
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{2018}' | '\u{2019}' | '\u{ab}' | '\u{bb}' => {
            return Some("typographic quotes: write \" or '".into());
        }
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}'
        | '\u{feff}'
        | '\u{ad}' => {
            return Some(format!(
                "an invisible character, {}: delete it",
                code(character)
            ));
        }
        blank if !blank.is_ascii() && blank.is_whitespace() => {
            return Some("a special blank: write an ordinary one".into());
        }
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' => '-',
        // The full-width forms of ASCII, in the order of ASCII.
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(character) - 0xfee0)?,
        _ => return None,
    };
    let code = code(character);
    Some(format!(
        "the character {character:?}, {code}, is not `{instead}`: write `{instead}`"
    ))
}

/// `U+2013`.
fn code(character: char) -> String {
    format!("U+{:04X}", u32::from(character))
}

/// Whether a line begins like one with a key.
fn begins_a_key(line: &str) -> bool {
    let of_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '"');
    line.trim_start().starts_with(of_key)
}

/// Whether a line has a key or the header of a table.
fn begins_an_entry(line: &str) -> bool {
    let key = line.split_once('=').map(|(key, _)| key.trim());
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '"');
    key.is_some_and(|key| !key.is_empty() && key.chars().all(bare))
        || line.trim_start().starts_with('[')
}

fn of_duplicate(text: &str, start: usize, line: impl Fn(usize) -> usize) -> String {
    let rest = text.get(start..).unwrap_or_default();
    let (table, _) = DeTable::parse_recoverable(text);
    let name = rest.split(['=', ']', '.', '\n']).next().unwrap_or_default();
    let name = name.trim().trim_matches(['"', '\'']);
    let first = last_before(table.get_ref(), name, start)
        .or_else(|| text[..start].find(&format!("[{name}]")));
    // A dotted key defines its table, and no header can add to that table.
    if first.is_none()
        && let Some(dotted) = text[..start].find(&format!("{name}."))
    {
        let line = line(dotted);
        return format!(
            "`{name}.…` in line {line} makes this table already: write that key below [{name}]"
        );
    }
    match first {
        Some(first) => format!(
            "`{name}` is here twice; the first is in line {}",
            line(first)
        ),
        None => format!("`{name}` is here twice"),
    }
}

/// The correction of a line that toml refuses; `rest` begins at the error.
fn in_words(message: &str, rest: &str) -> Option<&'static str> {
    let number = rest.starts_with(|first: char| first.is_ascii_digit());
    let mode = "a number cannot start with 0: write a file mode in quotes, such as \"0660\"";
    let address = "write an address in quotes, and a number with digits only";
    Some(match message {
        _ if message.starts_with("invalid unquoted key") => {
            "write a name in quotes if it has other characters than letters, digits, `-` and `_`"
        }
        "key with no value, expected `=`" => "is not a line of TOML: write KEY = VALUE",
        "string values must be quoted, expected literal string" if number => {
            "write a number without a unit, and a text in quotes"
        }
        "string values must be quoted, expected literal string" => {
            "write a text in quotes, and true or false without quotes"
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

/// The last line with a key of this name before `end`: a table has each key once.
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
