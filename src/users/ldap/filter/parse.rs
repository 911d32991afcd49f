//! Parses the text of a filter (RFC 4515, 3).
//!
//! Unlike in the RFC, whitespace is allowed around parentheses and operators, so that a long filter can be
//! written over several lines. Whitespace within a value belongs to the value; at either end of a value it is
//! written as `\20`.

use super::{Comparison, Filter, Piece, Value};
use crate::users::ldap::attribute;
use crate::users::ldap::escaped::{from_hex, placeholder};
use crate::users::placeholder::Flaw;

/// The maximum nesting depth of filters. Usual filters have three levels.
const MAX_DEPTH: usize = 32;

/// Parses a filter, which must be all of `text`.
pub(super) fn parse(text: &str) -> Result<Filter, Flaw> {
    let mut parser = Parser { text, at: 0 };
    parser.skip_blanks();
    let filter = parser.filter(0)?;
    parser.skip_blanks();
    if parser.peek().is_some() {
        return parser.flaw("the filter is at its end, but something follows");
    }
    Ok(filter)
}

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

    fn skip_blanks(&mut self) {
        let is_blank = |byte: &u8| byte.is_ascii_whitespace();
        self.at += self.rest().bytes().take_while(is_blank).count();
    }

    fn flaw<T>(&self, what: impl Into<String>) -> Result<T, Flaw> {
        Err(Flaw::at(self.at, what))
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
        self.skip_blanks();
        let filter = match self.peek() {
            Some(b'&') => Filter::And(self.list(depth)?),
            Some(b'|') => Filter::Or(self.list(depth)?),
            Some(b'!') => {
                self.at += 1;
                self.skip_blanks();
                Filter::Not(Box::new(self.filter(depth + 1)?))
            }
            _ => self.item()?,
        };
        self.skip_blanks();
        self.expect(b')', "a ) is missing")?;
        Ok(filter)
    }

    /// The filters after `&` or `|`; there may be none (RFC 4526).
    fn list(&mut self, depth: usize) -> Result<Vec<Filter>, Flaw> {
        self.at += 1;
        self.skip_blanks();
        let mut all = Vec::new();
        while self.peek() == Some(b'(') {
            all.push(self.filter(depth + 1)?);
            self.skip_blanks();
        }
        Ok(all)
    }

    fn item(&mut self) -> Result<Filter, Flaw> {
        let attribute = self.name()?;
        self.skip_blanks();
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
            _ => return self.flaw("an attribute must be followed by =, >=, <=, ~= or :="),
        };
        self.at += 2;
        self.skip_blanks();
        let value = self.value()?;
        if self.peek() == Some(b'*') {
            return self.flaw("a * is allowed only after =; as a character it is \\2a");
        }
        Ok(Filter::Compare(comparison, attribute, value))
    }

    fn equal_or_like(&mut self, attribute: String) -> Result<Filter, Flaw> {
        self.skip_blanks();
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
            return self.flaw("there must be text between two *");
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

    /// `attribute:dn:rule:=value`; either `attribute` or `rule` may be missing.
    fn extensible(&mut self, attribute: Option<String>) -> Result<Filter, Flaw> {
        let mut dn = false;
        let mut rule = None;
        while self.peek() == Some(b':') && !self.rest().starts_with(":=") {
            self.at += 1;
            match self.name()? {
                Some(name) if name.eq_ignore_ascii_case("dn") && !dn && rule.is_none() => dn = true,
                Some(name) if rule.is_none() => rule = Some(name),
                _ => return self.flaw("a matching rule or = must follow here"),
            }
        }
        if attribute.is_none() && rule.is_none() {
            return self.flaw("the name of an attribute or of a matching rule is missing");
        }
        if !self.rest().starts_with(":=") {
            return self.flaw("a matching rule must be followed by :=");
        }
        self.at += 2;
        self.skip_blanks();
        Ok(Filter::Extensible {
            attribute,
            dn,
            rule,
            value: self.value()?,
        })
    }

    /// The name or number of an attribute, with its options, or of a rule.
    fn name(&mut self) -> Result<Option<String>, Flaw> {
        let of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._;".contains(byte);
        let length = self.rest().bytes().take_while(|byte| of_name(byte)).count();
        let name = self.rest().get(..length).unwrap_or_default();
        if name.is_empty() {
            return Ok(None);
        }
        if !attribute::is_description(name) {
            return self.flaw("this is not an attribute name or of a rule");
        }
        let name = name.to_owned();
        self.at += length;
        Ok(Some(name))
    }

    /// Whether only whitespace is left before the `)`.
    fn at_end_of_value(&self) -> bool {
        self.rest().trim_ascii_start().starts_with(')')
    }

    /// The text up to the next `*` or `)`, without whitespace before a `)`.
    fn value(&mut self) -> Result<Value, Flaw> {
        let mut value = Vec::new();
        let mut literal = Vec::new();
        while let Some(byte) = self.peek() {
            match byte {
                b')' | b'*' => break,
                _ if byte.is_ascii_whitespace() && self.at_end_of_value() => self.skip_blanks(),
                b'(' => return self.flaw("a ( in a value is written \\28"),
                0 => return self.flaw("a NUL in a value is written \\00"),
                b'}' => return self.flaw("a } in a value is written \\7d"),
                b'{' => {
                    let read = placeholder(self.rest());
                    let placeholder = read.or_else(|what| self.flaw(what))?;
                    if !literal.is_empty() {
                        value.push(Piece::Bytes(std::mem::take(&mut literal)));
                    }
                    value.push(Piece::Placeholder(placeholder));
                    self.at += placeholder.len();
                }
                b'\\' => {
                    let digits = self.text.as_bytes().get(self.at + 1..self.at + 3);
                    match digits.and_then(from_hex) {
                        Some(byte) => literal.push(byte),
                        None => {
                            return self.flaw("a \\ must be followed by two hexadecimal digits");
                        }
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
