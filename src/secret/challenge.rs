//! Answers to a challenge: the proofs of `cram-md5` and `apop`.

use std::fmt;

use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

use super::cram_md5::CramMd5;
use super::encoding::from_hex;

/// The maximum length of a challenge: two numbers, and a host name of maximum length (RFC 1035,
/// 2.3.4).
const MAX_CHALLENGE_BYTES: usize = 300;

/// A challenge that nginx made, and the digest with which a client answered it.
///
/// A challenge that a client could have chosen would prove nothing, so only challenges in nginx's
/// form are accepted. Passwords can be guessed with the digest, so it is wiped on drop.
#[derive(Clone)]
pub struct ChallengeResponse {
    challenge: Vec<u8>,
    digest: Zeroizing<[u8; 16]>,
}

/// Why an answer to a challenge is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadChallengeResponse {
    /// `Auth-Salt` is missing or not in nginx's form.
    Challenge,
    /// The digest is not 32 hexadecimal digits.
    Digest,
}

impl ChallengeResponse {
    /// Checks `Auth-Salt` and the digest, which may be in either case.
    pub fn new(challenge: &[u8], digest: &[u8]) -> Result<Self, BadChallengeResponse> {
        if !is_nginx_challenge(challenge) {
            return Err(BadChallengeResponse::Challenge);
        }
        let digest = from_hex(digest).map(Zeroizing::new);
        let digest = digest.and_then(|digest| digest.as_slice().try_into().ok());
        Ok(Self {
            challenge: challenge.to_vec(),
            digest: Zeroizing::new(digest.ok_or(BadChallengeResponse::Digest)?),
        })
    }

    /// The challenge, with its angle brackets.
    pub(super) fn challenge(&self) -> &[u8] {
        &self.challenge
    }

    /// The digest that the client sent.
    pub(super) fn digest(&self) -> &[u8; 16] {
        &self.digest
    }
}

/// Passwords can be guessed with the digest.
impl fmt::Debug for ChallengeResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answered(..)")
    }
}

/// The answer of a client to a challenge of `cram-md5` (RFC 2195), in hexadecimal digits.
pub fn cram_md5_answer(challenge: &[u8], password: &[u8]) -> Zeroizing<String> {
    hex(&CramMd5::of(password).digest(challenge))
}

/// The answer of a client to a challenge of `apop` (RFC 1939, 7), in hexadecimal digits.
pub fn apop_answer(challenge: &[u8], password: &[u8]) -> Zeroizing<String> {
    let digest = Md5::new()
        .chain_update(challenge)
        .chain_update(password)
        .finalize();
    hex(&digest)
}

fn hex(digest: &[u8]) -> Zeroizing<String> {
    let digits = digest.iter().map(|byte| format!("{byte:02x}"));
    Zeroizing::new(digits.collect())
}

/// `<%ul.%T@%V>`: a random number, the time, the `server_name` (`ngx_mail_salt` in
/// ngx_mail_handler.c).
fn is_nginx_challenge(challenge: &[u8]) -> bool {
    let parts = || {
        let inner = challenge.strip_prefix(b"<")?.strip_suffix(b">")?;
        let at = inner.iter().position(|byte| *byte == b'@')?;
        let (numbers, host) = (inner.get(..at)?, inner.get(at + 1..)?);
        let dot = numbers.iter().position(|byte| *byte == b'.')?;
        Some((numbers.get(..dot)?, numbers.get(dot + 1..)?, host))
    };
    let number =
        |text: &[u8]| (1..=20).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    let named = |host: &[u8]| {
        let fits = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'@');
        !host.is_empty() && host.iter().all(fits)
    };
    challenge.len() <= MAX_CHALLENGE_BYTES
        && parts().is_some_and(|(random, time, host)| number(random) && number(time) && named(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Proof, Secret, WeakSchemes};

    const DIGEST: &[u8] = b"b913a602c7eda7a495b4e6e7334d3890";

    #[test]
    fn a_client_answers_as_in_the_examples_of_the_rfcs() {
        let answer = cram_md5_answer(
            b"<1896.697170952@postoffice.reston.mci.net>",
            b"tanstaaftanstaaf",
        );
        assert_eq!(answer.as_bytes(), DIGEST);
        let answer = apop_answer(b"<1896.697170952@dbc.mtview.ca.us>", b"tanstaaf");
        assert_eq!(*answer, "c4c9334bac560ecc979e58001b3e22fb");
    }

    #[test]
    fn only_challenges_of_nginx_are_taken() {
        for good in [
            &b"<1585632142.1700000000@mail.example.com>"[..],
            b"<18446744073709551615.1@x>",
            b"<0.0@my_host>",
        ] {
            assert!(
                ChallengeResponse::new(good, DIGEST).is_ok(),
                "{}",
                good.escape_ascii()
            );
        }
        let long = [b"<1.2@".as_slice(), &[b'x'; 300], b">"].concat();
        for bad in [
            &b""[..],
            b"<>",
            b"<@>",
            b"<.@>",
            b"<1.2@>",
            b"<.2@x>",
            b"<1.@x>",
            b"<1@x>",
            b"1.2@x",
            b"<1.2@x",
            b"<1.2@x>\r\n",
            b" <1.2@x>",
            b"<a.2@x>",
            b"<-1.2@x>",
            b"<1.2.3@x>",
            b"<1.2@x@y>",
            b"<1.2@x y>",
            b"<1.2@x><1.2@x>",
            b"<1.2@\xe9>",
            b"<123456789012345678901.2@x>",
            &long,
        ] {
            let refused = ChallengeResponse::new(bad, DIGEST).unwrap_err();
            assert_eq!(
                refused,
                BadChallengeResponse::Challenge,
                "{}",
                bad.escape_ascii()
            );
        }
    }

    #[test]
    fn digests_are_compared_with_a_stored_cleartext_password() {
        const CHALLENGE: &[u8] = b"<1896.697170952@postoffice.reston.mci.net>";
        let secret = |text: &str| Secret::parse(text.as_bytes(), WeakSchemes::Allowed).unwrap();
        let answered = |digest: &[u8]| ChallengeResponse::new(CHALLENGE, digest).unwrap();
        // RFC 2195, 2; and the MD5 of challenge and password.
        let cram = Proof::CramMd5(answered(DIGEST));
        let apop = Proof::Apop(answered(b"d16ff9ac2a65d209022d7eb541ecf24d"));
        let wrong = [
            Proof::CramMd5(answered(&[b'0'; 32])),
            Proof::Apop(answered(&[b'0'; 32])),
        ];
        let plain = secret("{PLAIN}tanstaaftanstaaf").unwrap();
        assert!(plain.matches(&cram) && plain.matches(&apop));
        assert!(plain.can_check(&cram) && plain.can_check(&apop));
        // The result of `doveadm pw -s CRAM-MD5`.
        let kept =
            secret("{CRAM-MD5}d06d4e1b26fccaa4b0b61801132340a354b21152711fb604ca3e035e7015116b")
                .unwrap();
        assert!(kept.matches(&cram) && !kept.matches(&apop));
        assert!(kept.can_check(&cram) && !kept.can_check(&apop));
        for stored in [&plain, &kept] {
            assert!(!wrong.iter().any(|proof| stored.matches(proof)));
            let decoy = stored.clone().into_decoy();
            assert!(![&cram, &apop].into_iter().any(|proof| decoy.matches(proof)));
        }
    }

    #[test]
    fn a_digest_is_32_hexadecimal_digits_of_either_case() {
        let of =
            |digest: &[u8]| ChallengeResponse::new(b"<1.2@x>", digest).map(|answer| answer.digest);
        assert_eq!(of(&DIGEST.to_ascii_uppercase()), of(DIGEST));
        for bad in [
            &b""[..],
            &DIGEST[..31],
            &DIGEST[..30],
            &[DIGEST, b"00"].concat(),
            &[&DIGEST[..31], b"g"].concat(),
            &[&DIGEST[..31], b"\0"].concat(),
            &[b'+'; 32],
        ] {
            assert_eq!(
                of(bad),
                Err(BadChallengeResponse::Digest),
                "{}",
                bad.escape_ascii()
            );
        }
    }
}
