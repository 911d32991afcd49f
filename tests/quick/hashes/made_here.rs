//! Hashes that the program makes.

use crate::support::hashes::*;
use nginx_mail_auth::secret::{HashError, Scheme, Secret};

#[test]
fn every_hash_is_salted_anew() {
    for scheme in [Scheme::Argon2id, Scheme::Ssha512, Scheme::BlfCrypt] {
        let [one, two] = [(); 2].map(|()| Secret::hash(scheme, &secret_word(b"x")).unwrap());
        assert_ne!(one, two);
    }
}

#[test]
fn a_password_that_cannot_be_hashed_is_reported() {
    let hash = |scheme, password: &[u8]| Secret::hash(scheme, &secret_word(password));
    assert!(hash(Scheme::BlfCrypt, &[b'a'; 72]).is_ok());
    assert!(matches!(
        hash(Scheme::BlfCrypt, &[b'a'; 73]),
        Err(HashError::TooLongForBcrypt)
    ));
    assert!(matches!(
        hash(Scheme::Argon2id, b""),
        Err(HashError::EmptyPassword)
    ));
    assert!(matches!(
        hash(Scheme::Plain, b"x"),
        Err(HashError::CannotHashWith(Scheme::Plain))
    ));
}
