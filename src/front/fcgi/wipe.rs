//! Overwrites buffers that held a request or an answer: both can contain a password.

use zeroize::Zeroize as _;

/// Overwrites the whole buffer, and empties it. `Vec::zeroize` does the same, but writes the content
/// byte by byte.
pub(super) fn wipe(buffer: &mut Vec<u8>) {
    buffer.spare_capacity_mut().zeroize();
    wipe_content(buffer);
}

/// The same for a buffer with nothing to overwrite after its content.
pub(super) fn wipe_content(buffer: &mut Vec<u8>) {
    buffer.as_mut_slice().zeroize();
    buffer.clear();
}
