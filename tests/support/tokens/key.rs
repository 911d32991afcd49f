//! Keys that openssl makes, and tokens that it signs.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::process::program;
use crate::support::temp_dir::TempDir;

/// A key that openssl made.
pub(crate) struct Key {
    pub(crate) file: PathBuf,
    pub(crate) jwk: Value,
    pub(crate) algorithm: &'static str,
}

impl Key {
    pub(crate) fn openssl(arguments: &[&str], input: Option<&[u8]>) -> Vec<u8> {
        let mut child = Command::new(program("openssl", "openssl"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.unwrap_or_default())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "openssl {arguments:?}");
        output.stdout
    }

    pub(crate) fn new(dir: &TempDir, name: &str, algorithm: &'static str) -> Self {
        let file = dir.path().join(name);
        let path = file.to_str().unwrap();
        let kind: &[&str] = match algorithm {
            "EdDSA" => &["ed25519"],
            _ => &["rsa", "-pkeyopt", "rsa_keygen_bits:2048"],
        };
        Self::openssl(
            &[&["genpkey", "-out", path, "-algorithm"], kind].concat(),
            None,
        );
        let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let public = Self::openssl(&["pkey", "-in", path, "-pubout", "-outform", "DER"], None);
        let mut jwk = match algorithm {
            // The last 32 bytes of a SubjectPublicKeyInfo (RFC 8410, 4).
            "EdDSA" => json!({
                "kty": "OKP", "crv": "Ed25519", "x": encoded(&public[public.len() - 32..]),
            }),
            // It ends in the 256 bytes of the modulus and a short integer, 65537.
            _ => json!({
                "kty": "RSA", "e": "AQAB",
                "n": encoded(&public[public.len() - 5 - 256..public.len() - 5]),
            }),
        };
        jwk["kid"] = name.into();
        Self {
            file,
            jwk,
            algorithm,
        }
    }

    /// A token with these claims; `header` replaces or adds members of the header.
    pub(crate) fn sign(&self, header: Value, claims: &Value) -> String {
        let mut whole = json!({"alg": self.algorithm, "kid": self.jwk["kid"], "typ": "at+jwt"});
        for (name, value) in header.as_object().unwrap() {
            whole[name] = value.clone();
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&whole), part(claims));
        let message = self.file.with_extension("message");
        fs::write(&message, &text).unwrap();
        let (key, message) = (self.file.to_str().unwrap(), message.to_str().unwrap());
        let signature = match self.algorithm {
            "EdDSA" => Self::openssl(
                &["pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", message],
                None,
            ),
            "PS256" => Self::openssl(
                &[
                    "dgst",
                    "-sha256",
                    "-sigopt",
                    "rsa_padding_mode:pss",
                    "-sigopt",
                    "rsa_pss_saltlen:digest",
                    "-sign",
                    key,
                    message,
                ],
                None,
            ),
            _ => Self::openssl(&["dgst", "-sha256", "-sign", key, message], None),
        };
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

pub(crate) fn jwks(keys: &[&Key]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| key.jwk.clone()).collect();
    json!({"keys": keys}).to_string()
}
