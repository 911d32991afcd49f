//! The encodings of stored secrets: base64, hexadecimal, decimal numbers.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::error::SecretError;

/// Base64 with or without padding; Dovecot accepts both.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An encoding of bytes as text.
#[derive(Clone, Copy)]
pub(super) enum Encoding {
    Hex,
    Base64,
}

impl Encoding {
    pub(super) fn decode(self, text: &[u8]) -> Result<Vec<u8>, SecretError> {
        match self {
            Self::Hex => from_hex(text).ok_or(SecretError::Damaged("this is not hexadecimal")),
            Self::Base64 => BASE64
                .decode(text)
                .map_err(|_| SecretError::Damaged("this is not base64")),
        }
    }
}

/// Splits a scheme's name from the encoding after it: `SSHA.HEX`.
pub(super) fn split_encoding(name: &[u8]) -> Result<(&[u8], Option<Encoding>), SecretError> {
    let Some(dot) = name.iter().position(|byte| *byte == b'.') else {
        return Ok((name, None));
    };
    let encoding = match name[dot + 1..].to_ascii_uppercase().as_slice() {
        b"HEX" => Encoding::Hex,
        b"B64" | b"BASE64" => Encoding::Base64,
        _ => return Err(SecretError::UnknownScheme),
    };
    Ok((&name[..dot], Some(encoding)))
}

/// Reads hexadecimal digits of either case, two for each byte.
pub(super) fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_chunks::<2>() else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    pairs
        .iter()
        .map(|[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok())
        .collect()
}

/// Reads a decimal number in its only form: no sign, no leading zero.
pub(super) fn number(text: &[u8]) -> Option<u32> {
    let canonical = !(text.len() > 1 && text.starts_with(b"0"));
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    (canonical && digits)
        .then(|| str::from_utf8(text).ok()?.parse().ok())
        .flatten()
}
