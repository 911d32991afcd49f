//! The values of placeholders in one question.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use super::Placeholder;
use crate::login::{Login, Protocol};
use crate::users::Question;

/// The data of one question that placeholders stand for. None of it is a secret.
#[derive(Clone, Copy, Debug)]
pub(in crate::users) struct Values<'a> {
    login: &'a Login,
    protocol: Protocol,
    client: Option<IpAddr>,
}

impl<'a> From<&Question<'a>> for Values<'a> {
    fn from(asked: &Question<'a>) -> Self {
        Self {
            login: asked.login,
            protocol: asked.protocol,
            client: asked.client,
        }
    }
}

/// A login that no client sends, as if by IMAP from this machine.
impl<'a> From<&'a Login> for Values<'a> {
    fn from(login: &'a Login) -> Self {
        Self {
            login,
            protocol: Protocol::Imap,
            client: Some(Ipv4Addr::LOCALHOST.into()),
        }
    }
}

impl<'a> Values<'a> {
    /// The value, which need not be UTF-8; `None` if there is none: a login without `@` has no domain, and
    /// the address of a client may be unknown.
    pub(in crate::users) fn of(self, placeholder: Placeholder) -> Option<Cow<'a, [u8]>> {
        let bytes = match placeholder {
            Placeholder::Login => self.login.as_bytes(),
            Placeholder::Local => self.login.local(),
            Placeholder::Domain => self.login.domain()?,
            Placeholder::Protocol => self.protocol.word().as_bytes(),
            Placeholder::ClientIp => {
                let address = self.client?.to_canonical().to_string();
                return Some(Cow::Owned(address.into_bytes()));
            }
        };
        Some(Cow::Borrowed(bytes))
    }

    /// The same where an empty value means something else than a user without a name, as in a filter or a
    /// DN: then there is none either.
    #[cfg(feature = "servers")]
    pub(in crate::users) fn filled(self, placeholder: Placeholder) -> Option<Cow<'a, [u8]>> {
        self.of(placeholder).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(text: &str) -> Login {
        Login::new(text.into()).unwrap()
    }

    #[test]
    fn values_that_are_missing_are_none() {
        let wanted = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
        for (text, local, domain) in [
            ("alice@example.org", Some("alice"), Some("example.org")),
            ("a@b@c", Some("a@b"), Some("c")),
            ("alice", Some("alice"), None),
            ("alice@", Some("alice"), Some("")),
            ("@example.org", Some(""), Some("example.org")),
            ("", Some(""), None),
        ] {
            let login = login(text);
            let of = |placeholder| Values::from(&login).of(placeholder).map(Cow::into_owned);
            assert_eq!(of(Placeholder::Login), wanted(Some(text)));
            assert_eq!(of(Placeholder::Local), wanted(local), "{text}");
            assert_eq!(of(Placeholder::Domain), wanted(domain), "{text}");
            #[cfg(feature = "servers")]
            for placeholder in [Placeholder::Login, Placeholder::Local, Placeholder::Domain] {
                let filled = Values::from(&login).filled(placeholder);
                let filled = filled.map(Cow::into_owned);
                assert_eq!(filled, of(placeholder).filter(|value| !value.is_empty()));
            }
        }
    }

    #[test]
    fn protocol_and_client_are_words() {
        let login = login("alice");
        for (protocol, client, words) in [
            (
                Protocol::Imap,
                Some("192.0.2.7"),
                ("imap", Some("192.0.2.7")),
            ),
            (
                Protocol::Pop3,
                Some("::ffff:192.0.2.7"),
                ("pop3", Some("192.0.2.7")),
            ),
            (
                Protocol::Smtp,
                Some("2001:DB8::1"),
                ("smtp", Some("2001:db8::1")),
            ),
            (Protocol::Imap, None, ("imap", None)),
        ] {
            let values = Values {
                login: &login,
                protocol,
                client: client.map(|client| client.parse().unwrap()),
            };
            let of = |placeholder| {
                let bytes = values.of(placeholder)?;
                Some(String::from_utf8(bytes.into_owned()).unwrap())
            };
            assert_eq!(of(Placeholder::Protocol).as_deref(), Some(words.0));
            assert_eq!(of(Placeholder::ClientIp).as_deref(), words.1);
        }
    }
}
