//! How stored texts are read.

use super::encoding::number;
use super::*;

fn parse(text: impl AsRef<[u8]>) -> Result<Option<Secret>, SecretError> {
    Secret::parse(text.as_ref(), WeakSchemes::Allowed)
}

fn read(text: &str) -> Secret {
    parse(text).unwrap().unwrap()
}

fn proof(password: &str) -> Proof {
    Proof::Password(Password::new(password.into()).unwrap())
}

#[test]
fn an_empty_text_and_a_lock_are_no_password() {
    for locked in ["", "*", "!", "!!", "*LK*", "!{PLAIN}pw", "*$1$a$b"] {
        assert!(parse(locked).unwrap().is_none(), "{locked}");
    }
}

#[test]
fn a_text_has_1024_bytes_at_most_and_says_its_scheme() {
    let longest = format!("{{PLAIN}}{}", "x".repeat(1024 - 7));
    assert!(parse(&longest).is_ok());
    let damaged = |text: &str| match parse(text) {
        Err(SecretError::Damaged(what)) => what,
        _ => panic!("{text} is not damaged"),
    };
    assert_eq!(damaged(&format!("{longest}x")), "it is too long");
    assert_eq!(damaged("{PLAIN}"), "nothing follows the scheme");
    assert_eq!(damaged("{PLAIN.HEX}"), "nothing follows the scheme");
    assert_eq!(
        damaged("{PLAIN"),
        "the closing brace after the scheme is missing"
    );
    assert_eq!(damaged("{PLAIN.HEX}7"), "this is not hexadecimal");
    assert_eq!(damaged("{PLAIN.HEX}7g"), "this is not hexadecimal");
    assert_eq!(damaged("{PLAIN.B64}cH$="), "this is not base64");
    for text in [
        "{PLAIN.HEX}7077",
        "{PLAIN.B64}cHc=",
        "{PLAIN.B64}cHc",
        "{PLAIN}pw",
    ] {
        let secret = read(text);
        assert!(secret.matches(&proof("pw")), "{text}");
        assert!(!secret.matches(&proof("pW")), "{text}");
        assert_eq!(secret.cleartext().unwrap().reveal(), b"pw", "{text}");
    }
}

#[test]
fn a_decoy_matches_nothing_and_is_not_a_password() {
    let decoy = read("{PLAIN}pw").into_decoy();
    assert!(decoy.is_decoy() && decoy.would_match(b"pw"));
    assert!(!decoy.matches(&proof("pw")));
    assert!(decoy.cleartext().is_none());
    let dummy = Secret::dummy();
    assert!(dummy.is_decoy() && dummy.is_heavy());
    assert!(!read("{PLAIN}pw").is_decoy());
}

/// So much costs a check that only so many may run at once; and a digest needs the password.
#[test]
fn what_a_scheme_costs_and_can_be_compared_with() {
    let digests = [b"cram".as_slice(), b"apop"];
    for (text, heavy, cram_md5, apop) in [
        ("{PLAIN}pw", false, true, true),
        ("{SHA}GpHWL3ymc5liWkNopqtdSjuqYHM=", false, false, false),
        ("$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", false, false, false),
    ] {
        let secret = read(text);
        assert_eq!(secret.is_heavy(), heavy, "{text}");
        for (kind, comparable) in digests.iter().zip([cram_md5, apop]) {
            let answered = ChallengeResponse::new(b"<1.2@x>", &[b'0'; 32]).unwrap();
            let proof = match *kind {
                b"cram" => Proof::CramMd5(answered),
                _ => Proof::Apop(answered),
            };
            assert_eq!(secret.can_check(&proof), comparable, "{text}");
            assert!(!secret.matches(&proof), "{text}");
        }
        assert!(secret.can_check(&proof("x")));
        assert!(!secret.can_check(&Proof::External));
        assert!(!secret.matches(&proof("")) && !secret.matches(&Proof::External));
    }
}

#[test]
fn a_number_is_written_in_one_way() {
    for (text, expected) in [
        ("0", Some(0)),
        ("7", Some(7)),
        ("10", Some(10)),
        ("4294967295", Some(u32::MAX)),
        ("4294967296", None),
        ("", None),
        ("00", None),
        ("07", None),
        ("+7", None),
        ("-7", None),
        ("7 ", None),
        ("7x", None),
    ] {
        assert_eq!(number(text.as_bytes()), expected, "{text}");
    }
}
