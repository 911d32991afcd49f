//! The LDAP messages that a login needs (RFC 4511, 4). No I/O.

use std::fmt;

use zeroize::Zeroizing;

use super::ber::{BOOLEAN, ENUMERATED, INTEGER, Malformed, OCTET_STRING, Reader, SEQUENCE, SET};
use super::ber::{element, number};
use super::code::Code;
use super::filter::FilledFilter;
use super::policy::{self, Policy};
use crate::login::printable::Printable;

/// The maximum number of characters of a server's diagnostic message in an error.
const MAX_DIAGNOSTIC: usize = 200;

/// The operation that starts TLS on a connection (RFC 4511, 4.14.1).
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

/// Requests no attributes (RFC 4511, 4.5.1.8).
pub(super) const NO_ATTRIBUTES: &str = "1.1";

/// The depth of a search below its base.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// The base only.
    Base,
    /// The entries directly below the base.
    One,
    /// The base and all entries below it.
    #[default]
    Sub,
}

//------------ Requests ------------------------------------------------------

/// The parameters of a search.
pub(super) struct Search<'a> {
    pub(super) base: &'a [u8],
    pub(super) scope: Scope,
    /// The maximum number of entries; the server reports if there are more.
    pub(super) size_limit: u32,
    /// The server's time limit in seconds.
    pub(super) time_limit: u32,
    pub(super) filter: &'a FilledFilter,
    pub(super) attributes: &'a [String],
}

/// `BindRequest` with a password and the control for the password policy.
pub(super) fn bind(id: u32, name: &[u8], password: &[u8]) -> Zeroizing<Vec<u8>> {
    let bind = element(
        0x60,
        &[
            &number(INTEGER, 3),
            &element(OCTET_STRING, &[name]),
            &element(0x80, &[password]),
        ],
    );
    element(SEQUENCE, &[&number(INTEGER, id), &bind, &policy::request()])
}

/// `SearchRequest`. Aliases are not followed.
pub(super) fn search(id: u32, search: &Search<'_>) -> Zeroizing<Vec<u8>> {
    let scope = match search.scope {
        Scope::Base => 0,
        Scope::One => 1,
        Scope::Sub => 2,
    };
    let names = search.attributes.iter();
    let attributes: Vec<_> = match search.attributes {
        // An empty list would request all attributes.
        [] => vec![element(OCTET_STRING, &[NO_ATTRIBUTES.as_bytes()])],
        _ => names
            .map(|name| element(OCTET_STRING, &[name.as_bytes()]))
            .collect(),
    };
    let attributes: Vec<&[u8]> = attributes.iter().map(|name| name.as_slice()).collect();
    let search = element(
        0x63,
        &[
            &element(OCTET_STRING, &[search.base]),
            &number(ENUMERATED, scope),
            &number(ENUMERATED, 0),
            &number(INTEGER, search.size_limit),
            &number(INTEGER, search.time_limit),
            &element(BOOLEAN, &[&[0]]),
            &search.filter.encode(),
            &element(SEQUENCE, &attributes),
        ],
    );
    message(id, &search)
}

/// `CompareRequest`.
pub(super) fn compare(id: u32, dn: &[u8], attribute: &str, value: &[u8]) -> Zeroizing<Vec<u8>> {
    let attribute = element(OCTET_STRING, &[attribute.as_bytes()]);
    let assertion = element(SEQUENCE, &[&attribute, &element(OCTET_STRING, &[value])]);
    message(
        id,
        &element(0x6e, &[&element(OCTET_STRING, &[dn]), &assertion]),
    )
}

/// `ExtendedRequest` for TLS.
pub(super) fn start_tls(id: u32) -> Zeroizing<Vec<u8>> {
    message(id, &element(0x77, &[&element(0x80, &[START_TLS])]))
}

/// `UnbindRequest`: ends the connection. The server does not answer it.
pub(super) fn unbind(id: u32) -> Zeroizing<Vec<u8>> {
    message(id, &element(0x42, &[]))
}

fn message(id: u32, operation: &[u8]) -> Zeroizing<Vec<u8>> {
    element(SEQUENCE, &[&number(INTEGER, id), operation])
}

//------------ Responses -----------------------------------------------------

/// One message of a server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Response {
    Bind(LdapResult),
    Entry(Entry),
    /// A referral to another server, which may have more entries.
    Reference,
    SearchDone(LdapResult),
    Compare(LdapResult),
    Extended(LdapResult),
    /// A message of an unexpected type.
    Other,
}

/// The result of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LdapResult {
    pub(super) code: Code,
    /// The diagnostic message of the server, printable and of bounded length; can be empty.
    pub(super) diagnostic: String,
    /// The diagnostic message as it arrived, to search it for secrets.
    raw: Vec<u8>,
    /// The password policy's report on the password of the bind.
    pub(super) policy: Policy,
}

impl LdapResult {
    /// Removes the diagnostic message if it repeats a secret.
    pub(super) fn without(mut self, secret: &[u8]) -> Self {
        if self
            .raw
            .windows(secret.len().max(1))
            .any(|part| part == secret)
        {
            self.diagnostic.clear();
        }
        self
    }
}

impl fmt::Display for LdapResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.diagnostic.as_str() {
            "" => self.code.fmt(f),
            words => write!(f, "{}: {words}", self.code),
        }
    }
}

/// One found entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) dn: Vec<u8>,
    pub(super) attributes: Vec<Attribute>,
}

/// An attribute and its values, which are wiped when they are dropped: they may be passwords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) name: Vec<u8>,
    pub(super) values: Vec<Zeroizing<Vec<u8>>>,
}

/// Parses one whole message; returns the number of the request and the content. Number 0 belongs to no
/// request.
pub(super) fn read(bytes: &[u8]) -> Result<(u32, Response), Malformed> {
    let mut message = Reader(Reader(bytes).take(SEQUENCE)?);
    let id = message.number(INTEGER)?;
    let (tag, content) = message.next()?.ok_or(Malformed("a message is empty"))?;
    // Controls can follow; only those of a bind are read.
    let response = match tag {
        0x61 => Response::Bind(LdapResult {
            policy: Policy::read(message)?,
            ..outcome(content)?
        }),
        0x64 => Response::Entry(entry(content)?),
        0x65 => Response::SearchDone(outcome(content)?),
        0x6f => Response::Compare(outcome(content)?),
        0x73 => Response::Reference,
        0x78 => Response::Extended(outcome(content)?),
        _ => Response::Other,
    };
    Ok((id, response))
}

fn outcome(content: &[u8]) -> Result<LdapResult, Malformed> {
    let mut result = Reader(content);
    let code = Code(result.number(ENUMERATED)?);
    let _matched_dn = result.take(OCTET_STRING)?;
    let raw = result.take(OCTET_STRING)?;
    let diagnostic = String::from_utf8_lossy(raw);
    // Active Directory ends the text with a NUL.
    let words = diagnostic.trim_end_matches('\0').chars();
    let words: String = words.take(MAX_DIAGNOSTIC).collect();
    let diagnostic = Printable(words.as_bytes()).to_string();
    Ok(LdapResult {
        code,
        diagnostic,
        raw: raw.to_vec(),
        policy: Policy::default(),
    })
}

fn entry(content: &[u8]) -> Result<Entry, Malformed> {
    let mut entry = Reader(content);
    let dn = entry.take(OCTET_STRING)?.to_vec();
    let mut list = Reader(entry.take(SEQUENCE)?);
    let mut attributes = Vec::new();
    while let Some((tag, content)) = list.next()? {
        if tag != SEQUENCE {
            return Err(Malformed("an attribute is of another kind"));
        }
        let mut attribute = Reader(content);
        let name = attribute.take(OCTET_STRING)?.to_vec();
        let mut set = Reader(attribute.take(SET)?);
        let mut values = Vec::new();
        while let Some((tag, value)) = set.next()? {
            if tag != OCTET_STRING {
                return Err(Malformed("a value is of another kind"));
            }
            values.push(Zeroizing::new(value.to_vec()));
        }
        attributes.push(Attribute { name, values });
    }
    Ok(Entry { dn, attributes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::Login;
    use crate::users::ldap::filter::FilterTemplate;

    #[test]
    fn a_bind_byte_for_byte() {
        assert_eq!(
            bind(1, b"cn=a", b"\xff pw").as_slice(),
            b"\x30\x33\x02\x01\x01\x60\x0f\x02\x01\x03\x04\x04cn=a\x80\x04\xff pw\
              \xa0\x1d\x30\x1b\x04\x191.3.6.1.4.1.42.2.27.8.5.1"
        );
        assert_eq!(unbind(2).as_slice(), b"\x30\x05\x02\x01\x02\x42\x00");
        assert_eq!(
            start_tls(1).as_slice(),
            b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"
        );
        assert_eq!(
            compare(3, b"o=x", "uid", b"a").as_slice(),
            b"\x30\x14\x02\x01\x03\x6e\x0f\x04\x03o=x\x30\x08\x04\x03uid\x04\x01a"
        );
    }

    #[test]
    fn a_search_byte_for_byte() {
        let login = Login::new(b"a".to_vec()).unwrap();
        let filter = FilterTemplate::parse("(uid={login})").unwrap();
        let mut asked = Search {
            base: b"o=x",
            scope: Scope::Sub,
            size_limit: 2,
            time_limit: 4,
            filter: &filter.fill(&login).unwrap(),
            attributes: &["mail".to_owned()],
        };
        assert_eq!(
            search(2, &asked).as_slice(),
            b"\x30\x2b\x02\x01\x02\x63\x26\x04\x03o=x\x0a\x01\x02\x0a\x01\x00\x02\x01\x02\x02\x01\x04\
              \x01\x01\x00\xa3\x08\x04\x03uid\x04\x01a\x30\x06\x04\x04mail"
        );
        asked.attributes = &[];
        assert!(search(2, &asked).ends_with(b"\x30\x05\x04\x031.1"));
    }

    #[test]
    fn answers_are_read() {
        let done = b"\x30\x14\x02\x01\x07\x65\x0f\x0a\x01\x33\x04\x00\x04\x08try\nlat\0";
        let (id, response) = read(done).unwrap();
        assert_eq!(id, 7);
        let Response::SearchDone(outcome) = response else {
            panic!("{response:?}");
        };
        assert_eq!(outcome.code.to_string(), "busy (51)");
        assert_eq!(outcome.diagnostic, "try\u{fffd}lat");
        // Words that hold the password are not passed on, however they would be written.
        for (secret, words) in [(&b"y\nl"[..], ""), (b"y\\nl", "try\u{fffd}lat")] {
            assert_eq!(outcome.clone().without(secret).diagnostic, words);
        }

        let entry = b"\x30\x1d\x02\x01\x07\x64\x18\x04\x03o=x\x30\x11\x30\x0f\x04\x03uid\x31\x08\
                      \x04\x01a\x04\x03b\xffc";
        let (_, response) = read(entry).unwrap();
        let Response::Entry(entry) = response else {
            panic!("{response:?}");
        };
        assert_eq!(entry.dn, b"o=x");
        assert_eq!(entry.attributes[0].name, b"uid");
        assert_eq!(entry.attributes[0].values[1].as_slice(), b"b\xffc");
        let bound = b"\x30\x2f\x02\x01\x07\x61\x07\x0a\x01\x00\x04\x00\x04\x00\
                      \xa0\x21\x30\x1f\x04\x172.16.840.1.113730.3.4.4\x01\x01\xff\x04\x010";
        let Ok((7, Response::Bind(outcome))) = read(bound) else {
            panic!("{:?}", read(bound));
        };
        assert_eq!(outcome.code, Code::SUCCESS);
        assert!(outcome.policy.refusal().is_some());
        let reference = b"\x30\x09\x02\x01\x07\x73\x04\x04\x02x:";
        assert_eq!(read(reference), Ok((7, Response::Reference)));
    }

    /// Whatever arrives, it is a value or an error, in time that its length bounds.
    #[test]
    fn damaged_answers_are_errors_and_nothing_else() {
        let whole = b"\x30\x1d\x02\x01\x07\x64\x18\x04\x03o=x\x30\x11\x30\x0f\x04\x03uid\x31\x08\
                      \x04\x01a\x04\x03b\xffc";
        assert!(read(whole).is_ok());
        for cut in 0..whole.len() {
            assert!(read(&whole[..cut]).is_err(), "{cut}");
        }
        for at in 0..whole.len() {
            for byte in 0..=255 {
                let mut damaged = whole.to_vec();
                damaged[at] = byte;
                let _read = read(&damaged);
            }
        }
        let mut nested = Vec::new();
        for _ in 0..50_000 {
            nested.extend_from_slice(&[0x30, 0x84, 0, 1, 0, 0]);
        }
        assert!(read(&nested).is_err());
        for bad in [
            &b"\x30\x00"[..],
            b"\x30\x03\x02\x01\x01",
            b"\x30\x05\x02\x01\x01\x61\x00",
            b"\x30\x0c\x02\x01\x80\x61\x07\x0a\x01\x00\x04\x00\x04\x00",
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn messages_damaged_at_random_are_read_without_harm() {
        let seeds: [&[u8]; 3] = [
            b"\x30\x1d\x02\x01\x07\x64\x18\x04\x03o=x\x30\x11\x30\x0f\x04\x03uid\x31\x08\
              \x04\x01a\x04\x03b\xffc",
            b"\x30\x14\x02\x01\x07\x65\x0f\x0a\x01\x33\x04\x00\x04\x08try\nlat\0",
            b"\x30\x84\x00\x00\x00\x10\x02\x01\x01\x61\x84\x00\x00\x00\x07\x0a\x01\x00\x04\x00\
              \x04\x00",
        ];
        let mut random = 1_u64;
        let mut below = |bound: usize| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (random >> 33) as usize % bound
        };
        let mut read_well = 0;
        for _ in 0..100_000 {
            let mut bytes = seeds[below(seeds.len())].to_vec();
            for _ in 0..below(4) {
                let at = below(bytes.len());
                match below(3) {
                    0 => bytes[at] = below(256) as u8,
                    1 => bytes.insert(at, below(256) as u8),
                    _ => {
                        bytes.remove(at);
                    }
                }
            }
            read_well += usize::from(read(&bytes).is_ok());
        }
        assert!(read_well > 25_000, "{read_well}");
    }
}
