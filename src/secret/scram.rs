//! The stored keys of SCRAM (RFC 5802, 3), used to check the password itself.
//!
//! - Dovecot: `{SCRAM-SHA-256}rounds,salt,StoredKey,ServerKey`.
//! - PostgreSQL: `SCRAM-SHA-256$rounds:salt$StoredKey:ServerKey` (`pg_authid.rolpassword`).
//!
//! The bytes of the password are used as the client sent them, as in Dovecot. SASLprep (RFC 4013),
//! which RFC 5802 requires and PostgreSQL applies, changes few passwords and none in ASCII.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::digest::digest;
use super::encoding::BASE64;
use super::error::SecretError;
use super::hash_function::Function;
use super::pbkdf2::Derivation;

const POSTGRESQL: &[u8] = b"SCRAM-SHA-256$";

/// Both keys of a password.
#[derive(Clone)]
pub(super) struct Scram {
    derivation: Derivation,
    keys: Keys,
}

#[derive(Clone)]
struct Keys {
    stored: Zeroizing<Vec<u8>>,
    server: Zeroizing<Vec<u8>>,
}

impl Scram {
    /// Reads Dovecot's `rounds,salt,StoredKey,ServerKey`.
    pub(super) fn parse(function: Function, text: &[u8]) -> Result<Self, SecretError> {
        let fields: Vec<&[u8]> = text.split(|byte| *byte == b',').collect();
        let [rounds, salt, stored, server] = fields[..] else {
            return Err(SecretError::Damaged(
                "not of the form rounds,salt,StoredKey,ServerKey",
            ));
        };
        Self::new(function, rounds, salt, stored, server)
    }

    /// Whether a text without a `{SCHEME}` is in PostgreSQL's form.
    pub(super) fn is_postgresql(text: &[u8]) -> bool {
        text.starts_with(POSTGRESQL)
    }

    /// Reads PostgreSQL's form.
    pub(super) fn parse_postgresql(text: &[u8]) -> Result<Self, SecretError> {
        const DAMAGED: SecretError =
            SecretError::Damaged("not of the form SCRAM-SHA-256$rounds:salt$StoredKey:ServerKey");
        let rest = text.strip_prefix(POSTGRESQL).ok_or(DAMAGED)?;
        let fields: Vec<&[u8]> = rest.split(|byte| matches!(byte, b'$' | b':')).collect();
        let [rounds, salt, stored, server] = fields[..] else {
            return Err(DAMAGED);
        };
        Self::new(Function::Sha256, rounds, salt, stored, server)
    }

    fn new(
        function: Function,
        rounds: &[u8],
        salt: &[u8],
        stored: &[u8],
        server: &[u8],
    ) -> Result<Self, SecretError> {
        let salt = BASE64
            .decode(salt)
            .map_err(|_| SecretError::Damaged("the salt is damaged"))?;
        let key = |text: &[u8]| {
            let key = BASE64.decode(text).ok().map(Zeroizing::new);
            key.filter(|key| key.len() == function.length())
                .ok_or(SecretError::Damaged("a key is damaged"))
        };
        let (stored, server) = (key(stored)?, key(server)?);
        Ok(Self {
            derivation: Derivation::new(function, rounds, salt)?,
            keys: Keys { stored, server },
        })
    }

    /// The estimated milliseconds.
    pub(super) fn takes_ms(&self) -> u32 {
        self.derivation.takes_ms()
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let keys = keys(&self.derivation, password);
        let both = keys.stored.ct_eq(&self.keys.stored) & keys.server.ct_eq(&self.keys.server);
        both.into()
    }
}

/// New keys for SCRAM-SHA-256 in Dovecot's form, as text.
pub(super) fn make(rounds: u32, salt: &[u8], password: &[u8]) -> Option<String> {
    let count = rounds.to_string();
    let derivation = Derivation::new(Function::Sha256, count.as_bytes(), salt.to_vec()).ok()?;
    let Keys { stored, server } = keys(&derivation, password);
    let [salt, stored, server] =
        [salt, stored.as_slice(), server.as_slice()].map(|bytes| STANDARD.encode(bytes));
    Some(format!("{rounds},{salt},{stored},{server}"))
}

/// StoredKey and ServerKey (RFC 5802, 3).
fn keys(derivation: &Derivation, password: &[u8]) -> Keys {
    let function = derivation.function;
    let salted = derivation.derive(password);
    let client = function.hmac(&salted, b"Client Key");
    let stored = match function {
        Function::Sha1 => digest::<Sha1>(&[&client]),
        Function::Sha256 => digest::<Sha256>(&[&client]),
        Function::Sha512 => digest::<Sha512>(&[&client]),
    };
    Keys {
        stored,
        server: function.hmac(&salted, b"Server Key"),
    }
}
