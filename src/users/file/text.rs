//! The text of a password file or of a file of app passwords: its size, its lines, and the key of its index.

use std::hash::{DefaultHasher, Hasher};
use std::io::BufRead;
use std::path::Path;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::MAX_FILE_BYTES;
use super::line::Line;
use crate::sys::problem::Problem;

/// The byte order mark that some editors put before the text (U+FEFF in UTF-8).
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The number of lines that become part of the hash key.
const KEY_LINES: usize = 8;

/// The content of a file of a permitted size, without a byte order mark: the mark would become part of the
/// first login.
pub(super) fn text_of(bytes: Vec<u8>, path: &Path) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let mut bytes = Zeroizing::new(bytes);
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Problem::new(path, "the file is larger than 4 GiB"));
    }
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(bytes)
}

/// A hasher that a client cannot predict without knowing the file: it has absorbed the first hashes of the
/// file.
pub(super) fn keyed_hasher(bytes: &[u8]) -> DefaultHasher {
    let mut key = Sha256::new();
    let stored = lines(bytes)
        .filter_map(|(_, text)| Line::cut(text))
        .map(|line| line.stored())
        .filter(|stored| !matches!(stored, [] | [b'*' | b'!', ..]));
    for stored in stored.take(KEY_LINES) {
        key.update(stored);
        key.update(b":");
    }
    let mut hasher = DefaultHasher::new();
    hasher.write(&key.finalize());
    hasher
}

/// Every line with its offset, without the line feed.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut offset = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(offset..).filter(|rest| !rest.is_empty())?;
        // Reading from a slice cannot fail; this uses the fast search of std.
        let length = (&mut &*rest).skip_until(b'\n').unwrap_or(rest.len());
        let line = &rest[..length];
        let found = (offset, line.strip_suffix(b"\n").unwrap_or(line));
        offset += length;
        Some(found)
    })
}
