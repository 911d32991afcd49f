//! No request and no data of a store whatsoever makes an answer that nginx would misread, and
//! nobody gets in whom no store let in.

use nginx_mail_auth::params::Params;

use crate::fuzz::targets::rules::{Codes, obeyed};
use crate::fuzz::targets::world::{APOP, CHALLENGE, CRAM_MD5, Fickle, World};
use crate::util::Random;

const CASES: u64 = 1_000_000;

#[test]
fn answers_obey_all_rules_and_ok_means_that_a_store_said_yes() {
    std::thread::scope(|scope| {
        for (seed, codes) in [(20_260_101, Codes::All), (20_260_102, Codes::Few)] {
            scope.spawn(move || ask_at_random(seed, codes, CASES / 2));
        }
    });
}

fn ask_at_random(seed: u64, codes: Codes, cases: u64) {
    let world = World::new(None, codes, Box::new(Fickle));
    let random = &mut Random::seeded(seed);
    let (mut accepted, mut refused, mut temporary) = (0, 0, 0);
    let mut out = Vec::new();
    for case in 0..cases {
        let pairs = request(random);
        let mut params = Params::bounded(512);
        for (name, value) in &pairs {
            params.push(name, value).unwrap();
        }
        out.clear();
        let rightly = world.respond(&params, &mut out);
        let status = rightly
            .and_then(|()| obeyed(&out, &params, codes))
            .unwrap_or_else(|broken| {
                panic!(
                    "case {case}: {broken}: {} for {params:?}",
                    out.escape_ascii()
                )
            });
        match status {
            "OK" => accepted += 1,
            _ if status.ends_with("Temporary server problem, try again later") => temporary += 1,
            _ => refused += 1,
        }
    }
    // Each kind of answer was really there.
    assert!(accepted > cases / 50, "{accepted} accepted");
    assert!(refused > cases / 50, "{refused} refused");
    assert!(temporary > cases / 50, "{temporary} temporary");
}

fn request(random: &mut Random) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs = Vec::new();
    let mut push = |name: &str, value: Vec<u8>| pairs.push((name.as_bytes().to_vec(), value));
    let logins = [
        "alice",
        "alice*boss",
        "x@open.example",
        "bob@example.com",
        "x@nowhere.example",
        "",
        "zoe",
        "%41nn",
        "a%",
    ];
    if !random.one_in(20) {
        let login = match random.below(4) {
            0 => random.bytes(12),
            1 => (*random.pick(&logins)).into(),
            _ => format!("{}{}", random.below(1000), random.pick(&logins)).into_bytes(),
        };
        push("HTTP_AUTH_USER", login);
    }
    if !random.one_in(20) {
        let length = if random.one_in(50) { 600 } else { 8 };
        let password = match random.below(8) {
            0 | 1 => random.bytes(length),
            2 => b"m4ster".to_vec(),
            _ => b"pw".to_vec(),
        };
        push("HTTP_AUTH_PASS", password);
    }
    if !random.one_in(5) {
        let word = *random.pick(&["imap", "pop3", "smtp", "IMAP", ""]);
        push("HTTP_AUTH_PROTOCOL", word.into());
    }
    if random.one_in(3) {
        let word = *random.pick(&["plain", "plain", "apop", "external", "none", "xoauth2", "x"]);
        push("HTTP_AUTH_METHOD", word.into());
    } else if random.one_in(4) {
        pairs.retain(|(name, _)| name != b"HTTP_AUTH_PASS");
        let mut push = |name: &str, value: &[u8]| pairs.push((name.into(), value.into()));
        let known: [(&[u8], &[u8]); 2] = [(b"cram-md5", CRAM_MD5), (b"apop", APOP)];
        let (method, digest) = random.pick(&known);
        push("HTTP_AUTH_METHOD", method);
        push("HTTP_AUTH_PASS", digest);
        push("HTTP_AUTH_SALT", CHALLENGE);
    }
    let mut push = |name: &str, value: Vec<u8>| pairs.push((name.as_bytes().to_vec(), value));
    if random.one_in(3) {
        let tos = [
            "RCPT TO:<a@example.com>",
            "RCPT TO:<x@nowhere.example>",
            "RCPT TO:<>",
        ];
        push("HTTP_AUTH_SMTP_TO", (*random.pick(&tos)).into());
        push("HTTP_AUTH_SSL", b"on".to_vec());
        push("HTTP_AUTH_SSL_VERIFY", b"SUCCESS".to_vec());
        let subject = format!("CN={}{}", random.pick(&logins), random.below(1000));
        push("HTTP_AUTH_SSL_SUBJECT", subject.into_bytes());
    }
    if random.one_in(3) {
        push(
            "HTTP_AUTH_LOGIN_ATTEMPT",
            random.below(14).to_string().into_bytes(),
        );
    }
    if random.one_in(30) {
        push("HTTP_AUTH_USER", random.bytes(4));
    }
    pairs
}
