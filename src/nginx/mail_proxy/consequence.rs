//! What nginx does with an answer (`ngx_mail_auth_http_process_headers` in ngx_mail_auth_http_module.c).

use std::net::IpAddr;

use super::address::{self, number};
use super::reply::Reply;
use crate::login::Protocol;
use crate::nginx::request::Method;

/// The session of the mail client.
#[derive(Clone, Copy, Debug)]
pub struct Session<'a> {
    /// The mail protocol.
    pub protocol: Protocol,
    /// How the client logs in.
    pub method: Method,
    /// The login that the client sent.
    pub login: &'a [u8],
}

/// What nginx does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consequence<'a> {
    /// It connects to the mail server.
    Proxy {
        /// The address of the mail server.
        address: IpAddr,
        /// Its port.
        port: u16,
        /// The login for the mail server.
        user: &'a [u8],
        /// The password for it, if it is not the client's.
        password: Option<&'a [u8]>,
    },
    /// It sends an error text to the client.
    Refuse {
        /// The text.
        text: &'a [u8],
        /// The code before it, for SMTP.
        code: &'a [u8],
        /// The seconds after which it sends the text; the client may then try again. With 0 it sends the text at once
        /// and closes the connection.
        wait: i64,
    },
    /// It asks the same again after these seconds; with 0 at once.
    AskAgain(i64),
    /// It sends "internal server error" to the client and closes the connection.
    Fail(Fault<'a>),
}

/// Why nginx cannot use an answer, or has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault<'a> {
    /// `Auth-Server` or `Auth-Port` is missing or empty.
    NoServerOrPort,
    /// The mail server needs a password, and nginx has none.
    NoPassword,
    /// `Auth-Server` is no address.
    Address(&'a [u8]),
    /// `Auth-Port` is no port.
    Port(&'a [u8]),
    /// A line is not valid.
    Header,
    /// The status line is not valid.
    StatusLine,
    /// The header does not end within nginx's buffer. nginx reads no further, and waits.
    TooLong,
    /// The server closed the connection before the end of the header.
    Closed,
    /// The header did not arrive within `auth_http_timeout`.
    TimedOut,
}

/// The code of an SMTP refusal without `Auth-Error-Code`.
const SMTP_CODE: &[u8] = b"535 5.7.0";

impl<'a> Consequence<'a> {
    /// The consequence of an answer with a complete header.
    pub fn of(reply: &Reply<'a>, session: Session<'a>) -> Self {
        let (mut error, mut waits) = (None, false);
        for status in reply.values("Auth-Status") {
            match status {
                b"OK" => {}
                b"WAIT" => waits = true,
                text => error = Some(text),
            }
        }
        let waiting = reply.values("Auth-Wait").filter_map(number).last();
        let wait = waiting.unwrap_or(0);
        let smtp = session.protocol == Protocol::Smtp;
        // For SMTP nginx tests the length of the text itself, otherwise that of the whole line.
        if let Some(text) = error.filter(|text| !(smtp && text.is_empty())) {
            let code = reply
                .value("Auth-Error-Code")
                .filter(|code| !code.is_empty());
            let code = code.unwrap_or(SMTP_CODE);
            return Self::Refuse { text, code, wait };
        }
        if waits {
            return Self::AskAgain(wait);
        }
        let filled = |name| reply.value(name).filter(|value| !value.is_empty());
        let (Some(server), Some(port)) = (filled("Auth-Server"), filled("Auth-Port")) else {
            return Self::Fail(Fault::NoServerOrPort);
        };
        let password = reply.value("Auth-Pass");
        if !smtp && password.is_none() && !session.has_password() {
            return Self::Fail(Fault::NoPassword);
        }
        let Some(address) = address::address(server) else {
            return Self::Fail(Fault::Address(server));
        };
        let Some(port) = address::port(port) else {
            return Self::Fail(Fault::Port(port));
        };
        Self::Proxy {
            address,
            port,
            user: reply.value("Auth-User").unwrap_or(session.login),
            password,
        }
    }

    /// The line that the client gets, without its line end. `TAG` stands for the tag of an IMAP command. `None`: it
    /// is the mail server's line, or there is none.
    pub fn line(&self, session: Session<'_>) -> Option<Vec<u8>> {
        let error: &[u8] = match session.protocol {
            Protocol::Imap => b"* BAD internal server error",
            Protocol::Pop3 => b"-ERR internal server error",
            Protocol::Smtp => b"451 4.3.2 Internal server error",
        };
        match self {
            Self::Fail(_) => Some(error.to_vec()),
            Self::AskAgain(_) => None,
            Self::Proxy { .. } => {
                let says_itself =
                    session.protocol == Protocol::Smtp && session.method != Method::None;
                says_itself.then(|| b"235 2.0.0 OK".to_vec())
            }
            Self::Refuse { text, code, .. } => Some(match session.protocol {
                Protocol::Imap => [b"TAG NO ", *text].concat(),
                Protocol::Pop3 => [b"-ERR ", *text].concat(),
                Protocol::Smtp => [code, b" ".as_slice(), text].concat(),
            }),
        }
    }

    /// The message and its level in nginx's log; `server` is nginx's name of the `auth_http` server. `None`: nginx logs
    /// nothing about the answer, or, if the header has no end, a time-out after `auth_http_timeout`.
    pub fn logged(&self, server: &str) -> Option<(&'static str, Vec<u8>)> {
        let error = |what: &str| {
            Some((
                "error",
                format!("auth http server {server} {what}").into_bytes(),
            ))
        };
        let invalid = |what: &str, value: &[u8]| {
            let text = format!("auth http server {server} sent invalid server {what}:\"");
            Some(("error", [text.as_bytes(), value, b"\""].concat()))
        };
        match self {
            Self::Proxy { .. } | Self::AskAgain(_) | Self::Fail(Fault::Closed | Fault::TooLong) => {
                None
            }
            Self::Refuse { text, .. } => {
                Some(("info", [b"client login failed: \"", *text, b"\""].concat()))
            }
            Self::Fail(fault) => match fault {
                Fault::NoServerOrPort => error("did not send server or port"),
                Fault::NoPassword => error("did not send password"),
                Fault::Address(value) => invalid("address", value),
                Fault::Port(value) => invalid("port", value),
                Fault::Header => error("sent invalid header in response"),
                Fault::StatusLine => error("sent invalid response"),
                Fault::TimedOut | Fault::TooLong | Fault::Closed => error("timed out"),
            },
        }
    }
}

impl Session<'_> {
    /// Whether nginx keeps a password for the mail server: not a digest, nor anything for a certificate.
    fn has_password(self) -> bool {
        match self.method {
            Method::Plain | Method::Token | Method::None => true,
            Method::CramMd5 | Method::Apop | Method::External => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reply::{Read, read};
    use super::*;

    fn of(answer: &str, protocol: Protocol, method: Method) -> String {
        let session = Session {
            protocol,
            method,
            login: b"alice",
        };
        let Read::Whole(reply) = read(answer.as_bytes()) else {
            panic!("{answer} is not whole");
        };
        let consequence = Consequence::of(&reply, session);
        let line = consequence.line(session).unwrap_or_default();
        let what = match consequence {
            Consequence::Proxy {
                address,
                port,
                user,
                password,
            } => {
                let user = user.escape_ascii();
                let password = password.map(|password| password.escape_ascii().to_string());
                format!(
                    "{address} {port} {user} {}",
                    password.unwrap_or_else(|| "-".to_owned())
                )
            }
            Consequence::Refuse { wait, .. } => format!("refuse {wait}"),
            Consequence::AskAgain(wait) => format!("again {wait}"),
            Consequence::Fail(fault) => format!("{fault:?}"),
        };
        format!("{what} | {}", line.escape_ascii())
    }

    /// The rules in which the protocols or methods differ; tests/servers/probe compares all others with nginx itself.
    #[test]
    fn consequences() {
        const SENT: &str = "Auth-Server: ::1\nAuth-Port: 0143\n";
        for (answer, protocol, method, what) in [
            (
                "Auth-Status: OK\nSENT\n",
                Protocol::Imap,
                Method::Plain,
                "::1 143 alice - | ",
            ),
            (
                "SENT\n",
                Protocol::Pop3,
                Method::Plain,
                "::1 143 alice - | ",
            ),
            (
                "SENT\n",
                Protocol::Smtp,
                Method::Plain,
                "::1 143 alice - | 235 2.0.0 OK",
            ),
            ("SENT\n", Protocol::Smtp, Method::None, "::1 143 alice - | "),
            (
                "SENT\n",
                Protocol::Smtp,
                Method::CramMd5,
                "::1 143 alice - | 235 2.0.0 OK",
            ),
            (
                "SENT\n",
                Protocol::Imap,
                Method::CramMd5,
                "NoPassword | * BAD internal server error",
            ),
            (
                "SENT\n",
                Protocol::Pop3,
                Method::Apop,
                "NoPassword | -ERR internal server error",
            ),
            (
                "SENT\n",
                Protocol::Imap,
                Method::External,
                "NoPassword | * BAD internal server error",
            ),
            (
                "Auth-Pass:\nSENT\n",
                Protocol::Imap,
                Method::External,
                "::1 143 alice  | ",
            ),
            (
                "Auth-User:\nSENT\n",
                Protocol::Imap,
                Method::Plain,
                "::1 143  - | ",
            ),
            (
                "Auth-Status:\nSENT\n",
                Protocol::Smtp,
                Method::Plain,
                "::1 143 alice - | 235 2.0.0 OK",
            ),
            (
                "Auth-Status:\nSENT\n",
                Protocol::Imap,
                Method::Plain,
                "refuse 0 | TAG NO ",
            ),
            (
                "Auth-Status: no\nAuth-Status:\nSENT\n",
                Protocol::Smtp,
                Method::Plain,
                "::1 143 alice - | 235 2.0.0 OK",
            ),
            (
                "Auth-Status: no\nAuth-Error-Code:\n\n",
                Protocol::Smtp,
                Method::Plain,
                "refuse 0 | 535 5.7.0 no",
            ),
            (
                "Auth-Status: no\nAuth-Wait: 3\nAuth-Wait: x\n\n",
                Protocol::Imap,
                Method::Plain,
                "refuse 3 | TAG NO no",
            ),
            (
                "Auth-Status: WAIT\nAuth-Status: OK\nSENT\n",
                Protocol::Imap,
                Method::Plain,
                "again 0 | ",
            ),
        ] {
            let answer =
                answer.replace("SENT\n", SENT) + if answer.ends_with("\n\n") { "" } else { "\n" };
            assert_eq!(of(&answer, protocol, method), what, "{answer}");
        }
    }
}
