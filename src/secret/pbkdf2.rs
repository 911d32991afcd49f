//! PBKDF2 with an HMAC (RFC 8018, 5.2), in the text forms of several programs.
//!
//! - Dovecot: `{PBKDF2}$1$salt$rounds$digest`, the salt as it is, the digest in hex.
//! - OpenLDAP's pw-pbkdf2, 389 Directory Server, passlib: `{PBKDF2-SHA256}rounds$salt$digest` and
//!   `$pbkdf2-sha256$rounds$salt$digest`, in base64 that may have `.` for `+` and no padding.
//! - 389 Directory Server before 2.0: `{PBKDF2_SHA256}` and 324 bytes in base64 (pbkdf2_pwd.c).

use base64::Engine;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::encoding::{BASE64, from_hex, number};
use super::error::SecretError;
use super::hash_function::Function;

/// The maximum number of rounds, over all blocks of the digest: about a second of work. OWASP
/// recommends 1,300,000 with SHA-1.
const MAX_ROUNDS: u32 = 2_000_000;
/// The longest accepted salt of Dovecot's form. Dovecot writes 16 bytes.
const MAX_SALT_BYTES: usize = 64;

//------------ Cost ----------------------------------------------------------

/// The parameters of the key derivation, within the limits.
#[derive(Clone)]
pub(super) struct Derivation {
    pub(super) function: Function,
    rounds: u32,
    salt: Vec<u8>,
    length: usize,
}

impl Derivation {
    /// For a key as long as the function's digest; `rounds` is a decimal number.
    pub(super) fn new(
        function: Function,
        rounds: &[u8],
        salt: Vec<u8>,
    ) -> Result<Self, SecretError> {
        let rounds = number(rounds).ok_or(SecretError::Damaged("the rounds are damaged"))?;
        Self::of_length(function, rounds, salt, function.length())
    }

    fn of_length(
        function: Function,
        rounds: u32,
        salt: Vec<u8>,
        length: usize,
    ) -> Result<Self, SecretError> {
        let derivation = Self {
            function,
            rounds,
            salt,
            length,
        };
        match derivation.all_rounds() {
            0 => Err(SecretError::Damaged("the rounds are damaged")),
            1..=MAX_ROUNDS => Ok(derivation),
            _ => Err(SecretError::TooCostly("more than 2,000,000 rounds")),
        }
    }

    /// Each block of the key needs all rounds.
    fn all_rounds(&self) -> u32 {
        let blocks = self.length.div_ceil(self.function.length());
        let blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
        self.rounds.saturating_mul(blocks)
    }

    pub(super) fn takes_ms(&self) -> u32 {
        self.all_rounds() / self.function.rounds_in_a_ms()
    }

    pub(super) fn derive(&self, password: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut key = Zeroizing::new(vec![0; self.length]);
        self.function
            .derive(self.rounds, &self.salt, password, &mut key);
        key
    }
}

//------------ Pbkdf2 --------------------------------------------------------

/// A hash.
#[derive(Clone)]
pub(super) struct Pbkdf2 {
    derivation: Derivation,
    digest: Vec<u8>,
}

impl Pbkdf2 {
    /// Reads Dovecot's `$1$salt$rounds$digest`.
    pub(super) fn parse_dovecot(text: &[u8]) -> Result<Self, SecretError> {
        let fields: Vec<&[u8]> = text.split(|byte| *byte == b'$').collect();
        let [b"", b"1", salt, rounds, digest] = fields[..] else {
            return Err(SecretError::Damaged(
                "not of the form $1$salt$rounds$digest",
            ));
        };
        if !(1..=MAX_SALT_BYTES).contains(&salt.len()) {
            return Err(SecretError::Damaged("the salt is missing or too long"));
        }
        let digest = from_hex(digest).ok_or(SecretError::Damaged("the digest is damaged"))?;
        Self::new(
            Derivation::new(Function::Sha1, rounds, salt.to_vec())?,
            digest,
        )
    }

    /// Reads `rounds$salt$digest` of OpenLDAP, 389 Directory Server and passlib.
    pub(super) fn parse(function: Function, text: &[u8]) -> Result<Self, SecretError> {
        let fields: Vec<&[u8]> = text.split(|byte| *byte == b'$').collect();
        let [rounds, salt, digest] = fields[..] else {
            return Err(SecretError::Damaged("not of the form rounds$salt$digest"));
        };
        let salt = adapted_base64(salt).ok_or(SecretError::Damaged("the salt is damaged"))?;
        let digest = adapted_base64(digest).ok_or(SecretError::Damaged("the digest is damaged"))?;
        Self::new(Derivation::new(function, rounds, salt)?, digest)
    }

    /// Reads the bytes of 389 Directory Server's `{PBKDF2_SHA256}`: the rounds, most significant
    /// byte first, the salt, the digest.
    pub(super) fn parse_packed(bytes: &[u8]) -> Result<Self, SecretError> {
        const SALT_BYTES: usize = 64;
        const DIGEST_BYTES: usize = 256;
        let parts = bytes
            .split_first_chunk::<4>()
            .and_then(|(rounds, rest)| Some((rounds, rest.split_first_chunk::<SALT_BYTES>()?)));
        match parts {
            Some((rounds, (salt, digest))) if digest.len() == DIGEST_BYTES => {
                let rounds = u32::from_be_bytes(*rounds);
                let (function, salt) = (Function::Sha256, salt.to_vec());
                let derivation = Derivation::of_length(function, rounds, salt, DIGEST_BYTES)?;
                Self::new(derivation, digest.to_vec())
            }
            _ => Err(SecretError::Damaged("not 324 bytes long")),
        }
    }

    fn new(derivation: Derivation, digest: Vec<u8>) -> Result<Self, SecretError> {
        if digest.len() != derivation.length {
            return Err(SecretError::Damaged("the digest is damaged"));
        }
        Ok(Self { derivation, digest })
    }

    /// The estimated milliseconds.
    pub(super) fn takes_ms(&self) -> u32 {
        self.derivation.takes_ms()
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let digest = self.derivation.derive(password);
        digest.ct_eq(&self.digest).into()
    }
}

/// A new hash in Dovecot's form, as text.
pub(super) fn make(rounds: u32, salt: &str, password: &[u8]) -> String {
    let mut digest = [0; 20];
    Function::Sha1.derive(rounds, salt.as_bytes(), password, &mut digest);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("$1${salt}${rounds}${hex}")
}

/// Reads base64 with `.` or `+`, padded or not (passlib's `ab64_decode`).
fn adapted_base64(text: &[u8]) -> Option<Vec<u8>> {
    let plus = |byte: &u8| if *byte == b'.' { b'+' } else { *byte };
    let text: Vec<u8> = text.iter().map(plus).collect();
    BASE64.decode(text).ok()
}
