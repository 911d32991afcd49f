//! No request and no data of a store whatsoever makes an answer that nginx would misread, and
//! no login is accepted that no store accepted.

use nginx_mail_auth::front::params::Params;
use nginx_mail_auth::secret::Password;
use nginx_mail_auth::users::{Account, PasswordCheck, Passwords, Question, StoreError, UserStore};

use crate::support::cgi::TEMPORARY;
use crate::support::fuzz::targets::rules::{Codes, obeyed};
use crate::support::fuzz::targets::world::{APOP, CHALLENGE, CRAM_MD5, Fickle, World};
use crate::support::random::Random;

const CASES: u64 = 1_000_000;
const KEY: &str = "the key of a test, long enough for one";

#[test]
fn answers_obey_all_rules_and_ok_means_that_a_store_accepted() {
    std::thread::scope(|scope| {
        let worlds = [
            (20_260_101, None, Codes::Few),
            (20_260_102, Some(KEY), Codes::All),
        ];
        for (seed, key, codes) in worlds {
            scope.spawn(move || ask_at_random(seed, key, codes, CASES / 2));
        }
    });
}

fn ask_at_random(seed: u64, key: Option<&'static str>, codes: Codes, cases: u64) {
    let world = World::new(key, codes, Box::new(Fickle));
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
    if !random.one_in(20) {
        push("HTTP_X_AUTH_KEY", KEY.into());
        let client = format!("192.0.{}.{}", random.below(256), random.below(256));
        push("HTTP_CLIENT_IP", client.into_bytes());
    }
    if random.one_in(30) {
        push("HTTP_AUTH_USER", random.bytes(4));
    }
    pairs
}

/// Where in the handling of a request a store is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    KnowsUsers,
    Find,
    Verify,
    HostField,
}

/// A store with a bug in one place.
struct Buggy(Step);

impl Buggy {
    fn reaches(&self, step: Step) {
        assert!(self.0 != step, "a store that panics");
    }
}

impl UserStore for Buggy {
    fn find(&self, _: &Question<'_>) -> Result<Option<Account>, StoreError> {
        self.reaches(Step::Find);
        let account = Account {
            passwords: Passwords::AskStore,
            // For an unknown host, the log names where the store has it.
            host: (self.0 == Step::HostField).then(|| "nowhere".to_owned()),
            ..Account::default()
        };
        Ok(Some(account))
    }

    fn verify(
        &self,
        _: &Question<'_>,
        _: &mut Account,
        _: &Password,
    ) -> Result<PasswordCheck, StoreError> {
        self.reaches(Step::Verify);
        Ok(PasswordCheck::Right)
    }

    fn knows_users(&self) -> bool {
        self.reaches(Step::KnowsUsers);
        true
    }

    fn host_field(&self) -> String {
        self.reaches(Step::HostField);
        "host".to_owned()
    }
}

#[test]
fn a_panic_at_any_step_is_the_temporary_failure_of_that_request_alone() {
    let external = [
        ("HTTP_AUTH_METHOD", "external"),
        ("HTTP_AUTH_SSL", "on"),
        ("HTTP_AUTH_SSL_VERIFY", "SUCCESS"),
        ("HTTP_AUTH_SSL_SUBJECT", "CN=somebody"),
    ];
    for (step, more) in [
        (Step::Find, &[][..]),
        (Step::Verify, &[]),
        (Step::HostField, &[]),
        (Step::KnowsUsers, &external),
    ] {
        let world = World::new(None, Codes::Few, Box::new(Buggy(step)));
        let ask = |login: &'static str, more: &[(&'static str, &'static str)]| {
            let mut params = Params::bounded(16);
            let fixed = [
                ("HTTP_AUTH_USER", login),
                ("HTTP_AUTH_PASS", "pw"),
                ("HTTP_AUTH_PROTOCOL", "imap"),
            ];
            for (name, value) in fixed.iter().chain(more) {
                params.push(name.as_bytes(), value.as_bytes()).unwrap();
            }
            let mut out = Vec::new();
            world.respond(&params, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        for _ in 0..100 {
            assert_eq!(ask("somebody", more), TEMPORARY, "{step:?}");
            let good = ask("alice", &[]);
            assert!(good.starts_with("Auth-Status: OK\n"), "{step:?}: {good}");
        }
    }
}
