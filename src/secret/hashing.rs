//! Makes new hashes for the password file.

use std::fmt;
use std::io;

use ::argon2::Algorithm;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::Sha512;

use super::digest::digest;
use super::random::random;
use super::recipe::Recipe;
use super::scheme::Scheme;
use super::sha_crypt::Size;
use super::{Password, Secret, argon2, bcrypt, pbkdf2, scram, sha_crypt, unix64, yescrypt};

impl Secret {
    /// Hashes a password with fresh salt. The result is the text after the login in a password
    /// file, `{SCHEME}…`, in a form that Dovecot reads too.
    pub fn hash(recipe: impl Into<Recipe>, password: &Password) -> Result<String, HashError> {
        let recipe = recipe.into();
        let scheme = recipe.scheme();
        let password = password.reveal();
        if password.is_empty() {
            return Err(HashError::EmptyPassword);
        }
        let salt: [u8; 16] = random().map_err(HashError::Random)?;
        // Twelve bytes become sixteen of these characters, the maximum of SHA-crypt.
        let letters = unix64::encode(&salt[..12]);
        let text = match scheme {
            Scheme::Argon2id => argon2::make(Algorithm::Argon2id, &recipe, &salt, password),
            Scheme::Argon2i => argon2::make(Algorithm::Argon2i, &recipe, &salt, password),
            Scheme::Yescrypt => yescrypt::make(recipe.cost(), &salt, password),
            Scheme::BlfCrypt if password.len() > bcrypt::MAX_PASSWORD_BYTES => {
                return Err(HashError::TooLongForBcrypt);
            }
            Scheme::BlfCrypt => bcrypt::make(recipe.cost(), salt, password),
            Scheme::Sha512Crypt => {
                sha_crypt::make(Size::Sha512, recipe.rounds(), &letters, password)
            }
            Scheme::Sha256Crypt => {
                sha_crypt::make(Size::Sha256, recipe.rounds(), &letters, password)
            }
            Scheme::Pbkdf2 => Some(pbkdf2::make(recipe.rounds(), &letters, password)),
            Scheme::ScramSha256 => scram::make(recipe.rounds(), &salt, password),
            Scheme::Ssha512 => {
                let digest = digest::<Sha512>(&[password, &salt]);
                Some(STANDARD.encode([digest.as_slice(), &salt].concat()))
            }
            _ => None,
        };
        let text = text.ok_or(HashError::CannotHashWith(scheme))?;
        Ok(format!("{{{}}}{text}", dovecot_name(scheme)))
    }
}

/// Dovecot has no own name for yescrypt; its `{CRYPT}` accepts everything that crypt(3) knows.
fn dovecot_name(scheme: Scheme) -> String {
    match scheme {
        Scheme::Yescrypt => "CRYPT".to_owned(),
        _ => scheme.name().to_ascii_uppercase(),
    }
}

/// Why no hash was made.
#[derive(Debug)]
pub enum HashError {
    /// An empty password is never accepted.
    EmptyPassword,
    /// bcrypt uses only 72 bytes.
    TooLongForBcrypt,
    /// This scheme can only be read: it is not in [`Scheme::MADE`].
    CannotHashWith(Scheme),
    /// The system returned no random bytes.
    Random(io::Error),
}

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyPassword => f.write_str("the password is empty"),
            Self::TooLongForBcrypt => f.write_str(
                "the password has more than 72 bytes, and blf-crypt uses only the first 72",
            ),
            Self::CannotHashWith(scheme) => write!(f, "new hashes cannot be made with {scheme}"),
            Self::Random(_) => f.write_str("cannot get random bytes"),
        }
    }
}

impl std::error::Error for HashError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Random(error) => Some(error),
            _ => None,
        }
    }
}
