//! Checks signed tokens (RFC 7519, RFC 7515) with public keys (RFC 7517).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, VerifyingKey};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The maximum number of keys of a set; services have two or three.
const MAX_KEYS: usize = 64;

/// The shortest RSA modulus: "A key of size 2048 bits or larger MUST be used" (RFC 7518, 3.3).
const MIN_RSA_BYTES: usize = 256;
/// The longest RSA modulus (`rsa::RsaPublicKey::MAX_SIZE`). The time of a check grows with its
/// square.
const MAX_RSA_BYTES: usize = 512;
/// The largest RSA exponent (`rsa::RsaPublicKey::MAX_PUB_EXPONENT`).
const MAX_EXPONENT: u64 = (1 << 33) - 1;

/// The maximum number of characters of a key's name in a message.
const MAX_NAME_CHARS: usize = 64;

/// The keys of a JWKS file that can check a signature.
pub(super) struct KeySet {
    keys: Vec<Key>,
    warnings: Vec<String>,
}

struct Key {
    id: Option<String>,
    key: PublicKey,
    algorithms: &'static [Algorithm],
    only: Option<String>,
}

/// The key that checks a signature.
enum PublicKey {
    /// RSA and the curves of NIST.
    Library(DecodingKey),
    /// With a strict check, which the library does not do.
    Ed25519(VerifyingKey),
}

/// The relevant members of a JSON Web Key (RFC 7517, 4).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The relevant members of a JOSE header (RFC 7515, 4.1). A key in the header, or its address, is
/// ignored: an attacker can put any key there.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

impl KeySet {
    /// Reads a JWKS file. Keys of other kinds and for other uses are skipped (RFC 7517, 5), and so
    /// are keys that can never check a signature, which the warnings report. The error says why no
    /// key is left.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }

        let set: Set = serde_json::from_slice(text)
            .map_err(|error| format!("this is not a JSON Web Key Set: {error}"))?;
        if set.keys.len() > MAX_KEYS {
            return Err(format!("there are more than {MAX_KEYS} keys in it"));
        }
        let (mut keys, mut warnings) = (Vec::new(), Vec::new());
        let mut why = "there is no key in it".to_owned();
        for (value, number) in set.keys.into_iter().zip(1..) {
            let Ok(jwk) = serde_json::from_value::<Jwk>(value) else {
                why = "a key has no kty".to_owned();
                continue;
            };
            let id = jwk.kid.clone();
            match jwk.key() {
                Ok(key) => keys.push(key),
                Err(SkippedKey::OtherUse(reason)) => why = reason.to_owned(),
                Err(SkippedKey::Broken(reason)) => {
                    let which = id.map_or_else(String::new, |id| {
                        let name: String = id.chars().take(MAX_NAME_CHARS).collect();
                        format!(" (kid {name:?})")
                    });
                    why = format!("key {number}{which} can never check a signature: {reason}");
                    warnings.push(format!("{why}; the key is skipped"));
                }
            }
        }
        if keys.is_empty() {
            return Err(format!("the file has no usable key: {why}"));
        }
        Ok(Self { keys, warnings })
    }

    /// The keys that can never check a signature, and why.
    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The claims of a token with a signature of one of these keys, and whether its header calls it
    /// an access token; otherwise why the token is rejected.
    pub(super) fn claims(&self, token: &[u8]) -> Result<(Map<String, Value>, bool), &'static str> {
        let [header, claims, signature] = parts(token).ok_or("it is not a signed token")?;
        let header: Header = json(header).ok_or("its header cannot be read")?;
        if header.crit.is_some() {
            return Err("it requires an unknown extension");
        }
        let typed = match header.typ.as_deref().map(kind) {
            None | Some(Kind::Any) => false,
            Some(Kind::Access) => true,
            Some(Kind::Other) => return Err("it is a token of another kind"),
        };
        // The algorithm is a known name, not `none`; the key decides whether it fits.
        let algorithm = algorithm(&header.alg).ok_or("its algorithm is not accepted")?;
        let signed = token.get(..token.len() - signature.len() - 1);
        let signature = str::from_utf8(signature).ok();
        let (Some(signed), Some(signature)) = (signed, signature) else {
            return Err("it is not a signed token");
        };
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| key.suits(&header, algorithm))
            .peekable();
        if fitting.peek().is_none() {
            return Err("it is signed with an unknown key");
        }
        if !fitting.any(|key| key.key.has_signed(signed, signature, algorithm)) {
            return Err("its signature is wrong");
        }
        let claims = json(claims).ok_or("its claims cannot be read")?;
        Ok((claims, typed))
    }
}

impl PublicKey {
    /// Whether a signature, in base64url, was made by the owner of this key.
    fn has_signed(&self, signed: &[u8], signature: &str, algorithm: Algorithm) -> bool {
        match self {
            Self::Library(key) => {
                crypto::verify(signature, signed, key, algorithm).is_ok_and(|right| right)
            }
            Self::Ed25519(key) => URL_SAFE_NO_PAD
                .decode(signature)
                .ok()
                .and_then(|bytes| Signature::from_slice(&bytes).ok())
                .is_some_and(|signature| key.verify_strict(signed, &signature).is_ok()),
        }
    }
}

impl Key {
    fn suits(&self, header: &Header, algorithm: Algorithm) -> bool {
        let named = header.kid.is_none() || header.kid == self.id;
        let only = self.only.as_ref().is_none_or(|only| *only == header.alg);
        named && only && self.algorithms.contains(&algorithm)
    }
}

impl Jwk {
    /// Reads a key. The kind of the key, not the token's header, decides which algorithms are
    /// allowed.
    fn key(self) -> Result<Key, SkippedKey> {
        use Algorithm::*;
        let verifies = |ops: &Vec<String>| ops.iter().any(|op| op == "verify");
        if self.usage.as_deref().is_some_and(|usage| usage != "sig")
            || !self.key_ops.as_ref().is_none_or(verifies)
        {
            return Err(SkippedKey::OtherUse("a key is not for signatures"));
        }
        let damaged = SkippedKey::Broken("a number of it is missing, or is not base64url");
        let bytes = |text: &Option<String>| {
            let text = text.as_ref().ok_or(damaged)?;
            URL_SAFE_NO_PAD.decode(text).map_err(|_| damaged)
        };
        let coordinate = |text: &Option<String>, length| {
            let fits = bytes(text)?.len() == length;
            fits.then(|| text.clone().unwrap_or_default())
                .ok_or(SkippedKey::Broken(
                    "a coordinate has another length than its curve",
                ))
        };
        let curve = |length, algorithm| {
            let (x, y) = (coordinate(&self.x, length)?, coordinate(&self.y, length)?);
            let key = DecodingKey::from_ec_components(&x, &y).map_err(|_| damaged)?;
            // Whether a point is on its curve is checked with each signature.
            match crypto::verify("", b"", &key, algorithm) {
                Ok(_) => Ok(PublicKey::Library(key)),
                Err(_) => Err(SkippedKey::Broken(NOT_ON_CURVE)),
            }
        };
        let (key, algorithms): (_, &'static [Algorithm]) =
            match (self.kty.as_str(), self.crv.as_deref()) {
                ("RSA", _) => {
                    let (n, e) = (bytes(&self.n)?, bytes(&self.e)?);
                    rsa(&n, &e).map_err(SkippedKey::Broken)?;
                    let key = PublicKey::Library(DecodingKey::from_rsa_raw_components(&n, &e));
                    (key, &[RS256, RS384, RS512, PS256, PS384, PS512])
                }
                ("EC", Some("P-256")) => (curve(32, ES256)?, &[ES256]),
                ("EC", Some("P-384")) => (curve(48, ES384)?, &[ES384]),
                ("OKP", Some("Ed25519")) => {
                    coordinate(&self.x, 32)?;
                    let key = ed25519(&bytes(&self.x)?).map_err(SkippedKey::Broken)?;
                    (PublicKey::Ed25519(key), &[EdDSA])
                }
                // Every holder of a symmetric key could have made the token.
                ("oct", _) => return Err(SkippedKey::OtherUse("a key is a shared secret")),
                _ => return Err(SkippedKey::OtherUse("a key is of another kind")),
            };
        if let Some(name) = &self.alg
            && !algorithm(name).is_some_and(|named| algorithms.contains(&named))
        {
            return Err(SkippedKey::Broken("its alg is none of a key of this kind"));
        }
        Ok(Key {
            id: self.kid,
            key,
            algorithms,
            only: self.alg,
        })
    }
}

const NOT_ON_CURVE: &str = "its point is not on its curve";

/// The key of an encoded point (RFC 8032, 5.1.3). A point of small order is rejected: an attacker
/// can make a signature that matches every message.
fn ed25519(point: &[u8]) -> Result<VerifyingKey, &'static str> {
    let key = VerifyingKey::try_from(point).map_err(|_| NOT_ON_CURVE)?;
    match key.is_weak() {
        true => Err("its point is of small order, so anyone can forge its signatures"),
        false => Ok(key),
    }
}

/// Why a key is skipped.
#[derive(Clone, Copy)]
enum SkippedKey {
    /// It is for another use.
    OtherUse(&'static str),
    /// It is for signatures, but would accept no signature of its owner, or that of an attacker.
    Broken(&'static str),
}

/// Why the modulus and exponent of an RSA key are rejected.
fn rsa(n: &[u8], e: &[u8]) -> Result<(), &'static str> {
    fn stripped(number: &[u8]) -> &[u8] {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        number.get(zeros..).unwrap_or_default()
    }
    let (n, e) = (stripped(n), stripped(e));
    let (Some(first), Some(last)) = (n.first(), n.last()) else {
        return Err("its modulus is zero");
    };
    let long = n.len() > MIN_RSA_BYTES || n.len() == MIN_RSA_BYTES && *first >= 0x80;
    if !long || n.len() > MAX_RSA_BYTES {
        return Err("its modulus is shorter than 2048 or longer than 4096 bits");
    }
    if last % 2 == 0 {
        return Err("its modulus is even");
    }
    let exponent = e.iter().try_fold(0_u64, |number, byte| {
        Some(number.checked_mul(256)? + u64::from(*byte))
    });
    match exponent {
        Some(3..=MAX_EXPONENT) if e.last().is_some_and(|last| last % 2 == 1) => Ok(()),
        _ => Err("its exponent is even, below 3 or above 2^33"),
    }
}

/// The algorithms of public keys (RFC 7518, 3.1; RFC 8037, 3.1).
fn algorithm(name: &str) -> Option<Algorithm> {
    use Algorithm::*;
    Some(match name {
        "RS256" => RS256,
        "RS384" => RS384,
        "RS512" => RS512,
        "PS256" => PS256,
        "PS384" => PS384,
        "PS512" => PS512,
        "ES256" => ES256,
        "ES384" => ES384,
        "EdDSA" | "Ed25519" => EdDSA,
        _ => return None,
    })
}

/// The meaning of `typ` in a header.
enum Kind {
    /// A signed token of any kind.
    Any,
    /// An access token.
    Access,
    /// Another kind of token.
    Other,
}

/// `JWT` (RFC 7519, 5.1), or the name of an access token (RFC 9068, 2.1).
fn kind(typ: &str) -> Kind {
    let typ = typ.to_ascii_lowercase();
    match typ.strip_prefix("application/").unwrap_or(&typ) {
        "jwt" => Kind::Any,
        "at+jwt" => Kind::Access,
        _ => Kind::Other,
    }
}

/// The three parts of a signed token, still encoded (RFC 7515, 7.1).
pub(super) fn parts(token: &[u8]) -> Option<[&[u8]; 3]> {
    let mut parts = token.split(|byte| *byte == b'.');
    let three = [parts.next()?, parts.next()?, parts.next()?];
    let whole = parts.next().is_none() && three.iter().all(|part| !part.is_empty());
    whole.then_some(three)
}

fn json<T: serde::de::DeserializeOwned>(part: &[u8]) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
