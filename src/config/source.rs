//! The text of a configuration file: where its problems stand, and how its keys are written.

use std::cell::OnceCell;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;

use crate::sys::problem::Problem;

/// The distance in bytes of the kept positions, from which other positions are counted.
const MILESTONE_BYTES: usize = 1024;

/// The text of a configuration file.
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
    /// The positions of all bytes whose number is a multiple of [`MILESTONE_BYTES`], once one is asked for:
    /// counted from the beginning each time, the positions of all routes take a time that grows with
    /// the square of their number.
    milestones: OnceCell<Vec<Position>>,
}

/// How many line feeds and, behind the last of them, how many characters come before a byte.
#[derive(Clone, Copy)]
struct Position {
    lines: usize,
    characters: usize,
}

impl Position {
    const START: Self = Self {
        lines: 0,
        characters: 0,
    };

    /// The position after these bytes, which begin at this position.
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

    /// A problem at a position of this text; a problem with the whole text is at its beginning.
    pub(super) fn problem(
        &self,
        span: &Range<usize>,
        key: Option<String>,
        message: impl Into<String>,
    ) -> Problem {
        Problem {
            file: self.path.to_owned(),
            position: Some(self.position(span.start)),
            key,
            message: message.into(),
        }
    }

    /// Line and column of a byte, both from 1.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let number = before.len() / MILESTONE_BYTES;
        let milestone = self.milestones().get(number);
        let position = milestone
            .unwrap_or(&Position::START)
            .behind(&before[number * MILESTONE_BYTES..]);
        (position.lines + 1, position.characters + 1)
    }

    /// Where a byte of the value of the string at `span` is.
    pub(super) fn in_string(&self, span: &Range<usize>, byte: usize) -> usize {
        let written = self.text.get(span.clone()).unwrap_or_default();
        span.start + string::position(written, byte)
    }

    fn milestones(&self) -> &[Position] {
        self.milestones.get_or_init(|| {
            let mut position = Position::START;
            let strides = self.text.as_bytes().chunks_exact(MILESTONE_BYTES);
            let others = strides.map(|bytes| {
                position = position.behind(bytes);
                position
            });
            std::iter::once(Position::START).chain(others).collect()
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

/// `hosts.mailhost01.port`; the elements of an array are told apart by their positions.
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

/// A value that is not in the file, or that has the position of its table.
pub(super) fn unplaced<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

mod string;
#[cfg(test)]
mod tests;
