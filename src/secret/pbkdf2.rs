//! PBKDF2 with HMAC-SHA-1 in Dovecot's form: `{PBKDF2}$1$salt$rounds$digest`.

use sha1::Sha1;
use subtle::ConstantTimeEq;

use super::error::SecretError;
use super::stored::{from_hex, number};

/// The most rounds taken: about a second of work. OWASP asks for 1,300,000 with SHA-1.
const MAX_ROUNDS: u32 = 2_000_000;
/// The longest salt taken. Dovecot writes 16 bytes.
const MAX_SALT_BYTES: usize = 64;
/// The only length of a digest in this form.
const DIGEST_BYTES: usize = 20;

/// A hash.
#[derive(Clone)]
pub(super) struct Pbkdf2 {
    rounds: u32,
    salt: Vec<u8>,
    digest: Vec<u8>,
}

impl Pbkdf2 {
    /// Reads the whole text.
    pub(super) fn parse(text: &[u8]) -> Result<Self, SecretError> {
        let fields: Vec<&[u8]> = text.split(|byte| *byte == b'$').collect();
        let [b"", b"1", salt, rounds, digest] = fields[..] else {
            return Err(SecretError::Damaged(
                "not of the form $1$salt$rounds$digest",
            ));
        };
        if !(1..=MAX_SALT_BYTES).contains(&salt.len()) {
            return Err(SecretError::Damaged("the salt is missing or too long"));
        }
        let rounds = number(rounds)
            .filter(|rounds| *rounds > 0)
            .ok_or(SecretError::Damaged("the rounds are damaged"))?;
        if rounds > MAX_ROUNDS {
            return Err(SecretError::TooCostly("more than 2,000,000 rounds"));
        }
        let digest = from_hex(digest)
            .filter(|digest| digest.len() == DIGEST_BYTES)
            .ok_or(SecretError::Damaged("the digest is damaged"))?;
        Ok(Self {
            rounds,
            salt: salt.to_vec(),
            digest,
        })
    }

    /// Milliseconds, about: a third of a microsecond for each round.
    pub(super) fn takes_ms(&self) -> u32 {
        self.rounds / 3000
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        compute(self.rounds, &self.salt, password)
            .ct_eq(self.digest.as_slice())
            .into()
    }
}

/// A new hash, as text.
pub(super) fn make(rounds: u32, salt: &str, password: &[u8]) -> String {
    let digest = compute(rounds, salt.as_bytes(), password);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("$1${salt}${rounds}${hex}")
}

fn compute(rounds: u32, salt: &[u8], password: &[u8]) -> [u8; DIGEST_BYTES] {
    pbkdf2::pbkdf2_hmac_array::<Sha1, DIGEST_BYTES>(password, salt, rounds)
}
