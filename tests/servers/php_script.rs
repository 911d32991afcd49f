//! The program beside a PHP script with the same rules, on some thousand environments: the same
//! headers in the same order, but for the differences that are documented.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use crate::support::binary;
use crate::support::process::program;
use crate::support::random::Random;
use crate::support::temp_dir::TempDir;

const CASES: usize = 2400;
const REFUSED: &str = "Auth-Status: Invalid login or password";
const NO_MAIL: [&str; 2] = [
    "Auth-Status: Relay access denied",
    "Auth-Error-Code: 550 5.7.1",
];
const FIRST_HOST: &str = "192.168.1.22";
const SECOND_HOST: &str = "192.168.1.33";

/// What nginx sends of a login; `None` where the header is missing.
#[derive(Debug)]
struct Request {
    user: Option<Vec<u8>>,
    pass: Option<Vec<u8>>,
    protocol: Option<Vec<u8>>,
    method: Option<Vec<u8>>,
}

/// What the program is to do with a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    /// What the script does.
    TheSame,
    /// Refuse, whatever the script does.
    Refusal,
    /// Refuse mail from another server, which the script knows nothing of.
    NoMail,
    /// Send the login to the host of its decoded first letter; the script goes by the raw one.
    OtherHost(&'static str),
}

impl Request {
    fn any(random: &mut Random) -> Self {
        let word = |random: &mut Random, words: &[&str]| {
            let word = random.pick(words).as_bytes().to_vec();
            match random.below(40) {
                0 => vec![0xe9; 1 + random.below(300) as usize],
                1 => [word, b" ".to_vec()].concat(),
                _ => word,
            }
        };
        let protocols = [
            "imap", "pop3", "smtp", "IMAP", "Smtp", "", "sieve", "143", "0",
        ];
        let usual = ["plain", "plain", "plain", "plain", ""];
        let others = [
            "apop",
            "cram-md5",
            "external",
            "none",
            "PLAIN",
            "login",
            "xoauth2",
            "oauthbearer",
            "0",
        ];
        let methods = if random.one_in(10) {
            &others[..]
        } else {
            &usual
        };
        Self {
            user: (!random.one_in(20)).then(|| login(random)),
            pass: (!random.one_in(20)).then(|| text(random, 512)),
            protocol: (!random.one_in(12)).then(|| word(random, &protocols)),
            method: (!random.one_in(6)).then(|| word(random, methods)),
        }
    }

    /// The documented differences, each of them.
    fn expected(&self) -> Expected {
        if (self.method.as_deref(), self.protocol.as_deref()) == (Some(b"none"), Some(b"smtp")) {
            return Expected::NoMail;
        }
        let (Some(user), Some(pass)) = (&self.user, &self.pass) else {
            return Expected::TheSame;
        };
        if !matches!(self.method.as_deref(), None | Some(b"" | b"plain")) {
            return Expected::Refusal;
        }
        let (Some(login), Some(password)) = (decoded(user), decoded(pass)) else {
            return Expected::Refusal;
        };
        if login.len() > 254
            || password.len() > 512
            || login.iter().any(u8::is_ascii_control)
            || self.protocol.as_deref() == Some(b"smtp") && !fits_xclient(&login)
            || password
                .iter()
                .any(|byte| matches!(byte, 0 | b'\r' | b'\n'))
        {
            return Expected::Refusal;
        }
        if host_of(&login) == host_of(user) {
            Expected::TheSame
        } else {
            Expected::OtherHost(host_of(&login))
        }
    }

    fn port(&self) -> u16 {
        match self.protocol.as_deref() {
            Some(b"imap") => 143,
            Some(b"smtp") => 25,
            _ => 110,
        }
    }

    /// The `Auth-*` headers that a CGI program answers with.
    fn answer_of(&self, command: &mut Command) -> Vec<String> {
        command
            .env("GATEWAY_INTERFACE", "CGI/1.1")
            .env("REQUEST_METHOD", "GET")
            .env("SERVER_PROTOCOL", "HTTP/1.0");
        for (name, value) in [
            ("HTTP_AUTH_USER", &self.user),
            ("HTTP_AUTH_PASS", &self.pass),
            ("HTTP_AUTH_PROTOCOL", &self.protocol),
            ("HTTP_AUTH_METHOD", &self.method),
        ] {
            if let Some(value) = value {
                command.env(name, OsStr::from_bytes(value));
            }
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{command:?}: {output:?}");
        let text = String::from_utf8(output.stdout)
            .unwrap()
            .replace("\r\n", "\n");
        let (headers, body) = text.split_once("\n\n").expect("a blank line");
        assert_eq!(body, "");
        let ours = |line: &&str| line.starts_with("Auth-");
        headers.lines().filter(ours).map(str::to_owned).collect()
    }
}

/// A login: mostly one whose first letter decides something.
fn login(random: &mut Random) -> Vec<u8> {
    let firsts: &[&[u8]] = match random.below(8) {
        0..3 => &[b"a", b"c", b"f", b"g"],
        3 => &[b"A", b"C", b"F", b"G"],
        4 => &[b"%61", b"%43", b"%66", b"%7A", b"%20", b"%25", b"%", b"%6"],
        5 => &[b" ", b"\t", b"\xe0", b"\xc3\xa4", b"@", b"0", b"-", b"\""],
        _ => &[b"b", b"d", b"e", b"h", b"z"],
    };
    let first = *random.pick(firsts);
    match random.below(12) {
        0 => Vec::new(),
        1 => first.to_vec(),
        _ => with_plain_domain([first, &text(random, 254)].concat()),
    }
}

/// A login whose domain is in ASCII and, by [`text`], in lower case: the script knows nothing of domains, and the
/// program tells the mail server the canonical form of any other.
fn with_plain_domain(mut login: Vec<u8>) -> Vec<u8> {
    if let Some(at) = login.iter().rposition(|byte| *byte == b'@') {
        let domain = login.split_off(at);
        let text = String::from_utf8_lossy(&domain).replace("%E9", "");
        login.extend(text.bytes().filter(u8::is_ascii));
    }
    login
}

/// Text as nginx escapes it, and now and then as it does not.
fn text(random: &mut Random, longest_taken: usize) -> Vec<u8> {
    let length = match random.below(24) {
        0 => 0,
        1 => longest_taken - 2 + random.below(5) as usize,
        2 => 1000 + random.below(20_000) as usize,
        _ => random.below(24) as usize,
    };
    let pieces: &[&[u8]] = &[
        b"%20",
        b"%25",
        b"%2B",
        b"+",
        b"\"",
        b"'",
        b"\\",
        b":",
        b"@",
        b"\xe9",
        b"\xc3\xa9",
        b"%E9",
    ];
    let bad: &[&[u8]] = &[
        b"%0D", b"%0A", b"%00", b"%", b"%4", b"%zz", b"\t", b"\n", b"%09", b"\x7f",
    ];
    let mut text = Vec::new();
    for _ in 0..length {
        match random.below(300) {
            0 if length < 100 => text.extend_from_slice(random.pick::<&[u8]>(bad)),
            1..40 if length < 100 => text.extend_from_slice(random.pick::<&[u8]>(pieces)),
            _ => text.push(b'a' + random.below(26) as u8),
        }
    }
    text
}

fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut rest = text.iter();
    let mut bytes = Vec::new();
    while let Some(&byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let mut digit = || char::from(*rest.next()?).to_digit(16);
            (digit()? * 16 + digit()?) as u8
        } else {
            byte
        });
    }
    Some(bytes)
}

fn host_of(login: &[u8]) -> &'static str {
    match login.first() {
        Some(b'a' | b'c' | b'f' | b'g') => FIRST_HOST,
        _ => SECOND_HOST,
    }
}

#[test]
fn the_program_answers_as_the_php_script_does() {
    let folder = TempDir::new();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let php = program("php-cgi", "php-cgi");
    let script = here.join("tests/php/mail-auth.php");
    let example = std::fs::read(here.join("examples/php-script.toml")).unwrap();
    let config = folder.write("php-script.toml", example);

    let mut random = Random::seeded(1);
    let requests: Vec<_> = (0..CASES).map(|_| Request::any(&mut random)).collect();
    let check = |request: &Request| {
        let script = request.answer_of(
            // Without php.ini: the rules are in the script alone.
            Command::new(&php)
                .arg("-n")
                .env_clear()
                .env("REDIRECT_STATUS", "200")
                .env("SCRIPT_FILENAME", &script),
        );
        let program = request.answer_of(binary::command().env("NGINX_MAIL_AUTH_CONFIG", &config));
        let expected = request.expected();
        match expected {
            Expected::TheSame => assert_eq!(program, script, "{request:?}"),
            Expected::Refusal => assert_eq!(program, [REFUSED], "{request:?}"),
            Expected::NoMail => assert_eq!(program, NO_MAIL, "{request:?}"),
            Expected::OtherHost(host) => {
                let port = request.port();
                let (server, port) = (format!("Auth-Server: {host}"), format!("Auth-Port: {port}"));
                assert_eq!(program, ["Auth-Status: OK", &server, &port], "{request:?}");
            }
        }
        (expected, script != [REFUSED])
    };

    // Two at a time: each waits for another process most of its time.
    let (left, right) = requests.split_at(CASES / 2);
    let outcomes: Vec<_> = thread::scope(|scope| {
        let halves = [left, right]
            .map(|half| scope.spawn(move || half.iter().map(check).collect::<Vec<_>>()));
        halves
            .into_iter()
            .flat_map(|half| half.join().unwrap())
            .collect()
    });

    // None of the cases may quietly go missing.
    let count =
        |wanted: fn(&(Expected, bool)) -> bool| outcomes.iter().filter(|o| wanted(o)).count();
    let accepted = count(|outcome| *outcome == (Expected::TheSame, true));
    let refused = count(|outcome| *outcome == (Expected::TheSame, false));
    let stricter = count(|outcome| outcome.0 == Expected::Refusal);
    let moved = count(|outcome| matches!(outcome.0, Expected::OtherHost(_)));
    println!("{accepted} accepted, {refused} refused by both, {stricter} + {moved} differ");
    assert!(accepted > 1200 && refused > 100 && stricter > 200 && moved > 20);
}

/// No blank, and nothing that a mail server would read as another byte.
fn fits_xclient(login: &[u8]) -> bool {
    let coded = |part: &[u8]| part[0] == b'+' && part[1..].iter().all(u8::is_ascii_hexdigit);
    !login.contains(&b' ') && !login.windows(3).any(coded)
}
