//! The forms of crypt(3) that begin with an identifier: `$id$…`.

use super::error::SecretError;
use super::form::Form;
use super::hash_function::Function;
use super::scheme::Scheme;
use super::{argon2, bcrypt, md5_crypt, pbkdf2, scram, sha_crypt, yescrypt};

/// Reads a form by its identifier.
pub(super) fn parse(text: &[u8]) -> Result<(Scheme, Form), SecretError> {
    if scram::Scram::is_postgresql(text) {
        let keys = scram::Scram::parse_postgresql(text)?;
        return Ok((Scheme::ScramSha256, Form::Scram(keys)));
    }
    let Some((identifier, rest)) = split(text) else {
        return Err(unmarked(text));
    };
    Ok(match identifier {
        b"1" => (
            Scheme::Md5Crypt,
            Form::Md5Crypt(md5_crypt::Md5Crypt::parse(b"$1$", rest)?),
        ),
        b"apr1" => (
            Scheme::Apr1,
            Form::Md5Crypt(md5_crypt::Md5Crypt::parse(b"$apr1$", rest)?),
        ),
        b"2a" | b"2b" | b"2y" => (Scheme::BlfCrypt, Form::Bcrypt(bcrypt::Bcrypt::parse(text)?)),
        b"bcrypt-sha256" => (
            Scheme::BcryptSha256,
            Form::Bcrypt(bcrypt::Bcrypt::parse_sha256(rest)?),
        ),
        b"pbkdf2" => pbkdf2(Function::Sha1, rest)?,
        b"pbkdf2-sha256" => pbkdf2(Function::Sha256, rest)?,
        b"pbkdf2-sha512" => pbkdf2(Function::Sha512, rest)?,
        b"5" => (
            Scheme::Sha256Crypt,
            Form::ShaCrypt(sha_crypt::ShaCrypt::parse(sha_crypt::Size::Sha256, rest)?),
        ),
        b"6" => (
            Scheme::Sha512Crypt,
            Form::ShaCrypt(sha_crypt::ShaCrypt::parse(sha_crypt::Size::Sha512, rest)?),
        ),
        b"y" => (
            Scheme::Yescrypt,
            Form::Yescrypt(yescrypt::Yescrypt::parse(rest)?),
        ),
        b"argon2i" => (
            Scheme::Argon2i,
            Form::Argon2(argon2::Argon2Hash::parse(
                ::argon2::Algorithm::Argon2i,
                rest,
            )?),
        ),
        b"argon2id" => (
            Scheme::Argon2id,
            Form::Argon2(argon2::Argon2Hash::parse(
                ::argon2::Algorithm::Argon2id,
                rest,
            )?),
        ),
        other => return Err(unsupported(other)),
    })
}

/// Reads `rounds$salt$digest`.
pub(super) fn pbkdf2(function: Function, text: &[u8]) -> Result<(Scheme, Form), SecretError> {
    let hash = pbkdf2::Pbkdf2::parse(function, text)?;
    Ok((Scheme::pbkdf2(function), Form::Pbkdf2(hash)))
}

/// The identifier, and the text after its closing `$`.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.strip_prefix(b"$")?;
    let end = text.iter().position(|byte| *byte == b'$')?;
    Some((&text[..end], &text[end + 1..]))
}

/// Unsupported identifiers: those of libxcrypt's crypt(5), and those of Argon2 that Dovecot does
/// not accept.
fn unsupported(identifier: &[u8]) -> SecretError {
    SecretError::Unsupported(match identifier {
        b"2" | b"2x" => "bcrypt of a faulty version ($2x$)",
        b"3" => "NT",
        b"7" => "scrypt ($7$)",
        b"gy" => "gost-yescrypt",
        b"sm3" | b"sm3y" => "SM3",
        b"sha1" => "SHA1-CRYPT",
        b"argon2d" => "ARGON2D",
        id if id.starts_with(b"md5") => "SunMD5",
        _ => return SecretError::UnknownScheme,
    })
}

/// A text without an identifier: traditional DES, its BSDi extension, or unknown.
fn unmarked(text: &[u8]) -> SecretError {
    let plain = |bytes: &[u8]| {
        bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/'))
    };
    match text {
        [b'_', rest @ ..] if rest.len() == 19 && plain(rest) => {
            SecretError::Unsupported("BSDi's extended DES")
        }
        _ if text.len() == 13 && plain(text) => SecretError::Unsupported("DES-CRYPT"),
        _ => SecretError::UnknownScheme,
    }
}
