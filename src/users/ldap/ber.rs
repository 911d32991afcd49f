//! The encoding of LDAP messages: the part of BER that RFC 4511, 5.1 allows. No I/O, no recursion.

use std::fmt;

use zeroize::Zeroizing;

/// The maximum length of a message. This program requests a few attributes of two entries at most.
pub(super) const MAX_MESSAGE_BYTES: usize = 256 * 1024;

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// Malformed bytes; the text says what is wrong with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer is not valid LDAP: {}", self.0)
    }
}

//------------ Writing -------------------------------------------------------

/// One element whose content is the concatenated parts. It is built in one allocation and wiped when it is
/// dropped: it may contain a password.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Zeroizing::new(Vec::with_capacity(length + 6));
    out.push(tag);
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            out.push(0x80 | (bytes.len() - zeros) as u8);
            out.extend(bytes.iter().skip(zeros));
        }
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// An INTEGER or ENUMERATED, at most 2147483647 (maxInt of RFC 4511, 4.1.1).
pub(super) fn number(tag: u8, number: u32) -> Zeroizing<Vec<u8>> {
    let bytes = number.min(i32::MAX.cast_unsigned()).to_be_bytes();
    // The first bit is the sign, so one leading zero remains before a first bit of one.
    let mut content: &[u8] = &bytes;
    while let [0, rest @ ..] = content
        && rest.first().is_some_and(|next| *next < 0x80)
    {
        content = rest;
    }
    element(tag, &[content])
}

//------------ Reading -------------------------------------------------------

/// The length of the message at the start of `bytes`, header included; `None` if more bytes are needed.
pub(super) fn message_length(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    let (tag, rest) = match bytes {
        [] => return Ok(None),
        [tag, rest @ ..] => (*tag, rest),
    };
    if tag != SEQUENCE {
        return Err(Malformed("a message has an unexpected tag"));
    }
    let Some((length, header)) = read_length(rest)? else {
        return Ok(None);
    };
    match length.checked_add(1 + header) {
        Some(whole) if whole <= MAX_MESSAGE_BYTES => Ok(Some(whole)),
        _ => Err(Malformed("a message is too long")),
    }
}

/// A length, and the number of bytes that encode it.
fn read_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    match bytes {
        [] => Ok(None),
        [short @ 0..=0x7f, ..] => Ok(Some((usize::from(*short), 1))),
        // "Only the definite form of length encoding is used" (RFC 4511, 5.1). Active Directory always uses
        // four bytes, so leading zeros are valid.
        [long @ 0x81..=0x84, rest @ ..] => {
            let count = usize::from(long & 0x7f);
            let Some(digits) = rest.get(..count) else {
                return Ok(None);
            };
            let length = digits
                .iter()
                .fold(0u32, |length, byte| length << 8 | u32::from(*byte));
            Ok(Some((length as usize, 1 + count)))
        }
        _ => Err(Malformed("a length is not definite, or too long")),
    }
}

/// Reads the elements of another element's content in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// The next element's tag and content; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u8, &'a [u8])>, Malformed> {
        let (tag, rest) = match self.0 {
            [] => return Ok(None),
            [tag, rest @ ..] => (*tag, rest),
        };
        let short = Malformed("an element is cut off");
        if tag & 0x1f == 0x1f {
            return Err(Malformed("a tag is too long"));
        }
        let (length, header) = read_length(rest)?.ok_or(short)?;
        let rest = rest.get(header..).ok_or(short)?;
        let (content, rest) = rest.split_at_checked(length).ok_or(short)?;
        self.0 = rest;
        Ok(Some((tag, content)))
    }

    /// The content of the next element, which must have this tag.
    pub(super) fn take(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        match self.next()? {
            Some((found, content)) if found == tag => Ok(content),
            Some(_) => Err(Malformed("an element is of another kind")),
            None => Err(Malformed("an element is missing")),
        }
    }

    /// The next number, at most 2147483647 (maxInt of RFC 4511, 4.1.1).
    pub(super) fn number(&mut self, tag: u8) -> Result<u32, Malformed> {
        let content = self.take(tag)?;
        let leading = content.first().ok_or(Malformed("a number is empty"))?;
        if *leading >= 0x80 || content.len() > 4 {
            return Err(Malformed("a number is out of range"));
        }
        Ok(content
            .iter()
            .fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        for (value, bytes) in [
            (0, &[2, 1, 0][..]),
            (127, &[2, 1, 127]),
            (128, &[2, 2, 0, 128]),
            (255, &[2, 2, 0, 255]),
            (256, &[2, 2, 1, 0]),
            (32767, &[2, 2, 127, 255]),
            (32768, &[2, 3, 0, 128, 0]),
            (i32::MAX as u32, &[2, 4, 127, 255, 255, 255]),
        ] {
            assert_eq!(number(INTEGER, value).as_slice(), bytes, "{value}");
            assert_eq!(Reader(bytes).number(INTEGER), Ok(value));
        }
        for bad in [
            &[2, 0][..],
            &[2, 1, 128],
            &[2, 5, 0, 0, 0, 0, 1],
            &[4, 1, 1],
            &[],
        ] {
            assert!(Reader(bad).number(INTEGER).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn lengths_of_every_size_come_back() {
        for length in [0, 1, 127, 128, 255, 256, 65535, 65536, 200_000] {
            let content = vec![7; length];
            let bytes = element(SEQUENCE, &[&content[..length / 2], &content[length / 2..]]);
            assert_eq!(message_length(&bytes), Ok(Some(bytes.len())));
            let mut reader = Reader(&bytes);
            assert_eq!(reader.take(SEQUENCE), Ok(&content[..]));
            assert_eq!(reader.next(), Ok(None));
        }
    }

    #[test]
    fn a_message_is_measured_as_soon_as_its_length_is_there() {
        let active_directory = [SEQUENCE, 0x84, 0, 0, 0, 5];
        for cut in 0..active_directory.len() {
            assert_eq!(message_length(&active_directory[..cut]), Ok(None), "{cut}");
        }
        assert_eq!(message_length(&active_directory), Ok(Some(11)));
    }

    #[test]
    fn an_invalid_message_is_refused_at_once() {
        for bad in [
            &b"HTTP/1.1 200 OK"[..],
            &[0x30, 0x80],
            &[0x30, 0x85, 0, 0, 0, 0, 1],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0x83, 0x04, 0, 0],
            &[0],
        ] {
            assert!(message_length(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn elements_never_reach_beyond_what_holds_them() {
        for bad in [
            &[4][..],
            &[4, 1],
            &[4, 2, 0],
            &[4, 0x81],
            &[4, 0x82, 1],
            &[4, 0x84, 0xff, 0xff, 0xff, 0xff, 1],
            &[0x1f, 1, 0],
            &[4, 0x80, 0, 0],
        ] {
            assert!(Reader(bad).next().is_err(), "{bad:?}");
        }
    }
}
