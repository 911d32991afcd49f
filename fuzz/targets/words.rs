//! What nginx and its mail clients say, and what they are told.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use nginx_mail_auth::auth::certificate::{CertificateLogin, Settings as External};
use nginx_mail_auth::auth::incoming_mail;
use nginx_mail_auth::front::params::{Params, Peer};
use nginx_mail_auth::login::Upstream;
use nginx_mail_auth::login::rules::LoginRules;
use nginx_mail_auth::login::{Login, MAX_LOGIN_BYTES, Protocol};
use nginx_mail_auth::nginx::answer::{Answer, Codes, Dialogue, MAX_TEXT_BYTES, Messages, Text};
use nginx_mail_auth::nginx::refusal::{Refusal, Trouble};
use nginx_mail_auth::nginx::request::{
    AuthRequest, Envelope, Fronts, KeyHeader, Keys, Outline, Tls,
};
use nginx_mail_auth::secret::{MAX_PASSWORD_BYTES, Password, Proof, SharedKey};
use nginx_mail_auth::service::Decision;

use super::rules;

/// `NAME=value` in each line.
pub(super) fn variables(data: &[u8]) -> Params<'_> {
    let mut params = Params::bounded(512);
    for line in data.split(|byte| *byte == b'\n') {
        let mut parts = line.splitn(2, |byte| *byte == b'=');
        if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            let _full = params.push(name, value);
        }
    }
    params
}

/// Variables to a request: what comes through is checked and bounded.
pub(crate) fn request(data: &[u8]) {
    let params = variables(data);
    let keys = Keys {
        header: KeyHeader::default(),
        keys: Vec::from_iter(SharedKey::new(b"key".to_vec())),
    };
    let keyed = Fronts {
        keys: Some(keys),
        allowed: None,
    };
    let _outline = Outline::of(&params);
    for fronts in [Fronts::default(), keyed] {
        let _address = fronts.stranger(&params, Peer::WebServer);
        let Ok(AuthRequest::LogIn(request)) =
            AuthRequest::from_params(&params, Peer::WebServer, &fronts)
        else {
            continue;
        };
        let login = request.login.as_bytes();
        assert!(login.len() <= MAX_LOGIN_BYTES && !login.iter().any(u8::is_ascii_control));
        if let Proof::Password(password) = &request.proof {
            let password = password.reveal();
            assert!(password.len() <= MAX_PASSWORD_BYTES);
            assert!(!password.iter().any(|byte| b"\0\r\n".contains(byte)));
        }
    }
}

/// Login and password in nginx's escaping: undone once and exactly, or refused.
pub(crate) fn credentials(data: &[u8]) {
    let at = data
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(data.len());
    let (user, pass) = (&data[..at], data.get(at + 1..).unwrap_or_default());
    // Unchanged: it may not be from nginx.
    check_credentials(user, pass, undo(user), undo(pass));
    // As nginx would write these bytes.
    let (user, pass) = (user.to_vec(), pass.to_vec());
    check_credentials(&escape(&user), &escape(&pass), Some(user), Some(pass));
}

fn check_credentials(user: &[u8], pass: &[u8], login: Option<Vec<u8>>, password: Option<Vec<u8>>) {
    let mut params = Params::bounded(8);
    for (name, value) in [(&b"HTTP_AUTH_USER"[..], user), (b"HTTP_AUTH_PASS", pass)] {
        assert!(params.push(name, value).is_ok());
    }
    let fits = |login: &Vec<u8>| {
        login.len() <= MAX_LOGIN_BYTES
            && login
                .iter()
                .all(|byte| (0x20..0x7f).contains(byte) || *byte >= 0x80)
    };
    let (login, password) = (
        login.filter(fits),
        password.filter(|password| {
            password.len() <= MAX_PASSWORD_BYTES
                && !password.iter().any(|byte| b"\0\r\n".contains(byte))
        }),
    );
    match AuthRequest::from_params(&params, Peer::Unix, &Fronts::default()) {
        Ok(AuthRequest::TakeMail(_)) => panic!("another method"),
        Ok(AuthRequest::LogIn(request)) => {
            assert_eq!(Some(request.login.as_bytes()), login.as_deref());
            let Proof::Password(found) = &request.proof else {
                panic!("another method");
            };
            assert_eq!(Some(found.reveal()), password.as_deref());
        }
        Err(_) => assert!(login.is_none() || password.is_none()),
    }
}

/// Escapes as `ngx_escape_uri` does with `NGX_ESCAPE_MAIL_AUTH`.
pub(super) fn escape(bytes: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::new();
    for byte in bytes {
        match byte {
            0..=0x20 | b'%' => escaped.extend_from_slice(format!("%{byte:02X}").as_bytes()),
            byte => escaped.push(*byte),
        }
    }
    escaped
}

/// The other way; `None` where nginx cannot have written it.
pub(super) fn undo(escaped: &[u8]) -> Option<Vec<u8>> {
    let mut parts = escaped.split(|byte| *byte == b'%');
    let mut bytes = parts.next()?.to_vec();
    for part in parts {
        let digits = part
            .get(..2)
            .filter(|two| two.iter().all(u8::is_ascii_hexdigit))?;
        bytes.push(u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?);
        bytes.extend_from_slice(&part[2..]);
    }
    Some(bytes)
}

/// The RCPT command of another mail server: its recipient is in our domain, and there is one at most.
pub(crate) fn recipient(data: &[u8]) {
    let settings = incoming_mail::Settings {
        domains: vec!["example.org".to_owned()],
        host: None,
        recipients: incoming_mail::Recipients::All,
        delimiters: b"+-".to_vec(),
    };
    let envelope = Envelope {
        helo: b"",
        from: b"MAIL FROM:<>",
        to: data,
    };
    if let Ok(login) = settings.recipient(Protocol::Smtp, &envelope, &LoginRules::default()) {
        let bytes = login.as_bytes();
        let domain = login.domain().expect("it has one");
        assert!(domain.eq_ignore_ascii_case(b"example.org"));
        assert_eq!(bytes.iter().filter(|byte| **byte == b'@').count(), 1);
        assert!(!bytes.contains(&b'%') && !bytes.contains(&b'!') && !login.local().is_empty());
    }
    let rules = LoginRules::default();
    assert!(
        settings
            .recipient(Protocol::Imap, &envelope, &rules)
            .is_err()
    );
}

/// A subject, a line end, and a certificate in DER: whatever they hold, the login is the one that
/// was asked for, or the certificate's only one; and without nginx's word there is none.
pub(crate) fn certificate(data: &[u8]) {
    let at = data
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(data.len());
    let (subject, der) = (&data[..at], data.get(at + 1..).unwrap_or_default());
    let pem = pem(der);
    let tls = Tls {
        verify: Some(b"SUCCESS"),
        subject: Some(subject),
        cert: (!der.is_empty()).then_some(&pem),
        ..Tls::default()
    };
    let rules = LoginRules::default();
    let login = |bytes: &[u8]| Login::new(bytes.to_vec()).expect("a good login");
    for from in [
        CertificateLogin::CommonName,
        CertificateLogin::Email,
        CertificateLogin::Subject,
    ] {
        let settings = External {
            login: from,
            issuer: None,
        };
        if let Ok(only) = settings.login(&login(b""), Some(&tls), &rules) {
            assert!(!only.as_bytes().is_empty());
            assert_eq!(settings.login(&only, Some(&tls), &rules), Ok(only));
        }
        if let Ok(alice) = settings.login(&login(b"alice"), Some(&tls), &rules) {
            assert_eq!(alice.as_bytes(), b"alice");
        }
        let unverified = Tls {
            verify: Some(b"NONE"),
            ..tls
        };
        assert!(
            settings
                .login(&login(b"alice"), Some(&unverified), &rules)
                .is_err()
        );
    }
}

/// As nginx sends it.
fn pem(der: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let text = STANDARD.encode(der);
    let mut pem = b"-----BEGIN CERTIFICATE-----\n".to_vec();
    for line in text.as_bytes().chunks(64) {
        pem.extend_from_slice(line);
        pem.push(b'\n');
    }
    pem.extend_from_slice(b"-----END CERTIFICATE-----\n");
    escape(&pem)
}

/// The log line: one line of printable ASCII, and the client's address is where it belongs.
pub(crate) fn log(data: &[u8]) {
    let refusal = Refusal::WrongPassword;
    let line = Decision {
        login: Some(data),
        protocol: "imap",
        client: Some([192, 0, 2, 7].into()),
        recipient: None,
        host: Some(Messages::REFUSED),
        user: Some(data),
        app_password: None,
        refusal: Some(&refusal),
        peer: None,
        took: Duration::ZERO,
    }
    .to_string();
    assert!(line.len() <= 900 && line.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
    let mut after = line
        .strip_prefix("login=\"")
        .expect("the login comes first");
    loop {
        let end = after.find(['"', '\\']).expect("the login ends");
        let escape = after.as_bytes()[end] == b'\\';
        after = &after[end + 1 + usize::from(escape)..];
        if !escape {
            break;
        }
    }
    assert!(
        after.starts_with(" protocol=imap client=192.0.2.7 "),
        "{line}"
    );
}

/// What is written as an answer keeps all rules, or nothing is written: whatever a store, a route
/// or the configuration says. The bytes are flags, an address, a port, and three lines.
pub(crate) fn answer(data: &[u8]) {
    let Some((&[flags, a, b, c, d, high, low], rest)) = data.split_first_chunk() else {
        return;
    };
    let mut lines = rest.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next();
    let (user, pass, text) = (line(), line(), line().unwrap_or_default());
    let said = Text::new(String::from_utf8_lossy(text));
    if let Ok(said) = &said {
        assert!((1..=MAX_TEXT_BYTES).contains(&said.as_str().len()));
    }
    let text = said.unwrap_or_else(|_| Messages::default().refused);
    let messages = Messages {
        refused: text.clone(),
        temporary: text,
        codes: if flags & 1 == 0 {
            Codes::Few
        } else {
            Codes::All
        },
        sasl_error: (flags & 2 != 0).then(|| String::from_utf8_lossy(rest).into_owned()),
    };
    let protocol = [Protocol::Imap, Protocol::Pop3, Protocol::Smtp][usize::from(flags >> 2) % 3];
    let dialogue = match flags >> 4 & 3 {
        0 => Dialogue::Inbound,
        1 => Dialogue::Token(protocol),
        _ => Dialogue::Login(protocol),
    };
    let address = match flags >> 6 {
        0 => IpAddr::from([a, b, c, d]),
        _ => IpAddr::from(
            [[a, b, c, d], [0; 4], [high; 4], [d, c, b, a]]
                .concat()
                .try_into()
                .unwrap_or([0; 16]),
        ),
    };
    let port = NonZeroU16::new(u16::from_be_bytes([high, low]));
    let upstream = port.and_then(|port| Upstream::new(address, port));
    let answer = match upstream {
        Some(upstream) if flags & 128 == 0 => Answer::Accept {
            upstream,
            user: user.map(<[u8]>::to_vec),
            password: pass.and_then(|pass| Password::new(pass.to_vec()).ok()),
        },
        _ => Answer::Refuse {
            why: match a % 4 {
                0 => Refusal::WrongPassword,
                1 => Refusal::UnknownRecipient,
                2 => Refusal::RelayDenied("x"),
                _ => Refusal::Temporary(Trouble::NoRoute),
            },
            wait: port.map(Into::into),
        },
    };
    let mut out = b"before".to_vec();
    let written = answer.write(dialogue, &messages, &mut out);
    let bytes = out.strip_prefix(b"before").expect("what was there stays");
    match written {
        Err(_) => assert!(bytes.is_empty()),
        Ok(()) => {
            let read =
                rules::Answer::read(bytes).and_then(|answer| answer.status().map(|_| answer));
            let read = read.unwrap_or_else(|broken| panic!("{broken}: {}", bytes.escape_ascii()));
            assert_eq!(
                read.get("Auth-Status") == Some(b"OK"),
                matches!(answer, Answer::Accept { .. })
            );
        }
    }
}
