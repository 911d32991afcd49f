//! The text of a configuration file: where its problems stand, and how its keys are written.

use std::cell::OnceCell;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;

use crate::sys::problem::Problem;

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

    /// Where a byte of the value of the string at `span` is.
    pub(super) fn in_string(&self, span: &Range<usize>, byte: usize) -> usize {
        let written = self.text.get(span.clone()).unwrap_or_default();
        span.start + string::place(written, byte)
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
}

//------------ Places in a table ---------------------------------------------

/// One step on the way to an entry.
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

/// `hosts.mailhost01.port`; the elements of an array are told apart by their places.
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

/// A key as TOML would have it, on one line whatever it holds.
pub(super) fn written(key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !key.is_empty() && key.bytes().all(bare) {
        key.to_owned()
    } else {
        format!("{key:?}")
    }
}

/// A value that is not in the file, or whose table has the place.
pub(super) fn unplaced<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

mod string;
#[cfg(test)]
mod tests;
