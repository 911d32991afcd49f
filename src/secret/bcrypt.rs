//! bcrypt: `$2a$`, `$2b$` and `$2y$`, Dovecot's `{BLF-CRYPT}` and `htpasswd -B`; and passlib's
//! `$bcrypt-sha256$`, which hashes a digest of the password.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bcrypt::{HashParts, Version};
use blowfish::Blowfish;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::digest::digest;
use super::encoding::number;
use super::error::SecretError;
use super::hash_function::Function;

/// The highest accepted cost, about two seconds of work; each step doubles it.
const MAX_COST: u32 = 15;
/// The number of bytes of a password that bcrypt uses.
///
/// A longer password is refused, never truncated: otherwise all passwords with the same first bytes
/// would match.
pub(super) const MAX_PASSWORD_BYTES: usize = 72;
/// The number of characters of a salt.
const SALT_CHARACTERS: usize = 22;

/// A hash that has been checked.
#[derive(Clone)]
pub(super) struct Bcrypt {
    text: String,
    cost: u32,
    first: Prehash,
}

/// The step before bcrypt.
#[derive(Clone, Copy)]
enum Prehash {
    Nothing,
    /// Its SHA-256, in base64: version 1 of `$bcrypt-sha256$`.
    Sha256,
    /// Its HMAC-SHA-256 with the characters of the salt as key, in base64: version 2.
    Hmac,
}

impl Bcrypt {
    /// Reads the whole text.
    pub(super) fn parse(text: &[u8]) -> Result<Self, SecretError> {
        let damaged = SecretError::Damaged("the bcrypt hash is damaged");
        let text = str::from_utf8(text).map_err(|_| damaged.clone())?;
        let digits = text.get(4..6).unwrap_or_default();
        let parts: HashParts = text.parse().map_err(|_| damaged.clone())?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) || parts.get_cost() < 4 {
            return Err(damaged);
        }
        if parts.get_cost() > MAX_COST {
            return Err(SecretError::TooCostly("a cost of more than 15"));
        }
        Ok(Self {
            text: text.to_owned(),
            cost: parts.get_cost(),
            first: Prehash::Nothing,
        })
    }

    /// Reads the text after passlib's `$bcrypt-sha256$`: `v=2,t=2b,r=12$salt$digest`, or
    /// `2b,12$salt$digest` of version 1.
    pub(super) fn parse_sha256(rest: &[u8]) -> Result<Self, SecretError> {
        let form = SecretError::Damaged("not of the form $bcrypt-sha256$v=2,t=2b,r=$salt$digest");
        let fields: Vec<&[u8]> = rest.split(|byte| *byte == b'$').collect();
        let [params, salt, digest] = fields[..] else {
            return Err(form);
        };
        let params: Vec<&[u8]> = params.split(|byte| *byte == b',').collect();
        let (first, version, cost) = match params[..] {
            [b"v=2", b"t=2b", cost] => (Prehash::Hmac, "2b", cost.strip_prefix(b"r=")),
            [b"2a", cost] => (Prehash::Sha256, "2a", Some(cost)),
            [b"2b", cost] => (Prehash::Sha256, "2b", Some(cost)),
            _ => return Err(form),
        };
        let cost = cost.and_then(number).ok_or(form)?;
        if salt.len() != SALT_CHARACTERS {
            return Err(SecretError::Damaged("the salt is damaged"));
        }
        let start = format!("${version}${cost:02}$");
        let text = [start.as_bytes(), salt, digest].concat();
        Ok(Self {
            first,
            ..Self::parse(&text)?
        })
    }

    /// The estimated milliseconds: 65 microseconds, doubled by each step.
    pub(super) fn takes_ms(&self) -> u32 {
        (65 << self.cost) / 1000
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let first = match self.first {
            Prehash::Nothing if password.len() > MAX_PASSWORD_BYTES => return false,
            Prehash::Nothing => None,
            Prehash::Sha256 => Some(digest::<Sha256>(&[password])),
            Prehash::Hmac => {
                let salt = self.text.as_bytes().get(7..7 + SALT_CHARACTERS);
                Some(Function::Sha256.hmac(salt.unwrap_or_default(), password))
            }
        };
        let first = first.map(|bytes| Zeroizing::new(STANDARD.encode(bytes)));
        let password = first.as_ref().map_or(password, |text| text.as_bytes());
        bcrypt::verify(password, &self.text).is_ok_and(|same| same)
            || self.text.starts_with("$2a$") && fits_by_crypt_blowfish(&self.text, password)
    }
}

/// A new hash, as text; `None` if the password is too long or the cost is not valid.
pub(super) fn make(cost: u32, salt: [u8; 16], password: &[u8]) -> Option<String> {
    if password.len() > MAX_PASSWORD_BYTES {
        return None;
    }
    let parts = bcrypt::hash_with_salt(password, cost, salt).ok()?;
    Some(parts.format_for_version(Version::TwoY))
}

//------------ crypt_blowfish ------------------------------------------------

/// Whether a password matches by the `$2a$` of crypt(3), which differs from that of other programs:
/// for some passwords with a byte 0xFF it changes a bit of the first key, so that they do not match
/// a hash that an old faulty version made from another password (`BF_set_key` in crypt_blowfish.c).
fn fits_by_crypt_blowfish(text: &str, password: &[u8]) -> bool {
    let (Some(key), Ok(parts)) = (changed_key(password), text.parse::<HashParts>()) else {
        return false;
    };
    let with_end = Zeroizing::new([password, b"\0"].concat());
    let cyclic = with_end.get(..MAX_PASSWORD_BYTES).unwrap_or(&with_end);
    let salt = parts.get_salt_raw();
    let mut state: Blowfish = Blowfish::bc_init_state();
    // All 72 bytes of the key are used here, so its first word may differ from that of the
    // password.
    state.salted_expand_key(&salt, key.as_slice());
    for _ in 0..1_u32 << parts.get_cost() {
        state.bc_expand_key(cyclic);
        state.bc_expand_key(&salt);
    }
    let mut words = *b"OrpheanBeholderScryDoubt";
    for block in words.as_chunks_mut::<8>().0 {
        let [mut left, mut right] = [0, 4]
            .map(|at| u32::from_be_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]));
        for _ in 0..64 {
            [left, right] = state.bc_encrypt([left, right]);
        }
        let encrypted = u64::from(left) << 32 | u64::from(right);
        *block = encrypted.to_be_bytes();
    }
    // bcrypt leaves the last byte out.
    let digest = bcrypt::BASE_64.encode(&words[..23]);
    let stored = text
        .as_bytes()
        .get(7 + SALT_CHARACTERS..)
        .unwrap_or_default();
    digest.as_bytes().ct_eq(stored).into()
}

/// The first key of such a password: 72 bytes, one bit changed. The faulty version read bytes as
/// signed numbers. `None` unless it makes the same key although the password has bytes above 0x7f.
fn changed_key(password: &[u8]) -> Option<Zeroizing<[u8; MAX_PASSWORD_BYTES]>> {
    let mut key = Zeroizing::new([0; MAX_PASSWORD_BYTES]);
    let bytes = password.iter().chain([&0]).cycle();
    for (place, byte) in key.iter_mut().zip(bytes) {
        *place = *byte;
    }
    let mut signed = false;
    for word in key.as_chunks::<4>().0 {
        let faulty = word.iter().fold(0, |faulty: u32, byte| {
            faulty << 8 | i32::from(byte.cast_signed()).cast_unsigned()
        });
        if faulty != u32::from_be_bytes(*word) {
            return None;
        }
        signed |= word[1..].iter().any(|byte| *byte > 0x7f);
    }
    key[1] ^= 1;
    signed.then_some(key)
}
