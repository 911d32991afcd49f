//! The log line of a decision. Its form is stable, because other programs read it.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use log::Level;

use crate::nginx::refusal::{Refusal, Trouble};
use crate::sys::logger::{MAX_FIELD, Quoted};

/// The maximum number of characters of the mail server's login: the typed login is logged
/// completely. With [`MAX_FIELD`], no line exceeds 1,024 bytes.
const MAX_USER: usize = 128;
/// The same for the label of an app password.
const MAX_LABEL: usize = 64;

/// One decision, in logfmt: `login="alice" protocol=imap client=192.0.2.7 host=mailhost01
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
    /// Writes the line: at level `info`; at `warn` for a temporary failure or a broken entry of the
    /// user; at `error` for a bug.
    pub fn log(&self) {
        let level = match self.refusal {
            Some(Refusal::Temporary(Trouble::Panic)) => Level::Error,
            Some(Refusal::UnusablePassword(_) | Refusal::UnusableEntry(_)) => Level::Warn,
            Some(refusal) if refusal.is_temporary() => Level::Warn,
            _ => Level::Info,
        };
        log::log!(level, "{self}");
    }
}

impl fmt::Display for Decision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.login {
            Some(login) => write!(f, "login={}", Quoted(login, MAX_FIELD))?,
            None => f.write_str("login=-")?,
        }
        write!(
            f,
            " protocol={} client={}",
            self.protocol,
            OrDash(self.client)
        )?;
        if let Some(recipient) = self.recipient {
            write!(f, " rcpt={}", Quoted(recipient, MAX_FIELD))?;
        }
        match self.host {
            Some(host) => write!(f, " host={}", Quoted(host.as_bytes(), MAX_FIELD))?,
            None => f.write_str(" host=-")?,
        }
        match self.refusal {
            None => f.write_str(" answer=OK cause=accepted")?,
            Some(refusal) => {
                let answer = if refusal.is_temporary() {
                    "temporary"
                } else {
                    "refused"
                };
                write!(f, " answer={answer} cause={refusal}")?;
                if let Some(detail) = refusal.detail() {
                    write!(f, " detail={}", Quoted(detail.as_bytes(), MAX_FIELD))?;
                }
            }
        }
        if let Some(user) = self.user {
            write!(f, " user={}", Quoted(user, MAX_USER))?;
        }
        if let Some(label) = self.app_password {
            write!(f, " app={}", Quoted(label.as_bytes(), MAX_LABEL))?;
        }
        if let Some(peer) = self.peer {
            write!(f, " peer={peer}")?;
        }
        let micros = (self.took.as_nanos() + 500) / 1000;
        write!(f, " ms={}.{:03}", micros / 1000, micros % 1000)
    }
}

struct OrDash<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for OrDash<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
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
