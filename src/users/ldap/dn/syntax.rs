//! Parses a DN (RFC 4514, 3), and tells whether one DN is below another.

use crate::users::ldap::attribute;
use crate::users::ldap::escaped::from_hex;

/// A parsed DN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::users::ldap) struct Dn(pub(super) Vec<Rdn>);

/// The pairs of one RDN, sorted.
pub(super) type Rdn = Vec<(Vec<u8>, Value)>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    /// The unescaped characters.
    Text(Vec<u8>),
    /// BER in hexadecimal.
    Hex(Vec<u8>),
}

/// Why the bytes are not a DN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::users::ldap) struct Malformed {
    pub(super) at: usize,
    pub(super) what: &'static str,
}

impl Dn {
    /// Parses the string form (RFC 4514, 3). Blanks around separators, and semicolons as separators, are
    /// accepted as in LDAPv2 (RFC 2253, 4).
    pub(in crate::users::ldap) fn parse(text: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor { text, at: 0 };
        cursor.skip_blanks();
        let mut rdns = Vec::new();
        if cursor.peek().is_none() {
            return Ok(Self(rdns));
        }
        loop {
            let mut rdn = Vec::new();
            loop {
                rdn.push((cursor.attribute_type()?, cursor.value()?));
                match cursor.peek() {
                    Some(b'+') => cursor.at += 1,
                    _ => break,
                }
            }
            rdn.sort_unstable();
            rdns.push(rdn);
            match cursor.peek() {
                None => return Ok(Self(rdns)),
                Some(_) => cursor.at += 1,
            }
        }
    }

    /// Whether this is `base` or below it. Types and values are compared without regard to case and repeated
    /// blanks, as for nearly all attributes of DNs.
    pub(in crate::users::ldap) fn is_under(&self, base: &Self) -> bool {
        let Some(above) = self.0.len().checked_sub(base.0.len()) else {
            return false;
        };
        let mut pairs = self.0.iter().skip(above).zip(&base.0);
        pairs.all(|(own, base)| folded(own) == folded(base))
    }
}

impl Dn {
    /// Whether this is below `base` and ends in exactly its characters; only the case of ASCII letters and
    /// the order within an RDN do not matter.
    pub(in crate::users::ldap) fn ends_in(&self, base: &Self) -> bool {
        let Some(above) = self.0.len().checked_sub(base.0.len()) else {
            return false;
        };
        let lower = |rdn: &Rdn| {
            let pair = |(kind, value): &(Vec<u8>, Value)| {
                let value = match value {
                    Value::Text(text) => Value::Text(text.to_ascii_lowercase()),
                    Value::Hex(bytes) => Value::Hex(bytes.clone()),
                };
                (kind.to_ascii_lowercase(), value)
            };
            let mut pairs: Vec<_> = rdn.iter().map(pair).collect();
            pairs.sort_unstable();
            pairs
        };
        let mut pairs = self.0.iter().skip(above).zip(&base.0);
        pairs.all(|(own, base)| lower(own) == lower(base))
    }
}

fn folded(rdn: &Rdn) -> Vec<(Vec<u8>, Value)> {
    let mut folded: Vec<_> = rdn
        .iter()
        .map(|(kind, value)| {
            let value = match value {
                Value::Hex(bytes) => Value::Hex(bytes.clone()),
                Value::Text(text) => {
                    // Also beyond ASCII, if a letter has exactly one counterpart.
                    let text = String::from_utf8_lossy(text).to_lowercase();
                    let words: Vec<&str> = text.split_whitespace().collect();
                    Value::Text(words.join(" ").into_bytes())
                }
            };
            (kind.to_ascii_lowercase(), value)
        })
        .collect();
    folded.sort_unstable();
    folded
}

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
    }

    fn malformed<T>(&self, what: &'static str) -> Result<T, Malformed> {
        Err(Malformed { at: self.at, what })
    }

    fn attribute_type(&mut self) -> Result<Vec<u8>, Malformed> {
        self.skip_blanks();
        let start = self.at;
        while self
            .peek()
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
        {
            self.at += 1;
        }
        let kind = self.text.get(start..self.at).unwrap_or_default().to_vec();
        self.skip_blanks();
        if kind.is_empty() {
            return self.malformed("the type of an attribute is missing");
        }
        if !str::from_utf8(&kind).is_ok_and(attribute::is_type) {
            return self.malformed("this is no type of an attribute");
        }
        if self.peek() != Some(b'=') {
            return self.malformed("there is no = after the type of an attribute");
        }
        self.at += 1;
        self.skip_blanks();
        Ok(kind)
    }

    fn value(&mut self) -> Result<Value, Malformed> {
        if self.peek() == Some(b'#') {
            return self.hex_value();
        }
        let mut value = Vec::new();
        // Escaped blanks remain, even at the end.
        let mut kept = 0;
        while let Some(byte) = self.peek() {
            match byte {
                b',' | b';' | b'+' => break,
                b'"' | b'<' | b'>' | 0 => {
                    return self.malformed("this character must be escaped: \\ and two digits");
                }
                b'\\' => {
                    value.push(self.escaped()?);
                    kept = value.len();
                    continue;
                }
                byte => value.push(byte),
            }
            self.at += 1;
            if byte != b' ' {
                kept = value.len();
            }
        }
        value.truncate(kept);
        Ok(Value::Text(value))
    }

    fn escaped(&mut self) -> Result<u8, Malformed> {
        let pair = self.text.get(self.at + 1..self.at + 3);
        if let Some(byte) = pair.and_then(from_hex) {
            self.at += 3;
            return Ok(byte);
        }
        match self.text.get(self.at + 1) {
            Some(byte) if b" \"#+,;<=>\\".contains(byte) => {
                self.at += 2;
                Ok(*byte)
            }
            _ => self.malformed("a backslash must be followed by a character that it can escape"),
        }
    }

    fn hex_value(&mut self) -> Result<Value, Malformed> {
        let start = self.at;
        self.at += 1;
        let mut bytes = Vec::new();
        while let Some(byte) = self.text.get(self.at..self.at + 2).and_then(from_hex) {
            bytes.push(byte);
            self.at += 2;
        }
        self.skip_blanks();
        match self.peek() {
            None | Some(b',' | b';' | b'+') if !bytes.is_empty() => Ok(Value::Hex(bytes)),
            _ => {
                self.at = start;
                self.malformed("a value that begins with # is not hexadecimal")
            }
        }
    }
}
