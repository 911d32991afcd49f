//! yescrypt: `$y$` of crypt(3), what Debian's `passwd` and `mkpasswd` write.

use subtle::ConstantTimeEq;
use yescrypt::{Mode, Params};

use super::error::SecretError;
use super::stored::OutOfMemory;
use super::unix64;

/// The most memory taken: what `mkpasswd -R 9` asks for.
const MAX_MEMORY_BYTES: u64 = 256 << 20;
/// The largest block, in units of 128 bytes. crypt(3) writes 8 or 32.
const MAX_BLOCK: u32 = 256;
/// The most lanes. crypt(3) writes 1; they are computed one after the other.
const MAX_LANES: u32 = 8;
/// The longest salt (yescrypt's format allows 64 bytes). crypt(3) writes 16.
const MAX_SALT_BYTES: usize = 64;
/// The only length of a digest in this format.
const DIGEST_BYTES: usize = 32;

/// A hash whose parameters are within our bounds.
#[derive(Clone)]
pub(super) struct Yescrypt {
    params: Params,
    salt: Vec<u8>,
    digest: Vec<u8>,
}

impl Yescrypt {
    /// Reads `params$salt$digest`, what follows the identifier.
    pub(super) fn parse(rest: &[u8]) -> Result<Self, SecretError> {
        let fields: Vec<&[u8]> = rest.split(|byte| *byte == b'$').collect();
        let [params, salt, digest] = fields[..] else {
            return Err(SecretError::Damaged(
                "not of the form $y$params$salt$digest",
            ));
        };
        let salt = unix64::decode(salt)
            .filter(|salt| (1..=MAX_SALT_BYTES).contains(&salt.len()))
            .ok_or(SecretError::Damaged("the salt is damaged"))?;
        // The crate would compare a digest of one byte as well.
        let digest = unix64::decode(digest)
            .filter(|digest| digest.len() == DIGEST_BYTES)
            .ok_or(SecretError::Damaged("the digest is damaged"))?;
        Ok(Self {
            params: read_params(params)?,
            salt,
            digest,
        })
    }

    /// Milliseconds, about: three for each MiB and lane.
    pub(super) fn takes_ms(&self) -> u32 {
        let kib = memory(&self.params) >> 10;
        let all = kib.saturating_mul(u64::from(self.params.p()));
        u32::try_from(all.saturating_mul(3) >> 10).unwrap_or(u32::MAX)
    }

    pub(super) fn check(&self, password: &[u8]) -> Result<bool, OutOfMemory> {
        // The crate would end the process where there is none.
        let bytes = usize::try_from(memory(&self.params)).map_err(|_| OutOfMemory)?;
        let mut room: Vec<u8> = Vec::new();
        room.try_reserve_exact(bytes).map_err(|_| OutOfMemory)?;
        drop(room);
        let digest = compute(&self.params, &self.salt, password);
        Ok(digest.is_some_and(|digest| digest.ct_eq(self.digest.as_slice()).into()))
    }
}

/// A new hash, as text, at the crate's default cost, which is crypt(3)'s: 16 MiB.
pub(super) fn make(salt: &[u8], password: &[u8]) -> Option<String> {
    let params = Params::default();
    let digest = unix64::encode(&compute(&params, salt, password)?);
    Some(format!("$y${params}${}${digest}", unix64::encode(salt)))
}

fn compute(params: &Params, salt: &[u8], password: &[u8]) -> Option<[u8; DIGEST_BYTES]> {
    let mut digest = [0; DIGEST_BYTES];
    yescrypt::yescrypt(password, salt, params, &mut digest).ok()?;
    Some(digest)
}

fn memory(params: &Params) -> u64 {
    params
        .n()
        .saturating_mul(u64::from(params.r()))
        .saturating_mul(128)
}

fn read_params(text: &[u8]) -> Result<Params, SecretError> {
    let damaged = SecretError::Damaged("the parameters are damaged");
    let text = str::from_utf8(text).map_err(|_| damaged.clone())?;
    let params: Params = text.parse().map_err(|_| damaged.clone())?;
    let (n, r, p) = (params.n(), params.r(), params.p());
    if memory(&params) > MAX_MEMORY_BYTES || r > MAX_BLOCK || p > MAX_LANES {
        return Err(SecretError::TooCostly(
            "more than 256 MiB of memory, or odd parameters",
        ));
    }
    // The time factor and the mode cannot be read from `Params`. crypt(3) writes none of the one
    // and always the same of the other, so the text must be what these three give.
    match Params::new(Mode::default(), n, r, p) {
        Ok(same) if n > 1 && r > 0 && same.to_string() == text => Ok(same),
        _ => Err(SecretError::TooCostly(
            "parameters that crypt(3) never writes",
        )),
    }
}
