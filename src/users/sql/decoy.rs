//! The decoy of an unknown login before the store has seen a stored password.

use crate::secret::{Secret, WeakSchemes};

/// Example passwords, stored with the default settings of other programs, one per scheme.
const SAMPLES: [(&str, &str); 4] = [
    (
        "SHA512-CRYPT",
        "$6$saltsalt$8RWsOfwR6M6PpnoeQiEiWzNTPo1f0HjVYjDnLZhGx16aBFRkeqiHAzfXP/LgrOWMBMXqiU2pLrXsSOHNUyUm91",
    ),
    (
        "SHA256-CRYPT",
        "$5$saltsalt$hcyDOxdIg0p3xyqtpHh/v8Ph.am06tQaovp1KpEklb7",
    ),
    (
        "BLF-CRYPT",
        "$2y$10$liIphzQ3gPQhlDZdFeHAV.XUBK51xgrnfruWh3PbyXV3QOMLYuJda",
    ),
    ("MD5-CRYPT", "$1$saltsalt$4px9i58NU2Z2/vZOUlGjq."),
];

/// All schemes with a single hash operation: they take about the same time.
const DIGEST: &str = "{SHA}EfatjsUqKYSrqv18O1FlA3hcIHI=";

/// A secret that matches nothing and takes as long to check as one of this scheme.
///
/// A program that runs for one request has seen no other secret: it can only use `default-scheme`.
pub(super) fn of_scheme(scheme: Option<&str>) -> Secret {
    let Some(name) = scheme else {
        return Secret::dummy();
    };
    let name = name
        .split('.')
        .next()
        .unwrap_or_default()
        .to_ascii_uppercase();
    let name = if name == "BCRYPT" { "BLF-CRYPT" } else { &name };
    let known = SAMPLES.iter().find(|(scheme, _)| *scheme == name);
    let stored = match known {
        Some((_, stored)) => *stored,
        None if ["ARGON2", "CRYPT", "PBKDF2", "SCRAM"]
            .iter()
            .any(|slow| name.starts_with(slow)) =>
        {
            return Secret::dummy();
        }
        None => DIGEST,
    };
    let sample = Secret::parse(stored.as_bytes(), WeakSchemes::Allowed);
    sample
        .ok()
        .flatten()
        .map_or_else(Secret::dummy, Secret::into_decoy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Password, Proof, Scheme};

    #[test]
    fn a_decoy_has_the_scheme_and_matches_nothing() {
        for (name, scheme) in [
            (Some("sha512-crypt"), Scheme::Sha512Crypt),
            (Some("SHA256-CRYPT.B64"), Scheme::Sha256Crypt),
            (Some("BLF-CRYPT"), Scheme::BlfCrypt),
            (Some("BCRYPT"), Scheme::BlfCrypt),
            (Some("SCRAM-SHA-256"), Scheme::Argon2id),
            (Some("PBKDF2_SHA256"), Scheme::Argon2id),
            (Some("MD5-CRYPT"), Scheme::Md5Crypt),
            (Some("SSHA"), Scheme::Sha1),
            (Some("PLAIN"), Scheme::Sha1),
            (Some("CRYPT"), Scheme::Argon2id),
            (Some("ARGON2I"), Scheme::Argon2id),
            (None, Scheme::Argon2id),
        ] {
            let decoy = of_scheme(name);
            assert_eq!(decoy.scheme(), scheme, "{name:?}");
            let proof = Proof::Password(Password::new(b"x".to_vec()).unwrap());
            assert!(!decoy.matches(&proof), "{name:?}");
        }
    }
}
