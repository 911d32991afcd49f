//! Stored passwords made by the programs that administrators use: doveadm, htpasswd, openssl,
//! mkpasswd; and ours, checked by doveadm.

#![expect(
    clippy::unwrap_used,
    reason = "what the tests share may fail as they do"
)]

use crate::support::hashes::{Random, near, proof, read, secret_word};
use std::io::Write;
use std::process::{Command, Stdio};

use nginx_mail_auth::secret::{Scheme, Secret, SecretError, WeakSchemes};

//------------ Hashes of other programs --------------------------------------

/// How the program is run, whether its hashes are weak, and how many passwords to try: a hash
/// that takes 0.1 s is made for few.
const MADE_ELSEWHERE: [(&str, bool, usize); 44] = [
    ("doveadm pw -s PLAIN", true, 8),
    ("doveadm pw -s CLEAR", true, 8),
    ("doveadm pw -s CLEARTEXT", true, 8),
    ("doveadm pw -s PLAIN.hex", true, 8),
    ("doveadm pw -s PLAIN.b64", true, 8),
    ("doveadm pw -s PLAIN-MD5", true, 8),
    ("doveadm pw -s LDAP-MD5", true, 8),
    ("doveadm pw -s LDAP-MD5.hex", true, 8),
    ("doveadm pw -s SMD5", true, 8),
    ("doveadm pw -s MD5", true, 8),
    ("doveadm pw -s MD5-CRYPT", true, 8),
    ("doveadm pw -s SHA", true, 8),
    ("doveadm pw -s SHA1", true, 8),
    ("doveadm pw -s SHA1.hex", true, 8),
    ("doveadm pw -s SHA256", true, 8),
    ("doveadm pw -s SHA512", true, 8),
    ("doveadm pw -s SHA512.base64", true, 8),
    ("doveadm pw -s SSHA", true, 8),
    ("doveadm pw -s SSHA.hex", true, 8),
    ("doveadm pw -s SSHA256", false, 8),
    ("doveadm pw -s SSHA512", false, 8),
    ("doveadm pw -s SSHA512.hex", false, 8),
    ("doveadm pw -s SHA256-CRYPT", false, 8),
    ("doveadm pw -s SHA256-CRYPT.b64 -r 1234", false, 8),
    ("doveadm pw -s SHA512-CRYPT", false, 8),
    ("doveadm pw -s BLF-CRYPT", false, 8),
    ("doveadm pw -s CRYPT", false, 8),
    ("doveadm pw -s PBKDF2", false, 8),
    ("doveadm pw -s PBKDF2 -r 100", false, 8),
    ("doveadm pw -s SCRAM-SHA-1", false, 8),
    ("doveadm pw -s SCRAM-SHA-256", false, 8),
    ("doveadm pw -s ARGON2I", false, 2),
    ("doveadm pw -s ARGON2ID", false, 2),
    ("htpasswd -nim user", true, 8),
    ("htpasswd -nis user", true, 8),
    ("htpasswd -niB -C 5 user", false, 8),
    ("openssl passwd -1 -stdin", true, 8),
    ("openssl passwd -apr1 -stdin", true, 8),
    ("openssl passwd -5 -stdin", false, 8),
    ("openssl passwd -6 -stdin", false, 8),
    ("mkpasswd -s -m sha512crypt -R 2000", false, 8),
    ("mkpasswd -s -m bcrypt-a -R 5", false, 8),
    ("mkpasswd -s -m bcrypt -R 5", false, 8),
    ("mkpasswd -s -m yescrypt", false, 4),
];

#[test]
fn hashes_of_other_programs_are_verified() {
    let mut random = Random::new();
    let mut checked = 0;
    for (command, weak, count) in MADE_ELSEWHERE {
        for password in random.passwords().into_iter().rev().take(count) {
            let Some(stored) = made_elsewhere(command, &password) else {
                continue;
            };
            let what = format!(
                "{command}: {} as {}",
                password.escape_ascii(),
                stored.escape_ascii()
            );
            let refused = Secret::parse(&stored, WeakSchemes::Refused);
            assert_eq!(
                matches!(refused, Err(SecretError::Weak(_))),
                weak,
                "{what}: {refused:?}"
            );
            let secret = read(&stored);
            checked += 1;
            if is_bcrypt(&stored) && password.len() > 72 {
                // The other program hashed what bcrypt looks at; the whole is refused here.
                assert!(!secret.matches(&proof(&password)), "{what}");
                assert!(secret.matches(&proof(&password[..72])), "{what}");
                continue;
            }
            assert!(secret.matches(&proof(&password)), "{what}");
            for wrong in near(&password) {
                assert!(
                    !secret.matches(&proof(&wrong)),
                    "{what} matches {}",
                    wrong.escape_ascii()
                );
            }
        }
    }
    assert!(checked > 0, "none of these programs is installed");
}

fn is_bcrypt(stored: &[u8]) -> bool {
    [&b"$2"[..], b"{BLF-CRYPT}", b"{CRYPT}$2"]
        .into_iter()
        .any(|start| stored.starts_with(start))
}

#[test]
fn our_hashes_are_read_by_dovecot() {
    let mut random = Random::new();
    for scheme in Scheme::MADE {
        for password in [&b"pass word"[..], &random.bytes(40)] {
            let stored = Secret::hash(scheme, &secret_word(password)).unwrap();
            let secret = read(&stored);
            assert!(secret.matches(&proof(password)), "{stored}");
            assert!(!secret.matches(&proof(b"other")), "{stored}");
            assert!(Secret::parse(stored.as_bytes(), WeakSchemes::Refused).is_ok());
            for (offered, right) in [(password, true), (b"other", false)] {
                let input = [offered, b"\n"].concat();
                if let Some(done) = run(&["doveadm", "pw", "-t", &stored], &input) {
                    assert_eq!(done.ends_with(b"(verified)\n"), right, "{stored}");
                }
            }
        }
    }
}

//------------ Tools ---------------------------------------------------------

/// What the program stores for the password: the line's second field, of htpasswd.
fn made_elsewhere(command: &str, password: &[u8]) -> Option<Vec<u8>> {
    let words: Vec<&str> = command.split(' ').collect();
    let line = [password, b"\n"].concat();
    let asks_twice = words[0] == "doveadm";
    let input = line.repeat(if asks_twice { 2 } else { 1 });
    let output = run(&words, &input)?;
    let stored = output.split(|byte| *byte == b'\n').next()?;
    Some(stored.strip_prefix(b"user:").unwrap_or(stored).to_vec())
}

/// Runs a program with this input; `None` if it is not installed, which is allowed outside CI.
fn run(words: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let spawned = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = spawned else {
        assert!(std::env::var_os("CI").is_none(), "{} is missing", words[0]);
        eprintln!("SKIPPED: {} is not installed", words[0]);
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    // A program that reads less than all may close its end first.
    let _ = stdin.write_all(input);
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    Some(output.stdout)
}
