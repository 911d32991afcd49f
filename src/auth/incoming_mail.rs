//! `none`: incoming mail from other servers, for our own domains only (`smtp_auth none`).

use crate::login::domain;
use crate::login::rules::LoginRules;
use crate::login::{Login, Protocol};
use crate::nginx::refusal::Refusal;
use crate::nginx::request::Envelope;

use recipient::{POSTMASTER, Recipient};

mod recipient;

/// Which mail is accepted: `[inbound]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The domains, in canonical form; at least one. `*.example.org` means all domains below it.
    pub domains: Vec<String>,
    /// The host that receives it; without one, the host of the recipient.
    pub host: Option<String>,
    /// Which recipients are accepted.
    pub recipients: Recipients,
    /// The bytes that can separate a user from a tag, as in `user+tag` (Postfix's
    /// `recipient_delimiter`); empty: no tags.
    pub delimiters: Vec<u8>,
}

/// Which recipients are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipients {
    /// All recipients in our domains.
    All,
    /// Users that a store knows.
    KnownUsers,
}

impl Settings {
    /// The recipient, if mail is accepted for its domain. Only the RCPT command names it: nginx
    /// before 1.29.1 sends stale data as `Auth-User` and `Auth-Pass` (CVE-2025-53859).
    ///
    /// A domain is ours by its own name and by the name that it is an alias of. A postmaster
    /// without a domain (RFC 5321, 4.5.1) is that of the first domain.
    pub fn recipient(
        &self,
        protocol: Protocol,
        envelope: &Envelope<'_>,
        rules: &LoginRules,
    ) -> Result<Login, Refusal> {
        if protocol != Protocol::Smtp {
            return Err(Refusal::RelayDenied("this is not SMTP"));
        }
        let recipient =
            Recipient::parse(envelope.to).map_err(|why| Refusal::RelayDenied(why.words()))?;
        let too_long = |_| Refusal::RelayDenied("the address is too long");
        if recipient.is_postmaster_of_all() {
            let first = self.domains.iter().find(|domain| !domain.starts_with('*'));
            let login = first.map_or(POSTMASTER.to_owned(), |domain| {
                format!("{POSTMASTER}@{domain}")
            });
            return Login::new(login.into_bytes()).map_err(too_long);
        }
        let domain = domain::canonical(recipient.domain());
        let ours = |ours: &String| {
            let ours = ours.as_bytes();
            domain::covers(ours, &domain) || domain::covers(ours, rules.domain(&domain))
        };
        if !self.domains.iter().any(ours) {
            return Err(Refusal::RelayDenied("it is not for one of our domains"));
        }
        Login::new(recipient.address().to_vec()).map_err(too_long)
    }

    /// Whether a store is asked about a recipient.
    pub fn asks_stores(&self) -> bool {
        self.host.is_none() || self.recipients == Recipients::KnownUsers
    }

    /// The recipient without its tag, if it can have one: the part before the first delimiter, as
    /// in Postfix (split_addr.c).
    pub fn without_tag(&self, recipient: &Login) -> Option<Login> {
        let local = recipient.local();
        let is_delimiter = |byte: &u8| self.delimiters.contains(byte);
        let end = local.iter().position(is_delimiter).filter(|end| *end > 0)?;
        let user = local.get(..end)?;
        let rest = recipient.as_bytes().get(local.len()..)?;
        Login::new([user, rest].concat()).ok()
    }
}

/// Whether the recipient is the postmaster of a domain, in any case (RFC 5321, 4.5.1).
pub fn is_postmaster(recipient: &Login) -> bool {
    recipient
        .local()
        .eq_ignore_ascii_case(POSTMASTER.as_bytes())
}

/// The text for a RCPT command in the log: the address, or the whole line if it has none.
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
            delimiters: b"+-".to_vec(),
        }
    }

    fn ask(to: &[u8]) -> Result<Login, Refusal> {
        let envelope = Envelope {
            helo: b"",
            from: b"MAIL FROM:<x@example.com>",
            to,
        };
        settings().recipient(Protocol::Smtp, &envelope, &LoginRules::default())
    }

    #[test]
    fn only_our_domains() {
        for to in [
            &b"RCPT TO:<Bob@example.com>"[..],
            b"rcpt to:<Bob@EXAMPLE.com>",
            "RCPT TO:<Bob@bücher.example>".as_bytes(),
            #[cfg(feature = "servers")]
            b"RCPT TO:<Bob@xn--bcher-kva.example>",
            #[cfg(feature = "servers")]
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
    fn the_postmaster_needs_no_domain() {
        for to in [
            &b"RCPT TO:<postmaster>"[..],
            b"rcpt to:<PostMaster>",
            b"RCPT TO:<Postmaster> NOTIFY=NEVER",
            b"RCPT TO:postmaster",
            b"RCPT TO:<\"postmaster\">",
        ] {
            let login = ask(to).unwrap();
            assert_eq!(
                login.as_bytes(),
                b"postmaster@example.com",
                "{}",
                to.escape_ascii()
            );
            assert!(is_postmaster(&login));
        }
        for to in [
            &b"RCPT TO:<postmaster@>"[..],
            b"RCPT TO:<postmaster+x>",
            b"RCPT TO:<hostmaster>",
        ] {
            assert!(ask(to).is_err(), "{}", to.escape_ascii());
        }
        let other = Login::new(b"PostMaster@example.com".to_vec()).unwrap();
        assert!(is_postmaster(&other));
    }

    #[test]
    fn a_tag_begins_at_the_first_delimiter() {
        for (recipient, user) in [
            ("bob+x@example.com", Some("bob@example.com")),
            ("bob+x-y+z@example.com", Some("bob@example.com")),
            ("bob-x+y@example.com", Some("bob@example.com")),
            ("bob+@example.com", Some("bob@example.com")),
            ("bob+x", Some("bob")),
            ("+x@example.com", None),
            ("bob@a-b.example", None),
        ] {
            let login = |text: &str| Login::new(text.into()).unwrap();
            let found = settings().without_tag(&login(recipient));
            assert_eq!(found, user.map(login), "{recipient}");
        }
        let none = Settings {
            delimiters: Vec::new(),
            ..settings()
        };
        let tagged = Login::new(b"bob+x@example.com".to_vec()).unwrap();
        assert_eq!(none.without_tag(&tagged), None);
    }

    #[test]
    fn a_domain_is_ours_by_alias_and_by_its_parent_domain() {
        let envelope = |to| Envelope {
            helo: b"",
            from: b"",
            to,
        };
        let settings = Settings {
            domains: vec!["*.example.com".to_owned(), "example.org".to_owned()],
            ..settings()
        };
        let alias = (b"alias.example".to_vec(), b"example.org".to_vec());
        let rules = LoginRules {
            domain_aliases: [alias].into(),
            ..LoginRules::default()
        };
        for (to, ours) in [
            (&b"RCPT TO:<bob@a.example.com>"[..], true),
            (b"RCPT TO:<bob@example.com>", false),
            (b"RCPT TO:<bob@xexample.com>", false),
            (b"RCPT TO:<bob@Alias.example>", true),
            (b"RCPT TO:<bob@other.example>", false),
        ] {
            let envelope = envelope(to);
            let taken = settings.recipient(Protocol::Smtp, &envelope, &rules);
            assert_eq!(taken.is_ok(), ours, "{}", to.escape_ascii());
        }
        let envelope = envelope(b"RCPT TO:<postmaster>");
        let taken = settings.recipient(Protocol::Smtp, &envelope, &rules);
        assert_eq!(
            taken,
            Ok(Login::new(b"postmaster@example.org".to_vec()).unwrap())
        );
    }

    #[test]
    fn incoming_mail_needs_smtp() {
        let envelope = Envelope {
            helo: b"",
            from: b"",
            to: b"RCPT TO:<bob@example.com>",
        };
        for protocol in [Protocol::Imap, Protocol::Pop3] {
            let denied = settings().recipient(protocol, &envelope, &LoginRules::default());
            assert!(matches!(denied, Err(Refusal::RelayDenied(_))), "{denied:?}");
        }
    }
}
