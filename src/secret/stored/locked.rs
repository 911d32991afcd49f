//! Tests of locked entries: which stored texts no password opens, without being at fault.

use super::*;

/// Every name of a scheme, sound hashes or not.
const NAMES: [&str; 40] = [
    "MD5",
    "MD5-CRYPT",
    "CRYPT",
    "SHA256-CRYPT",
    "SHA512-CRYPT",
    "BLF-CRYPT",
    "ARGON2",
    "ARGON2I",
    "ARGON2ID",
    "PLAIN-MD5",
    "LDAP-MD5",
    "SMD5",
    "SHA",
    "SHA1",
    "SSHA",
    "SHA256",
    "SSHA256",
    "SHA512",
    "SSHA512",
    "PBKDF2",
    "CRAM-MD5",
    "HMAC-MD5",
    "DIGEST-MD5",
    "OTP",
    "DES-CRYPT",
    "crypt",
    "ssha",
    "Sha512-Crypt",
    "SSHA.b64",
    "SSHA.BASE64",
    "SHA256.HEX",
    "sha512.hex",
    "CRYPT.B64",
    "CRAM-MD5.hex",
    "PLAIN.b64",
    "CLEAR.HEX",
    "CLEARTEXT.base64",
    "SKEY",
    "NTLM",
    "LANMAN",
];

fn is_locked(text: &str) -> bool {
    let accepted = [WeakSchemes::Allowed, WeakSchemes::Refused].map(AcceptedHashes::from);
    let read = accepted.map(|accepted| Secret::parse(text.as_bytes(), accepted));
    let locked = matches!(&read[0], Ok(None));
    assert_eq!(matches!(&read[1], Ok(None)), locked, "{text}");
    locked
}

#[test]
fn a_scheme_with_a_lock_behind_it_is_no_password() {
    for name in NAMES {
        for lock in [
            "!",
            "!!",
            "*",
            "!$6$salt$hash",
            "*LK*",
            "!W6ph5Mm5Pz8GgiULbPgzG37mj9hn2jRB",
            "!*",
        ] {
            let text = format!("{{{name}}}{lock}");
            assert!(is_locked(&text), "{text}");
        }
    }
    for text in [
        "",
        "x",
        "!",
        "!!",
        "*",
        "*NP*",
        "!$6$salt$hash",
        "!x",
        "{CRYPT}x",
        "{crypt}x",
    ] {
        assert!(is_locked(text), "{text}");
    }
}

#[test]
fn other_texts_are_not_locks() {
    for text in [
        "{ROT13}!",
        "{CRYPT",
        "{SSHA.OCT}!x",
        "{SSHA}x",
        "{CRYPT} !x",
        "{CRYPT}X",
        "X",
        "xx",
        "{CRYPT}",
        "{PLAIN}!",
        "{PLAIN}x",
        "{CLEAR}*secret",
        "{CLEARTEXT}!!",
    ] {
        assert!(!is_locked(text), "{text}");
    }
}

#[test]
fn a_default_scheme_is_locked_in_the_same_way() {
    let read = |text: &str, scheme: &str| {
        Secret::parse_as(text.as_bytes(), scheme, WeakSchemes::Allowed.into())
    };
    for (scheme, text) in [
        ("CRYPT", "!$6$salt$hash"),
        ("CRYPT", "x"),
        ("SHA512-CRYPT", "*"),
        ("SSHA", "!!"),
        ("SSHA", "{crypt}!x"),
        ("PLAIN", "{CRYPT}!x"),
        ("PLAIN", "{SSHA}*"),
        ("PLAIN", ""),
        ("SHA256.HEX", "!00"),
    ] {
        assert!(matches!(read(text, scheme), Ok(None)), "{scheme} {text}");
    }
    for text in ["x", "!", "*", "!x", "{ROT13}!"] {
        let secret = read(text, "PLAIN").ok().flatten();
        assert!(
            secret.is_some_and(|secret| secret.would_match(text.as_bytes())),
            "{text}"
        );
    }
}
