//! yescrypt: `$y$` of crypt(3), as Debian's `passwd` and `mkpasswd` write it. Every hash that
//! libxcrypt accepts is accepted, within the limits.

use subtle::ConstantTimeEq;
use yescrypt::{Mode, Params};

use super::error::OutOfMemory;
use super::error::SecretError;
use super::unix64;

/// The maximum accepted memory: that of `mkpasswd -R 9`.
const MAX_MEMORY_BYTES: u64 = 256 << 20;
/// The largest block, in units of 128 bytes: 1 MiB. crypt(3) writes 8 or 32.
const MAX_BLOCK: u32 = 8192;
/// The maximum number of lanes. crypt(3) writes 1; they are computed one after the other.
const MAX_LANES: u32 = 8;
/// The longest salt (yescrypt's format allows 64 bytes). crypt(3) writes 16.
const MAX_SALT_BYTES: usize = 64;
/// The only length of a digest in this format.
const DIGEST_BYTES: usize = 32;

/// The error for parameters that cannot be read.
const DAMAGED: SecretError = SecretError::Damaged("the parameters are damaged");

/// A hash whose parameters are within the limits.
#[derive(Clone)]
pub(super) struct Yescrypt {
    params: Params,
    takes_ms: u32,
    salt: Vec<u8>,
    digest: Vec<u8>,
}

impl Yescrypt {
    /// Reads `params$salt$digest`, the text after the identifier.
    pub(super) fn parse(rest: &[u8]) -> Result<Self, SecretError> {
        let fields: Vec<&[u8]> = rest.split(|byte| *byte == b'$').collect();
        let [params, salt, digest] = fields[..] else {
            return Err(SecretError::Damaged(
                "not of the form $y$params$salt$digest",
            ));
        };
        let salt = unix64::decode(salt)
            .filter(|salt| salt.len() <= MAX_SALT_BYTES)
            .ok_or(SecretError::Damaged("the salt is damaged"))?;
        // The crate would accept a digest of one byte as well.
        let digest = unix64::decode(digest)
            .filter(|digest| digest.len() == DIGEST_BYTES)
            .ok_or(SecretError::Damaged("the digest is damaged"))?;
        let params = StoredParams::read(params)?;
        Ok(Self {
            takes_ms: params.takes_ms(),
            params: params.within_bounds()?,
            salt,
            digest,
        })
    }

    /// The estimated milliseconds.
    pub(super) fn takes_ms(&self) -> u32 {
        self.takes_ms
    }

    pub(super) fn check(&self, password: &[u8]) -> Result<bool, OutOfMemory> {
        // The crate would end the process if there is not enough memory.
        let bytes = usize::try_from(memory(&self.params)).map_err(|_| OutOfMemory)?;
        let mut room: Vec<u8> = Vec::new();
        room.try_reserve_exact(bytes).map_err(|_| OutOfMemory)?;
        drop(room);
        let digest = compute(&self.params, &self.salt, password);
        Ok(digest.is_some_and(|digest| digest.ct_eq(self.digest.as_slice()).into()))
    }
}

/// A new hash, as text.
pub(super) fn make(cost: u32, salt: &[u8], password: &[u8]) -> Option<String> {
    // As crypt_gensalt(3) chooses them by its count.
    let (log2_n, r) = match cost {
        0..=2 => (cost + 9, 8),
        _ => (cost + 7, 32),
    };
    let params = Params::new(Mode::default(), 1 << log2_n, r, 1).ok()?;
    let digest = unix64::encode(&compute(&params, salt, password)?);
    Some(format!("$y${params}${}${digest}", unix64::encode(salt)))
}

fn compute(params: &Params, salt: &[u8], password: &[u8]) -> Option<[u8; DIGEST_BYTES]> {
    let mut digest = [0; DIGEST_BYTES];
    yescrypt::yescrypt(password, salt, params, &mut digest).ok()?;
    Some(digest)
}

/// The blocks of all steps, of each lane, and two working blocks.
fn memory(params: &Params) -> u64 {
    let blocks = params.n().saturating_add(u64::from(params.p()) + 2);
    blocks.saturating_mul(u64::from(params.r()) * 128)
}

//------------ Written -------------------------------------------------------

/// Parameters as they are stored (`yescrypt_r` in yescrypt-common.c). The crate's type does not
/// expose all of them, and the work depends on each.
struct StoredParams {
    mode: Mode,
    log2_n: u32,
    r: u32,
    p: u32,
    t: u32,
}

impl StoredParams {
    fn read(mut text: &[u8]) -> Result<Self, SecretError> {
        let rest = &mut text;
        let (flavour, log2_n, r) = (
            read_number(rest, 0)?,
            read_number(rest, 1)?,
            read_number(rest, 1)?,
        );
        // Bits name which of four further numbers follow.
        let have = if rest.is_empty() {
            0
        } else {
            read_number(rest, 1)?
        };
        let mut number = |bit, least, absent| match have & bit {
            0 => Ok(absent),
            _ => read_number(rest, least),
        };
        let (p, t) = (number(1, 2, 1)?, number(2, 1, 0)?);
        let (upgrades, rom) = (number(4, 1, 0)?, number(8, 1, 0)?);
        if !rest.is_empty() {
            return Err(DAMAGED);
        }
        if rom > 0 {
            return Err(SecretError::Unsupported("yescrypt with a ROM"));
        }
        if upgrades > 0 {
            return Err(SecretError::Unsupported("yescrypt that was upgraded"));
        }
        let mode = Mode::try_from(flavour)
            .map_err(|_| SecretError::Unsupported("yescrypt of another flavour"))?;
        Ok(Self {
            mode,
            log2_n,
            r,
            p,
            t,
        })
    }

    fn n(&self) -> u64 {
        1_u64.checked_shl(self.log2_n).unwrap_or(u64::MAX)
    }

    fn within_bounds(&self) -> Result<Params, SecretError> {
        if self.r > MAX_BLOCK {
            return Err(SecretError::TooCostly("blocks of more than 1 MiB"));
        }
        if self.p > MAX_LANES {
            return Err(SecretError::TooCostly("more than 8 lanes"));
        }
        let (n, mode, t) = (self.n(), self.mode, self.t);
        // Parameters that yescrypt_kdf_body in yescrypt-opt.c rejects.
        let lanes_are_short = mode.is_rw() && n / u64::from(self.p) < 4;
        if n < 4 || lanes_are_short || mode.is_classic() && t > 0 {
            return Err(DAMAGED);
        }
        let params =
            Params::new_with_all_params(mode, n, self.r, self.p, t, 0).map_err(|_| DAMAGED)?;
        if n.saturating_mul(u64::from(self.r) * 128) > MAX_MEMORY_BYTES {
            return Err(SecretError::TooCostly("more than 256 MiB of memory"));
        }
        Ok(params)
    }

    /// The estimated milliseconds: three for each MiB, or five in the modes of scrypt, plus the
    /// share that the time factor adds (`fNloop` in the specification). In the modes of scrypt each
    /// lane does all the work.
    fn takes_ms(&self) -> u32 {
        let kib = self.n().saturating_mul(u64::from(self.r)) >> 3;
        let t = u64::from(self.t);
        let (per_mib, lanes) = match self.mode {
            Mode::Rw => (3, 1),
            Mode::Classic | Mode::Worm => (5, u64::from(self.p)),
        };
        let quarters = match (self.mode, t) {
            (_, 0) => 4,
            (_, 1) => 5,
            (Mode::Rw, t) => 3 * t,
            (_, t) => 2 * (t + 1),
        };
        let all = [per_mib, quarters, lanes]
            .into_iter()
            .fold(kib, u64::saturating_mul);
        u32::try_from(all / (4 << 10)).unwrap_or(u32::MAX)
    }
}

/// A number in yescrypt's characters, of variable length (`decode64_uint32`).
fn read_number(text: &mut &[u8], least: u32) -> Result<u32, SecretError> {
    let mut digit = || {
        let (first, rest) = text.split_first()?;
        *text = rest;
        unix64::value(*first)
    };
    let first = digit().ok_or(DAMAGED)?;
    let (mut start, mut end, mut bits, mut number) = (0, 47, 0, least);
    while first > end {
        number += (end + 1 - start) << bits;
        start = end + 1;
        end = start + (62 - end) / 2;
        bits += 6;
    }
    number += (first - start) << bits;
    while bits > 0 {
        bits -= 6;
        number += digit().ok_or(DAMAGED)? << bits;
    }
    Ok(number)
}
