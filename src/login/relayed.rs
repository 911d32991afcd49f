//! The values that nginx writes into its dialogue with a mail server, and the bytes allowed in
//! each.
//!
//! nginx copies them unchanged (ngx_mail_proxy_module.c): a line end in a value would begin a new
//! command, and a blank in a value of `XCLIENT` would begin a new attribute. docs/fronts.md has the
//! whole table.

use crate::login::Protocol;

/// A value that nginx writes to a mail server or a mail client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// The login for IMAP and POP3: `USER login`, or a literal of `LOGIN`. Also `Auth-User`.
    Login,
    /// The login for SMTP: `XCLIENT LOGIN=login`, which nginx escapes only since 1.29.2 and 1.28.1.
    /// Also `Auth-User`.
    SmtpLogin,
    /// The password of the client: `PASS password`, a literal, or part of `AUTH PLAIN`.
    Password,
    /// `Auth-Pass`: the password in a header, in which Apache accepts no control bytes.
    AuthPass,
    /// `Client-IP` and `Client-Host` for SMTP: `XCLIENT ADDR=` and `NAME=`.
    SmtpWord,
    /// The HELO, MAIL and RCPT commands of a client, or their arguments.
    SmtpCommand,
    /// `Auth-Status` and `Auth-Error-SASL`: text that the client receives.
    Text,
    /// `Auth-Error-Code`: `535 5.7.8`.
    ErrorCode,
}

impl Value {
    /// The login, or `Auth-User`, for a protocol.
    pub fn login_for(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Imap | Protocol::Pop3 => Self::Login,
            Protocol::Smtp => Self::SmtpLogin,
        }
    }

    /// Whether all bytes are allowed in this value.
    pub fn allows(self, bytes: &[u8]) -> bool {
        match self {
            Self::SmtpLogin => all(bytes, is_of_word) && !is_xtext(bytes),
            Self::SmtpWord => all(bytes, is_of_word),
            Self::Login | Self::AuthPass | Self::SmtpCommand | Self::Text => {
                all(bytes, |byte| !byte.is_ascii_control())
            }
            Self::Password => all(bytes, |byte| !matches!(byte, 0 | b'\r' | b'\n')),
            Self::ErrorCode => all(bytes, |byte| {
                byte.is_ascii_digit() || matches!(byte, b'.' | b' ')
            }),
        }
    }

    /// Whether nginx reads these bytes unchanged from a header of ours: it drops blanks at either
    /// end.
    pub fn fits_header(self, bytes: &[u8]) -> bool {
        let blank = |byte: Option<&u8>| byte.is_none_or(|byte| *byte == b' ');
        self.allows(bytes) && !blank(bytes.first()) && !blank(bytes.last())
    }
}

fn all(bytes: &[u8], allowed: impl Fn(u8) -> bool) -> bool {
    bytes.iter().all(|byte| allowed(*byte))
}

fn is_of_word(byte: u8) -> bool {
    !byte.is_ascii_control() && byte != b' '
}

/// Whether a mail server would decode other bytes from this value: values of XCLIENT are xtext (RFC
/// 1891, 5), so `al+69ce` means `alice` where nginx does not write the plus as `+2B`.
fn is_xtext(bytes: &[u8]) -> bool {
    let coded = |part: &[u8]| matches!(part, [b'+', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
    bytes.windows(3).any(coded)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;
    use crate::front::params::{Params, Peer};
    use crate::login::Upstream;
    use crate::nginx::answer::{Answer, Dialogue, Messages, Unwritable};
    use crate::nginx::refusal::Refusal;
    use crate::nginx::request::{AuthRequest, Fronts};
    use crate::secret::Password;

    const PROTOCOLS: [Protocol; 3] = [Protocol::Imap, Protocol::Pop3, Protocol::Smtp];

    /// `a`, the byte, `z`: percent-encoded as nginx does it, or raw.
    fn around(byte: u8) -> Vec<u8> {
        vec![b'a', byte, b'z']
    }

    fn escaped(byte: u8) -> Vec<u8> {
        format!("a%{byte:02X}z").into_bytes()
    }

    fn read(protocol: Protocol, changes: &[(&str, &[u8])]) -> Result<(), Refusal> {
        let mut all = vec![
            ("HTTP_AUTH_METHOD", &b"plain"[..]),
            ("HTTP_AUTH_USER", b"alice"),
            ("HTTP_AUTH_PASS", b"secret"),
            ("HTTP_AUTH_PROTOCOL", protocol.word().as_bytes()),
            ("HTTP_CLIENT_IP", b"192.0.2.7"),
        ];
        all.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        all.extend(changes);
        let mut params = Params::bounded(512);
        for (name, value) in all {
            params.push(name.as_bytes(), value).unwrap();
        }
        AuthRequest::from_params(&params, Peer::Unix, &Fronts::default()).map(|_| ())
    }

    fn said(
        protocol: Protocol,
        user: Option<Vec<u8>>,
        password: Option<Vec<u8>>,
    ) -> Result<(), Unwritable> {
        let upstream = Upstream::new([192, 0, 2, 1].into(), NonZeroU16::MIN);
        let answer = Answer::Accept {
            upstream: upstream.unwrap(),
            user,
            password: password.map(|password| Password::new(password).unwrap()),
        };
        answer.write(
            Dialogue::Login(protocol),
            &Messages::default(),
            &mut Vec::new(),
        )
    }

    /// Every byte in every value, for every protocol.
    #[test]
    fn what_nginx_writes_holds_no_byte_that_it_must_not() {
        for (protocol, byte) in PROTOCOLS
            .into_iter()
            .flat_map(|protocol| (0..=255).map(move |byte| (protocol, byte)))
        {
            let what = format!("{protocol:?} {byte:#04x}");
            let smtp = protocol == Protocol::Smtp;
            let control = byte < 0x20 || byte == 0x7f;
            let is_word = !control && byte != b' ';
            let refused_if = |bad: bool, why: Refusal| if bad { Err(why) } else { Ok(()) };

            let bad = control || smtp && byte == b' ';
            let login = read(protocol, &[("HTTP_AUTH_USER", &escaped(byte))]);
            assert_eq!(login, refused_if(bad, Refusal::BadLogin), "{what}");
            let unsayable = Err(Unwritable::Value("Auth-User"));
            let user = said(protocol, Some(around(byte)), None);
            assert_eq!(user, if bad { unsayable } else { Ok(()) }, "{what}");

            let bad = matches!(byte, 0 | b'\r' | b'\n');
            let pass = read(protocol, &[("HTTP_AUTH_PASS", &escaped(byte))]);
            assert_eq!(pass, refused_if(bad, Refusal::BadPassword), "{what}");
            if !bad {
                let pass = said(protocol, None, Some(around(byte)));
                let unsayable = Err(Unwritable::Value("Auth-Pass"));
                assert_eq!(pass, if control { unsayable } else { Ok(()) }, "{what}");
            }

            for (name, header) in [
                ("HTTP_CLIENT_HOST", "Client-Host"),
                ("HTTP_CLIENT_IP", "Client-IP"),
            ] {
                // Apache joins two headers with a comma, and an address contains none.
                if name == "HTTP_CLIENT_IP" && byte == b',' {
                    continue;
                }
                let client = read(protocol, &[(name, &around(byte))]);
                // The client's name is passed on to another service, whatever the protocol.
                let bad = match smtp {
                    true => !is_word,
                    false => control && header == "Client-Host",
                };
                assert_eq!(
                    client,
                    refused_if(bad, Refusal::BadHeader(header)),
                    "{what}"
                );
            }
            for (name, header) in [
                ("HTTP_AUTH_SMTP_HELO", "Auth-SMTP-Helo"),
                ("HTTP_AUTH_SMTP_FROM", "Auth-SMTP-From"),
            ] {
                let mail = read(
                    protocol,
                    &[("HTTP_AUTH_METHOD", b"none"), (name, &around(byte))],
                );
                let bad = smtp && control;
                assert_eq!(mail, refused_if(bad, Refusal::BadHeader(header)), "{what}");
            }
        }
    }

    #[test]
    fn no_login_is_another_one_in_xclient() {
        for (login, smtp) in [
            ("al+69ce", false),
            ("al+6Fce@example.org", false),
            ("+40", false),
            ("user+tag@example.org", true),
            ("user+6@example.org", true),
            ("user+", true),
        ] {
            assert_eq!(Value::SmtpLogin.allows(login.as_bytes()), smtp, "{login}");
            assert!(Value::Login.allows(login.as_bytes()), "{login}");
        }
    }

    #[test]
    fn what_nginx_says_to_clients() {
        for byte in 0..=255 {
            let control = byte < 0x20 || byte == 0x7f;
            assert_eq!(Value::Text.allows(&[byte]), !control);
            let in_code = byte.is_ascii_digit() || byte == b'.' || byte == b' ';
            assert_eq!(Value::ErrorCode.allows(&[byte]), in_code);
        }
    }

    #[test]
    fn clients_on_unix_sockets_and_without_a_name_are_none_the_worse() {
        for changes in [
            [("HTTP_CLIENT_IP", &b"unix:"[..])],
            [("HTTP_CLIENT_IP", b"2001:db8::7")],
            [("HTTP_CLIENT_HOST", b"[UNAVAILABLE]")],
            [("HTTP_CLIENT_HOST", b"")],
            [("HTTP_CLIENT_HOST", b"mail_7.example.org")],
        ] {
            assert_eq!(read(Protocol::Smtp, &changes), Ok(()), "{changes:?}");
        }
    }
}
