//! Percent-encoding (RFC 3986, 2.1): `%2F` is a slash. Each format decides which bytes it encodes.

use zeroize::Zeroizing;

/// Decodes bytes once; `None` for a `%` without two hexadecimal digits. A `+` stays a plus.
pub(crate) fn decode(encoded: &[u8]) -> Option<Vec<u8>> {
    // The bytes can be a password, also before an error.
    let mut bytes = Zeroizing::new(Vec::with_capacity(encoded.len()));
    let mut parts = encoded.split(|byte| *byte == b'%');
    bytes.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        let (pair, plain) = part.split_first_chunk::<2>()?;
        bytes.push(from_hex(*pair)?);
        bytes.extend_from_slice(plain);
    }
    Some(std::mem::take(&mut bytes))
}

/// Appends the encoded form of a byte.
pub(crate) fn push(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |four: u8| DIGITS.get(usize::from(four & 15)).copied().unwrap_or(b'0');
    out.extend([b'%', digit(byte >> 4), digit(byte)]);
}

/// The byte of two hexadecimal digits.
pub(crate) fn from_hex(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        let mut encoded = Vec::new();
        all.iter().for_each(|byte| push(&mut encoded, *byte));
        assert_eq!(encoded.len(), 3 * 256);
        assert!(encoded.starts_with(b"%00%01"));
        assert_eq!(decode(&encoded), Some(all));
    }

    #[test]
    fn each_byte_is_decoded_once_or_the_text_is_refused() {
        for (encoded, bytes) in [
            (&b"a%2fb%2Fc"[..], Some(&b"a/b/c"[..])),
            (b"%2541", Some(b"%41")),
            (b"a+b\xff", Some(b"a+b\xff")),
            (b"", Some(b"")),
            (b"%", None),
            (b"a%4", None),
            (b"%zz", None),
            (b"%+1", None),
            (b"%%41", None),
        ] {
            assert_eq!(decode(encoded).as_deref(), bytes, "{encoded:?}");
        }
    }
}
