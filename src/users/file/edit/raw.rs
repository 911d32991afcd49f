//! The lines of a text with their line ends, some of them changed or removed.

use zeroize::Zeroizing;

use crate::users::file::text::BYTE_ORDER_MARK;

/// One line.
pub(in crate::users::file) struct Raw<'a> {
    old: &'a [u8],
    end: &'a [u8],
    change: Change,
}

enum Change {
    None,
    New(Zeroizing<Vec<u8>>),
    Removed,
}

impl<'a> Raw<'a> {
    /// The line as it was, without its line end.
    pub(in crate::users::file) fn content(&self) -> &'a [u8] {
        self.old
    }

    /// Its line end, if it has one.
    pub(super) fn line_end(&self) -> Option<&'a [u8]> {
        self.end.ends_with(b"\n").then_some(self.end)
    }

    pub(in crate::users::file) fn remove(&mut self) {
        self.change = Change::Removed;
    }

    pub(super) fn replace(&mut self, new: Zeroizing<Vec<u8>>) {
        self.change = Change::New(new);
    }
}

/// Splits a text, which may begin with a byte order mark.
pub(in crate::users::file) fn raw_lines(text: &[u8]) -> Vec<Raw<'_>> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let split = text.split_inclusive(|byte| *byte == b'\n');
    split
        .map(|line| {
            let content = line.strip_suffix(b"\n").unwrap_or(line);
            let content = content.strip_suffix(b"\r").unwrap_or(content);
            Raw {
                old: content,
                end: &line[content.len()..],
                change: Change::None,
            }
        })
        .collect()
}

/// The text again, with all changes, and with more lines at its end.
pub(in crate::users::file) fn join(
    text: &[u8],
    lines: &[Raw<'_>],
    added: impl Iterator<Item = Zeroizing<Vec<u8>>>,
) -> Zeroizing<Vec<u8>> {
    let end = lines.iter().rev().find_map(Raw::line_end).unwrap_or(b"\n");
    // Room for new hashes: a longer vector would leave its former memory unwiped.
    let mut joined = Zeroizing::new(Vec::with_capacity(text.len() + 4096));
    if text.starts_with(BYTE_ORDER_MARK) {
        joined.extend_from_slice(BYTE_ORDER_MARK);
    }
    let start = joined.len();
    for line in lines {
        match &line.change {
            Change::Removed => continue,
            Change::None => joined.extend_from_slice(line.old),
            Change::New(new) => joined.extend_from_slice(new),
        }
        joined.extend_from_slice(line.end);
    }
    for line in added {
        if joined.len() > start && joined.last() != Some(&b'\n') {
            joined.extend_from_slice(end);
        }
        joined.extend_from_slice(&line);
        joined.extend_from_slice(end);
    }
    joined
}
