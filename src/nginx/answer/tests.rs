use std::num::NonZeroU16;

use super::*;
use crate::nginx::refusal::Trouble;

const LOGINS: [Protocol; 3] = [Protocol::Imap, Protocol::Pop3, Protocol::Smtp];

fn upstream(address: &str, port: u16) -> Upstream {
    Upstream::new(address.parse().unwrap(), NonZeroU16::new(port).unwrap()).unwrap()
}

fn accept(user: Option<&[u8]>, password: Option<&[u8]>) -> Answer {
    Answer::Accept {
        upstream: upstream("192.0.2.1", 143),
        user: user.map(<[u8]>::to_vec),
        password: password.map(|password| Password::new(password.to_vec()).unwrap()),
    }
}

fn refuse(why: Refusal, wait: u32) -> Answer {
    Answer::Refuse {
        why,
        wait: NonZeroU32::new(wait),
    }
}

fn said(answer: &Answer, dialogue: Dialogue, messages: &Messages) -> Result<String, Unwritable> {
    let mut out = b"before".to_vec();
    let result = answer.write(dialogue, messages, &mut out);
    let written = out.strip_prefix(b"before").unwrap();
    assert!(result.is_ok() || written.is_empty());
    result.map(|()| String::from_utf8(written.to_vec()).unwrap())
}

fn in_imap(answer: &Answer) -> Result<String, Unwritable> {
    let login = Dialogue::Login(Protocol::Imap);
    said(answer, login, &Messages::default())
}

fn temporary() -> Refusal {
    Trouble::Busy.into()
}

#[test]
fn a_mail_server_has_an_address_that_nginx_can_connect_to() {
    for (address, usable) in [
        ("192.0.2.1", Some("192.0.2.1:143")),
        ("127.0.0.1", Some("127.0.0.1:143")),
        ("1.0.0.0", Some("1.0.0.0:143")),
        ("169.254.0.1", Some("169.254.0.1:143")),
        ("240.0.0.1", Some("240.0.0.1:143")),
        ("0.0.0.0", None),
        ("0.1.2.3", None),
        ("223.255.255.255", Some("223.255.255.255:143")),
        ("224.0.0.1", None),
        ("239.255.255.255", None),
        ("255.255.255.254", Some("255.255.255.254:143")),
        ("255.255.255.255", None),
        ("2001:db8::1", Some("[2001:db8::1]:143")),
        ("::1", Some("[::1]:143")),
        ("fd00::1", Some("[fd00::1]:143")),
        ("::ffff:192.0.2.1", Some("192.0.2.1:143")),
        ("::ffff:0.0.0.0", None),
        ("::", None),
        ("::192.0.2.1", None),
        ("::2", None),
        ("::1:0:1", Some("[::1:0:1]:143")),
        ("ff02::1", None),
        ("fe80::1", None),
    ] {
        let made = Upstream::new(address.parse().unwrap(), NonZeroU16::new(143).unwrap());
        let text = made.map(|made| made.to_string());
        assert_eq!(text.as_deref(), usable, "{address}");
    }
    let made = upstream("2001:db8::1", 993);
    assert_eq!(made.address().to_string(), "2001:db8::1");
    assert_eq!(made.port().get(), 993);
}

#[test]
fn a_text_is_one_line_that_nginx_takes_for_a_refusal() {
    let longest = "x".repeat(200);
    for good in ["x", "No", "OK!", "ok", "WAIT 5", "é ü", &longest] {
        assert_eq!(Text::new(good).unwrap().as_str(), good);
    }
    let blank = "must not start or end with a blank";
    let control = "must be one line without control characters";
    let acts = "must be neither OK nor WAIT, which nginx acts on";
    let long = "must be at most 200 bytes long";
    let too_long = "x".repeat(201);
    let of_two_bytes = "é".repeat(101);
    for (bad, why) in [
        (
            "",
            "must not be empty: nginx takes an empty status for success",
        ),
        (" ", blank),
        (" x", blank),
        ("x ", blank),
        ("x\n", blank),
        ("OK ", blank),
        ("a\nb", control),
        ("a\r\nAuth-Server: 192.0.2.1", control),
        ("a\0b", control),
        ("a\x7f", control),
        ("a\u{85}b", control),
        ("OK", acts),
        ("WAIT", acts),
        (&too_long, long),
        (&of_two_bytes, long),
    ] {
        assert_eq!(Text::new(bad), Err(why), "{bad:?}");
    }
}

#[test]
fn an_accepted_login_gets_its_mail_server_and_what_differs() {
    let head = "Auth-Status: OK\nAuth-Server: 192.0.2.1\nAuth-Port: 143\n";
    let (user, password) = (Some(&b"bob"[..]), Some(&b"pw 1"[..]));
    for (answer, more) in [
        (accept(None, None), ""),
        (accept(user, None), "Auth-User: bob\n"),
        (accept(None, password), "Auth-Pass: pw 1\n"),
        (accept(user, password), "Auth-User: bob\nAuth-Pass: pw 1\n"),
    ] {
        assert_eq!(in_imap(&answer), Ok(format!("{head}{more}\n")));
    }
    let bare = Answer::Accept {
        upstream: upstream("2001:db8::1", 65_535),
        user: None,
        password: None,
    };
    let said = in_imap(&bare).unwrap();
    assert!(said.contains("\nAuth-Server: 2001:db8::1\nAuth-Port: 65535\n"));
}

/// In which values which bytes may be is tested in relayed.rs; nginx trims blanks.
#[test]
fn what_nginx_would_not_read_as_it_is_becomes_an_error() {
    for (user, password, header) in [
        (Some(&b"a\nb"[..]), None, "Auth-User"),
        (Some(b""), None, "Auth-User"),
        (Some(b" a"), None, "Auth-User"),
        (Some(b"a "), None, "Auth-User"),
        (None, Some(&b"a\tb"[..]), "Auth-Pass"),
        (None, Some(b""), "Auth-Pass"),
        (None, Some(b" a"), "Auth-Pass"),
        (None, Some(b"a "), "Auth-Pass"),
        (Some(b"a b"), Some(b" "), "Auth-Pass"),
    ] {
        let said = in_imap(&accept(user, password));
        assert_eq!(
            said,
            Err(Unwritable::Value(header)),
            "{user:?} {password:?}"
        );
    }
    assert!(in_imap(&accept(Some(b"a b"), Some(b"a b"))).is_ok());
    // By the protocol: XCLIENT has no blanks.
    let smtp = Dialogue::Login(Protocol::Smtp);
    let said = said(&accept(Some(b"a b"), None), smtp, &Messages::default());
    assert_eq!(said, Err(Unwritable::Value("Auth-User")));
    let text = Unwritable::Value("Auth-User").to_string();
    assert_eq!(text, "the value of Auth-User cannot be written in a header");
}

#[test]
fn an_answer_has_800_bytes_at_most() {
    let with = |length| in_imap(&accept(Some(&[b'a'; 254]), Some(&vec![b'p'; length])));
    let fixed = with(1).unwrap().len() - 1;
    let longest = with(800 - fixed).unwrap();
    assert_eq!(longest.len(), 800);
    assert_eq!(with(801 - fixed), Err(Unwritable::TooLong));
    assert_eq!(with(512), Err(Unwritable::TooLong));
    let text = Unwritable::TooLong.to_string();
    assert_eq!(text, "the answer would be over 800 bytes long");
}

#[test]
fn a_refusal_has_a_text_and_a_wait() {
    let wrong = in_imap(&refuse(Refusal::WrongPassword, 0)).unwrap();
    assert_eq!(wrong, "Auth-Status: Invalid login or password\n\n");
    let waits = in_imap(&refuse(Refusal::WrongPassword, 7)).unwrap();
    assert_eq!(
        waits,
        "Auth-Status: Invalid login or password\nAuth-Wait: 7\n\n"
    );
    let ours = in_imap(&refuse(temporary(), 0)).unwrap();
    assert_eq!(
        ours,
        "Auth-Status: Temporary server problem, try again later\n\n"
    );
}

/// Status, and the code for SMTP.
#[test]
fn codes_go_where_clients_act_on_them() {
    use Dialogue::{Inbound, Login, Token};
    use Protocol::{Imap, Pop3, Smtp};
    let no = "Invalid login or password";
    let later = "Temporary server problem, try again later";
    let (wrong, denied) = (Refusal::WrongPassword, Refusal::RelayDenied("x"));
    let nobody = Refusal::UnknownRecipient;
    for (dialogue, why, few, all) in [
        (
            Login(Imap),
            &wrong,
            (no, None),
            ("[AUTHENTICATIONFAILED] Invalid login or password", None),
        ),
        (
            Login(Imap),
            &temporary(),
            (later, None),
            (
                "[UNAVAILABLE] Temporary server problem, try again later",
                None,
            ),
        ),
        (
            Token(Imap),
            &wrong,
            (no, None),
            ("[AUTHENTICATIONFAILED] Invalid login or password", None),
        ),
        (
            Login(Pop3),
            &wrong,
            (no, None),
            ("[AUTH] Invalid login or password", None),
        ),
        (
            Token(Pop3),
            &temporary(),
            (later, None),
            ("[SYS/TEMP] Temporary server problem, try again later", None),
        ),
        (Login(Smtp), &wrong, (no, None), (no, Some("535 5.7.8"))),
        (
            Token(Smtp),
            &temporary(),
            (later, Some("451 4.3.0")),
            (later, Some("454 4.7.0")),
        ),
        (Login(Smtp), &nobody, (no, None), (no, Some("535 5.7.8"))),
        (
            Inbound,
            &denied,
            ("Relay access denied", Some("550 5.7.1")),
            ("Relay access denied", Some("550 5.7.1")),
        ),
        (
            Inbound,
            &nobody,
            ("No such user here", Some("550 5.1.1")),
            ("No such user here", Some("550 5.1.1")),
        ),
        (
            Inbound,
            &temporary(),
            (later, Some("451 4.3.0")),
            (later, Some("451 4.3.0")),
        ),
    ] {
        for (codes, (status, code)) in [(Codes::Few, few), (Codes::All, all)] {
            let messages = Messages {
                codes,
                ..Messages::default()
            };
            let code = code.map_or(String::new(), |code| format!("Auth-Error-Code: {code}\n"));
            let expected = format!("Auth-Status: {status}\n{code}\n");
            let said = said(&refuse(why.clone(), 0), dialogue, &messages);
            assert_eq!(said, Ok(expected), "{dialogue:?} {why:?} {codes:?}");
        }
    }
}

/// RFC 7628, 3.2.2: only of the token.
#[test]
fn a_refused_token_gets_the_error_of_sasl() {
    let messages = Messages {
        sasl_error: Some("eyJ9".to_owned()),
        ..Messages::default()
    };
    let token = Dialogue::Token(Protocol::Imap);
    let login = Dialogue::Login(Protocol::Imap);
    let wrong = Refusal::BadToken("x");
    for (dialogue, why, messages, expected) in [
        (token, &wrong, &messages, true),
        (token, &wrong, &Messages::default(), false),
        (token, &temporary(), &messages, false),
        (login, &wrong, &messages, false),
        (Dialogue::Inbound, &wrong, &messages, false),
    ] {
        let said = said(&refuse(why.clone(), 0), dialogue, messages).unwrap();
        assert_eq!(said.contains("\nAuth-Error-SASL: eyJ9\n"), expected);
        assert_eq!(said.contains("SASL"), expected);
    }
}

#[test]
fn the_dialogue_is_read_off_protocol_and_method() {
    for protocol in LOGINS {
        for (method, dialogue) in [
            (None, Dialogue::Login(protocol)),
            (Some(Method::Plain), Dialogue::Login(protocol)),
            (Some(Method::CramMd5), Dialogue::Login(protocol)),
            (Some(Method::External), Dialogue::Login(protocol)),
            (Some(Method::Token), Dialogue::Token(protocol)),
        ] {
            let made = Dialogue::new(protocol, method);
            assert_eq!(made, dialogue);
            assert_eq!(made.protocol(), protocol);
        }
    }
    for (protocol, dialogue) in [
        (Protocol::Imap, Dialogue::Login(Protocol::Imap)),
        (Protocol::Pop3, Dialogue::Login(Protocol::Pop3)),
        (Protocol::Smtp, Dialogue::Inbound),
    ] {
        assert_eq!(Dialogue::new(protocol, Some(Method::None)), dialogue);
    }
    assert_eq!(Dialogue::Inbound.protocol(), Protocol::Smtp);
}

#[test]
fn addresses_and_numbers_are_written_in_full() {
    for (address, port) in [
        ("1.0.0.0", 1),
        ("10.20.99.100", 9),
        ("192.168.109.255", 10),
        ("240.1.10.101", 993),
        ("127.0.0.1", 10_000),
        ("2001:db8::1", u16::MAX),
    ] {
        let answer = Answer::Accept {
            upstream: upstream(address, port),
            user: None,
            password: None,
        };
        let wanted = format!("Auth-Status: OK\nAuth-Server: {address}\nAuth-Port: {port}\n\n");
        assert_eq!(in_imap(&answer), Ok(wanted));
    }
    let longest = in_imap(&refuse(Refusal::WrongPassword, u32::MAX)).unwrap();
    assert!(
        longest.ends_with("\nAuth-Wait: 4294967295\n\n"),
        "{longest}"
    );
}
