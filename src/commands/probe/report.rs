//! The words of `probe`: what nginx does, what the client sees, what nginx logs, what is wrong.

use std::io::{self, Write};
use std::time::Duration;

use super::exchange::{End, Exchange, NotAsked, Step};
use super::hints::{self, quoted};
use super::log_file::{Logged, cause};
use crate::commands::Outcome;
use crate::login::Protocol;
use crate::login::printable::Printable;
use crate::nginx::mail_proxy::{BUFFER_BYTES, Consequence, Fault, Flaw, Read, Session, read};
use crate::nginx::request::Method;

/// The maximum number of other lines of a log that are shown.
const MAX_LINES: usize = 5;

/// What was asked.
pub(super) struct Asked<'a> {
    pub(super) session: Session<'a>,
    pub(super) request: &'a [u8],
    /// Headers whose values are not shown.
    pub(super) secrets: &'a [&'a str],
    /// The text of a temporary failure.
    pub(super) temporary: &'a str,
}

impl Asked<'_> {
    /// The request, without secrets.
    pub(super) fn show_request(&self, out: &mut impl Write) -> io::Result<()> {
        self.show("> ", self.request, out)
    }

    fn show(&self, mark: &str, text: &[u8], out: &mut impl Write) -> io::Result<()> {
        for line in text.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                break;
            }
            let colon = line
                .iter()
                .position(|byte| *byte == b':')
                .unwrap_or(line.len());
            let (name, value) = line.split_at_checked(colon).unwrap_or_default();
            let hidden = |secret: &&str| name.eq_ignore_ascii_case(secret.as_bytes());
            if self.secrets.iter().any(hidden) {
                let bytes = value.len().saturating_sub(2);
                writeln!(out, "{mark}{}: ({bytes} bytes)", Printable(name))?;
            } else {
                writeln!(out, "{mark}{}", Printable(line))?;
            }
        }
        Ok(())
    }

    /// What nginx does with the answer.
    pub(super) fn tell(
        &self,
        exchange: &Exchange,
        timeout: Duration,
        verbose: bool,
        out: &mut impl Write,
    ) -> io::Result<Outcome> {
        let ms = exchange.took.as_secs_f64() * 1000.0;
        let (buffer, _) = exchange
            .received
            .split_at_checked(BUFFER_BYTES)
            .unwrap_or((&exchange.received, &[]));
        let read = read(buffer);
        let (consequence, notes) = match (&read, &exchange.end) {
            (Read::Whole(reply), _) => {
                let line = Printable(reply.status_line.unwrap_or(b"no status line"));
                writeln!(
                    out,
                    "answer: {line}, {} bytes of header, after {ms:.1} ms",
                    reply.size
                )?;
                let consequence = Consequence::of(reply, self.session);
                let notes = hints::of_reply(reply, &consequence, self.session, self.request);
                (consequence, notes)
            }
            (Read::Invalid(flaw), _) => {
                writeln!(out, "answer: not valid, after {ms:.1} ms")?;
                let fault = match flaw {
                    Flaw::StatusLine => Fault::StatusLine,
                    Flaw::Header { .. } => Fault::Header,
                };
                (Consequence::Fail(fault), vec![hints::of_flaw(*flaw)])
            }
            (Read::More, End::TimedOut) => {
                writeln!(
                    out,
                    "answer: no complete header within {} s",
                    timeout.as_secs()
                )?;
                let note = "the service is slow or hangs; nginx waits for auth_http_timeout";
                (Consequence::Fail(Fault::TimedOut), vec![note.to_owned()])
            }
            (Read::More, End::Full | End::Read) => {
                writeln!(out, "answer: too long, after {ms:.1} ms")?;
                let whole = matches!(
                    crate::nginx::mail_proxy::read(&exchange.received),
                    Read::Whole(_)
                );
                let note = hints::of_length(&exchange.received, whole);
                (Consequence::Fail(Fault::TooLong), vec![note])
            }
            (Read::More, End::Closed) => {
                writeln!(
                    out,
                    "answer: {} bytes without the end of a header, after {ms:.1} ms",
                    buffer.len()
                )?;
                let note = match buffer.is_empty() {
                    true => "the service closed the connection without an answer",
                    false => {
                        "the service closed the connection before the empty line that ends a header"
                    }
                };
                (Consequence::Fail(Fault::Closed), vec![note.to_owned()])
            }
            (Read::More, End::Failed(error)) => {
                writeln!(out, "answer: none, after {ms:.1} ms: {error}")?;
                let note = format!("the connection failed: {error}");
                (Consequence::Fail(Fault::Closed), vec![note])
            }
        };
        if verbose {
            self.show("< ", buffer, out)?;
        }
        writeln!(out, "nginx: {}", self.deed(&consequence))?;
        writeln!(out, "client: {}", self.sight(&consequence))?;
        match consequence.logged(&exchange.server) {
            Some((level, message)) => {
                writeln!(out, "nginx log: [{level}] {}", Printable(&message))?
            }
            None if matches!(consequence, Consequence::Fail(_)) => writeln!(
                out,
                "nginx log: nothing, or \"auth http server {} timed out\" after auth_http_timeout",
                exchange.server
            )?,
            None => {}
        }
        for note in notes {
            writeln!(out, "note: {note}")?;
        }
        Ok(match (&consequence, &exchange.end) {
            (Consequence::Proxy { .. }, _) => Outcome::Done,
            (Consequence::AskAgain(_), _) => Outcome::Temporary,
            (Consequence::Refuse { text, code, .. }, _) if self.is_temporary(text, code) => {
                Outcome::Temporary
            }
            (Consequence::Refuse { .. }, _) => Outcome::Refused,
            (Consequence::Fail(_), End::TimedOut | End::Failed(_)) => Outcome::NotAsked,
            (Consequence::Fail(_), _) => Outcome::UnusableAnswer,
        })
    }

    /// That nothing could be asked.
    pub(super) fn tell_not_asked(
        &self,
        failed: &NotAsked,
        out: &mut impl Write,
    ) -> io::Result<Outcome> {
        let NotAsked {
            server,
            step,
            error,
        } = failed;
        if *step == Step::LookUp {
            writeln!(out, "answer: none: cannot look up {server}: {error}")?;
            writeln!(
                out,
                "nginx: does not start with this name (\"host not found\"); if it runs already, it uses the address that \
                 the name had"
            )?;
            return Ok(Outcome::NotAsked);
        }
        writeln!(out, "answer: none: cannot connect to {server}: {error}")?;
        let consequence = Consequence::Fail(Fault::Closed);
        writeln!(
            out,
            "nginx: cannot ask, and closes the connection of the client"
        )?;
        writeln!(out, "client: {}", self.sight(&consequence))?;
        writeln!(out, "nginx log: [error] {error}, while in http auth state")?;
        let why = match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                "nothing listens there: is the service running, and on this port?"
            }
            io::ErrorKind::NotFound => {
                "there is no such socket: is the service running, and with this path?"
            }
            io::ErrorKind::PermissionDenied => {
                "this user may not write to the socket; nginx's workers are www-data on Debian"
            }
            io::ErrorKind::TimedOut => {
                "nothing answers at this address: a firewall, or a machine that is down"
            }
            _ => "nginx would fail in the same way",
        };
        writeln!(out, "note: {why}")?;
        Ok(Outcome::NotAsked)
    }

    /// What nginx does, in words.
    fn deed(&self, consequence: &Consequence<'_>) -> String {
        match consequence {
            Consequence::Proxy {
                address,
                port,
                user,
                password,
            } => {
                let place = std::net::SocketAddr::new(*address, *port);
                let user = quoted(user);
                let mail = self.session.method == Method::None;
                match (self.session.protocol, mail, password) {
                    (_, true, _) => format!("passes the mail on to {place}"),
                    (Protocol::Smtp, _, _) => format!(
                        "accepts the login and connects the client to {place} as user {user} (XCLIENT LOGIN, or AUTH \
                         PLAIN with proxy_smtp_auth on)"
                    ),
                    (_, _, None) => format!(
                        "connects the client to {place} as user {user} with the client's password"
                    ),
                    (_, _, Some(_)) => {
                        format!(
                            "connects the client to {place} as user {user} with the password of Auth-Pass"
                        )
                    }
                }
            }
            Consequence::Refuse { wait: 0, .. } => {
                "refuses the login and closes the connection of the client".to_owned()
            }
            Consequence::Refuse { wait, .. } => {
                format!("waits {wait} s, refuses the login, and lets the client try again")
            }
            Consequence::AskAgain(0) => "asks the same again at once, without end".to_owned(),
            Consequence::AskAgain(wait) => format!("waits {wait} s and asks the same again"),
            Consequence::Fail(fault) => {
                let why = match fault {
                    Fault::NoServerOrPort => "it has no Auth-Server or no Auth-Port",
                    Fault::NoPassword => "it has no Auth-Pass",
                    Fault::Address(_) => "Auth-Server is no address",
                    Fault::Port(_) => "Auth-Port is no port",
                    Fault::Header => "a line of its header is not valid",
                    Fault::StatusLine => "its status line is not valid",
                    Fault::TooLong => "its header does not end within 1,024 bytes",
                    Fault::Closed => "its header has no end",
                    Fault::TimedOut => "it does not come in time",
                };
                let when = match fault {
                    Fault::TooLong | Fault::Closed => ", at once or after auth_http_timeout",
                    _ => "",
                };
                format!(
                    "cannot use the answer, because {why}; closes the connection of the client{when}"
                )
            }
        }
    }

    /// What the client sees.
    fn sight(&self, consequence: &Consequence<'_>) -> String {
        if let Some(line) = consequence.line(self.session) {
            return Printable(&line).to_string();
        }
        let command = match (self.session.protocol, consequence) {
            (_, Consequence::AskAgain(_)) => return "nothing; it waits".to_owned(),
            (Protocol::Imap, _) => "LOGIN",
            (Protocol::Pop3, _) => "PASS",
            (Protocol::Smtp, _) => "RCPT",
        };
        format!("the mail server's answer to {command}")
    }

    fn is_temporary(&self, text: &[u8], code: &[u8]) -> bool {
        let smtp = self.session.protocol == Protocol::Smtp;
        smtp && code.starts_with(b"4")
            || text.ends_with(self.temporary.as_bytes())
            || says_temporary(text)
    }
}

#[cfg(feature = "servers")]
fn says_temporary(text: &[u8]) -> bool {
    crate::users::is_temporary(text)
}

/// Only the stores that ask other servers know their texts.
#[cfg(not(feature = "servers"))]
fn says_temporary(_: &[u8]) -> bool {
    false
}

/// The lines of a log about the request.
pub(super) fn tell_log(
    logged: &Logged,
    outcome: &mut Outcome,
    out: &mut impl Write,
) -> io::Result<()> {
    if let Some(line) = &logged.decision {
        writeln!(out, "log: {}", Printable(line.as_bytes()))?;
        let cause = cause(line).unwrap_or_default();
        if line.contains("answer=temporary") || line.contains("\"answer\":\"temporary\"") {
            *outcome = Outcome::Temporary;
        }
        if let Some(what) = meaning(cause) {
            writeln!(out, "note: {what}")?;
        }
        return Ok(());
    }
    writeln!(out, "log: no decision about this request within a second")?;
    if *outcome != Outcome::Done {
        for line in logged.others.iter().take(MAX_LINES) {
            writeln!(out, "log: {}", Printable(line.as_bytes()))?;
        }
    }
    Ok(())
}

/// What the causes mean that an answer does not show.
fn meaning(cause: &str) -> Option<&'static str> {
    Some(match cause {
        "wrong-key" => {
            "the key is not that of the program: compare auth_http_header of nginx with [nginx] key"
        }
        "wrong-front" => "[nginx] allowed-fronts lacks the address that the request came from",
        "missing-credentials" | "duplicate-header" | "bad-escape" => {
            "a proxy between nginx and the program changes the headers"
        }
        "no-configuration" => "the program has no usable configuration: run nginx-mail-auth check",
        "store-trouble" | "token-trouble" | "throttle-trouble" => {
            "another server does not answer the program: run nginx-mail-auth check"
        }
        "no-route" | "host-trouble" => "run nginx-mail-auth route LOGIN",
        "throttled" => "too many wrong passwords: nginx-mail-auth throttle list",
        _ => return None,
    })
}
