//! Distinguished names (RFC 4514) with placeholders, and the other names that Active Directory accepts.

use std::fmt;

use super::escaped::{placeholder, push_escaped};
use crate::login::Login;
use crate::users::placeholder::{Flaw, Placeholder, Values};

mod syntax;

pub(super) use syntax::Dn;
use syntax::Malformed;

//------------ DnTemplate ----------------------------------------------------

/// A DN with placeholders, such as `uid={local},ou=people,dc=example,dc=org`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnTemplate(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Placeholder(Placeholder),
}

impl DnTemplate {
    /// Parses a template. It must be a DN with placeholders in values only. The empty DN is the root.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        let template = Self(pieces(text)?);
        // A letter in place of each placeholder keeps the structure; `places` has the original places.
        let mut dn = String::new();
        let mut places = Vec::new();
        let mut rest = text;
        let mut at = 0;
        while let Some(next) = rest.chars().next() {
            places.push(at);
            let length = match next {
                '{' => placeholder(rest).map_or(1, Placeholder::len),
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
            Flaw::at(places.get(byte).copied().unwrap_or(text.len()), what)
        };
        let rdns = Dn::parse(dn.as_bytes()).map_err(flawed)?;
        // In a type, or after the # of a hexadecimal value, a placeholder accepts the letter but not every
        // login.
        let probe = Login::new(b"\xff@\xff".to_vec()).ok();
        let filled = probe.and_then(|probe| template.fill(&probe));
        match filled.map(|filled| Dn::parse(&filled)) {
            Some(Ok(filled)) if filled.0.len() == rdns.0.len() => Ok(template),
            _ => Err(Flaw::at(
                text.find('{').unwrap_or_default(),
                "a part of the login is allowed only in a value",
            )),
        }
    }

    /// The DN for a login; `None` if a part is missing.
    pub(super) fn fill<'a>(&self, values: impl Into<Values<'a>>) -> Option<Vec<u8>> {
        let values = values.into();
        let mut dn = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => dn.extend_from_slice(text),
                Piece::Placeholder(it) => escape(&mut dn, &values.filled(*it)?),
            }
        }
        Some(dn)
    }

    /// Whether different logins have different DNs, at least within a domain.
    pub fn names_a_user(&self) -> bool {
        names_a_user(&self.0)
    }

    /// Whether the DN has the part before the `@` but not the domain.
    pub fn ignores_domain(&self) -> bool {
        ignores_domain(&self.0)
    }

    /// Whether the DN is the same for all domains.
    pub fn is_same_for_domains(&self) -> bool {
        let whole = |it: Placeholder| matches!(it, Placeholder::Login | Placeholder::Domain);
        let depends = |piece: &Piece| matches!(piece, Piece::Placeholder(it) if whole(*it));
        !self.0.iter().any(depends)
    }

    /// Whether the DN is the same for all questions.
    pub(super) fn is_fixed(&self) -> bool {
        !self
            .0
            .iter()
            .any(|piece| matches!(piece, Piece::Placeholder(_)))
    }
}

/// As written in the configuration.
impl fmt::Display for DnTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => f.write_str(&String::from_utf8_lossy(text))?,
                Piece::Placeholder(it) => it.fmt(f)?,
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
                return Err(Flaw::at(at, "a brace is closed that is not open"));
            }
            Some(0) => {
                let placeholder = placeholder(rest).map_err(|what| Flaw::at(at, what))?;
                pieces.push(Piece::Placeholder(placeholder));
                placeholder.len()
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
    let names = |piece: &Piece| matches!(piece, Piece::Placeholder(it) if it.names_a_user());
    pieces.iter().any(names)
}

fn ignores_domain(pieces: &[Piece]) -> bool {
    let has = |it| pieces.contains(&Piece::Placeholder(it));
    has(Placeholder::Local) && !has(Placeholder::Login) && !has(Placeholder::Domain)
}

/// Appends an escaped value (RFC 4514, 2.4). It escapes more than necessary, so that neither the neighbouring
/// text nor the server's handling of invalid UTF-8 matters.
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

/// The name for a bind, as a template: a DN, or a name of Active Directory, which accepts `user@domain` and
/// `DOMAIN\user` in place of a DN ([MS-ADTS] 5.1.1.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindName {
    /// A DN; values are escaped.
    Dn(DnTemplate),
    /// A name that is not a DN. It has no escapes, so a value that could change the meaning of the name is
    /// refused.
    Name(NameTemplate),
}

/// A name of Active Directory with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameTemplate(Vec<Piece>);

impl BindName {
    /// Parses a template; one without `=` is not a DN.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        if text.contains('=') {
            return DnTemplate::parse(text).map(Self::Dn);
        }
        let pieces = pieces(text)?;
        let has = |byte: u8| {
            let holds = |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains(&byte));
            pieces.iter().any(holds)
        };
        if has(b'@') || has(b'\\') || pieces.contains(&Piece::Placeholder(Placeholder::Login)) {
            Ok(Self::Name(NameTemplate(pieces)))
        } else {
            let what = "this is neither a DN nor user@domain nor DOMAIN\\user";
            Err(Flaw::of_all(what))
        }
    }

    /// The name for a login; `None` if the login cannot have one.
    pub(super) fn fill<'a>(&self, values: impl Into<Values<'a>>) -> Option<Vec<u8>> {
        match self {
            Self::Dn(template) => template.fill(values),
            Self::Name(NameTemplate(pieces)) => fill_name(pieces, values.into()),
        }
    }

    /// Whether different logins have different names, at least within a domain.
    pub fn names_a_user(&self) -> bool {
        match self {
            Self::Dn(template) => template.names_a_user(),
            Self::Name(NameTemplate(pieces)) => names_a_user(pieces),
        }
    }

    /// Whether the name has the part before the `@` but not the domain.
    pub fn ignores_domain(&self) -> bool {
        match self {
            Self::Dn(template) => template.ignores_domain(),
            Self::Name(NameTemplate(pieces)) => ignores_domain(pieces),
        }
    }
}

fn fill_name(pieces: &[Piece], values: Values<'_>) -> Option<Vec<u8>> {
    /// Characters that no user name of Active Directory contains, and that mark other forms of names: DNs,
    /// GUIDs in braces, canonical names with slashes.
    const FOREIGN: &[u8] = b"\"/\\[]:;|=,*?<>{}";
    let mut name = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => name.extend_from_slice(text),
            Piece::Placeholder(placeholder) => {
                let value = values.filled(*placeholder)?;
                if value.iter().any(|byte| FOREIGN.contains(byte)) {
                    return None;
                }
                name.extend_from_slice(&value);
            }
        }
    }
    // The server would also compare a bare word with display names, which users may choose.
    let ats = name.iter().filter(|byte| **byte == b'@').count();
    let qualified = match name.contains(&b'\\') {
        true => ats == 0,
        false => ats == 1 && !name.starts_with(b"@") && !name.ends_with(b"@"),
    };
    qualified.then_some(name)
}

#[cfg(test)]
mod tests;
