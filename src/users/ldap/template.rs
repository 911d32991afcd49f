//! Texts of the configuration with holes for parts of a login and values of its client, shared by DNs and
//! filters.
//!
//! A hole is filled once; the inserted value is not searched for further holes.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use crate::login::{Login, Protocol};
use crate::users::Question;

/// The values for the holes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values<'a> {
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

/// The value of a hole. The names are those of the parameters of an SQL statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// `{login}`: the whole login.
    Login,
    /// `{local}`: the part before the last `@`; the whole login without one.
    Local,
    /// `{domain}`: the part after the last `@`.
    Domain,
    /// `{protocol}`: `imap`, `pop3` or `smtp`.
    Protocol,
    /// `{client_ip}`: the address of the mail client as text, IPv4 in the form of IPv6 as IPv4.
    ClientIp,
}

const NAMES: [(&str, Part); 5] = [
    ("{login}", Part::Login),
    ("{local}", Part::Local),
    ("{domain}", Part::Domain),
    ("{protocol}", Part::Protocol),
    ("{client_ip}", Part::ClientIp),
];

impl Part {
    /// The bytes of this part. `None` if the login has no such part, or an empty one: an empty value in a
    /// filter or DN would not mean a user without a name. Also `None` if the address of the client is
    /// unknown.
    pub(super) fn of<'a>(self, values: Values<'a>) -> Option<Cow<'a, [u8]>> {
        let bytes = match self {
            Self::Login => values.login.as_bytes(),
            Self::Local => values.login.local(),
            Self::Domain => values.login.domain()?,
            Self::Protocol => values.protocol.word().as_bytes(),
            Self::ClientIp => {
                let address = values.client?.to_canonical().to_string();
                return Some(Cow::Owned(address.into_bytes()));
            }
        };
        (!bytes.is_empty()).then_some(Cow::Borrowed(bytes))
    }

    /// Reads a hole at the start of `text`, which begins with a brace; returns the part and the number of
    /// bytes, braces included.
    pub(super) fn read(text: &str) -> Result<(Self, usize), String> {
        const KNOWN: &str = "known are {login}, {local}, {domain}, {protocol} and {client_ip}; a \
                             brace itself is \\7b or \\7d";
        let Some(end) = text.find('}') else {
            return Err(format!("a brace is not closed; {KNOWN}"));
        };
        let hole = text.get(..=end).unwrap_or("{");
        match NAMES.iter().find(|(name, _)| *name == hole) {
            Some((_, part)) => Ok((*part, end + 1)),
            None => Err(format!("there is no {hole}; {KNOWN}")),
        }
    }

    /// Whether it is a part of the login.
    pub(super) fn is_of_login(self) -> bool {
        match self {
            Self::Login | Self::Local | Self::Domain => true,
            Self::Protocol | Self::ClientIp => false,
        }
    }

    /// Whether it identifies the user. Many users share a domain.
    pub(super) fn names_a_user(self) -> bool {
        match self {
            Self::Login | Self::Local => true,
            Self::Domain | Self::Protocol | Self::ClientIp => false,
        }
    }
}

/// As written in the configuration.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, part)| part == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

/// A problem in a text of the configuration, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The character, from 1.
    place: usize,
    what: String,
}

impl Flaw {
    /// The problem at a byte of `text`.
    pub(super) fn at(text: &str, byte: usize, what: impl Into<String>) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        Self {
            place: before.chars().count() + 1,
            what: what.into(),
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: {}", self.place, self.what)
    }
}

impl std::error::Error for Flaw {}

/// Appends a byte in the form that RFC 4514 and RFC 4515 both accept: a backslash and two hexadecimal digits.
pub(super) fn push_escaped(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(b'\\');
    out.extend(DIGITS.get(usize::from(byte >> 4)));
    out.extend(DIGITS.get(usize::from(byte & 0xf)));
}

/// The byte of two hexadecimal digits.
pub(super) fn from_hex(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    match digits {
        [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_are_missing_or_empty_cannot_be_asked_for() {
        let login = |text: &str| Login::new(text.into()).unwrap();
        for (text, local, domain) in [
            ("alice@example.org", Some("alice"), Some("example.org")),
            ("a@b@c", Some("a@b"), Some("c")),
            ("alice", Some("alice"), None),
            ("alice@", Some("alice"), None),
            ("@example.org", None, Some("example.org")),
            ("", None, None),
        ] {
            let login = login(text);
            let of = |part: Part| part.of(Values::from(&login)).map(Cow::into_owned);
            let wanted = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
            assert_eq!(of(Part::Local), wanted(local), "{text}");
            assert_eq!(of(Part::Domain), wanted(domain), "{text}");
        }
        assert_eq!(Part::Login.of((&login("")).into()), None);
    }

    #[test]
    fn protocol_and_client_are_as_in_a_statement_of_sql() {
        let login = Login::new(b"alice".to_vec()).unwrap();
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
            let of = |part: Part| {
                let bytes = part.of(values)?;
                Some(String::from_utf8(bytes.into_owned()).unwrap())
            };
            assert_eq!(of(Part::Protocol).as_deref(), Some(words.0));
            assert_eq!(of(Part::ClientIp).as_deref(), words.1);
        }
        for (name, part) in NAMES {
            assert_eq!(Part::read(name), Ok((part, name.len())));
            assert_eq!(part.to_string(), name);
        }
    }

    #[test]
    fn unknown_holes_are_named() {
        assert_eq!(Part::read("{local}@x"), Ok((Part::Local, 7)));
        for (text, named) in [("{user}x", "{user}"), ("{}", "{}"), ("{Login}", "{Login}")] {
            assert!(Part::read(text).unwrap_err().contains(named), "{text}");
        }
        assert!(
            Part::read("{login")
                .unwrap_err()
                .starts_with("a brace is not closed")
        );
    }

    #[test]
    fn a_place_counts_characters() {
        assert_eq!(
            Flaw::at("\u{e9}\u{e9}x", 4, "no").to_string(),
            "at character 3: no"
        );
    }
}
