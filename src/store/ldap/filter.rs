//! Search filters: the template in the configuration (RFC 4515), and what is sent (RFC 4511, 4.5.1).
//!
//! A filter is taken apart once, when the configuration is read. The parts of a login are put
//! into the finished structure as values, never into text, so no login can change what is asked.

use zeroize::Zeroizing;

use super::ber::{OCTET_STRING, SEQUENCE, element};
use super::template::{Flaw, Part, from_hex, push_escaped};
use crate::request::Login;

/// How deep filters may be nested. Those that people write have three levels.
const MAX_DEPTH: usize = 32;

/// A filter with holes for parts of a login, such as `(&(objectClass=person)(mail={login}))`.
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

/// What an attribute is compared with.
type Value = Vec<Piece>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Bytes(Vec<u8>),
    Hole(Part),
}

impl FilterTemplate {
    /// Reads a template. Holes can stand in values only.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        let mut parser = Parser { text, at: 0 };
        let filter = parser.filter(0)?;
        if parser.peek().is_some() {
            return parser.flaw("the filter is at its end, but something follows");
        }
        Ok(Self(filter))
    }

    /// Whether each login is asked for by a name of its own, at least within its domain.
    pub fn names_a_user(&self) -> bool {
        self.has(Part::names_a_user)
    }

    /// Whether the part before the `@` is used without the one behind it.
    pub fn ignores_domain(&self) -> bool {
        self.has(|part| part == Part::Local) && !self.has(|part| part != Part::Local)
    }

    fn has(&self, wanted: impl Fn(Part) -> bool) -> bool {
        let mut found = false;
        self.0.visit(&mut |value| {
            let holds = |piece: &Piece| matches!(piece, Piece::Hole(part) if wanted(*part));
            found |= value.iter().any(holds);
        });
        found
    }

    /// The filter for a login; `None` for a login that lacks a part.
    pub(super) fn fill(&self, login: &Login) -> Option<FilledFilter> {
        let mut filter = self.0.clone();
        let mut complete = true;
        filter.visit_mut(&mut |value| {
            let mut bytes = Vec::new();
            for piece in value.iter() {
                match piece {
                    Piece::Bytes(literal) => bytes.extend_from_slice(literal),
                    Piece::Hole(part) => match part.of(login) {
                        Some(part) => bytes.extend_from_slice(part),
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

/// A filter without holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FilledFilter(Filter);

impl FilledFilter {
    /// What every entry has that has this attribute.
    pub(super) fn present(attribute: &str) -> Self {
        Self(Filter::Present(attribute.to_owned()))
    }

    /// As it is sent.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        encode(&self.0)
    }

    /// As RFC 4515 writes it, for the log.
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

/// Appends a value so that it stays one (RFC 4515, 3).
fn escape(out: &mut Vec<u8>, value: &[u8]) {
    for byte in value {
        match byte {
            b'*' | b'(' | b')' | b'\\' | b'{' | b'}' => push_escaped(out, *byte),
            b' '..=b'~' => out.push(*byte),
            byte => push_escaped(out, *byte),
        }
    }
}

//------------ Reading -------------------------------------------------------

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn flaw<T>(&self, what: impl Into<String>) -> Result<T, Flaw> {
        Err(Flaw::at(self.text, self.at, what))
    }

    fn expect(&mut self, byte: u8, what: &str) -> Result<(), Flaw> {
        if self.peek() != Some(byte) {
            return self.flaw(what);
        }
        self.at += 1;
        Ok(())
    }

    fn filter(&mut self, depth: usize) -> Result<Filter, Flaw> {
        if depth >= MAX_DEPTH {
            return self.flaw("the filter is nested too deep");
        }
        self.expect(b'(', "a filter begins with (")?;
        let filter = match self.peek() {
            Some(b'&') => Filter::And(self.list(depth)?),
            Some(b'|') => Filter::Or(self.list(depth)?),
            Some(b'!') => {
                self.at += 1;
                Filter::Not(Box::new(self.filter(depth + 1)?))
            }
            _ => self.item()?,
        };
        self.expect(b')', "a ) is missing")?;
        Ok(filter)
    }

    /// The filters behind `&` or `|`; there may be none (RFC 4526).
    fn list(&mut self, depth: usize) -> Result<Vec<Filter>, Flaw> {
        self.at += 1;
        let mut all = Vec::new();
        while self.peek() == Some(b'(') {
            all.push(self.filter(depth + 1)?);
        }
        Ok(all)
    }

    fn item(&mut self) -> Result<Filter, Flaw> {
        let attribute = self.name();
        if let Some(b':') = self.peek() {
            return self.extensible(attribute);
        }
        let Some(attribute) = attribute else {
            return self.flaw("the name of an attribute is missing");
        };
        let comparison = match self.rest().as_bytes() {
            [b'>', b'=', ..] => Comparison::AtLeast,
            [b'<', b'=', ..] => Comparison::AtMost,
            [b'~', b'=', ..] => Comparison::Approximate,
            [b'=', ..] => {
                self.at += 1;
                return self.equal_or_like(attribute);
            }
            _ => return self.flaw("behind an attribute must stand =, >=, <=, ~= or :="),
        };
        self.at += 2;
        let value = self.value()?;
        if self.peek() == Some(b'*') {
            return self.flaw("a * can only stand behind =; as a character it is \\2a");
        }
        Ok(Filter::Compare(comparison, attribute, value))
    }

    fn equal_or_like(&mut self, attribute: String) -> Result<Filter, Flaw> {
        let mut values = vec![self.value()?];
        while self.peek() == Some(b'*') {
            self.at += 1;
            values.push(self.value()?);
        }
        let last = values.pop().unwrap_or_default();
        if values.is_empty() {
            return Ok(Filter::Compare(Comparison::Equal, attribute, last));
        }
        let mut values = values.into_iter();
        let initial = values.next().filter(|value| !value.is_empty());
        let any: Vec<Value> = values.collect();
        let last = Some(last).filter(|value| !value.is_empty());
        if any.iter().any(Vec::is_empty) {
            return self.flaw("between two * must stand something");
        }
        if initial.is_none() && any.is_empty() && last.is_none() {
            return Ok(Filter::Present(attribute));
        }
        Ok(Filter::Substrings {
            attribute,
            initial,
            any,
            last,
        })
    }

    /// `attribute:dn:rule:=value`, of which `attribute` or `rule` may be missing.
    fn extensible(&mut self, attribute: Option<String>) -> Result<Filter, Flaw> {
        let mut dn = false;
        let mut rule = None;
        while self.peek() == Some(b':') && !self.rest().starts_with(":=") {
            self.at += 1;
            match self.name() {
                Some(name) if name.eq_ignore_ascii_case("dn") && !dn && rule.is_none() => dn = true,
                Some(name) if rule.is_none() => rule = Some(name),
                _ => return self.flaw("here a matching rule must be named, or = must follow"),
            }
        }
        if attribute.is_none() && rule.is_none() {
            return self.flaw("the name of an attribute or of a matching rule is missing");
        }
        if !self.rest().starts_with(":=") {
            return self.flaw("behind a matching rule must stand :=");
        }
        self.at += 2;
        Ok(Filter::Extensible {
            attribute,
            dn,
            rule,
            value: self.value()?,
        })
    }

    /// The name or number of an attribute, with its options, or of a rule.
    fn name(&mut self) -> Option<String> {
        let of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._;".contains(byte);
        let length = self.rest().bytes().take_while(|byte| of_name(byte)).count();
        let name = self.rest().get(..length).filter(|name| !name.is_empty())?;
        self.at += length;
        Some(name.to_owned())
    }

    /// Up to the next `*` or `)`.
    fn value(&mut self) -> Result<Value, Flaw> {
        let mut value = Vec::new();
        let mut literal = Vec::new();
        while let Some(byte) = self.peek() {
            match byte {
                b')' | b'*' => break,
                b'(' => return self.flaw("a ( in a value is written \\28"),
                0 => return self.flaw("a NUL in a value is written \\00"),
                b'}' => return self.flaw("a } in a value is written \\7d"),
                b'{' => {
                    let read = Part::read(self.rest());
                    let (part, length) = read.or_else(|what| self.flaw(what))?;
                    if !literal.is_empty() {
                        value.push(Piece::Bytes(std::mem::take(&mut literal)));
                    }
                    value.push(Piece::Hole(part));
                    self.at += length;
                }
                b'\\' => {
                    let digits = self.text.as_bytes().get(self.at + 1..self.at + 3);
                    match digits.and_then(from_hex) {
                        Some(byte) => literal.push(byte),
                        None => return self.flaw("behind a \\ must stand two hexadecimal digits"),
                    }
                    self.at += 3;
                }
                byte => {
                    literal.push(byte);
                    self.at += 1;
                }
            }
        }
        if !literal.is_empty() {
            value.push(Piece::Bytes(literal));
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests;
