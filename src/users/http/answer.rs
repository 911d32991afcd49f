//! Reads the answer of another service as nginx does (`ngx_mail_auth_http_process_headers` and
//! `ngx_mail_auth_http_parse_header_line` in ngx_mail_auth_http_module.c), but accepts only an explicit `OK`.

use std::net::IpAddr;
use std::num::NonZeroU16;

use crate::login::Upstream;
use crate::login::printable::Printable;
use crate::secret::Password;
use crate::users::server_error::ServerError;
use crate::users::texts::is_temporary;

/// The meaning of an answer.
#[derive(Debug)]
pub(super) enum HttpReply {
    /// The login is accepted.
    Accepted(AcceptedLogin),
    /// The login is refused.
    Refused,
}

/// The further values of an acceptance.
#[derive(Debug)]
pub(super) struct AcceptedLogin {
    pub(super) server: IpAddr,
    pub(super) port: NonZeroU16,
    pub(super) user: Option<Vec<u8>>,
    pub(super) password: Option<Password>,
}

/// The header of an answer.
#[derive(Default)]
pub(super) struct HeaderReader {
    /// The status line, which does not affect the result: `HTTP/1.1 502 Bad Gateway`.
    status_line: Option<Vec<u8>>,
    any_header: bool,
    status: Option<Status>,
    waits: bool,
    server: Option<Vec<u8>>,
    port: Option<Vec<u8>>,
    user: Option<Vec<u8>>,
    password: Option<Result<Password, crate::secret::BadPassword>>,
    error_code: Option<Vec<u8>>,
}

/// The value of `Auth-Status`.
#[derive(Debug, PartialEq, Eq)]
enum Status {
    Ok,
    /// A text for the client. A later header does not replace it.
    Error(Vec<u8>),
}

impl HeaderReader {
    /// Parses the next line. The error says what is wrong with it; the whole answer is then invalid.
    pub(super) fn add(&mut self, line: &[u8]) -> Result<(), String> {
        let first = !self.any_header && self.status_line.is_none();
        if first && line.starts_with(b"HTTP/") {
            self.status_line = Some(line.to_vec());
            return Ok(());
        }
        self.any_header = true;
        let colon = line.iter().position(|byte| *byte == b':');
        let name = line.get(..colon.unwrap_or(line.len())).unwrap_or_default();
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
        if !name.iter().all(plain) || matches!(name, [] | [b'-', ..]) || line.contains(&b'\r') {
            return Err("its answer has an invalid header line".to_owned());
        }
        let value = colon.and_then(|colon| line.get(colon + 1..));
        let value = trimmed(value.unwrap_or_default());
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("Auth-Status") {
            match (value, &self.status) {
                (b"WAIT", _) => self.waits = true,
                (b"OK", Some(Status::Error(_))) => {}
                (b"OK", _) => self.status = Some(Status::Ok),
                (text, _) => self.status = Some(Status::Error(text.to_vec())),
            }
        } else if is("Auth-Server") {
            self.server = Some(value.to_vec());
        } else if is("Auth-Port") {
            self.port = Some(value.to_vec());
        } else if is("Auth-User") {
            self.user = Some(value.to_vec());
        } else if is("Auth-Pass") {
            self.password = Some(Password::new(value.to_vec()));
        } else if is("Auth-Error-Code") {
            self.error_code = Some(value.to_vec());
        }
        Ok(())
    }

    /// Whether it is an answer of this protocol.
    pub(super) fn has_status(&self) -> bool {
        self.status.is_some() || self.waits
    }

    /// Whether the service refused this program as its client (RFC 9110, 15.5.2 and 15.5.4).
    pub(super) fn refuses_key(&self) -> bool {
        !self.has_status() && matches!(self.http_status(), b"401" | b"403")
    }

    /// The HTTP status, such as `503`; empty without one.
    fn http_status(&self) -> &[u8] {
        let line = self.status_line.as_deref().unwrap_or_default();
        let status = line.split(|byte| *byte == b' ').nth(1);
        status.unwrap_or_default()
    }

    /// The error for an answer of another protocol.
    pub(super) fn without_status(&self) -> String {
        const MOST: usize = 60;
        let line = self.status_line.as_deref().unwrap_or(b"no HTTP");
        let line = Printable(line.get(..MOST).unwrap_or(line));
        match self.http_status() {
            [b'5', _, _] | b"429" => {
                format!("answers {line}, without Auth-Status: the service is out of order")
            }
            _ => format!("its answer ({line}) has no Auth-Status: is the URL right?"),
        }
    }

    /// The result of the answer. `temporary` are the texts that mean trouble in the service.
    ///
    /// nginx accepts an answer without `Auth-Status` if it has a server and a port, and for SMTP even an
    /// empty one; this program takes it for trouble.
    pub(super) fn verdict(self, temporary: &[String]) -> Result<HttpReply, ServerError> {
        let error_code = self.error_code.as_deref().unwrap_or_default();
        match &self.status {
            Some(Status::Error(text)) if text.is_empty() => {
                Err(ServerError::Server("its Auth-Status is empty".to_owned()))
            }
            Some(Status::Error(text)) => {
                let listed = temporary.iter().any(|known| known.as_bytes() == text);
                if listed || error_code.starts_with(b"4") || is_temporary(text) {
                    Err(ServerError::Login("reports a temporary failure".to_owned()))
                } else {
                    Ok(HttpReply::Refused)
                }
            }
            _ if self.waits => Err(ServerError::Login("says WAIT".to_owned())),
            None => Err(ServerError::Server(self.without_status())),
            Some(Status::Ok) => self.found().map(HttpReply::Accepted),
        }
    }

    fn found(self) -> Result<AcceptedLogin, ServerError> {
        let useless = |header: &str| {
            let what = format!("says OK, but its {header} is missing or unusable");
            Err(ServerError::Login(what))
        };
        let text = |value: Option<&Vec<u8>>| {
            let value = value.and_then(|value| std::str::from_utf8(value).ok());
            value.unwrap_or_default().to_owned()
        };
        let port = text(self.port.as_ref());
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let Some(port) = port.parse().ok().filter(|_| digits) else {
            return useless("Auth-Port");
        };
        let server = text(self.server.as_ref()).parse().ok();
        let Some(server) = server.and_then(|address| Upstream::new(address, port)) else {
            return useless("Auth-Server");
        };
        if self.user.as_ref().is_some_and(|user| !is_value(user)) {
            return useless("Auth-User");
        }
        let password = match self.password {
            None => None,
            Some(Ok(password)) if is_value(password.reveal()) => Some(password),
            Some(_) => return useless("Auth-Pass"),
        };
        Ok(AcceptedLogin {
            server: server.address(),
            port,
            user: self.user,
            password,
        })
    }
}

/// nginx removes spaces, but no tabs.
fn trimmed(value: &[u8]) -> &[u8] {
    let start = value.iter().position(|byte| *byte != b' ');
    let end = value.iter().rposition(|byte| *byte != b' ');
    match (start, end) {
        (Some(start), Some(end)) => value.get(start..=end).unwrap_or_default(),
        _ => b"",
    }
}

/// Whether the value can be passed on in a header, and to the mail server.
fn is_value(value: &[u8]) -> bool {
    !value.is_empty() && !value.iter().any(u8::is_ascii_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<HttpReply, String> {
        let mut reply = HeaderReader::default();
        for line in text.split("\r\n").flat_map(|part| part.split('\n')) {
            reply.add(line.as_bytes())?;
        }
        let temporary = ["Come later".to_owned()];
        reply
            .verdict(&temporary)
            .map_err(|trouble| trouble.to_string())
    }

    #[test]
    fn an_acceptance_needs_a_status_a_server_and_a_port() {
        for text in [
            "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 192.0.2.9\r\nAuth-Port: 1143",
            "HTTP/1.1 500 Oops\nauth-status:OK\nAUTH-SERVER:  192.0.2.9  \nAuth-Port:01143",
            "Auth-Status: OK\nAuth-Server: ::1\nAuth-Server: 192.0.2.9\nAuth-Port: 1143\nX-Y",
            "Server: x\nAuth-Status: OK\nAuth-Server: 192.0.2.9\nAuth-Port: 1143\nAuth-Wait: 3",
        ] {
            match read(text) {
                Ok(HttpReply::Accepted(found)) => {
                    assert_eq!(found.server, IpAddr::from([192, 0, 2, 9]), "{text}");
                    assert_eq!(found.port.get(), 1143, "{text}");
                    assert_eq!(found.user, None, "{text}");
                    assert!(found.password.is_none(), "{text}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn user_and_password_for_the_mail_server_are_read() {
        let text = "Auth-Status: OK\nAuth-Server: 2001:db8::1\nAuth-Port: 143\n\
            Auth-User: a b%20\u{e9}\nAuth-Pass: marker  pass ";
        match read(text) {
            Ok(HttpReply::Accepted(found)) => {
                assert_eq!(found.user.as_deref(), Some("a b%20\u{e9}".as_bytes()));
                assert_eq!(found.password.as_ref().unwrap().reveal(), b"marker  pass");
                assert!(!format!("{found:?}").contains("marker"));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_other_status_is_a_final_refusal() {
        const SERVER: &str = "Auth-Server: 192.0.2.9\nAuth-Port: 143";
        for text in [
            "Auth-Status: Invalid login or password",
            &format!("Auth-Status: ok\n{SERVER}"),
            &format!("Auth-Status: OK.\n{SERVER}"),
            &format!("Auth-Status: OK\t\n{SERVER}"),
            &format!("Auth-Status: OK\nAuth-Status: no\n{SERVER}"),
            &format!("Auth-Status: no\nAuth-Status: OK\n{SERVER}"),
            "Auth-Status: no\nAuth-Status: WAIT",
            "Auth-Status: [AUTHENTICATIONFAILED] no",
            "Auth-Status: no\nAuth-Error-Code: 535 5.7.8",
            "Auth-Status: come later",
            "Auth-Status: no\nAuth-Wait: 3",
            "Auth-Status: Invalid login or password\nAuth-Wait: 3\nAuth-Error-Code: 535 5.7.0",
            "Auth-Status: Login failed, try again later",
        ] {
            assert!(matches!(read(text), Ok(HttpReply::Refused)), "{text}");
        }
    }

    #[test]
    fn an_answer_without_a_status_is_told_by_that_of_http() {
        const ORDER: &str = "without Auth-Status: the service is out of order";
        const URL: &str = "has no Auth-Status: is the URL right?";
        for (line, told) in [
            ("HTTP/1.1 503", format!("answers HTTP/1.1 503, {ORDER}")),
            (
                "HTTP/1.0 502 Bad Gateway",
                format!("answers HTTP/1.0 502 Bad Gateway, {ORDER}"),
            ),
            (
                "HTTP/1.1 429 Too Many",
                format!("answers HTTP/1.1 429 Too Many, {ORDER}"),
            ),
            (
                "HTTP/1.1 404 Not Found",
                format!("its answer (HTTP/1.1 404 Not Found) {URL}"),
            ),
            (
                "HTTP/1.1 200 OK",
                format!("its answer (HTTP/1.1 200 OK) {URL}"),
            ),
            ("HTTP/1.1 5", format!("its answer (HTTP/1.1 5) {URL}")),
            ("HTTP/1.1", format!("its answer (HTTP/1.1) {URL}")),
            ("X: y", format!("its answer (no HTTP) {URL}")),
        ] {
            assert_eq!(read(line).unwrap_err(), told);
        }
    }

    #[test]
    fn an_answer_without_a_status_decides_nothing() {
        const SERVER: &str = "Auth-Server: 192.0.2.9\nAuth-Port: 143";
        for text in [
            SERVER,
            "HTTP/1.1 502 Bad Gateway\nServer: x",
            &format!("Auth-Status:\n{SERVER}"),
            &format!("Auth-Status\n{SERVER}"),
            &format!("Auth-Status: WAIT\n{SERVER}"),
            &format!("Auth-Status: WAIT\nAuth-Status: OK\n{SERVER}"),
            "Auth-Status: OK",
            "Auth-Status: OK\nAuth-Server: 192.0.2.9",
            "Auth-Status: OK\nAuth-Port: 143",
            "Auth-Status: OK\nAuth-Server: mail.example.org\nAuth-Port: 143",
            "Auth-Status: OK\nAuth-Server: 0.0.0.0\nAuth-Port: 143",
            "Auth-Status: OK\nAuth-Server: [::1]\nAuth-Port: 143",
            "Auth-Status: OK\nAuth-Server: 192.0.2.9\nAuth-Port: 0",
            "Auth-Status: OK\nAuth-Server: 192.0.2.9\nAuth-Port: +143",
            "Auth-Status: OK\nAuth-Server: 192.0.2.9\nAuth-Port: 143\t",
            "Auth-Status: OK\nAuth-Server: 192.0.2.9\nAuth-Port: 65536",
            &format!("Auth-Status: OK\n{SERVER}\nAuth-User:"),
            &format!("Auth-Status: OK\n{SERVER}\nAuth-User: a\0b"),
            &format!("Auth-Status: OK\n{SERVER}\nAuth-Pass:"),
            &format!("Auth-Status: OK\n{SERVER}\nAuth-Pass: a\tb"),
            &format!("Auth-Status: OK\n{SERVER}\nX_Y: z"),
            &format!("Auth-Status: OK\n{SERVER}\n folded"),
            &format!("Auth-Status: OK\n{SERVER}\nX : y"),
            &format!("Auth-Status: OK\n{SERVER}\n: y"),
            &format!("Auth-Status: OK\rX\n{SERVER}"),
            &format!("\nAuth-Status: OK\n{SERVER}\nHTTP/1.0 200 OK"),
            "Auth-Status: Come later",
            "Auth-Status: no\nAuth-Error-Code: 451 4.3.0",
            "Auth-Status: [UNAVAILABLE] no",
            "Auth-Status: [SYS/TEMP] no",
            "Auth-Status: Temporary server problem",
            "Auth-Status: Internal Server Error",
            "Auth-Status: Login failed: generic failure",
            "Auth-Status: Invalid login\nAuth-Error-Code: 421 4.3.2",
        ] {
            let said = read(text);
            assert!(said.is_err(), "{text}: {said:?}");
        }
    }

    /// Random header lines of all relevant kinds: only a real acceptance is read as one.
    #[test]
    fn only_a_single_status_of_ok_is_an_acceptance() {
        const LINES: [&str; 16] = [
            "HTTP/1.0 200 OK",
            "Auth-Status: OK",
            "auth-status:OK",
            "Auth-Status: ok",
            "Auth-Status: no",
            "Auth-Status:",
            "Auth-Status: WAIT",
            "Auth-Server: 192.0.2.9",
            "Auth-Server: x",
            "Auth-Port: 143",
            "Auth-Port: 0",
            "Auth-User: al",
            "Auth-Pass: p",
            "Auth-Pass: \0",
            "X: y",
            "X y",
        ];
        let mut state: u64 = 1;
        let mut yes = 0;
        for _ in 0..200_000 {
            let mut chosen = Vec::new();
            for _ in 0..6 {
                // Numbers from a linear congruential generator, of which the upper bits are good.
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                chosen.push(LINES[(state >> 60) as usize]);
            }
            let text = chosen.join("\n");
            if let Ok(HttpReply::Accepted(_)) = read(&text) {
                yes += 1;
                let status = |line: &&&str| line.to_ascii_lowercase().starts_with("auth-status");
                let said: Vec<_> = chosen.iter().filter(status).collect();
                assert!(!said.is_empty(), "{text}");
                assert!(said.iter().all(|line| line.ends_with("OK")), "{text}");
                assert!(chosen.contains(&"Auth-Server: 192.0.2.9"), "{text}");
                assert!(chosen.contains(&"Auth-Port: 143"), "{text}");
            }
        }
        assert!(yes > 100, "{yes}");
    }
}
