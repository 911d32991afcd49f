//! Parses the text into a [`File`], and reports all syntax problems at once, each with its place and key.
//!
//! serde stops at its first error. So this module removes the entry that caused it and tries the rest again,
//! until no error remains.
//!
//! A problem contains only names of keys from the text: a value may be a secret, even one in the wrong place.
//! The messages of toml and serde quote values, so this module rewords them.

use std::cell::OnceCell;
use std::ops::{Range, RangeInclusive};
use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::advice::{self, Slip};
use super::file::File;
use super::syntax;
use crate::sys::problem::Problem;

/// The maximum number of reported syntax problems: each costs another pass over the file.
const MAX_PROBLEMS: usize = 100;

/// The distance between stored places, in bytes.
const STRIDE: usize = 1024;

/// The text of a configuration file.
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
    /// The places of all bytes whose offset is a multiple of [`STRIDE`], computed when the first one is
    /// needed. If each place were counted from the start of the file, the time for all routes would grow with
    /// the square of their number.
    milestones: OnceCell<Vec<Place>>,
}

/// The number of line feeds before a byte, and the number of characters between the last of them and the
/// byte.
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

    /// The place after these bytes, which start at `self`.
    fn behind(self, bytes: &[u8]) -> Self {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        let (before, line) = match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => (0, &bytes[end + 1..]),
            None => (self.characters, bytes),
        };
        // Continuation bytes of UTF-8 do not count as columns.
        let characters = line.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
        Self {
            lines: self.lines + lines,
            characters: before + characters,
        }
    }
}

/// The parsed part of a file.
pub(super) struct Read {
    pub(super) file: File,
    /// Whether it is the whole file. If not, a missing entry may have been removed.
    pub(super) whole: bool,
    /// Lines that toml cannot parse. Further problems of these lines are not reported: they are guesses, and
    /// may contain a part of a secret.
    pub(super) broken: BrokenLines,
    /// Keys that unknown keys probably mean.
    pub(super) meant: Vec<String>,
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

    /// A problem at a place of this text; a problem of the whole file has the place of its start.
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

    /// Parses the file; adds its syntax problems to `problems`.
    pub(super) fn read(&self, problems: &mut Vec<Problem>) -> Read {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        if errors.is_empty()
            && stray_array(table.get_ref()).is_none()
            && let Ok(file) = File::read(table)
        {
            return Read {
                file,
                whole: true,
                broken: BrokenLines::default(),
                meant: Vec::new(),
            };
        }
        let mut broken = BrokenLines::default();
        // Each error costs a search through the file for its place.
        for error in errors.iter().take(MAX_PROBLEMS) {
            let start = error.span().unwrap_or(0..0).start;
            let place = self.place(start);
            // One mistake can cause several errors; the first one describes it best.
            if !broken.contains(place.0) {
                broken.add(place.0, self.text);
                let line = |offset| self.place(offset).0;
                let (start, message) = syntax::of_syntax(error.message(), self.text, start, line);
                problems.push(Problem {
                    place: Some(self.place(start)),
                    ..Problem::new(self.path, message)
                });
            }
        }
        if errors.len() > MAX_PROBLEMS {
            problems.push(self.more());
            return Read {
                file: File::default(),
                whole: false,
                broken,
                meant: Vec::new(),
            };
        }
        let (table, _) = DeTable::parse_recoverable(self.text);
        let (mut rest, mut meant) = (Vec::new(), Vec::new());
        let file = self.salvage(table, &mut rest, &mut meant);
        rest.retain(|problem| !broken.has(problem));
        problems.append(&mut rest);
        Read {
            file,
            whole: false,
            broken,
            meant,
        }
    }

    /// Removes one entry after the other until the rest can be parsed.
    fn salvage(
        &self,
        mut table: Spanned<DeTable<'_>>,
        problems: &mut Vec<Problem>,
        meant: &mut Vec<String>,
    ) -> File {
        while problems.len() < MAX_PROBLEMS {
            if let Some(path) = stray_array(table.get_ref()) {
                let span = remove(table.get_mut(), &path).map_or(0..0, |array| array.span());
                let key = dotted(&path);
                let message = match key.as_str() {
                    "users" => "must be an array of tables: write [[users]]".to_owned(),
                    key => format!("must be a table, not an array: write [{key}]"),
                };
                problems.push(self.problem(&span, Some(key), message));
                continue;
            }
            let error = match File::read(table.clone()) {
                Ok(file) => return file,
                Err(error) => error,
            };
            let span = error.span;
            let Some(path) = find(table.get_ref(), &span) else {
                problems.push(self.problem(&span, None, "cannot be understood"));
                return File::default();
            };
            let removed = remove(table.get_mut(), &path);
            let store = store_of(table.get_ref(), &path);
            let slip = Slip {
                path: &path,
                value: removed.as_ref().map(Spanned::get_ref),
                alone: is_emptied(table.get_ref(), &path),
                store: store.as_deref(),
            };
            meant.extend(slip.stands_for(&error.message));
            let message = slip.reworded(&error.message);
            let key = dotted(&path);
            // A placeholder, so that routes to the host are not reported too.
            if let [Step::Key(hosts), Step::Key(name), rest @ ..] = path.as_slice()
                && hosts == "hosts"
                && (rest.is_empty() || slip.unquoted_name().is_some())
            {
                keep_name(table.get_mut(), name, &span);
            }
            problems.push(self.problem(&span, Some(key), message));
        }
        problems.push(self.more());
        File::default()
    }

    fn more(&self) -> Problem {
        Problem::new(self.path, "has more problems, which are not shown")
    }
}

/// Lines with a syntax error.
#[derive(Default)]
pub(super) struct BrokenLines(Vec<RangeInclusive<usize>>);

impl BrokenLines {
    /// After an invalid table header, the keys up to the next header belong to no table.
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

    /// Whether a problem is about one of them.
    pub(super) fn has(&self, problem: &Problem) -> bool {
        problem.place.is_some_and(|(line, _)| self.contains(line))
    }
}

//------------ Places in a table ---------------------------------------------

/// One step of the path to an entry.
pub(super) enum Step {
    Key(String),
    Element(usize),
}

impl Step {
    /// The key, if it is one.
    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Self::Key(key) => Some(key),
            Self::Element(_) => None,
        }
    }
}

type Key<'i> = Spanned<DeString<'i>>;
type Value<'i> = Spanned<DeValue<'i>>;

/// The innermost entry at `span`: one whose key or value has exactly that place, else one whose key or value
/// contains it.
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

/// An array in place of a table: serde would take it for a table without keys.
fn stray_array(table: &DeTable<'_>) -> Option<Vec<Step>> {
    let is_table = |value: &Value<'_>| value.get_ref().is_table();
    let top = table.iter().find_map(|(key, value)| {
        let DeValue::Array(array) = value.get_ref() else {
            return None;
        };
        let right = key.get_ref() == "users" && array.iter().all(is_table);
        // `[[user]]` is an unknown key.
        (!right && advice::is_table(key.get_ref()))
            .then(|| vec![Step::Key(key.get_ref().to_string())])
    });
    let moves = || table.get("moves")?.get_ref().as_table();
    let one_move = || {
        let (name, _) = moves()?
            .iter()
            .find(|(_, value)| value.get_ref().is_array())?;
        Some(vec![
            Step::Key("moves".into()),
            Step::Key(name.get_ref().to_string()),
        ])
    };
    top.or_else(one_move)
}

/// Inserts a host without an address in place of one that cannot be parsed.
fn keep_name(table: &mut DeTable<'_>, name: &str, span: &Range<usize>) {
    let Some(DeValue::Table(hosts)) = table.get_mut("hosts").map(Spanned::get_mut) else {
        return;
    };
    let key = |key: &str| Spanned::new(span.clone(), DeString::from(key.to_owned()));
    let mut host = DeTable::new();
    let moving = DeValue::String("moving".into());
    host.insert(key("state"), Spanned::new(span.clone(), moving));
    hosts.insert(key(name), Spanned::new(span.clone(), DeValue::Table(host)));
}

/// The path of the innermost entry that fits.
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

/// Builds the path from its end. toml limits the depth of tables.
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

/// Whether the removed entry was the only one in its table.
fn is_emptied(table: &DeTable<'_>, path: &[Step]) -> bool {
    match path {
        [Step::Key(key), rest @ ..] if !rest.is_empty() => table
            .get(key.as_str())
            .and_then(|value| value.get_ref().as_table())
            .is_some_and(|inner| is_emptied(inner, rest)),
        _ => table.is_empty(),
    }
}

/// The value of `store` in the entry of `[[users]]` on the path.
fn store_of(table: &DeTable<'_>, path: &[Step]) -> Option<String> {
    let [Step::Key(users), Step::Element(number), ..] = path else {
        return None;
    };
    let entries = table.get(users.as_str())?.get_ref().as_array()?;
    let entry = entries.get(*number)?.get_ref().as_table()?;
    let store = entry.get("store")?.get_ref().as_str()?;
    Some(store.to_owned())
}

/// `hosts.mailhost01.port`; elements of an array have no number here, because their place identifies them.
pub(super) fn dotted(path: &[Step]) -> String {
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

/// A key in TOML syntax, always on one line.
pub(super) fn written(key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !key.is_empty() && key.bytes().all(bare) {
        key.to_owned()
    } else {
        format!("{key:?}")
    }
}

#[cfg(test)]
mod tests;
