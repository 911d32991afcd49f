//! Random bytes of the system, and passwords made of them.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};
use zeroize::Zeroizing;

use super::Password;

/// Letters and digits without those that look alike: l, o, 0 and 1. Each holds 5 bits.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The length of a password: 120 bits.
const PASSWORD_BYTES: usize = 24;

impl Password {
    /// A password that nobody can guess.
    pub fn random() -> io::Result<Self> {
        let bytes = Zeroizing::new(random::<PASSWORD_BYTES>()?);
        let letter = |byte: &u8| ALPHABET[usize::from(byte % 32)];
        Ok(Self(Zeroizing::new(bytes.iter().map(letter).collect())))
    }
}

/// At most 256 bytes, which are never returned in part (getrandom(2)).
pub(super) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    match getrandom(&mut bytes, GetRandomFlags::empty())? {
        length if length == N => Ok(bytes),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_occurs_and_no_password_comes_twice() {
        let made: Vec<_> = (0..50).map(|_| Password::random().unwrap()).collect();
        let mut seen: Vec<u8> = made.iter().flat_map(|it| it.reveal().to_vec()).collect();
        assert_eq!(seen.len(), 50 * PASSWORD_BYTES);
        seen.sort_unstable();
        seen.dedup();
        let mut all = ALPHABET.to_vec();
        all.sort_unstable();
        assert_eq!(seen, all);
        for (at, one) in made.iter().enumerate() {
            assert!(made[..at].iter().all(|other| other != one));
        }
    }
}
