//! The public key of a MySQL server, which encrypts a password for that server alone: MySQL's
//! `--server-public-key-path`.

use rsa::pkcs8::DecodePublicKey as _;
use rsa::rand_core::OsRng;
use rsa::traits::PublicKeyParts as _;
use rsa::{Oaep, RsaPublicKey};
use zeroize::Zeroizing;

/// The minimum length of the modulus in bytes: that of the key that MySQL generates.
const LEAST_BYTES: usize = 256;

/// The end of a key in PEM form.
const END: &str = "-----END PUBLIC KEY-----";

/// The length of a challenge in bytes (MySQL internals, "Authentication Method").
const NONCE_BYTES: usize = 20;

/// A key from the configuration. A key that the server itself sends proves nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerKey(RsaPublicKey);

impl ServerKey {
    /// Parses a key as MySQL writes it to `public_key.pem` (RFC 7468, 13); the error says what is wrong.
    pub fn parse(pem: &[u8]) -> Result<Self, String> {
        let text = String::from_utf8_lossy(pem);
        // Text around the key is ignored: MySQL 9 writes a NUL after it.
        let begin = text.find("-----BEGIN PUBLIC KEY-----");
        let end = text.find(END).map(|end| end + END.len());
        let key = begin.zip(end).and_then(|(begin, end)| text.get(begin..end));
        let key = key.ok_or_else(|| match text.contains("PRIVATE KEY-----") {
            true => "is a private key, which only the server has: name its public_key.pem",
            false => "there is no public key in it: name public_key.pem of the server",
        })?;
        let key = RsaPublicKey::from_public_key_pem(key)
            .map_err(|error| format!("its key cannot be read: {error}"))?;
        if key.size() < LEAST_BYTES {
            return Err("its RSA key has less than 2048 bits".to_owned());
        }
        Ok(Self(key))
    }

    /// Encrypts a password for `caching_sha2_password` and `sha256_password` without TLS: with a NUL at the
    /// end, XOR the challenge, by RSA-OAEP with SHA-1 (MySQL, sql-common/client_authentication.cc).
    pub(super) fn encrypt(
        &self,
        password: &[u8],
        nonce: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, String> {
        if nonce.len() != NONCE_BYTES {
            return Err(
                "the server sends a challenge of another length than MySQL does".to_owned(),
            );
        }
        let text = Zeroizing::new([password, b"\0"].concat());
        let mask = nonce.iter().cycle();
        let text = Zeroizing::new(
            text.iter()
                .zip(mask)
                .map(|(a, b)| a ^ b)
                .collect::<Vec<u8>>(),
        );
        let encrypted = self
            .0
            .encrypt(&mut OsRng, Oaep::new::<sha1_of_rsa::Sha1>(), &text);
        encrypted
            .map(Zeroizing::new)
            .map_err(|_| "the password is too long for the key of the server".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use rsa::RsaPrivateKey;
    use rsa::pkcs8::{EncodePublicKey as _, LineEnding};

    use super::*;

    fn pem(private: &RsaPrivateKey) -> String {
        let public = private.to_public_key();
        public.to_public_key_pem(LineEnding::LF).unwrap()
    }

    #[test]
    fn only_the_server_can_read_the_password() {
        let private = RsaPrivateKey::new(&mut OsRng, 2048).unwrap();
        let key = ServerKey::parse(format!("a key\n{}\0", pem(&private)).as_bytes()).unwrap();
        let nonce = b"abcdefghijklmnopqrst";
        let password = b"a password that is longer than the challenge";
        let encrypted = key.encrypt(password, nonce).unwrap();
        let text = private
            .decrypt(Oaep::new::<sha1_of_rsa::Sha1>(), &encrypted)
            .unwrap();
        let plain: Vec<_> = text
            .iter()
            .zip(nonce.iter().cycle())
            .map(|(a, b)| a ^ b)
            .collect();
        assert_eq!(plain, [&password[..], b"\0"].concat());
        assert_ne!(encrypted, key.encrypt(password, nonce).unwrap());
        for bad in [&b""[..], b"short", b"abcdefghijklmnopqrst\0"] {
            let error = key.encrypt(password, bad).unwrap_err();
            assert!(error.contains("a challenge of another length"), "{error}");
        }
        let error = key.encrypt(&[b'x'; 214], nonce).unwrap_err();
        assert!(error.contains("too long"), "{error}");
    }

    #[test]
    fn keys_that_cannot_be_used() {
        let short = pem(&RsaPrivateKey::new(&mut OsRng, 1024).unwrap());
        for (text, message) in [
            (
                &b""[..],
                "there is no public key in it: name public_key.pem",
            ),
            (b"\xff", "there is no public key in it"),
            (
                b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
                "is a private key, which only the server has: name its public_key.pem",
            ),
            (
                b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "there is no public key in it: name public_key.pem",
            ),
            (
                b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
                "its key cannot be read: ",
            ),
            (short.as_bytes(), "its RSA key has less than 2048 bits"),
        ] {
            let error = ServerKey::parse(text).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
