//! Text to [`File`], with every problem of form at once, each with its place and key.
//!
//! serde stops at its first error. So the entry that caused it is taken out and the rest is tried
//! again, until nothing is left to complain about.
//!
//! Of the text itself only names of keys get into a problem: a value may be a secret, also one in
//! the wrong place. toml's and serde's own messages quote values, so they are reworded.

use std::cell::OnceCell;
use std::ops::{Range, RangeInclusive};
use std::path::Path;

use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, Deserializer};

use super::file::File;
use crate::problem::Problem;

/// The most problems of form that are looked for: each costs another pass over the file.
const MAX_PROBLEMS: usize = 100;

/// Every so many bytes a place is kept, from which others are counted.
const STRIDE: usize = 1024;

/// The text of a configuration file.
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
    /// The places of all bytes whose number is a multiple of [`STRIDE`], once one is asked for:
    /// counted from the beginning each time, the places of all routes take a time that grows with
    /// the square of their number.
    milestones: OnceCell<Vec<Place>>,
}

/// How many line feeds and, behind the last of them, how many characters come before a byte.
#[derive(Clone, Copy)]
struct Place {
    lines: usize,
    characters: usize,
}

impl Place {
    const START: Self = Self {
        lines: 0,
        characters: 0,
    };

    /// The place behind these bytes, which begin here.
    fn behind(self, bytes: &[u8]) -> Self {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        let (before, line) = match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => (0, &bytes[end + 1..]),
            None => (self.characters, bytes),
        };
        // Continuation bytes of UTF-8 make no column of their own.
        let characters = line.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
        Self {
            lines: self.lines + lines,
            characters: before + characters,
        }
    }
}

/// What could be read.
pub(super) struct Read {
    pub(super) file: File,
    /// Whether that is all there is. If not, what seems to be missing may have been there.
    pub(super) whole: bool,
}

impl<'a> Source<'a> {
    /// The text of the file at `path`.
    pub(super) fn new(path: &'a Path, text: &'a str) -> Self {
        Self {
            path,
            text,
            milestones: OnceCell::new(),
        }
    }

    /// A problem at a place of this text; what the whole lacks stands at its beginning.
    pub(super) fn problem(
        &self,
        span: &Range<usize>,
        key: Option<String>,
        message: impl Into<String>,
    ) -> Problem {
        Problem {
            file: self.path.to_owned(),
            place: Some(self.place(span.start)),
            key,
            message: message.into(),
        }
    }

    /// Line and column of a byte, both from 1.
    pub(super) fn place(&self, offset: usize) -> (usize, usize) {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let number = before.len() / STRIDE;
        let milestone = self.milestones().get(number);
        let place = milestone
            .unwrap_or(&Place::START)
            .behind(&before[number * STRIDE..]);
        (place.lines + 1, place.characters + 1)
    }

    fn milestones(&self) -> &[Place] {
        self.milestones.get_or_init(|| {
            let mut place = Place::START;
            let strides = self.text.as_bytes().chunks_exact(STRIDE);
            let others = strides.map(|bytes| {
                place = place.behind(bytes);
                place
            });
            std::iter::once(Place::START).chain(others).collect()
        })
    }

    /// Reads the file, adding what is wrong with its form to `problems`.
    pub(super) fn read(&self, problems: &mut Vec<Problem>) -> Read {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        if errors.is_empty()
            && stray_array(table.get_ref()).is_none()
            && let Ok(file) = File::deserialize(Deserializer::from(table))
        {
            return Read { file, whole: true };
        }
        let mut broken = BrokenLines::default();
        // Each costs a search through the file for its place.
        for error in errors.iter().take(MAX_PROBLEMS) {
            let place = self.place(error.span().unwrap_or(0..0).start);
            // One slip can make several errors; the first says it best.
            if !broken.contains(place.0) {
                broken.add(place.0, self.text);
                problems.push(Problem {
                    place: Some(place),
                    ..Problem::new(self.path, error.message())
                });
            }
        }
        if errors.len() > MAX_PROBLEMS {
            problems.push(self.more());
            return Read {
                file: File::default(),
                whole: false,
            };
        }
        let (table, _) = DeTable::parse_recoverable(self.text);
        let mut rest = Vec::new();
        let file = self.salvage(table, &mut rest);
        // What was guessed of a line that cannot be read is not worth a complaint, and may be
        // part of a secret.
        rest.retain(|problem| !problem.place.is_some_and(|(line, _)| broken.contains(line)));
        problems.append(&mut rest);
        Read { file, whole: false }
    }

    /// Takes out one entry after the other until the rest can be read.
    fn salvage(&self, mut table: Spanned<DeTable<'_>>, problems: &mut Vec<Problem>) -> File {
        while problems.len() < MAX_PROBLEMS {
            if let Some(path) = stray_array(table.get_ref()) {
                let span = remove(table.get_mut(), &path).map_or(0..0, |array| array.span());
                let key = dotted(&path);
                let message = match key.as_str() {
                    "users" => "must be an array of tables",
                    _ => "must not be an array",
                };
                problems.push(self.problem(&span, Some(key), message));
                continue;
            }
            let error = match File::deserialize(Deserializer::from(table.clone())) {
                Ok(file) => return file,
                Err(error) => error,
            };
            let span = error.span().unwrap_or(0..0);
            let Some(path) = find(table.get_ref(), &span) else {
                problems.push(self.problem(&span, None, "cannot be understood"));
                return File::default();
            };
            let removed = remove(table.get_mut(), &path);
            let kind = removed
                .as_ref()
                .map_or("value", |value| value.get_ref().type_str());
            let key = dotted(&path);
            let array = if key == "users" {
                "an array of tables"
            } else {
                "an array"
            };
            let message = reworded(error.message(), kind, array);
            problems.push(self.problem(&span, Some(key), message));
        }
        problems.push(self.more());
        File::default()
    }

    fn more(&self) -> Problem {
        Problem::new(self.path, "has more problems, which are not shown")
    }
}

/// Lines with an error of syntax.
#[derive(Default)]
struct BrokenLines(Vec<RangeInclusive<usize>>);

impl BrokenLines {
    /// After a table's header that cannot be read, the keys up to the next one belong nowhere.
    fn add(&mut self, line: usize, text: &str) {
        let header = |text: &&str| text.trim_start().starts_with('[');
        let mut rest = text.lines().skip(line - 1);
        let last = match rest.next().filter(header) {
            Some(_) => line + rest.take_while(|text| !header(text)).count(),
            None => line,
        };
        self.0.push(line..=last);
    }

    fn contains(&self, line: usize) -> bool {
        self.0.iter().any(|lines| lines.contains(&line))
    }
}

//------------ Places in a table ---------------------------------------------

/// One step on the way to an entry.
enum Step {
    Key(String),
    Element(usize),
}

type Key<'i> = Spanned<DeString<'i>>;
type Value<'i> = Spanned<DeValue<'i>>;

/// The innermost entry at `span`: one whose key or value stands exactly there, else one whose
/// value holds that place.
fn find(table: &DeTable<'_>, span: &Range<usize>) -> Option<Vec<Step>> {
    let around = |other: Range<usize>| other.start <= span.start && span.end <= other.end;
    search(table, |_, key, value| {
        key.span() == *span || value.span() == *span
    })
    .or_else(|| {
        search(table, |_, key, value| {
            around(key.span()) || around(value.span())
        })
    })
}

/// The keys that have arrays of values, and how deep their tables are.
const LISTS: [(usize, &str); 10] = [
    (1, "allowed-fronts"),
    (1, "domains"),
    (1, "keys"),
    (1, "urls"),
    (1, "temporary"),
    (1, "strip-domains"),
    (1, "waits"),
    (1, "always-allow"),
    (1, "allowed-networks"),
    (2, "addresses"),
];

/// An array where none belongs: serde would take it for a table without keys.
fn stray_array(table: &DeTable<'_>) -> Option<Vec<Step>> {
    let is_table = |value: &Value<'_>| value.get_ref().is_table();
    search(table, |depth, key, value| match value.get_ref() {
        DeValue::Array(array) if depth == 0 && key.get_ref() == "users" => {
            !array.iter().all(is_table)
        }
        DeValue::Array(_) => !LISTS.contains(&(depth, key.get_ref())),
        _ => false,
    })
}

/// The way to the innermost entry that fits.
fn search(
    table: &DeTable<'_>,
    fits: impl Fn(usize, &Key<'_>, &Value<'_>) -> bool,
) -> Option<Vec<Step>> {
    let mut path = Vec::new();
    search_in(table, 0, &fits, &mut path).then(|| {
        path.reverse();
        path
    })
}

/// Builds the path from its end. toml bounds how deep tables can be.
fn search_in(
    table: &DeTable<'_>,
    depth: usize,
    fits: &impl Fn(usize, &Key<'_>, &Value<'_>) -> bool,
    path: &mut Vec<Step>,
) -> bool {
    let mut inside = |value: &Value<'_>| match value.get_ref() {
        DeValue::Table(table) => search_in(table, depth + 1, fits, path),
        DeValue::Array(array) => array.iter().enumerate().any(|(number, element)| {
            let found = match element.get_ref() {
                DeValue::Table(table) => search_in(table, depth + 1, fits, path),
                _ => false,
            };
            if found {
                path.push(Step::Element(number));
            }
            found
        }),
        _ => false,
    };
    let found = table
        .iter()
        .find(|(key, value)| inside(value) || fits(depth, key, value));
    path.extend(found.map(|(key, _)| Step::Key(key.get_ref().to_string())));
    found.is_some()
}

fn remove<'i>(table: &mut DeTable<'i>, path: &[Step]) -> Option<Spanned<DeValue<'i>>> {
    match path {
        [Step::Key(key)] => table.remove(key.as_str()),
        [Step::Key(key), rest @ ..] => match (table.get_mut(key.as_str())?.get_mut(), rest) {
            (DeValue::Table(inner), rest) => remove(inner, rest),
            (DeValue::Array(array), [Step::Element(number), rest @ ..]) => {
                match array.get_mut(*number)?.get_mut() {
                    DeValue::Table(inner) => remove(inner, rest),
                    _ => None,
                }
            }
            _ => None,
        },
        _ => None,
    }
}

/// `hosts.mailhost01.port`; the elements of an array are told apart by their places.
fn dotted(path: &[Step]) -> String {
    let mut dotted = String::new();
    for step in path {
        if let Step::Key(key) = step {
            if !dotted.is_empty() {
                dotted.push('.');
            }
            dotted.push_str(&written(key));
        }
    }
    dotted
}

/// A key as TOML would have it, on one line whatever it holds.
pub(super) fn written(key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !key.is_empty() && key.bytes().all(bare) {
        key.to_owned()
    } else {
        format!("{key:?}")
    }
}

//------------ Wording -------------------------------------------------------

/// serde's message without the value that it quotes. `kind` is the kind of that value, `array`
/// what a sequence is called where it belongs.
fn reworded(message: &str, kind: &str, array: &str) -> String {
    if message.starts_with("unknown field `") {
        return match message.rfind("`, expected ") {
            Some(end) => format!("unknown key, {}", &message[end + "`, ".len()..]),
            None => "unknown key".to_owned(),
        };
    }
    let wanted = match message.rsplit_once(", expected ") {
        Some((_, "i64")) => "an integer",
        Some((_, "a sequence")) => array,
        Some((_, wanted)) if wanted.starts_with("struct ") || wanted == "a map" => "a table",
        Some((_, wanted @ ("a string" | "a boolean" | "a string or a table"))) => wanted,
        _ => return format!("this {kind} cannot be used here"),
    };
    let article = if matches!(kind, "integer" | "array") {
        "an"
    } else {
        "a"
    };
    if wanted.ends_with(kind) {
        format!("this {kind} is too large")
    } else {
        format!("must be {wanted}, not {article} {kind}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counted from the beginning.
    fn counted(text: &str, offset: usize) -> (usize, usize) {
        let before = &text[..offset];
        let line = before.rsplit('\n').next().unwrap();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }

    #[test]
    fn places_are_those_that_counting_finds() {
        let lines = format!("a\n\nüß {}\n", "ö".repeat(700));
        for text in [
            String::new(),
            "\n".to_owned(),
            "x".repeat(STRIDE - 1) + "\n" + &"y".repeat(3 * STRIDE),
            "\n".repeat(2 * STRIDE),
            lines.repeat(5),
        ] {
            let source = Source::new(Path::new("file"), &text);
            for (offset, _) in text.char_indices().chain([(text.len(), ' ')]) {
                assert_eq!(source.place(offset), counted(&text, offset), "{offset}");
            }
            assert_eq!(source.place(usize::MAX), counted(&text, text.len()));
        }
    }
}
