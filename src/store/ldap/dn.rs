//! Distinguished names (RFC 4514): templates of them, their syntax, and which lies under which.

use std::fmt;

use super::template::{Flaw, Part, from_hex, push_escaped};
use crate::request::Login;

//------------ DnTemplate ----------------------------------------------------

/// A DN with holes for parts of a login, such as `uid={local},ou=people,dc=example,dc=org`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnTemplate(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Hole(Part),
}

impl DnTemplate {
    /// Reads a template. It must be a DN, with holes in values only. The empty one is the root.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        let template = Self(pieces(text)?);
        // A letter in each hole leaves every place where it is but for what follows a hole.
        let mut dn = String::new();
        let mut places = Vec::new();
        let mut rest = text;
        let mut at = 0;
        while let Some(next) = rest.chars().next() {
            places.push(at);
            let length = match next {
                '{' => Part::read(rest).map_or(1, |(_, length)| length),
                other => other.len_utf8(),
            };
            dn.push(match next {
                '{' => 'x',
                other => other,
            });
            places.extend(std::iter::repeat_n(at, dn.len() - places.len()));
            at += length;
            rest = rest.get(length..).unwrap_or_default();
        }
        let flawed = |Malformed { at: byte, what }| {
            Flaw::at(text, places.get(byte).copied().unwrap_or(text.len()), what)
        };
        let rdns = Dn::parse(dn.as_bytes()).map_err(flawed)?;
        // In a type, or behind the # of a value in hexadecimal, a hole would read well and be
        // nonsense.
        let probe = Login::new(b"\xff@\xff".to_vec()).ok();
        let filled = probe.and_then(|probe| template.fill(&probe));
        match filled.map(|filled| Dn::parse(&filled)) {
            Some(Ok(filled)) if filled.0.len() == rdns.0.len() => Ok(template),
            _ => Err(Flaw::at(
                text,
                text.find('{').unwrap_or_default(),
                "a part of the login can only stand in a value",
            )),
        }
    }

    /// The DN for a login; `None` for a login that lacks a part.
    pub(super) fn fill(&self, login: &Login) -> Option<Vec<u8>> {
        let mut dn = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => dn.extend_from_slice(text),
                Piece::Hole(part) => escape(&mut dn, part.of(login)?),
            }
        }
        Some(dn)
    }

    /// Whether each login has one of its own, at least within its domain.
    pub fn names_a_user(&self) -> bool {
        names_a_user(&self.0)
    }

    /// Whether the part before the `@` is used without the one behind it.
    pub fn ignores_domain(&self) -> bool {
        ignores_domain(&self.0)
    }

    /// Whether it is the same for all domains.
    pub fn is_same_for_domains(&self) -> bool {
        let depends = |piece: &Piece| matches!(piece, Piece::Hole(Part::Login | Part::Domain));
        !self.0.iter().any(depends)
    }

    /// Whether it is the same for all logins.
    pub(super) fn is_fixed(&self) -> bool {
        !self.0.iter().any(|piece| matches!(piece, Piece::Hole(_)))
    }
}

/// As it was written.
impl fmt::Display for DnTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => f.write_str(&String::from_utf8_lossy(text))?,
                Piece::Hole(Part::Login) => f.write_str("{login}")?,
                Piece::Hole(Part::Local) => f.write_str("{local}")?,
                Piece::Hole(Part::Domain) => f.write_str("{domain}")?,
            }
        }
        Ok(())
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, Flaw> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let length = match rest.find(['{', '}']) {
            Some(0) if rest.starts_with('}') => {
                return Err(Flaw::at(text, at, "a brace is closed that is not open"));
            }
            Some(0) => {
                let (part, length) = Part::read(rest).map_err(|what| Flaw::at(text, at, what))?;
                pieces.push(Piece::Hole(part));
                length
            }
            brace => {
                let length = brace.unwrap_or(rest.len());
                let literal = rest.get(..length).unwrap_or_default();
                pieces.push(Piece::Text(literal.as_bytes().to_vec()));
                length
            }
        };
        at += length;
    }
    Ok(pieces)
}

fn names_a_user(pieces: &[Piece]) -> bool {
    let names = |piece: &Piece| matches!(piece, Piece::Hole(part) if part.names_a_user());
    pieces.iter().any(names)
}

fn ignores_domain(pieces: &[Piece]) -> bool {
    let has = |part| pieces.contains(&Piece::Hole(part));
    has(Part::Local) && !has(Part::Login) && !has(Part::Domain)
}

/// Appends a value so that it stays one (RFC 4514, 2.4). More is escaped than must be: then it
/// does not matter what stands before or behind it, nor how a server reads what is no UTF-8.
fn escape(out: &mut Vec<u8>, value: &[u8]) {
    for (number, byte) in value.iter().enumerate() {
        let plain = match byte {
            b'"' | b'+' | b',' | b';' | b'<' | b'=' | b'>' | b'\\' => false,
            b' ' => number > 0 && number + 1 < value.len(),
            b'#' => number > 0,
            byte => byte.is_ascii_graphic(),
        };
        if plain {
            out.push(*byte);
        } else {
            push_escaped(out, *byte);
        }
    }
}

//------------ BindName ------------------------------------------------------

/// Who binds, as a template: a DN, or a name of Active Directory, which takes `user@domain` and
/// `DOMAIN\user` in place of a DN ([MS-ADTS] 5.1.1.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindName {
    /// A DN; values are escaped.
    Dn(DnTemplate),
    /// A name that is no DN. There is no way to escape a value, so one that could make anything
    /// else of it than a user's name cannot be asked for.
    Name(NameTemplate),
}

/// A name of Active Directory with holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameTemplate(Vec<Piece>);

impl BindName {
    /// Reads a template; one without `=` is not a DN.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        if text.contains('=') {
            return DnTemplate::parse(text).map(Self::Dn);
        }
        let pieces = pieces(text)?;
        let has = |byte: u8| {
            let holds = |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains(&byte));
            pieces.iter().any(holds)
        };
        if has(b'@') || has(b'\\') || pieces.contains(&Piece::Hole(Part::Login)) {
            Ok(Self::Name(NameTemplate(pieces)))
        } else {
            let what = "this is neither a DN nor user@domain nor DOMAIN\\user";
            Err(Flaw::at(text, 0, what))
        }
    }

    /// The name for a login; `None` for a login that cannot have one.
    pub(super) fn fill(&self, login: &Login) -> Option<Vec<u8>> {
        match self {
            Self::Dn(template) => template.fill(login),
            Self::Name(NameTemplate(pieces)) => fill_name(pieces, login),
        }
    }

    /// Whether each login has one of its own, at least within its domain.
    pub fn names_a_user(&self) -> bool {
        match self {
            Self::Dn(template) => template.names_a_user(),
            Self::Name(NameTemplate(pieces)) => names_a_user(pieces),
        }
    }

    /// Whether the part before the `@` is used without the one behind it.
    pub fn ignores_domain(&self) -> bool {
        match self {
            Self::Dn(template) => template.ignores_domain(),
            Self::Name(NameTemplate(pieces)) => ignores_domain(pieces),
        }
    }
}

fn fill_name(pieces: &[Piece], login: &Login) -> Option<Vec<u8>> {
    /// What no name of a user holds in Active Directory, and what other forms of names are made
    /// with: DNs, GUIDs in braces, canonical names with slashes.
    const FOREIGN: &[u8] = b"\"/\\[]:;|=,*?<>{}";
    let mut name = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => name.extend_from_slice(text),
            Piece::Hole(part) => {
                let value = part.of(login)?;
                if value.iter().any(|byte| FOREIGN.contains(byte)) {
                    return None;
                }
                name.extend_from_slice(value);
            }
        }
    }
    // A bare word would be looked for among display names too, which users may choose.
    let ats = name.iter().filter(|byte| **byte == b'@').count();
    let qualified = match name.contains(&b'\\') {
        true => ats == 0,
        false => ats == 1 && !name.starts_with(b"@") && !name.ends_with(b"@"),
    };
    qualified.then_some(name)
}

//------------ Dn ------------------------------------------------------------

/// A DN, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dn(Vec<Rdn>);

/// The pairs of one RDN, in an order of ours.
type Rdn = Vec<(Vec<u8>, Value)>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    /// The characters, unescaped.
    Text(Vec<u8>),
    /// BER in hexadecimal.
    Hex(Vec<u8>),
}

/// Why bytes are no DN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    at: usize,
    what: &'static str,
}

impl Dn {
    /// Reads the string form (RFC 4514, 3). Blanks around separators, and semicolons as such,
    /// are taken as in LDAPv2 (RFC 2253, 4).
    pub(super) fn parse(text: &[u8]) -> Result<Self, Malformed> {
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

    /// Whether this is `base` or lies under it. Types and values are compared without regard to
    /// case and to repeated blanks, which is how nearly all attributes of DNs are compared.
    pub(super) fn is_under(&self, base: &Self) -> bool {
        let Some(above) = self.0.len().checked_sub(base.0.len()) else {
            return false;
        };
        let mut pairs = self.0.iter().skip(above).zip(&base.0);
        pairs.all(|(own, base)| folded(own) == folded(base))
    }
}

fn folded(rdn: &Rdn) -> Vec<(Vec<u8>, Value)> {
    let mut folded: Vec<_> = rdn
        .iter()
        .map(|(kind, value)| {
            let value = match value {
                Value::Hex(bytes) => Value::Hex(bytes.clone()),
                Value::Text(text) => {
                    // Beyond ASCII too, as far as there is one letter for the other.
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
        if self.peek() != Some(b'=') {
            return self.malformed("there is no = behind the type of an attribute");
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
        // Blanks that are escaped stay, at the end too.
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
            _ => self.malformed("a backslash stands before nothing that it could escape"),
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

#[cfg(test)]
#[path = "dn/tests.rs"]
mod tests;
