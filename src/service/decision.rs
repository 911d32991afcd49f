//! The log line of a decision. Its form is stable, because other programs read it.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use log::Level;

use crate::nginx::refusal::{Refusal, Trouble};
use crate::sys::logger::{self, Event, Logfmt, MAX_FIELD, TakeField, Value};

/// The maximum number of characters of the mail server's login: the typed login is logged
/// completely. With [`MAX_FIELD`], no line exceeds 1,024 bytes.
const MAX_USER: usize = 128;
/// The same for the label of an app password.
const MAX_LABEL: usize = 64;

/// One decision, as logfmt: `login="alice" protocol=imap client=192.0.2.7 host=mailhost01
/// answer=OK cause=accepted ms=0.215`.
///
/// It contains neither a password nor a value derived from one. Untrusted text is in double quotes,
/// with everything except printable ASCII escaped, so it cannot end its field or the line.
pub struct Decision<'a> {
    /// The login, or the part of it that could be read.
    pub login: Option<&'a [u8]>,
    /// nginx's name of the protocol.
    pub protocol: &'static str,
    /// The mail client.
    pub client: Option<IpAddr>,
    /// The recipient of incoming mail, which has no login.
    pub recipient: Option<&'a [u8]>,
    /// The mail server's name in the configuration.
    pub host: Option<&'a str>,
    /// The login for the mail server, if it differs.
    pub user: Option<&'a [u8]>,
    /// The label of the app password that the client sent.
    pub app_password: Option<&'a str>,
    /// `None` for an accepted login.
    pub refusal: Option<&'a Refusal>,
    /// The sender of a request without the key.
    pub peer: Option<IpAddr>,
    /// From the request's arrival to its answer.
    pub took: Duration,
}

impl Decision<'_> {
    /// Logs the decision: at level `info`; at `warn` for a temporary failure or a broken entry of
    /// the user; at `error` for a bug.
    pub fn log(&self) {
        let level = match self.refusal {
            Some(Refusal::Temporary(Trouble::Panic)) => Level::Error,
            Some(Refusal::UnusablePassword(_) | Refusal::UnusableEntry(_)) => Level::Warn,
            Some(refusal) if refusal.is_temporary() => Level::Warn,
            _ => Level::Info,
        };
        logger::event(level, self);
    }

    /// Passes on the fields that identify the decision.
    pub(super) fn in_short(&self, take: &mut TakeField<'_>) -> fmt::Result {
        take("login", text(self.login))?;
        take("protocol", Value::Word(&self.protocol))?;
        take("client", word(&self.client))?;
        if self.recipient.is_some() {
            take("rcpt", text(self.recipient))?;
        }
        take("answer", Value::Word(&self.answer()))?;
        self.cause(take)?;
        take("ms", Value::Number(&Millis(self.took)))
    }

    fn cause(&self, take: &mut TakeField<'_>) -> fmt::Result {
        match self.refusal {
            None => take("cause", Value::Word(&"accepted")),
            Some(refusal) => take("cause", Value::Word(refusal)),
        }
    }

    fn answer(&self) -> &'static str {
        match self.refusal {
            None => "OK",
            Some(refusal) if refusal.is_temporary() => "temporary",
            Some(_) => "refused",
        }
    }
}

impl Event for Decision<'_> {
    const NAME: &'static str = "decision";
    const NAMED: bool = false;

    fn fields(&self, take: &mut TakeField<'_>) -> fmt::Result {
        take("login", text(self.login))?;
        take("protocol", Value::Word(&self.protocol))?;
        take("client", word(&self.client))?;
        if self.recipient.is_some() {
            take("rcpt", text(self.recipient))?;
        }
        take("host", text(self.host.map(str::as_bytes)))?;
        take("answer", Value::Word(&self.answer()))?;
        self.cause(take)?;
        if let Some(detail) = self.refusal.and_then(Refusal::detail) {
            take("detail", text(Some(detail.as_bytes())))?;
        }
        if let Some(user) = self.user {
            take("user", Value::Text(user, MAX_USER))?;
        }
        if let Some(label) = self.app_password {
            take("app", Value::Text(label.as_bytes(), MAX_LABEL))?;
        }
        if self.peer.is_some() {
            take("peer", word(&self.peer))?;
        }
        take("ms", Value::Number(&Millis(self.took)))
    }
}

impl fmt::Display for Decision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Logfmt(self).fmt(f)
    }
}

/// Untrusted text.
fn text(bytes: Option<&[u8]>) -> Value<'_> {
    bytes.map_or(Value::Absent, |bytes| Value::Text(bytes, MAX_FIELD))
}

/// A word of this program.
fn word<T: fmt::Display>(value: &Option<T>) -> Value<'_> {
    value
        .as_ref()
        .map_or(Value::Absent, |value| Value::Word(value))
}

/// A time in milliseconds, with three places after the point.
pub(super) struct Millis(pub(super) Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = (self.0.as_nanos() + 500) / 1000;
        write!(f, "{}.{:03}", micros / 1000, micros % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision<'a>(login: &'a [u8], refusal: Option<&'a Refusal>) -> Decision<'a> {
        Decision {
            login: Some(login),
            protocol: "imap",
            client: Some([192, 0, 2, 7].into()),
            recipient: None,
            host: refusal.is_none().then_some("mailhost01"),
            user: None,
            app_password: None,
            refusal,
            peer: None,
            took: Duration::from_micros(215),
        }
    }

    #[test]
    fn the_form_of_the_line() {
        assert_eq!(
            decision(b"alice", None).to_string(),
            "login=\"alice\" protocol=imap client=192.0.2.7 host=\"mailhost01\" \
             answer=OK cause=accepted ms=0.215"
        );
        assert_eq!(
            decision(b"alice", Some(&Refusal::WrongPassword)).to_string(),
            "login=\"alice\" protocol=imap client=192.0.2.7 host=- \
             answer=refused cause=wrong-password ms=0.215"
        );
        let inbound = Decision {
            recipient: Some(b"bob@example.org"),
            protocol: "smtp",
            ..decision(b"", Some(&Refusal::RelayDenied("why")))
        };
        assert_eq!(
            inbound.to_string(),
            "login=\"\" protocol=smtp client=192.0.2.7 rcpt=\"bob@example.org\" host=- \
             answer=refused cause=relay-denied detail=\"why\" ms=0.215"
        );
    }

    #[test]
    fn the_time_is_in_milliseconds_rounded_to_three_digits() {
        for (nanos, ms) in [
            (0, "0.000"),
            (499, "0.000"),
            (500, "0.001"),
            (999_999, "1.000"),
            (1_050_000, "1.050"),
            (12_345_678_901, "12345.679"),
        ] {
            let line = Decision {
                took: Duration::from_nanos(nanos),
                ..decision(b"alice", None)
            };
            assert!(line.to_string().ends_with(&format!(" ms={ms}")), "{line}");
        }
    }

    #[test]
    fn the_login_master_and_method_are_logged() {
        let line = Decision {
            user: Some(b"alice@example.org"),
            app_password: Some("old \"phone\""),
            ..decision(b"sales", None)
        };
        let end = " cause=accepted user=\"alice@example.org\" app=\"old \\\"phone\\\"\" ms=0.215";
        assert!(line.to_string().ends_with(end), "{line}");
    }

    #[test]
    fn the_detail_of_a_store_is_escaped_once() {
        let said = Refusal::Temporary(Trouble::Store("the attribute's \"value\"".to_owned()));
        let line = decision(b"o'brien", Some(&said)).to_string();
        assert!(line.contains(r#"login="o'brien" "#), "{line}");
        assert!(
            line.contains(r#"detail="the attribute's \"value\"""#),
            "{line}"
        );
    }

    #[test]
    fn text_from_outside_cannot_leave_its_field() {
        let line = decision(b"x\" client=192.0.2.1\r\n\x1b[0m\xe9", None).to_string();
        assert!(line.starts_with(
            r#"login="x\" client=192.0.2.1\r\n\x1b[0m\xe9" protocol=imap client=192.0.2.7 "#
        ));
        assert!(line.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
    }

    /// The names of the fields of an event, and its values as text.
    fn names(event: &impl Event) -> Vec<String> {
        let mut names = Vec::new();
        event
            .fields(&mut |name, _| {
                names.push(name.to_owned());
                Ok(())
            })
            .unwrap();
        names
    }

    #[test]
    fn the_short_form_has_fields_of_the_whole_line() {
        let refusal = Refusal::Temporary(Trouble::Store("down".to_owned()));
        let whole = Decision {
            recipient: Some(b"bob"),
            peer: Some([192, 0, 2, 9].into()),
            ..decision(b"alice", Some(&refusal))
        };
        assert_eq!(
            names(&whole),
            [
                "login", "protocol", "client", "rcpt", "host", "answer", "cause", "detail", "peer",
                "ms"
            ]
        );
    }

    #[test]
    fn a_line_is_at_most_1024_bytes_long() {
        let refusal = Refusal::Temporary(Trouble::Store("\0".repeat(5000)));
        let host = "\u{e9}".repeat(500);
        let long = [0xff; 5000];
        // Incoming mail has a recipient instead of a login.
        for (login, recipient) in [(&long[..], None), (b"", Some(&long[..]))] {
            let mut decision = decision(login, Some(&refusal));
            (decision.host, decision.recipient) = (Some(host.as_str()), recipient);
            assert!(decision.to_string().len() <= 1024 - "2026-01-01T00:00:00Z".len() - 40);
        }
    }
}
