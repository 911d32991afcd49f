//! Stored passwords that are damaged, too costly, locked or not for us: never a panic, never a
//! match.

use std::path::PathBuf;

use nginx_mail_auth::login::Login;
use nginx_mail_auth::secret::{
    AcceptedHashes, Password, Proof, Scheme, Secret, SecretError, WeakSchemes,
};
use nginx_mail_auth::users::file::{FileStore, Settings};

use crate::support::hashes::{Random, proof, read};

#[test]
fn costs_are_bounded_before_anything_is_computed() {
    let argon2 = |params: &str| {
        format!("{{ARGON2ID}}$argon2id$v=19${params}$c29tZXNhbHQ$MTIzNDU2Nzg5MDEyMzQ1Ng")
    };
    let yescrypt = |params: &str| {
        format!("$y${params}$owaJb273p96n0a7G74zel/$uRLrCtFyeK2mr0c4LnC9sOUCWzJ3yw0Ux3Pre3kONc1")
    };
    let sha = |rounds: &str| {
        format!("$5$rounds={rounds}$ReR0S7HGi9V1/3Dm$rp.m1SXiz7ckgPh1rNMNQ8EYyzcF3MUn9ztfl6UP8Q7")
    };
    let bcrypt =
        |cost: &str| format!("$2y${cost}$DurtMI4l48MQup4.Oj2JLez39QorPl/aEGGfPE9eZac3n8KuzY0ti");
    let pbkdf2 = |rounds: &str| {
        format!("{{PBKDF2}}$1$salt${rounds}$9eb093a054c288513069a3eab7664550c76c528a")
    };
    for stored in [
        argon2("m=262144,t=10,p=8"),
        yescrypt("j9T"),
        yescrypt("jDT"),
        sha("1000000"),
        bcrypt("15"),
        pbkdf2("2000000"),
    ] {
        let accepted = AcceptedHashes {
            weak: WeakSchemes::Refused,
            max_ms: 10_000,
        };
        let secret = Secret::parse(stored.as_bytes(), accepted);
        assert!(secret.unwrap().unwrap().is_heavy(), "{stored}");
    }
    for stored in [
        argon2("m=4194304,t=1,p=1"),
        argon2("m=262145,t=1,p=1"),
        argon2("m=64,t=11,p=1"),
        argon2("m=256,t=1,p=9"),
        yescrypt("jET"),      // 512 MiB
        yescrypt("jUT"),      // far more
        yescrypt("j9zz."),    // damaged
        yescrypt("j/z....."), // a huge block
        sha("1000001"),
        sha("999999999"),
        bcrypt("16"),
        bcrypt("31"),
        pbkdf2("2000001"),
        pbkdf2("4294967295"),
    ] {
        let error = Secret::parse(stored.as_bytes(), WeakSchemes::Allowed).unwrap_err();
        assert!(!error.is_choice(), "{stored}");
        assert!(
            matches!(error, SecretError::TooCostly(_) | SecretError::Damaged(_)),
            "{stored}: {error}"
        );
    }
}

#[test]
fn damaged_hashes_are_refused() {
    for stored in [
        "{PLAIN}",
        "{PLAIN.HEX}6",
        "{PLAIN.ROT13}x",
        "{SHA}",
        "{SHA}EfatjsUqKYSrqv18O1FlA3hcIH==",
        "{SHA}EfatjsUqKYSrqv18O1FlA3hcIHIAAA==",
        "{SSHA}EfatjsUqKYSrqv18O1FlA3hcIHI=",
        "{SSHA256}",
        "{SHA256}no base64",
        "{PLAIN-MD5}9dd4e461268c8034f5c8564e155c67aX",
        "{SHA",
        "{}x",
        "{CRYPT}",
        "$",
        "$$",
        "$1$",
        "$1$salt$",
        "$1$salt",
        "$1$longersalt$9kc1mbgn4g0QbrKRPn6VH.",
        "$apr1$salt$9kc1mbgn4g0QbrKRPn6VHz",
        "$5$salt$",
        "$5$rounds=999$s$rp.m1SXiz7ckgPh1rNMNQ8EYyzcF3MUn9ztfl6UP8Q7",
        "$5$rounds=05000$s$rp.m1SXiz7ckgPh1rNMNQ8EYyzcF3MUn9ztfl6UP8Q7",
        "$5$rounds=$s$rp.m1SXiz7ckgPh1rNMNQ8EYyzcF3MUn9ztfl6UP8Q7",
        "$6$salt$rp.m1SXiz7ckgPh1rNMNQ8EYyzcF3MUn9ztfl6UP8Q7",
        "$2y$05$",
        "$2y$03$DurtMI4l48MQup4.Oj2JLez39QorPl/aEGGfPE9eZac3n8KuzY0ti",
        "$2y$+5$DurtMI4l48MQup4.Oj2JLez39QorPl/aEGGfPE9eZac3n8KuzY0ti",
        "$2y$05$DurtMI4l48MQup4.Oj2JLez39QorPl/aEGGfPE9eZac3n8KuzY0t",
        "$y$",
        "$y$j9T$owaJb273p96n0a7G74zel/$",
        "$y$j9T$owaJb273p96n0a7G74zel/$u/",
        "$y$$owaJb273p96n0a7G74zel/$uRLrCtFyeK2mr0c4LnC9sOUCWzJ3yw0Ux3Pre3kONc1",
        "{PBKDF2}$1$salt$0$9eb093a054c288513069a3eab7664550c76c528a",
        "{PBKDF2}$1$$10$9eb093a054c288513069a3eab7664550c76c528a",
        "{PBKDF2}$1$salt$10$9eb0",
        "{PBKDF2}$1$salt$10$",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$MTIz",
        "$argon2id$v=19$m=64,t=1,p=1$$MTIzNDU2Nzg5MDEyMzQ1Ng",
        "$argon2id$v=20$m=64,t=1,p=1$c29tZXNhbHQ$MTIzNDU2Nzg5MDEyMzQ1Ng",
        "$argon2id$v=19$m=64,t=1$c29tZXNhbHQ$MTIzNDU2Nzg5MDEyMzQ1Ng",
        "$argon2id$v=19$m=1,t=1,p=1$c29tZXNhbHQ$MTIzNDU2Nzg5MDEyMzQ1Ng",
        "$argon2id$v=19$m=64,t=0,p=1$c29tZXNhbHQ$MTIzNDU2Nzg5MDEyMzQ1Ng",
        "{CRAM-MD5}x",
        "{CRAM-MD5}cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b",
        "{CRAM-MD5}cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b5600",
        "{CRAM-MD5.B64}cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b56",
        // Of the empty password.
        "{CRAM-MD5}00747cf2ffaf11c5ea4a64979c3901fc1d20dee13f480bb598f7d8575b23e61b",
        "{ROT13}x",
        "password",
    ] {
        let error = Secret::parse(stored.as_bytes(), WeakSchemes::Allowed).unwrap_err();
        assert!(!error.is_choice(), "{stored}: {error}");
    }
    let long = [&b"{PLAIN}"[..], &[b'a'; 2000]].concat();
    assert!(Secret::parse(&long, WeakSchemes::Allowed).is_err());
}

#[test]
fn known_schemes_that_are_not_checked_here_are_told_apart() {
    for stored in [
        "{DIGEST-MD5}x",
        "{OTP}x",
        "{NTLM}x",
        "{DES-CRYPT}8IDWwLc5oDB2I",
        "{CRYPT}8IDWwLc5oDB2I",
        "8IDWwLc5oDB2I",
        "_J9..K0AyUubDrfOAzE6",
        "$7$CU..../....adhl6YWoEDKECuhtspL3M0$yJwmFMyV/naj7qBw/Cdn3JIR0EN6BNy7vH2J6o5yxv7",
        "$gy$j9T$x$y",
        "$md5,rounds=1$x$y",
    ] {
        let error = Secret::parse(stored.as_bytes(), WeakSchemes::Allowed).unwrap_err();
        assert!(
            matches!(error, SecretError::Unsupported(_)),
            "{stored}: {error}"
        );
        assert!(error.is_choice());
    }
}

#[test]
fn locked_entries_have_no_secret() {
    for stored in ["", "*", "!", "!!", "!$1$salt$x", "*LOCKED*", "*{PLAIN}x"] {
        let parsed = Secret::parse(stored.as_bytes(), WeakSchemes::Refused);
        assert!(parsed.unwrap().is_none(), "{stored}");
    }
}

#[test]
fn an_empty_password_and_other_proofs_never_fit() {
    // SHA-1 of nothing, and the password itself.
    let empty = read("{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=");
    assert!(!empty.matches(&proof(b"")));
    let plain = read("{PLAIN}x");
    assert!(plain.matches(&proof(b"x")));
    assert!(!plain.matches(&Proof::External));
    assert!(!plain.clone().into_decoy().matches(&proof(b"x")));
    assert_eq!(format!("{plain:?}"), "Secret(..)");
}

#[test]
fn mutations_of_hashes_never_panic_nor_match() {
    let mut random = Random::new();
    for (_, stored) in SAMPLES {
        assert!(read(stored).matches(&proof(b"x")), "{stored}");
        let computed = if stored.contains("argon2") { 20 } else { 200 };
        let start = stored.rfind(['$', '}']).unwrap() + 1;
        for round in 0..20_000 {
            let mutated =
                random.mutate(stored.as_bytes(), if round < computed { start } else { 0 });
            let Ok(Some(secret)) = Secret::parse(&mutated, WeakSchemes::Allowed) else {
                continue;
            };
            // Only those where nothing but the digest was changed are computed: elsewhere a
            // change may cost a second, or mean the same in another way.
            if round < computed && !same_digest(&mutated[start..], &stored.as_bytes()[start..]) {
                let what = mutated.escape_ascii();
                assert!(!secret.matches(&proof(b"x")), "{stored} as {what}");
            }
        }
    }
}

#[test]
fn mutations_of_password_files_never_panic_and_are_read_alike() {
    let lines: String = SAMPLES
        .iter()
        .map(|(maker, stored)| {
            format!(
                "{maker}{}:{stored}:1:1::/home::host=h port=143\n",
                stored.len()
            )
        })
        .collect();
    let file = format!("# users\r\n{lines}locked:*::::::allow_nets=192.0.2.0/24,::1 nologin\n");
    let settings = Settings {
        path: PathBuf::from("users"),
        allow_weak_schemes: true,
        max_hash_ms: 500,
        app_passwords: None,
        rehash: None,
        default_scheme: None,
        logins: Default::default(),
    };
    assert!(FileStore::load(file.clone().into_bytes(), &settings).is_ok());
    let mut random = Random::new();
    let mut read = 0;
    for _ in 0..10_000 {
        let mutated = random.mutate(file.as_bytes(), 0);
        let lazy = FileStore::lazy(mutated.clone(), &settings);
        let Ok(loaded) = FileStore::load(mutated.clone(), &settings) else {
            continue;
        };
        let lazy = lazy.unwrap();
        read += 1;
        let line = mutated.split(|byte| *byte == b'\n').nth(random.below(16));
        let login = line.and_then(|line| line.split(|byte| *byte == b':').next());
        let Some(Ok(login)) = login.map(|login| Login::new(login.to_vec())) else {
            continue;
        };
        let found = |store: &FileStore| store.account(&login).map(|account| format!("{account:?}"));
        assert_eq!(found(&loaded), found(&lazy), "{}", mutated.escape_ascii());
        let _of_any_line = (loaded.decoy_for(&login), lazy.decoy_for(&login));
    }
    assert!(read > 100, "only {read} were files still");
}

/// Whether two texts may mean the same: hex in another case, base64 without its padding.
fn same_digest(one: &[u8], two: &[u8]) -> bool {
    let bare = |text: &[u8]| String::from_utf8_lossy(text).replace('=', "");
    let hex = one.iter().chain(two).all(u8::is_ascii_hexdigit);
    bare(one) == bare(two) || hex && one.eq_ignore_ascii_case(two)
}

/// The password `x` as other programs store it.
const SAMPLES: [(&str, &str); 14] = [
    ("doveadm", "{PLAIN}x"),
    (
        "doveadm",
        "{SHA256}LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=",
    ),
    ("doveadm", "{PLAIN-MD5}9dd4e461268c8034f5c8564e155c67a6"),
    ("doveadm", "{SMD5}2HMRHw2zy9VzsbUF4eEjZe6RDAw="),
    (
        "doveadm",
        "{SSHA.HEX}8d229cbe0096fd53fa1f98ec4d1703e171979098bebe7b0d",
    ),
    (
        "doveadm",
        "{SSHA256}xybuwjCTcU8Y0T/pQpzcuuIia7DEYULuJFv8d+/WmkrJLW6/",
    ),
    ("doveadm", "{MD5-CRYPT}$1$wj.NYbQd$9kc1mbgn4g0QbrKRPn6VH."),
    ("htpasswd", "$apr1$X3W/Rwjb$RjTkB4W31BiLKvAYA7Baw1"),
    (
        "doveadm",
        "{SHA256-CRYPT}$5$rounds=1234$ReR0S7HGi9V1/3Dm$rp.m1SXiz7ckgPh1rNMNQ8EYyzcF3MUn9ztfl6UP8Q7",
    ),
    (
        "mkpasswd",
        "$6$rounds=2000$hN//9NJYNVq9jpye$FxkkYenDKB5kaAQJ2ZYab47zJF3OI.f4oVrW86kAv2Bt9a5dOw47KDncvgPron7j90wqy8yFSUoCpbuV0m4Oq0",
    ),
    (
        "htpasswd",
        "$2y$05$SBz6jyo4dwn.msWw3lJeOusGBnwZHEHU1EtRsgh5oD04tfj1oLTFG",
    ),
    (
        "mkpasswd",
        "$y$j75$owaJb273p96n0a7G74zel/$uRLrCtFyeK2mr0c4LnC9sOUCWzJ3yw0Ux3Pre3kONc1",
    ),
    (
        "doveadm",
        "{PBKDF2}$1$4omwLsPAVPJNYI46$100$9eb093a054c288513069a3eab7664550c76c528a",
    ),
    (
        "doveadm",
        "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$IdNcybB3CSYH7DgnBVk8UA$EJSqg4WGGOmsQ0OC9iilDSDmlBUZiDyvZ5E4VzMKlqU",
    ),
];

/// What tools write by themselves is taken, and what takes several times as long only if the
/// configuration says so.
#[test]
fn hashes_beyond_the_limit_say_what_to_set() {
    let zeros = |count: usize| "0".repeat(count);
    let sha = |id: u8, rounds: u32, digits| format!("${id}$rounds={rounds}$salt${}", zeros(digits));
    let argon2 = |params: &str| format!("$argon2id$v=19${params}$c2FsdHNhbHQ${}", "A".repeat(43));
    let bcrypt =
        |cost: u8| format!("$2y${cost}$DurtMI4l48MQup4.Oj2JLez39QorPl/aEGGfPE9eZac3n8KuzY0t.");
    let yescrypt = |params: &str| {
        format!("$y${params}$owaJb273p96n0a7G74zel/$uRLrCtFyeK2mr0c4LnC9sOUCWzJ3yw0Ux3Pre3kONc1")
    };
    let pbkdf2 = |rounds: u32| format!("{{PBKDF2}}$1$salt${rounds}${}", zeros(40));
    for (stored, by) in [
        (argon2("m=65536,t=4,p=1"), "PHP's password_hash"),
        (argon2("m=65536,t=3,p=4"), "passlib, argon2-cffi, Authelia"),
        (argon2("m=65536,t=3,p=1"), "doveadm"),
        (
            argon2("m=262144,t=1,p=1"),
            "RFC 9106, with less memory than it asks for",
        ),
        (bcrypt(12), "PHP's password_hash, passlib, Authelia"),
        (sha(6, 656_000, 86), "passlib"),
        (sha(5, 535_000, 43), "passlib"),
        (pbkdf2(1_300_000), "as OWASP has it"),
        (yescrypt("j9T"), "mkpasswd"),
    ] {
        let secret = Secret::parse(stored.as_bytes(), WeakSchemes::Refused);
        assert!(matches!(secret, Ok(Some(_))), "{by}: {stored}");
    }
    for (stored, takes) in [
        (argon2("m=262144,t=10,p=1"), 2621),
        (argon2("m=262144,t=2,p=1"), 524),
        (bcrypt(13), 532),
        (bcrypt(15), 2129),
        (pbkdf2(2_000_000), 666),
        (yescrypt("jDT"), 768),
    ] {
        let error = Secret::parse(stored.as_bytes(), WeakSchemes::Refused).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "a check of the password hash takes about {takes} ms of work, and \
                 limits.max-hash-ms is 500: raise that, or make a new hash"
            )
        );
        // It is sound: only this login suffers.
        assert!(error.is_choice());
        let accepted = AcceptedHashes {
            weak: WeakSchemes::Refused,
            max_ms: takes,
        };
        assert!(Secret::parse(stored.as_bytes(), accepted).is_ok());
    }
}

/// Each round of SHA-crypt hashes the password anew: there is a bound for both together.
#[test]
fn the_longest_passwords_take_no_longer_than_the_limit() {
    let password = |length: usize| Password::new(vec![b'x'; length]).unwrap();
    let long = password(200);
    // 100,000 rounds take 40 ms, and as much again for each 64 bytes.
    let stored = Secret::hash(Scheme::Sha512Crypt, &long).unwrap();
    assert!(stored.contains("rounds=100000"), "{stored}");
    let fits = |max_ms| {
        let accepted = AcceptedHashes {
            weak: WeakSchemes::Refused,
            max_ms,
        };
        let secret = Secret::parse(stored.as_bytes(), accepted).unwrap().unwrap();
        secret.matches(&Proof::Password(long.clone()))
    };
    assert_eq!([500, 240, 160, 40].map(fits), [true, true, false, false]);
}
