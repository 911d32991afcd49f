//! Stored passwords, read and compared.

use nginx_mail_auth::secret::{Password, Proof, Secret, WeakSchemes};
use std::hash::{BuildHasher, RandomState};

/// Passwords that look like this one and are others.
pub(crate) fn near(password: &[u8]) -> Vec<Vec<u8>> {
    let mut changed = password.to_vec();
    let middle = password.len() / 2;
    changed[middle] ^= 1;
    vec![
        password[..password.len() - 1].to_vec(),
        [password, b"x"].concat(),
        changed,
    ]
}

pub(crate) fn secret_word(password: &[u8]) -> Password {
    Password::new(password.to_vec()).unwrap()
}

pub(crate) fn proof(password: &[u8]) -> Proof {
    Proof::Password(secret_word(password))
}

pub(crate) fn read(stored: impl AsRef<[u8]>) -> Secret {
    let stored = stored.as_ref();
    match Secret::parse(stored, WeakSchemes::Allowed) {
        Ok(Some(secret)) => secret,
        other => panic!("{}: {other:?}", stored.escape_ascii()),
    }
}

/// Random bytes that no test depends on being good.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        Self(RandomState::new().hash_one(0))
    }

    /// A number below `bound` (splitmix64).
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ word >> 31) % bound as u64) as usize
    }

    /// Printable ASCII, no space at either end.
    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| b'!' + self.below(94) as u8).collect()
    }

    pub(crate) fn passwords(&mut self) -> Vec<Vec<u8>> {
        let eight_bit = (0..20).map(|_| 0xa0 + self.below(96) as u8).collect();
        let words = [self.bytes(5), self.bytes(7)].join(&b' ');
        vec![
            self.bytes(1),
            self.bytes(15),
            self.bytes(16),
            self.bytes(72),
            self.bytes(73),
            words,
            eight_bit,
            self.bytes(150),
        ]
    }

    /// Changes, adds or removes up to three bytes from `start` on.
    pub(crate) fn mutate(&mut self, text: &[u8], start: usize) -> Vec<u8> {
        let mut text = text.to_vec();
        for _ in 0..=self.below(3) {
            let at = start + self.below(text.len() - start + 1);
            match (self.below(4), text.len()) {
                (0, _) => text.insert(at, self.below(256) as u8),
                (1, length) if at < length => drop(text.remove(at)),
                (2, _) => text.truncate(at),
                (_, length) if at < length => text[at] = b'!' + self.below(94) as u8,
                _ => {}
            }
        }
        text
    }
}
