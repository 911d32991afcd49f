//! Search filters: the template in the configuration (RFC 4515), and its encoding (RFC 4511, 4.5.1).
//!
//! A filter is parsed once, when the configuration is read. The parts of a login are inserted into the parsed
//! structure as values, never into text, so no login can change the filter.

use zeroize::Zeroizing;

use super::ber::{OCTET_STRING, SEQUENCE, element};
use super::escaped::push_escaped;
use crate::users::placeholder::{Flaw, Placeholder, Values};

mod parse;
mod shown;

pub(super) use shown::both;

/// A filter with placeholders, such as `(&(objectClass=person)(mail={login}))`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterTemplate(Filter);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    /// `=`, `>=`, `<=`, `~=`.
    Compare(Comparison, String, Value),
    Present(String),
    Substrings {
        attribute: String,
        initial: Option<Value>,
        any: Vec<Value>,
        last: Option<Value>,
    },
    Extensible {
        attribute: Option<String>,
        dn: bool,
        rule: Option<String>,
        value: Value,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    AtLeast,
    AtMost,
    Approximate,
}

/// The value that an attribute is compared with.
type Value = Vec<Piece>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Bytes(Vec<u8>),
    Placeholder(Placeholder),
}

impl FilterTemplate {
    /// Parses a template. Placeholders are allowed in values only.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        parse::parse(text).map(Self)
    }

    /// Whether different logins have different values in the filter, at least within a domain.
    pub fn names_a_user(&self) -> bool {
        self.has(Placeholder::names_a_user)
    }

    /// Whether the filter has the part before the `@` but not the domain.
    pub fn ignores_domain(&self) -> bool {
        let has = |wanted: Placeholder| self.has(|placeholder| placeholder == wanted);
        has(Placeholder::Local) && !has(Placeholder::Login) && !has(Placeholder::Domain)
    }

    /// The first part of the login that is not compared with a whole value: next to a `*`, by `>=`, `<=`,
    /// `~=`, or by a rule for parts or the order of values. Such a login could match the entry of another.
    pub fn finds_others(&self) -> Option<String> {
        let mut found = None;
        self.0.visit_loose(&mut |value| {
            let of_login = value.iter().find_map(|piece| match piece {
                Piece::Placeholder(it) if it.is_of_login() => Some(it.to_string()),
                Piece::Placeholder(_) | Piece::Bytes(_) => None,
            });
            found = found.take().or(of_login);
        });
        found
    }

    fn has(&self, wanted: impl Fn(Placeholder) -> bool) -> bool {
        let mut found = false;
        self.0.visit(&mut |value| {
            let holds = |piece: &Piece| matches!(piece, Piece::Placeholder(it) if wanted(*it));
            found |= value.iter().any(holds);
        });
        found
    }

    /// The filter for a login; `None` if a part is missing.
    pub(super) fn fill<'a>(&self, values: impl Into<Values<'a>>) -> Option<FilledFilter> {
        let values = values.into();
        let mut filter = self.0.clone();
        let mut complete = true;
        filter.visit_mut(&mut |value| {
            let mut bytes = Vec::new();
            for piece in value.iter() {
                match piece {
                    Piece::Bytes(literal) => bytes.extend_from_slice(literal),
                    Piece::Placeholder(placeholder) => match values.filled(*placeholder) {
                        Some(value) => bytes.extend_from_slice(&value),
                        None => complete = false,
                    },
                }
            }
            *value = vec![Piece::Bytes(bytes)];
        });
        complete.then_some(FilledFilter(filter))
    }
}

//------------ FilledFilter --------------------------------------------------

/// A filter without placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FilledFilter(Filter);

impl FilledFilter {
    /// Matches every entry that has this attribute.
    pub(super) fn present(attribute: &str) -> Self {
        Self(Filter::Present(attribute.to_owned()))
    }

    /// The encoded filter.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        encode(&self.0)
    }

    /// The text form of RFC 4515, for the log.
    pub(super) fn text(&self) -> String {
        let mut out = Vec::new();
        write(&mut out, &self.0);
        String::from_utf8_lossy(&out).into_owned()
    }
}

impl Filter {
    fn visit(&self, see: &mut dyn FnMut(&Value)) {
        match self {
            Self::And(all) | Self::Or(all) => all.iter().for_each(|filter| filter.visit(see)),
            Self::Not(filter) => filter.visit(see),
            Self::Present(_) => {}
            Self::Compare(_, _, value) | Self::Extensible { value, .. } => see(value),
            Self::Substrings {
                initial, any, last, ..
            } => initial.iter().chain(any).chain(last).for_each(see),
        }
    }

    /// Visits the values that are compared with parts or the order of values, and the values next to a `*`.
    fn visit_loose(&self, see: &mut dyn FnMut(&[Piece])) {
        match self {
            Self::And(all) | Self::Or(all) => {
                all.iter().for_each(|filter| filter.visit_loose(see));
            }
            Self::Not(filter) => filter.visit_loose(see),
            Self::Present(_) | Self::Compare(Comparison::Equal, ..) => {}
            Self::Compare(_, _, value) => see(value),
            Self::Substrings {
                initial, any, last, ..
            } => {
                let before = initial.iter().chain(any).filter_map(|value| value.last());
                let after = any.iter().chain(last).filter_map(|value| value.first());
                for piece in before.chain(after) {
                    see(std::slice::from_ref(piece));
                }
            }
            Self::Extensible { rule, value, .. } => {
                if rule.as_deref().is_some_and(is_loose) {
                    see(value);
                }
            }
        }
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut Value)) {
        match self {
            Self::And(all) | Self::Or(all) => {
                all.iter_mut().for_each(|filter| filter.visit_mut(see));
            }
            Self::Not(filter) => filter.visit_mut(see),
            Self::Present(_) => {}
            Self::Compare(_, _, value) | Self::Extensible { value, .. } => see(value),
            Self::Substrings {
                initial, any, last, ..
            } => initial.iter_mut().chain(any).chain(last).for_each(see),
        }
    }
}

/// Whether a matching rule compares parts, words, sounds or the order of values, so that a value can be a
/// pattern (RFC 4517, 4.2; RFC 3698).
fn is_loose(rule: &str) -> bool {
    const WORDS: [&str; 5] = [
        "substring",
        "ordering",
        "wordmatch",
        "keywordmatch",
        "approx",
    ];
    const NUMBERS: [&str; 16] = [
        "2.5.13.3",
        "2.5.13.4",
        "2.5.13.6",
        "2.5.13.7",
        "2.5.13.9",
        "2.5.13.10",
        "2.5.13.12",
        "2.5.13.15",
        "2.5.13.18",
        "2.5.13.19",
        "2.5.13.21",
        "2.5.13.28",
        "2.5.13.32",
        "2.5.13.33",
        "1.3.6.1.4.1.1466.109.114.3",
        "1.3.6.1.4.1.4203.666.4.4",
    ];
    let rule = rule.to_ascii_lowercase();
    WORDS.iter().any(|word| rule.contains(word)) || NUMBERS.contains(&rule.as_str())
}

fn bytes(value: &Value) -> &[u8] {
    match value.as_slice() {
        [Piece::Bytes(bytes)] => bytes,
        _ => &[],
    }
}

fn encode(filter: &Filter) -> Zeroizing<Vec<u8>> {
    match filter {
        Filter::And(all) => set(0xa0, all),
        Filter::Or(all) => set(0xa1, all),
        Filter::Not(filter) => element(0xa2, &[&encode(filter)]),
        Filter::Compare(comparison, attribute, value) => {
            let tag = match comparison {
                Comparison::Equal => 0xa3,
                Comparison::AtLeast => 0xa5,
                Comparison::AtMost => 0xa6,
                Comparison::Approximate => 0xa8,
            };
            let attribute = element(OCTET_STRING, &[attribute.as_bytes()]);
            let value = element(OCTET_STRING, &[bytes(value)]);
            element(tag, &[&attribute, &value])
        }
        Filter::Present(attribute) => element(0x87, &[attribute.as_bytes()]),
        Filter::Substrings {
            attribute,
            initial,
            any,
            last,
        } => {
            let mut parts = Vec::new();
            parts.extend(initial.iter().map(|value| element(0x80, &[bytes(value)])));
            parts.extend(any.iter().map(|value| element(0x81, &[bytes(value)])));
            parts.extend(last.iter().map(|value| element(0x82, &[bytes(value)])));
            let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_slice()).collect();
            let attribute = element(OCTET_STRING, &[attribute.as_bytes()]);
            element(0xa4, &[&attribute, &element(SEQUENCE, &parts)])
        }
        Filter::Extensible {
            attribute,
            dn,
            rule,
            value,
        } => {
            let optional = |tag, text: &Option<String>| {
                text.as_ref()
                    .map(|text| element(tag, &[text.as_bytes()]))
                    .unwrap_or_default()
            };
            let dn = match dn {
                true => element(0x84, &[&[0xff]]),
                false => Zeroizing::default(),
            };
            element(
                0xa9,
                &[
                    &optional(0x81, rule),
                    &optional(0x82, attribute),
                    &element(0x83, &[bytes(value)]),
                    &dn,
                ],
            )
        }
    }
}

fn set(tag: u8, all: &[Filter]) -> Zeroizing<Vec<u8>> {
    let all: Vec<_> = all.iter().map(encode).collect();
    let all: Vec<&[u8]> = all.iter().map(|filter| filter.as_slice()).collect();
    element(tag, &all)
}

fn write(out: &mut Vec<u8>, filter: &Filter) {
    out.push(b'(');
    match filter {
        Filter::And(all) | Filter::Or(all) => {
            out.push(if matches!(filter, Filter::And(_)) {
                b'&'
            } else {
                b'|'
            });
            all.iter().for_each(|filter| write(out, filter));
        }
        Filter::Not(filter) => {
            out.push(b'!');
            write(out, filter);
        }
        Filter::Compare(comparison, attribute, value) => {
            out.extend_from_slice(attribute.as_bytes());
            out.extend_from_slice(match comparison {
                Comparison::Equal => b"=",
                Comparison::AtLeast => b">=",
                Comparison::AtMost => b"<=",
                Comparison::Approximate => b"~=",
            });
            escape(out, bytes(value));
        }
        Filter::Present(attribute) => {
            out.extend_from_slice(attribute.as_bytes());
            out.extend_from_slice(b"=*");
        }
        Filter::Substrings {
            attribute,
            initial,
            any,
            last,
        } => {
            out.extend_from_slice(attribute.as_bytes());
            out.push(b'=');
            initial.iter().for_each(|value| escape(out, bytes(value)));
            for value in any {
                out.push(b'*');
                escape(out, bytes(value));
            }
            out.push(b'*');
            last.iter().for_each(|value| escape(out, bytes(value)));
        }
        Filter::Extensible {
            attribute,
            dn,
            rule,
            value,
        } => {
            attribute
                .iter()
                .for_each(|text| out.extend_from_slice(text.as_bytes()));
            if *dn {
                out.extend_from_slice(b":dn");
            }
            if let Some(rule) = rule {
                out.push(b':');
                out.extend_from_slice(rule.as_bytes());
            }
            out.extend_from_slice(b":=");
            escape(out, bytes(value));
        }
    }
    out.push(b')');
}

/// Appends an escaped value (RFC 4515, 3), including a blank at either end.
fn escape(out: &mut Vec<u8>, value: &[u8]) {
    for (number, byte) in value.iter().enumerate() {
        match byte {
            b' ' if number == 0 || number + 1 == value.len() => push_escaped(out, *byte),
            b'*' | b'(' | b')' | b'\\' | b'{' | b'}' => push_escaped(out, *byte),
            b' '..=b'~' => out.push(*byte),
            byte => push_escaped(out, *byte),
        }
    }
}

#[cfg(test)]
mod tests;
