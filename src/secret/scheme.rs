//! The password schemes: their names, and which of them are weak.

use std::fmt;
use std::str::FromStr;

use super::hash_function::Function;

/// A scheme of stored passwords that this program can check. The names are those of Dovecot
/// (`doveadm pw -l`) where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// The password itself: `{PLAIN}`, `{CLEAR}`, `{CLEARTEXT}`.
    Plain,
    /// MD5 without salt: `{PLAIN-MD5}`, `{LDAP-MD5}`.
    Md5,
    /// MD5 with salt: `{SMD5}`.
    Smd5,
    /// SHA-1 without salt: `{SHA}`, `{SHA1}`, also htpasswd's.
    Sha1,
    /// SHA-1 with salt: `{SSHA}`.
    Ssha1,
    /// SHA-256 without salt: `{SHA256}`.
    Sha256,
    /// SHA-256 with salt: `{SSHA256}`.
    Ssha256,
    /// SHA-384 without salt: `{SHA384}`.
    Sha384,
    /// SHA-384 with salt: `{SSHA384}`, OpenLDAP's and 389 Directory Server's.
    Ssha384,
    /// SHA-512 without salt: `{SHA512}`.
    Sha512,
    /// SHA-512 with salt: `{SSHA512}`.
    Ssha512,
    /// crypt(3)'s `$1$`: `{MD5-CRYPT}`.
    Md5Crypt,
    /// Apache's `$apr1$`.
    Apr1,
    /// crypt(3)'s `$5$`: `{SHA256-CRYPT}`.
    Sha256Crypt,
    /// crypt(3)'s `$6$`: `{SHA512-CRYPT}`.
    Sha512Crypt,
    /// bcrypt, `$2a$`, `$2b$` and `$2y$`: `{BLF-CRYPT}`, `{BCRYPT}`.
    BlfCrypt,
    /// passlib's `$bcrypt-sha256$`: bcrypt of a digest, so that no password is too long.
    BcryptSha256,
    /// yescrypt, crypt(3)'s `$y$`.
    Yescrypt,
    /// PBKDF2 with HMAC-SHA-1: `{PBKDF2}` of Dovecot and of OpenLDAP, `{PBKDF2-SHA1}`, `$pbkdf2$`.
    Pbkdf2,
    /// The same with HMAC-SHA-256: `{PBKDF2-SHA256}`, `{PBKDF2_SHA256}`, `$pbkdf2-sha256$`.
    Pbkdf2Sha256,
    /// The same with HMAC-SHA-512: `{PBKDF2-SHA512}`, `$pbkdf2-sha512$`.
    Pbkdf2Sha512,
    /// The keys of SCRAM-SHA-1 (RFC 5802): `{SCRAM-SHA-1}`.
    ScramSha1,
    /// The keys of SCRAM-SHA-256 (RFC 7677): `{SCRAM-SHA-256}`, and PostgreSQL's form.
    ScramSha256,
    /// The keys of SCRAM-SHA-512: `{SCRAM-SHA-512}`.
    ScramSha512,
    /// The part of the password that CRAM-MD5 needs: `{CRAM-MD5}`, `{HMAC-MD5}`.
    CramMd5,
    /// Argon2i: `{ARGON2I}`.
    Argon2i,
    /// Argon2id: `{ARGON2ID}`.
    Argon2id,
}

/// Whether weak schemes may be used: `allow-weak-schemes` of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeakSchemes {
    /// They are allowed.
    Allowed,
    /// They are refused: such a login cannot be checked.
    Refused,
}

impl Scheme {
    /// All schemes, those with a fixed cost first.
    pub const ALL: [Self; 27] = [
        Self::Plain,
        Self::Md5,
        Self::Smd5,
        Self::Sha1,
        Self::Ssha1,
        Self::Sha256,
        Self::Ssha256,
        Self::Sha384,
        Self::Ssha384,
        Self::Sha512,
        Self::Ssha512,
        Self::CramMd5,
        Self::Md5Crypt,
        Self::Apr1,
        Self::Sha256Crypt,
        Self::Sha512Crypt,
        Self::BlfCrypt,
        Self::BcryptSha256,
        Self::Yescrypt,
        Self::Pbkdf2,
        Self::Pbkdf2Sha256,
        Self::Pbkdf2Sha512,
        Self::ScramSha1,
        Self::ScramSha256,
        Self::ScramSha512,
        Self::Argon2i,
        Self::Argon2id,
    ];

    /// The schemes that [`Secret::hash`](super::Secret::hash) can make, the default first.
    pub const MADE: [Self; 9] = [
        Self::Argon2id,
        Self::Argon2i,
        Self::Yescrypt,
        Self::BlfCrypt,
        Self::Sha512Crypt,
        Self::Sha256Crypt,
        Self::Pbkdf2,
        Self::ScramSha256,
        Self::Ssha512,
    ];

    /// PBKDF2 with this function.
    pub(super) fn pbkdf2(function: Function) -> Self {
        match function {
            Function::Sha1 => Self::Pbkdf2,
            Function::Sha256 => Self::Pbkdf2Sha256,
            Function::Sha512 => Self::Pbkdf2Sha512,
        }
    }

    /// SCRAM with this function.
    pub(super) fn scram(function: Function) -> Self {
        match function {
            Function::Sha1 => Self::ScramSha1,
            Function::Sha256 => Self::ScramSha256,
            Function::Sha512 => Self::ScramSha512,
        }
    }

    /// The name in lower case, as `hash --scheme` accepts it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Md5 => "plain-md5",
            Self::Smd5 => "smd5",
            Self::Sha1 => "sha",
            Self::Ssha1 => "ssha",
            Self::Sha256 => "sha256",
            Self::Ssha256 => "ssha256",
            Self::Sha384 => "sha384",
            Self::Ssha384 => "ssha384",
            Self::Sha512 => "sha512",
            Self::Ssha512 => "ssha512",
            Self::Md5Crypt => "md5-crypt",
            Self::Apr1 => "apr1",
            Self::Sha256Crypt => "sha256-crypt",
            Self::Sha512Crypt => "sha512-crypt",
            Self::BlfCrypt => "blf-crypt",
            Self::BcryptSha256 => "bcrypt-sha256",
            Self::Yescrypt => "yescrypt",
            Self::Pbkdf2 => "pbkdf2",
            Self::Pbkdf2Sha256 => "pbkdf2-sha256",
            Self::Pbkdf2Sha512 => "pbkdf2-sha512",
            Self::ScramSha1 => "scram-sha-1",
            Self::ScramSha256 => "scram-sha-256",
            Self::ScramSha512 => "scram-sha-512",
            Self::CramMd5 => "cram-md5",
            Self::Argon2i => "argon2i",
            Self::Argon2id => "argon2id",
        }
    }

    /// Whether `allow-weak-schemes` is required to use it.
    ///
    /// A scheme is weak if a leaked file reveals passwords: the password itself, every digest
    /// without salt (one table serves for all users), and everything that is based on MD5 or is one
    /// round of SHA-1, with or without salt. The value that is stored for CRAM-MD5 is even enough
    /// to log in. Dovecot 2.4 calls MD5 and SHA-1 weak too (`auth_allow_weak_schemes`); it allows
    /// `{PLAIN}` and unsalted `{SHA256}`, which this program does not. One round of salted SHA-2 is
    /// not a good choice either, but no table breaks it.
    pub fn is_weak(self) -> bool {
        match self {
            Self::Plain
            | Self::Md5
            | Self::Smd5
            | Self::Sha1
            | Self::Ssha1
            | Self::Sha256
            | Self::Sha384
            | Self::Sha512
            | Self::Md5Crypt
            | Self::Apr1
            | Self::CramMd5 => true,
            Self::Ssha256
            | Self::Ssha384
            | Self::Ssha512
            | Self::Sha256Crypt
            | Self::Sha512Crypt
            | Self::BlfCrypt
            | Self::BcryptSha256
            | Self::Yescrypt
            | Self::Pbkdf2
            | Self::Pbkdf2Sha256
            | Self::Pbkdf2Sha512
            | Self::ScramSha1
            | Self::ScramSha256
            | Self::ScramSha512
            | Self::Argon2i
            | Self::Argon2id => false,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is not in [`Scheme::MADE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CannotHashWith;

impl fmt::Display for CannotHashWith {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("choose one of ")?;
        f.write_str(&Scheme::MADE.map(Scheme::name).join(", "))
    }
}

impl std::error::Error for CannotHashWith {}

/// Reads the name of a scheme of [`Scheme::MADE`]; case does not matter.
impl FromStr for Scheme {
    type Err = CannotHashWith;

    fn from_str(name: &str) -> Result<Self, CannotHashWith> {
        Self::MADE
            .into_iter()
            .find(|scheme| scheme.name().eq_ignore_ascii_case(name))
            .ok_or(CannotHashWith)
    }
}

//------------ Prefix --------------------------------------------------------

/// The meaning of the text after `{NAME}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prefix {
    /// The password.
    Plain,
    /// A digest in hex or base64.
    Digest(Scheme),
    /// Two states of MD5, in hex.
    CramMd5,
    /// A crypt(3) form with its own identifier: `$6$…`.
    Crypt,
    /// `$1$…`, or an MD5 digest: Dovecot accepts both under these names.
    Md5CryptOrDigest,
    /// `rounds$salt$digest`; with SHA-1 also Dovecot's `$1$salt$rounds$digest`.
    Pbkdf2(Function),
    /// 389 Directory Server's old form of PBKDF2, in base64.
    PackedPbkdf2,
    /// The keys of SCRAM.
    Scram(Function),
    /// A scheme of Dovecot or OpenLDAP that this program cannot check.
    Unsupported(&'static str),
}

/// Schemes that this program cannot check: those of Dovecot that exist only for a
/// challenge-response mechanism or use only a part of the password, and those of OpenLDAP that ask
/// another service (slapd.conf(5), its contrib/slapd-modules/passwd).
const UNSUPPORTED: [&str; 20] = [
    "DIGEST-MD5",
    "OTP",
    "SKEY",
    "RPA",
    "NTLM",
    "NT",
    "LANMAN",
    "DES-CRYPT",
    "PLAIN-MD4",
    "PLAIN-TRUNC",
    "SASL",
    "KERBEROS",
    "UNIX",
    "NS-MTA-MD5",
    "APR1",
    "BSDMD5",
    "TOTP1",
    "TOTP256",
    "TOTP512",
    "RADIUS",
];

impl Prefix {
    /// Reads the name, without braces and encoding; case does not matter.
    pub(super) fn from_name(name: &[u8]) -> Option<Self> {
        const KNOWN: [(&str, Prefix); 35] = [
            ("PLAIN", Prefix::Plain),
            ("CLEAR", Prefix::Plain),
            ("CLEARTEXT", Prefix::Plain),
            ("PLAIN-MD5", Prefix::Digest(Scheme::Md5)),
            ("LDAP-MD5", Prefix::Digest(Scheme::Md5)),
            ("SMD5", Prefix::Digest(Scheme::Smd5)),
            ("SHA", Prefix::Digest(Scheme::Sha1)),
            ("SHA1", Prefix::Digest(Scheme::Sha1)),
            ("SSHA", Prefix::Digest(Scheme::Ssha1)),
            ("SHA256", Prefix::Digest(Scheme::Sha256)),
            ("SSHA256", Prefix::Digest(Scheme::Ssha256)),
            ("SHA384", Prefix::Digest(Scheme::Sha384)),
            ("SSHA384", Prefix::Digest(Scheme::Ssha384)),
            ("SHA512", Prefix::Digest(Scheme::Sha512)),
            ("SSHA512", Prefix::Digest(Scheme::Ssha512)),
            ("MD5", Prefix::Md5CryptOrDigest),
            ("MD5-CRYPT", Prefix::Md5CryptOrDigest),
            ("CRYPT", Prefix::Crypt),
            ("SHA256-CRYPT", Prefix::Crypt),
            ("SHA512-CRYPT", Prefix::Crypt),
            ("BLF-CRYPT", Prefix::Crypt),
            ("BCRYPT", Prefix::Crypt),
            ("ARGON2", Prefix::Crypt),
            ("ARGON2I", Prefix::Crypt),
            ("ARGON2ID", Prefix::Crypt),
            ("PBKDF2", Prefix::Pbkdf2(Function::Sha1)),
            ("PBKDF2-SHA1", Prefix::Pbkdf2(Function::Sha1)),
            ("PBKDF2-SHA256", Prefix::Pbkdf2(Function::Sha256)),
            ("PBKDF2-SHA512", Prefix::Pbkdf2(Function::Sha512)),
            ("PBKDF2_SHA256", Prefix::PackedPbkdf2),
            ("SCRAM-SHA-1", Prefix::Scram(Function::Sha1)),
            ("SCRAM-SHA-256", Prefix::Scram(Function::Sha256)),
            ("SCRAM-SHA-512", Prefix::Scram(Function::Sha512)),
            ("CRAM-MD5", Prefix::CramMd5),
            ("HMAC-MD5", Prefix::CramMd5),
        ];
        let is = |known: &str| known.as_bytes().eq_ignore_ascii_case(name);
        KNOWN
            .iter()
            .find_map(|(known, prefix)| is(known).then_some(*prefix))
            .or_else(|| {
                UNSUPPORTED
                    .into_iter()
                    .find(|known| is(known))
                    .map(Self::Unsupported)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case() {
        assert_eq!("Argon2ID".parse(), Ok(Scheme::Argon2id));
        assert_eq!("plain".parse::<Scheme>(), Err(CannotHashWith));
        for scheme in Scheme::MADE {
            assert_eq!(scheme.name().parse(), Ok(scheme));
            assert!(!scheme.is_weak(), "{scheme}");
        }
        assert_eq!(
            Prefix::from_name(b"sSha"),
            Some(Prefix::Digest(Scheme::Ssha1))
        );
        assert_eq!(
            Prefix::from_name(b"digest-md5"),
            Some(Prefix::Unsupported("DIGEST-MD5"))
        );
        assert_eq!(Prefix::from_name(b"ROT13"), None);
    }
}
