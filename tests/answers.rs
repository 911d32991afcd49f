//! No request and no data of a store whatsoever makes an answer that nginx would misread.

use std::num::NonZeroU16;
use std::path::Path;

use nginx_mail_auth::config::Config;
use nginx_mail_auth::gate::{Chain, Gate, Source, Then};
use nginx_mail_auth::method::Methods;
use nginx_mail_auth::params::Params;
use nginx_mail_auth::route::{Routes, System};
use nginx_mail_auth::secret::{Password, Secret, WeakSchemes};
use nginx_mail_auth::service::Service;
use nginx_mail_auth::store::open::Lifetime;
use nginx_mail_auth::store::{Account, Credential, Passwords, Question, StoreError, UserStore};
use nginx_mail_auth::turnstile::Turnstile;

use crate::methods::{CHALLENGE, cram_md5};
use crate::util::{Random, TempDir};

const CASES: u64 = 1_000_000;

const CONFIG: &str = r#"
[[users]]
store = "accept"
[answers]
retry-wait = 3
codes = true
[external]
login = "common-name"
[inbound]
domains = ["example.com"]
[routes]
default = "one"
[routes.domain]
"example.com" = "two"
"nowhere.example" = "2001:db8::9"
[routes.first-letter]
"a-m" = "one"
[hosts]
one = { address = "192.0.2.1", imap = 1143 }
two = "2001:db8::2"
"#;

/// Says anything at all, among it things that no answer may hold; panics now and then.
struct Erratic;

impl UserStore for Erratic {
    fn find(&self, asked: &Question<'_>) -> Result<Option<Account>, StoreError> {
        let random = &mut Random::seeded(asked.login.as_bytes().iter().fold(7, |sum, byte| {
            u64::from(*byte).wrapping_add(31u64.wrapping_mul(sum))
        }));
        if random.one_in(2000) {
            panic!("a store that panics");
        }
        if random.one_in(5) {
            return Ok(None);
        }
        if random.one_in(5) {
            return Err(StoreError::Unusable(random.text(40)));
        }
        let hosts = [
            "one",
            "two",
            "192.0.2.77",
            "255.255.255.255",
            "0.0.0.0",
            "[::1]",
            "three",
        ];
        Ok(Some(Account {
            passwords: if random.one_in(3) {
                let secret = Secret::parse(b"{PLAIN}pw", WeakSchemes::Allowed);
                Passwords::Stored(secret.unwrap().map(Credential::from).into_iter().collect())
            } else {
                Passwords::AskStore
            },
            user: random.one_in(2).then(|| {
                let long = random.below(900) as usize;
                let length = if random.one_in(2) { long } else { long % 8 };
                random.bytes(length)
            }),
            host: match random.below(3) {
                0 => None,
                1 => Some(random.text(20)),
                _ => Some((*random.pick(&hosts)).to_owned()),
            },
            port: NonZeroU16::new(random.below(70000) as u16).filter(|_| random.one_in(2)),
            disabled: random.one_in(9),
            allow_nets: random.one_in(9).then(Vec::new),
            handle: None,
            source: None,
            upstream_password: random.one_in(4).then(|| {
                let length = random.below(300) as usize;
                let bytes = random.bytes(length);
                let clean = bytes
                    .into_iter()
                    .filter(|byte| !matches!(byte, 0 | 10 | 13));
                Password::new(clean.collect()).unwrap()
            }),
        }))
    }

    fn verify(
        &self,
        _: &Question<'_>,
        account: &mut Account,
        _: &Password,
    ) -> Result<bool, StoreError> {
        Ok(account.port.is_none_or(|port| port.get() % 5 != 0))
    }
}

#[test]
fn auth_server_is_there_if_and_only_if_the_status_is_ok() {
    let dir = TempDir::new();
    let service = service(&dir.write("auth.toml", CONFIG));
    let random = &mut Random::seeded(20_260_101);
    let (mut accepted, mut refused, mut temporary) = (0, 0, 0);
    let mut out = Vec::new();
    for case in 0..CASES {
        let pairs = request(random);
        let mut params = Params::bounded(512);
        for (name, value) in &pairs {
            params.push(name, value).unwrap();
        }
        out.clear();
        service.respond(&params, &mut out);
        let status = obey_all_rules(&out, &pairs).unwrap_or_else(|broken| {
            panic!(
                "case {case}: {broken}: {:?} for {params:?}",
                out.escape_ascii().to_string()
            )
        });
        match status {
            "OK" => accepted += 1,
            _ if status.ends_with("Temporary server problem, try again later") => temporary += 1,
            _ => refused += 1,
        }
    }
    // Each kind of answer was really there.
    assert!(accepted > CASES / 50, "{accepted} accepted");
    assert!(refused > CASES / 50, "{refused} refused");
    assert!(temporary > CASES / 50, "{temporary} temporary");
}

fn service(path: &Path) -> Service {
    let config = Config::load(path).unwrap();
    let source = Source {
        table: 0,
        name: "erratic".to_owned(),
        store: Box::new(Erratic),
        domains: None,
        wrong: Then::Stop,
        trouble: Then::Stop,
    };
    let gate = Gate {
        logins: config.logins.clone(),
        masters: None,
        methods: Methods::open(
            &config,
            Lifetime::OneRequest,
            &mut Vec::new(),
            &mut Vec::new(),
        ),
        chain: Chain::new(vec![source], Turnstile::new(config.max_hashes()), 0),
        routes: Routes::open(&config.routes, System, None),
        retry: config.retry,
        throttle: None,
        deadline: config.deadline,
    };
    Service::new(config, gate)
}

fn request(random: &mut Random) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs = Vec::new();
    let mut push = |name: &str, value: Vec<u8>| pairs.push((name.as_bytes().to_vec(), value));
    let logins = [
        "alice",
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
            _ => format!("{}{}", random.pick(&logins), random.below(1000)).into_bytes(),
        };
        push("HTTP_AUTH_USER", login);
    }
    if !random.one_in(20) {
        let length = if random.one_in(50) { 600 } else { 8 };
        push(
            "HTTP_AUTH_PASS",
            if random.one_in(4) {
                random.bytes(length)
            } else {
                b"pw".to_vec()
            },
        );
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
        let mut push = |name: &str, value: &str| pairs.push((name.into(), value.into()));
        push("HTTP_AUTH_METHOD", "cram-md5");
        push("HTTP_AUTH_PASS", &cram_md5("pw"));
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

/// The rules of an answer, read from the bytes as nginx reads them; gives the status.
fn obey_all_rules<'a>(
    out: &'a [u8],
    pairs: &[(Vec<u8>, Vec<u8>)],
) -> Result<&'a str, &'static str> {
    // With 200 of Apache's, and a CR for each line.
    if out.len() > 800 {
        return Err("over 800 bytes");
    }
    let head = out
        .strip_suffix(b"\n\n")
        .ok_or("no blank line at the end")?;
    let mut seen: Vec<(&[u8], &[u8])> = Vec::new();
    for line in head.split(|byte| *byte == b'\n') {
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .ok_or("a line without colon")?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        let value = value.strip_prefix(b" ").ok_or("no blank after the colon")?;
        if value.is_empty() || value.first() == Some(&b' ') || value.last() == Some(&b' ') {
            return Err("an empty value, or a blank at its end");
        }
        if value.iter().any(u8::is_ascii_control) {
            return Err("a control byte");
        }
        if !name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
        {
            return Err("a bad name");
        }
        if seen
            .iter()
            .any(|(before, _)| before.eq_ignore_ascii_case(name))
        {
            return Err("a name twice");
        }
        seen.push((name, value));
    }
    let get = |name: &[u8]| {
        seen.iter()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| *value)
    };
    let status = std::str::from_utf8(get(b"Auth-Status").ok_or("no status")?).unwrap();
    if seen[0].0 != b"Auth-Status" {
        return Err("the status is not first");
    }
    let (server, port) = (get(b"Auth-Server"), get(b"Auth-Port"));
    if (status == "OK") != server.is_some() || server.is_some() != port.is_some() {
        return Err("server and port without OK, or OK without them");
    }
    if status == "WAIT" {
        return Err("WAIT");
    }
    let asked = |name: &str| {
        let found = pairs.iter().find(|(n, _)| n == name.as_bytes());
        found.map_or(&b""[..], |(_, value)| value)
    };
    let (method, smtp) = (
        asked("HTTP_AUTH_METHOD"),
        asked("HTTP_AUTH_PROTOCOL") == b"smtp",
    );
    let (code, wait) = (get(b"Auth-Error-Code"), get(b"Auth-Wait"));
    if status != "OK" && get(b"Auth-User").or(get(b"Auth-Pass")).is_some() {
        return Err("a refusal that says a login or a password");
    }
    if wait.is_some() && (status == "OK" || method == b"cram-md5" || method == b"apop") {
        return Err("a wait that nginx does not survive, or has no use for");
    }
    let wanted: &[&[u8]] = match (status, smtp, method) {
        ("OK", _, _) | (_, false, _) => &[],
        (_, true, b"none") => &[b"550 5.7.1", b"451 4.3.0"],
        (_, true, _) => &[b"535 5.7.8", b"454 4.7.0"],
    };
    if !code.map_or(wanted.is_empty(), |code| wanted.contains(&code)) {
        return Err("a code too many, too few, or of another kind");
    }
    if let (Some(server), Some(port)) = (server, port) {
        let server = std::str::from_utf8(server).unwrap();
        let address: std::net::IpAddr = server.parse().map_err(|_| "no address")?;
        if address.is_unspecified() || server == "255.255.255.255" {
            return Err("an address that nginx does not take");
        }
        match std::str::from_utf8(port).unwrap().parse::<u16>() {
            Ok(1..) => {}
            _ => return Err("a bad port"),
        }
    }
    Ok(status)
}
