//! `none`: mail that comes in from other servers, for our own domains only (`smtp_auth none`).

use crate::domain;
use crate::refusal::Refusal;
use crate::request::{Envelope, Login, Protocol};

use super::recipient::Recipient;

/// What mail is taken: `[inbound]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The domains, in canonical form; at least one.
    pub domains: Vec<String>,
    /// The host that takes it; without one, that of the recipient.
    pub host: Option<String>,
    /// Whether the recipient must be a user of some store.
    pub recipients: Recipients,
}

/// Who may get mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipients {
    /// Everybody in our domains, as far as we are concerned.
    All,
    /// Users that a store knows.
    KnownUsers,
}

impl Settings {
    /// The recipient, if mail is taken for its domain. Only the RCPT command tells: nginx before
    /// 1.29.1 sends what it has lying about as `Auth-User` and `Auth-Pass` (CVE-2025-53859).
    pub fn recipient(
        &self,
        protocol: Protocol,
        envelope: Option<&Envelope<'_>>,
    ) -> Result<Login, Refusal> {
        let (Protocol::Smtp, Some(envelope)) = (protocol, envelope) else {
            return Err(Refusal::RelayDenied("this is not SMTP"));
        };
        let recipient =
            Recipient::parse(envelope.to).map_err(|why| Refusal::RelayDenied(why.words()))?;
        let domain = domain::canonical(recipient.domain());
        let ours = |ours: &String| ours.as_bytes() == &*domain;
        if !self.domains.iter().any(ours) {
            return Err(Refusal::RelayDenied("it is not for one of our domains"));
        }
        Login::new(recipient.address().to_vec())
            .map_err(|_| Refusal::RelayDenied("the address is too long"))
    }

    /// Whether a store has something to say about a recipient.
    pub fn asks_stores(&self) -> bool {
        self.host.is_none() || self.recipients == Recipients::KnownUsers
    }
}

/// A RCPT command as the log shows it: the address, or the whole line where there is none.
pub fn shown(line: &[u8]) -> Vec<u8> {
    Recipient::parse(line).map_or_else(|_| line.to_vec(), |to| to.address().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            domains: vec![
                "example.com".to_owned(),
                domain::canonical_text("bücher.example"),
            ],
            host: None,
            recipients: Recipients::All,
        }
    }

    fn ask(to: &[u8]) -> Result<Login, Refusal> {
        let envelope = Envelope {
            helo: b"",
            from: b"MAIL FROM:<x@example.com>",
            to,
        };
        settings().recipient(Protocol::Smtp, Some(&envelope))
    }

    #[test]
    fn only_our_domains() {
        for to in [
            &b"RCPT TO:<Bob@example.com>"[..],
            b"rcpt to:<Bob@EXAMPLE.com>",
            "RCPT TO:<Bob@bücher.example>".as_bytes(),
            #[cfg(feature = "idna")]
            b"RCPT TO:<Bob@xn--bcher-kva.example>",
            #[cfg(feature = "idna")]
            "RCPT TO:<Bob@BÜCHER.example>".as_bytes(),
        ] {
            let login = ask(to).unwrap();
            assert!(login.as_bytes().starts_with(b"Bob@"));
        }
        for to in [
            &b"RCPT TO:<bob@example.org>"[..],
            b"RCPT TO:<bob@example.com.evil.example>",
            b"RCPT TO:<bob@sub.example.com>",
            b"RCPT TO:<bob@xexample.com>",
            b"RCPT TO:<bob@example.co>",
            b"RCPT TO:<bob@xn--bcher-kva.example.org>",
        ] {
            let refused = Refusal::RelayDenied("it is not for one of our domains");
            assert_eq!(ask(to), Err(refused), "{}", to.escape_ascii());
        }
        for to in [
            &b""[..],
            b"RCPT TO:<bob%example.org@example.com>",
            b"RCPT TO:<>",
        ] {
            assert!(matches!(ask(to), Err(Refusal::RelayDenied(_))));
        }
    }

    #[test]
    fn nobody_without_smtp() {
        let envelope = Envelope {
            helo: b"",
            from: b"",
            to: b"RCPT TO:<bob@example.com>",
        };
        for (protocol, envelope) in [
            (Protocol::Imap, Some(&envelope)),
            (Protocol::Pop3, Some(&envelope)),
            (Protocol::Smtp, None),
        ] {
            let denied = settings().recipient(protocol, envelope);
            assert!(matches!(denied, Err(Refusal::RelayDenied(_))), "{denied:?}");
        }
    }
}
