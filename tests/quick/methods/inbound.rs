//! `none`: mail from other servers, for our own domains only, whatever its clients type.

use nginx_mail_auth::auth::incoming_mail::{Recipients, Settings, shown};
use nginx_mail_auth::login::Protocol;
use nginx_mail_auth::login::rules::LoginRules;
use nginx_mail_auth::nginx::request::Envelope;

use crate::support::cgi::{ask, cause, check};
use crate::support::random::Random;
use crate::support::temp_dir::TempDir;

const CASES: u32 = 200_000;

const CONFIG: &str = "\
[[users]]
store = \"file\"
path = \"users\"
allow-weak-schemes = true
[logins]
lower-case = true
[inbound]
domains = [\"example.com\", \"Other.example\"]
";

const ROUTES: &str = "\
[routes]
default = \"192.0.2.1\"
[routes.domain]
\"other.example\" = \"192.0.2.2\"
[hosts]
mx = \"192.0.2.9\"
";

const USERS: &str = "\
alice@example.com:{PLAIN}pw::::::host=192.0.2.3 allow_nets=203.0.113.0/24 user=x
off@example.com:{PLAIN}pw::::::nologin
";

fn folder(inbound: &str) -> TempDir {
    let dir = TempDir::new();
    dir.write("auth.toml", [CONFIG, inbound, ROUTES].concat());
    dir.write("users", USERS);
    dir
}

fn mail(dir: &TempDir, to: &str) -> (String, String) {
    let line = format!("rcpt to:<{to}>");
    let (answer, log) = ask(
        dir,
        &[
            ("HTTP_AUTH_METHOD", "none"),
            // What nginx before 1.29.1 has lying about (CVE-2025-53859).
            ("HTTP_AUTH_USER", "stale-user"),
            ("HTTP_AUTH_PASS", "stale-password%"),
            ("HTTP_AUTH_PROTOCOL", "smtp"),
            ("HTTP_CLIENT_IP", "198.51.100.1"),
            ("HTTP_AUTH_SMTP_HELO", "mx.elsewhere.example"),
            ("HTTP_AUTH_SMTP_FROM", "MAIL FROM:<carol@example.com>"),
            ("HTTP_AUTH_SMTP_TO", &line),
        ],
    );
    assert!(
        !log.contains("stale") && !answer.contains("stale"),
        "{log}{answer}"
    );
    (answer, log)
}

fn ok(address: &str) -> String {
    format!("Auth-Status: OK\nAuth-Server: {address}\nAuth-Port: 25\n\n")
}

const DENIED: &str = "Auth-Status: Relay access denied\nAuth-Error-Code: 550 5.7.1\n\n";

#[test]
fn the_recipient_decides() {
    let dir = folder("");
    for (to, answer, why) in [
        ("bob@example.com", ok("192.0.2.1"), "accepted"),
        ("BOB@EXAMPLE.COM", ok("192.0.2.1"), "accepted"),
        ("bob@other.example", ok("192.0.2.2"), "accepted"),
        ("alice@example.com", ok("192.0.2.3"), "accepted"),
        ("Alice@Example.com", ok("192.0.2.3"), "accepted"),
        // A user who must not log in still gets mail.
        ("off@example.com", ok("192.0.2.1"), "accepted"),
        ("bob@elsewhere.example", DENIED.to_owned(), "relay-denied"),
        (
            "bob%elsewhere.example@example.com",
            DENIED.to_owned(),
            "relay-denied",
        ),
        ("", DENIED.to_owned(), "relay-denied"),
    ] {
        let (answered, log) = mail(&dir, to);
        assert_eq!((answered, cause(&log)), (answer, why), "{to}: {log}");
    }
    let (_, log) = mail(&dir, "Bob@example.com");
    let line = "login=\"\" protocol=smtp client=198.51.100.1 rcpt=\"Bob@example.com\" \
                host=\"192.0.2.1\" answer=OK cause=accepted ms=";
    assert!(log.contains(line), "{log}");
    let (_, log) = mail(&dir, "x@[192.0.2.1]\x1b");
    let line = "rcpt=\"rcpt to:<x@[192.0.2.1]\\x1b>\" host=- answer=refused \
                cause=relay-denied detail=\"it contains control bytes";
    assert!(log.contains(line), "{log}");
}

#[test]
fn one_host_may_take_it_all_and_only_for_users() {
    let dir = folder("host = \"mx\"\n");
    assert_eq!(mail(&dir, "bob@example.com").0, ok("192.0.2.9"));
    assert_eq!(mail(&dir, "alice@example.com").0, ok("192.0.2.9"));
    // No store is asked then.
    std::fs::remove_file(dir.path().join("users")).unwrap();
    dir.write("users", "alice@example.com:{ARGON2D}x\nbob:*\n");
    assert_eq!(mail(&dir, "alice@example.com").0, ok("192.0.2.9"));

    let dir = folder("known-users-only = true\n");
    assert_eq!(mail(&dir, "alice@example.com").0, ok("192.0.2.3"));
    assert_eq!(mail(&dir, "off@example.com").0, ok("192.0.2.1"));
    let (answer, log) = mail(&dir, "bob@example.com");
    assert_eq!(
        answer,
        "Auth-Status: No such user here\nAuth-Error-Code: 550 5.1.1\n\n"
    );
    assert_eq!(cause(&log), "unknown-recipient");

    let dir = folder("host = \"mx\"\nknown-users-only = true\n");
    assert_eq!(mail(&dir, "alice@example.com").0, ok("192.0.2.9"));
    assert!(mail(&dir, "bob@example.com").0.contains("550 5.1.1"));
}

/// RFC 5321, 4.5.1.
#[test]
fn the_postmaster_always_gets_mail() {
    let dir = folder("host = \"mx\"\nknown-users-only = true\n");
    for to in [
        "postmaster",
        "PostMaster",
        "Postmaster@other.Example",
        "postmaster@example.com",
    ] {
        let (answer, log) = mail(&dir, to);
        assert_eq!((answer, cause(&log)), (ok("192.0.2.9"), "accepted"), "{to}");
    }
    let (answer, log) = mail(&dir, "postmaster> NOTIFY=NEVER ORCPT=rfc822;postmaster");
    assert_eq!(answer, DENIED, "{log}");
    let (answer, _) = mail(&dir, "postmaster@elsewhere.example");
    assert_eq!(answer, DENIED);
    // Without a host it goes where the first domain's does.
    let dir = folder("known-users-only = true\n");
    for to in ["postmaster", "POSTMASTER@example.com"] {
        assert_eq!(mail(&dir, to).0, ok("192.0.2.1"), "{to}");
    }
}

#[test]
fn a_tag_is_no_part_of_a_user_unless_a_store_has_it_so() {
    let dir = folder("known-users-only = true\nrecipient-delimiter = \"+-\"\n");
    dir.write(
        "users",
        [USERS, "al+x@example.com:*::::::host=192.0.2.4\n"].concat(),
    );
    for (to, host) in [
        ("alice+news@example.com", "192.0.2.3"),
        ("Alice-x+y@Example.com", "192.0.2.3"),
        ("al+x@example.com", "192.0.2.4"),
    ] {
        assert_eq!(mail(&dir, to).0, ok(host), "{to}");
    }
    for to in [
        "al+y@example.com",
        "+alice@example.com",
        "alic+e@example.com",
    ] {
        assert_eq!(cause(&mail(&dir, to).1), "unknown-recipient", "{to}");
    }
    let dir = folder("known-users-only = true\n");
    let (_, log) = mail(&dir, "alice+news@example.com");
    assert_eq!(cause(&log), "unknown-recipient");
    let dir = folder("recipient-delimiter = \"x\"\n");
    let (text, code) = check(&dir);
    assert!(
        text.contains("inbound.recipient-delimiter: must be 1 to 8 of"),
        "{text}"
    );
    assert_eq!(code, Some(78));
}

#[test]
fn incoming_mail_needs_its_table_and_smtp() {
    let dir = TempDir::new();
    dir.write("users", USERS);
    let without = CONFIG.split("[inbound]").next().unwrap();
    dir.write("auth.toml", [without, ROUTES].concat());
    let (answer, log) = mail(&dir, "alice@example.com");
    assert_eq!(answer, DENIED);
    assert!(
        log.contains("cause=relay-denied detail=\"there is no [inbound]\""),
        "{log}"
    );

    let dir = folder("");
    for protocol in ["imap", "pop3", "SMTP", ""] {
        let (answer, log) = ask(
            &dir,
            &[
                ("HTTP_AUTH_METHOD", "none"),
                ("HTTP_AUTH_USER", ""),
                ("HTTP_AUTH_PASS", ""),
                ("HTTP_AUTH_PROTOCOL", protocol),
                ("HTTP_AUTH_SMTP_TO", "RCPT TO:<alice@example.com>"),
            ],
        );
        assert_eq!(answer, crate::support::cgi::REFUSED);
        assert_eq!(cause(&log), "relay-denied");
    }
}

#[test]
fn settings_that_cannot_work_or_do_too_much() {
    for (settings, message, code) in [
        (
            "host = \"nowhere\"\n",
            "9:8: inbound.host: \"nowhere\" is neither in [hosts] nor an address",
            78,
        ),
        ("host = \"192.0.2.8\"\n", "", 0),
    ] {
        let dir = folder(settings);
        let (text, status) = check(&dir);
        assert!(text.contains(message), "{text}");
        assert_eq!(status, Some(code), "{text}");
    }
    for (domain, message) in [
        (
            "[192.0.2.1]",
            "\"[192.0.2.1]\" is not a domain: a domain has 1 to 253 bytes",
        ),
        (
            "a..b",
            "\"a..b\" is not a domain: a domain has 1 to 253 bytes",
        ),
        ("x_y", "is not a domain name, so no recipient can be there"),
        (
            ".a",
            "\".a\" begins with a dot: write \"*.a\" for all domains below a",
        ),
        ("a.", "\"a.\" ends with a dot: write \"a\""),
    ] {
        let dir = folder("");
        dir.write(
            "auth.toml",
            CONFIG.replace("Other.example", domain) + ROUTES,
        );
        let (text, status) = check(&dir);
        let message = format!("inbound.domains: {message}");
        assert!(text.contains(&message), "{text}");
        assert_eq!(status, Some(78));
    }
    let dir = folder("known-users-only = true\n");
    let (text, status) = check(&dir);
    assert!(!text.contains("cannot tell") && status == Some(0), "{text}");
    let accept = "[[users]]\nstore = \"accept\"\n[logins]";
    dir.write(
        "auth.toml",
        CONFIG.replace("[logins]", accept) + "known-users-only = true\n" + ROUTES,
    );
    let (text, status) = check(&dir);
    let message = "inbound.known-users-only: store accept accepts every recipient as a user";
    assert!(text.contains(message) && status == Some(0), "{text}");
}

#[test]
fn hostile_recipients_never_make_a_relay() {
    let settings = Settings {
        domains: vec!["example.com".to_owned(), "bücher.example".to_owned()],
        host: None,
        recipients: Recipients::All,
        delimiters: Vec::new(),
    };
    let rules = LoginRules::default();
    let random = &mut Random::seeded(5321);
    let mut accepted = 0;
    for case in 0..CASES {
        let line = hostile(random);
        let envelope = Envelope {
            helo: b"",
            from: b"",
            to: &line,
        };
        let Ok(login) = settings.recipient(Protocol::Smtp, &envelope, &rules) else {
            continue;
        };
        accepted += 1;
        let ours = surely_ours(&line);
        assert!(ours, "case {case}: {} as {login:?}", line.escape_ascii());
        if shown(&line) == b"postmaster" {
            assert_eq!(login.as_bytes(), b"postmaster@example.com");
        } else {
            assert_eq!(shown(&line), login.as_bytes());
        }
    }
    // Among all that are some good ones.
    assert!(accepted > CASES / 100, "{accepted} accepted");
}

/// A line of pieces that mean something to some mail server.
fn hostile(random: &mut Random) -> Vec<u8> {
    const PIECES: [&[u8]; 48] = [
        b"@",
        b"@",
        b"<",
        b">",
        b"\"",
        b"\\",
        b"%",
        b"!",
        b":",
        b",",
        b".",
        b" ",
        b"  ",
        b"\t",
        b"\0",
        b"\r\n",
        b"(",
        b")",
        b"[",
        b"]",
        b"bob",
        b"alice",
        b"example.com",
        b"example.com",
        b"EXAMPLE.COM",
        b"@example.com",
        b"@example.com>",
        b"@evil.example",
        b"evil.example",
        b"@evil.example,",
        b"@evil.example:",
        b"%evil.example",
        b"evil.example!",
        b"b\xc3\xbccher.example",
        b"xn--bcher-kva.example",
        b"\xff",
        b"\x7f",
        b"<>",
        b"\"bob\"",
        b"\"a@evil.example\"",
        b"NOTIFY=NEVER",
        b"ORCPT=rfc822;x@evil.example",
        b"=",
        b"TO:",
        b"RCPT TO:",
        b"postmaster",
        b"[192.0.2.1]",
        b"#25",
    ];
    let starts: [&[u8]; 8] = [
        b"RCPT TO:<",
        b"RCPT TO:<",
        b"rcpt to:<",
        b"RCPT  TO: <",
        b"RCPT TO:",
        b"RCPT TO: ",
        b"RCPT\tTO:<",
        b"",
    ];
    let ends: [&[u8]; 6] = [
        b"@example.com>",
        b"@example.com>",
        b">",
        b"@example.com",
        b"> NOTIFY=NEVER",
        b"",
    ];
    let mut line = random.pick::<&[u8]>(&starts).to_vec();
    for _ in 0..random.below(6) {
        line.extend_from_slice(random.pick::<&[u8]>(&PIECES));
    }
    line.extend_from_slice(random.pick::<&[u8]>(&ends));
    if random.one_in(10) {
        let at = random.below(line.len() as u64 + 1) as usize;
        line.insert(at, random.next() as u8);
    }
    line
}

/// Another reading of RFC 5321, stricter where that is simpler: what it takes is for our domain,
/// every reader.
fn surely_ours(line: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(line) else {
        return false;
    };
    if line.chars().any(|c| c.is_ascii_control()) {
        return false;
    }
    let lower = line.to_ascii_lowercase();
    let Some((verb, rest)) = lower.split_once("to:") else {
        return false;
    };
    if !(verb.starts_with("rcpt ") && verb.trim_end() == "rcpt") {
        return false;
    }
    let rest = rest.trim_start_matches(' ');
    // The address ends where all agree that it does.
    let address = match rest.strip_prefix('<') {
        Some(inner) => inner
            .rsplit_once("@example.com>")
            .or(inner.rsplit_once("@bücher.example>")),
        None => rest
            .split_once("@example.com")
            .or(rest.split_once("@bücher.example"))
            .filter(|(_, after)| after.is_empty() || after.starts_with(' ')),
    };
    for word in ["postmaster", "\"postmaster\""] {
        let bare = rest.strip_prefix(word);
        let inside = rest
            .strip_prefix('<')
            .and_then(|rest| rest.strip_prefix(word));
        let after = inside.map_or(bare, |inside| inside.strip_prefix('>'));
        if after.is_some_and(|after| after.is_empty() || after.starts_with(' ')) {
            return after.is_some_and(|after| !after.contains(['<', '>']));
        }
    }
    let Some((local, after)) = address else {
        return false;
    };
    let unquoted = local
        .strip_prefix('"')
        .and_then(|local| local.strip_suffix('"'));
    let plain = unquoted.unwrap_or(local);
    let odd = if unquoted.is_some() {
        "<>@%!:,"
    } else {
        "<>@%!:,()[]\\\" "
    };
    !plain.is_empty() && !plain.contains(|c| odd.contains(c)) && !after.contains(['<', '>'])
}
