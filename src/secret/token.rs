//! Bearer tokens (RFC 6750): every client that has a token can log in with it.

use std::fmt;

use zeroize::Zeroizing;

/// The maximum length of a token in bytes. Signed tokens with many claims have two or three
/// thousand.
pub const MAX_TOKEN_BYTES: usize = 8 << 10;

/// A bearer token: 1 to [`MAX_TOKEN_BYTES`] bytes of `b64token` (RFC 6750, 2.1).
///
/// It cannot be printed, and its memory is wiped on drop.
#[derive(Clone)]
pub struct Token(Zeroizing<Vec<u8>>);

impl Token {
    /// Checks the bytes; rejected ones are wiped.
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        let bytes = Zeroizing::new(bytes);
        let padded = bytes.iter().rposition(|byte| *byte != b'=');
        let rest = padded.and_then(|last| bytes.get(..=last))?;
        let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
        (bytes.len() <= MAX_TOKEN_BYTES && rest.iter().all(fits)).then_some(Self(bytes))
    }

    /// The token itself, for checking its signature or asking the service that issued it.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_no_bytes_that_mean_something_elsewhere() {
        for good in [&b"a"[..], b"aZ09-._~+/==", b"ey.ey.x_", &[b'x'; 8192]] {
            let token = Token::new(good.to_vec()).unwrap();
            assert_eq!(token.reveal(), good);
            assert_eq!(format!("{token:?}"), "Token(..)");
        }
        for bad in [
            &b""[..],
            b"=",
            b"a b",
            b"a=b",
            b"a\r\n",
            b"a\0",
            b"a&b",
            b"a%41",
            b"a\"",
            b"\xe9",
            &[b'x'; 8193],
        ] {
            assert!(Token::new(bad.to_vec()).is_none(), "{}", bad.escape_ascii());
        }
    }
}
