//! Argon2i and Argon2id in their common text form: `$argon2id$v=19$m=…,t=…,p=…$salt$digest`.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq;

use super::encoding::number;
use super::error::OutOfMemory;
use super::error::SecretError;
use super::recipe::Recipe;

/// The maximum accepted memory, in KiB. The crate would try to use a stored 4 GiB.
const MAX_MEMORY_KIB: u32 = 256 << 10;
/// The maximum number of passes over it.
const MAX_PASSES: u32 = 10;
/// The maximum number of lanes; they are computed one after the other.
const MAX_LANES: u32 = 8;
/// The shortest salt that the reference implementation accepts (`ARGON2_MIN_SALT_LENGTH`).
const MIN_SALT_BYTES: usize = 8;
/// The shortest digest of the specification (RFC 9106, 3.1). A wrong password matches it by chance
/// once in four billion.
const MIN_DIGEST_BYTES: usize = 4;

/// A hash whose parameters are within the limits.
#[derive(Clone)]
pub(super) struct Argon2Hash {
    function: Argon2<'static>,
    salt: Vec<u8>,
    digest: Vec<u8>,
}

impl Argon2Hash {
    /// Reads the text after the identifier.
    pub(super) fn parse(algorithm: Algorithm, rest: &[u8]) -> Result<Self, SecretError> {
        let mut fields: Vec<&[u8]> = rest.split(|byte| *byte == b'$').collect();
        let version = match fields.first() {
            Some(&b"v=19") => Version::V0x13,
            // The first version does not contain its number.
            Some(&b"v=16") => Version::V0x10,
            Some(field) if field.starts_with(b"v=") => {
                return Err(SecretError::Damaged("an unknown version of Argon2"));
            }
            _ => {
                fields.insert(0, b"");
                Version::V0x10
            }
        };
        let [_, params, salt, digest] = fields[..] else {
            return Err(SecretError::Damaged(
                "not of the form $id$v=$m=,t=,p=$salt$digest",
            ));
        };
        let salt = STANDARD_NO_PAD
            .decode(salt)
            .map_err(|_| SecretError::Damaged("the salt is damaged"))?;
        if salt.len() < MIN_SALT_BYTES {
            return Err(SecretError::Damaged("the salt is shorter than 8 bytes"));
        }
        let digest = STANDARD_NO_PAD
            .decode(digest)
            .map_err(|_| SecretError::Damaged("the digest is damaged"))?;
        if digest.len() < MIN_DIGEST_BYTES {
            return Err(SecretError::Damaged("the digest is shorter than 4 bytes"));
        }
        let params = read_params(params, digest.len())?;
        Ok(Self {
            function: Argon2::new(algorithm, version, params),
            salt,
            digest,
        })
    }

    /// A hash that matches no password, at the cost of [`make`]'s.
    pub(super) fn dummy() -> Self {
        Self {
            function: Argon2::default(),
            salt: vec![0; 16],
            digest: vec![0; 32],
        }
    }

    /// The estimated milliseconds: a microsecond for each KiB and pass.
    pub(super) fn takes_ms(&self) -> u32 {
        let params = self.function.params();
        params.m_cost().saturating_mul(params.t_cost()) / 1000
    }

    pub(super) fn check(&self, password: &[u8]) -> Result<bool, OutOfMemory> {
        let mut digest = vec![0; self.digest.len()];
        match self
            .function
            .hash_password_into(password, &self.salt, &mut digest)
        {
            Ok(()) => Ok(digest.ct_eq(&self.digest).into()),
            Err(argon2::Error::OutOfMemory) => Err(OutOfMemory),
            Err(_) => Ok(false),
        }
    }
}

/// A new hash, as text.
pub(super) fn make(
    algorithm: Algorithm,
    recipe: &Recipe,
    salt: &[u8],
    password: &[u8],
) -> Option<String> {
    let ((m, p), t) = (recipe.memory(), recipe.rounds());
    let params = Params::new(m, t, p, None).ok()?;
    let mut digest = [0; 32];
    Argon2::new(algorithm, Version::V0x13, params)
        .hash_password_into(password, salt, &mut digest)
        .ok()?;
    Some(format!(
        "${algorithm}$v=19$m={m},t={t},p={p}${}${}",
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(digest)
    ))
}

fn read_params(text: &[u8], digest_bytes: usize) -> Result<Params, SecretError> {
    let damaged = SecretError::Damaged("the parameters are damaged");
    let mut fields = text.split(|byte| *byte == b',');
    let mut field = |name: &[u8]| fields.next()?.strip_prefix(name).and_then(number);
    let (Some(m), Some(t), Some(p), None) =
        (field(b"m="), field(b"t="), field(b"p="), fields.next())
    else {
        let more = text.split(|byte| *byte == b',').skip(3);
        let keyed = more
            .take(2)
            .any(|field| field.starts_with(b"keyid=") || field.starts_with(b"data="));
        return Err(if keyed {
            SecretError::Unsupported("Argon2 with a key or with data of its own")
        } else {
            damaged
        });
    };
    if p > 0 && m / 8 < p {
        return Err(SecretError::Damaged(
            "less than 8 KiB of memory for each lane",
        ));
    }
    if m > MAX_MEMORY_KIB {
        return Err(SecretError::TooCostly("more than 256 MiB of memory"));
    }
    if t > MAX_PASSES {
        return Err(SecretError::TooCostly("more than 10 passes"));
    }
    if p > MAX_LANES {
        return Err(SecretError::TooCostly("more than 8 lanes"));
    }
    Params::new(m, t, p, Some(digest_bytes)).map_err(|_| damaged)
}
