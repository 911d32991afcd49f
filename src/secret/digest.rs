//! Passwords stored as one digest, with or without salt: `{SHA}`, `{SSHA256}`, `{SMD5}` and others.

use md5::Md5;
use sha1::Sha1;
use sha2::digest::FixedOutputReset;
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::error::SecretError;
use super::scheme::Scheme;

/// The longest accepted salt. OpenLDAP's longest is 16 bytes.
const MAX_SALT_BYTES: usize = 64;

/// A digest of password and salt.
#[derive(Clone)]
pub(super) struct Digested {
    function: DigestFunction,
    digest: Vec<u8>,
    salt: Vec<u8>,
}

#[derive(Clone, Copy)]
enum DigestFunction {
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Digested {
    /// The number of bytes that the text of `scheme` decodes to, if that is fixed.
    pub(super) fn fixed_length(scheme: Scheme) -> Option<usize> {
        let (function, salted) = function_of(scheme)?;
        (!salted).then(|| function.length())
    }

    /// Reads the decoded text: the digest, then the salt if the scheme has one.
    pub(super) fn parse(scheme: Scheme, mut bytes: Vec<u8>) -> Result<Self, SecretError> {
        let (function, salted) = function_of(scheme).ok_or(SecretError::UnknownScheme)?;
        let length = function.length();
        if bytes.len() < length {
            return Err(SecretError::Damaged("the digest is too short"));
        }
        let salt = bytes.split_off(length);
        match (salted, salt.len()) {
            (false, 0) | (true, 1..=MAX_SALT_BYTES) => Ok(Self {
                function,
                digest: bytes,
                salt,
            }),
            (true, 0) => Err(SecretError::Damaged("the salt is missing")),
            _ => Err(SecretError::Damaged("the digest is too long")),
        }
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let stored = self.digest.as_slice();
        let offered = [password, &self.salt];
        match self.function {
            DigestFunction::Md5 => digest::<Md5>(&offered).ct_eq(stored),
            DigestFunction::Sha1 => digest::<Sha1>(&offered).ct_eq(stored),
            DigestFunction::Sha256 => digest::<Sha256>(&offered).ct_eq(stored),
            DigestFunction::Sha384 => digest::<Sha384>(&offered).ct_eq(stored),
            DigestFunction::Sha512 => digest::<Sha512>(&offered).ct_eq(stored),
        }
        .into()
    }
}

impl DigestFunction {
    fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// The function of a scheme, and whether salt follows the password.
fn function_of(scheme: Scheme) -> Option<(DigestFunction, bool)> {
    Some(match scheme {
        Scheme::Md5 => (DigestFunction::Md5, false),
        Scheme::Smd5 => (DigestFunction::Md5, true),
        Scheme::Sha1 => (DigestFunction::Sha1, false),
        Scheme::Ssha1 => (DigestFunction::Sha1, true),
        Scheme::Sha256 => (DigestFunction::Sha256, false),
        Scheme::Ssha256 => (DigestFunction::Sha256, true),
        Scheme::Sha384 => (DigestFunction::Sha384, false),
        Scheme::Ssha384 => (DigestFunction::Sha384, true),
        Scheme::Sha512 => (DigestFunction::Sha512, false),
        Scheme::Ssha512 => (DigestFunction::Sha512, true),
        _ => return None,
    })
}

/// The digest of the concatenated parts. It is wiped on drop, as it may be that of a password.
pub(super) fn digest<D: Digest + FixedOutputReset>(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let mut state = D::new();
    for part in parts {
        Digest::update(&mut state, part);
    }
    finish(&mut state)
}

/// The digest of the input of a hash state. A state that is moved leaves a copy of its password
/// data on the stack; this one is wiped in place on drop.
pub(super) fn finish<D: Digest + FixedOutputReset>(state: &mut D) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Digest::finalize_reset(state).to_vec())
}
