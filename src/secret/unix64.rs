//! The base64 of crypt(3): its own alphabet, the low bits first, no padding.

const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Writes the bytes as characters.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 4 / 3 + 1);
    for group in bytes.chunks(3) {
        let word = group
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | usize::from(*byte));
        for place in 0..=group.len() {
            text.push(char::from(ALPHABET[word >> (6 * place) & 63]));
        }
    }
    text
}

/// Decodes characters; `None` for one outside the alphabet, and for a length or last character that
/// [`encode`] never writes.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for group in text.chunks(4) {
        let mut word = 0;
        for (place, character) in group.iter().enumerate() {
            word |= value(*character)? << (6 * place);
        }
        let length = group.len() - 1;
        if length == 0 || word >> (8 * length) != 0 {
            return None;
        }
        bytes.extend_from_slice(&word.to_le_bytes()[..length]);
    }
    Some(bytes)
}

/// The value of a character.
pub(super) fn value(character: u8) -> Option<u32> {
    Some(u32::from(match character {
        b'.' | b'/' | b'0'..=b'9' => character - b'.',
        b'A'..=b'Z' => character - b'A' + 12,
        b'a'..=b'z' => character - b'a' + 38,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_values_are_decoded() {
        for length in 0..70_u8 {
            let bytes: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(77)).collect();
            assert_eq!(decode(encode(&bytes).as_bytes()), Some(bytes));
        }
        assert_eq!(encode(&[255, 255, 255]), "zzzz");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["a", "abcde", "zz", "zzz", "a+bc", "ab=", "é."] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
    }
}
