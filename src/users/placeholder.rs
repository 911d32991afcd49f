//! Placeholders: names in braces that stand for the login and what is known of its client, the same in
//! statements of SQL, in filters and DNs of LDAP, and in paths of password files.
//!
//! This module reads them and gives their values. Each user of it puts a value where no value can be
//! taken for syntax: SQL binds it, a filter sends it with its length, a DN escapes it.

use std::fmt;

pub(super) mod foreign;
#[cfg(feature = "servers")]
mod values;

#[cfg(feature = "servers")]
pub(super) use values::Values;

/// What stands for a part of the login, or for what is known of its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// `{login}`: the login, whole.
    Login,
    /// `{local}`: the part before its last `@`; all of it without one.
    Local,
    /// `{domain}`: the part after its last `@`; there may be none.
    Domain,
    /// `{protocol}`: `imap`, `pop3` or `smtp`.
    Protocol,
    /// `{client_ip}`: the address of the mail client as text, if it is known; an IPv4 address in the form
    /// of IPv6 as IPv4.
    ClientIp,
}

const NAMES: [(&str, Placeholder); 5] = [
    ("login", Placeholder::Login),
    ("local", Placeholder::Local),
    ("domain", Placeholder::Domain),
    ("protocol", Placeholder::Protocol),
    ("client_ip", Placeholder::ClientIp),
];

/// All of them, for messages.
pub(super) const KNOWN: &str = "known are {login}, {local}, {domain}, {protocol} and {client_ip}";

/// The most bytes of a name that is reported as unknown.
const MAX_NAME: usize = 32;

impl Placeholder {
    /// Reads what begins with the brace at the start of `text`. `None`: the brace is text. The error says
    /// that it looks like a placeholder and is none.
    pub(super) fn read(text: &str) -> Result<Option<Self>, String> {
        let Some(name) = name_in_braces(text) else {
            return Ok(None);
        };
        if let Some((_, known)) = NAMES.iter().find(|(known, _)| *known == name) {
            return Ok(Some(*known));
        }
        match looks_like(name) {
            true => Err(format!("there is no {{{name}}}; {KNOWN}")),
            false => Ok(None),
        }
    }

    fn name(self) -> &'static str {
        let name = NAMES.iter().find(|(_, known)| *known == self);
        name.map_or("", |(name, _)| name)
    }

    /// How many bytes it takes, with its braces.
    pub(super) fn len(self) -> usize {
        self.name().len() + 2
    }

    /// Whether it is a part of the login.
    #[cfg(feature = "servers")]
    pub(super) fn is_of_login(self) -> bool {
        match self {
            Self::Login | Self::Local | Self::Domain => true,
            Self::Protocol | Self::ClientIp => false,
        }
    }

    /// Whether it says which user it is. A domain has many users.
    #[cfg(feature = "servers")]
    pub(super) fn names_a_user(self) -> bool {
        match self {
            Self::Login | Self::Local => true,
            Self::Domain | Self::Protocol | Self::ClientIp => false,
        }
    }
}

/// As written in the configuration.
impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.name())
    }
}

/// The name between the brace at the start of `text` and the next closing one, if what is between them can
/// be a name. `{}`, `{1,2}` and `{"a":1}` hold none.
pub(super) fn name_in_braces(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix('{')?.split_once('}')?;
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let is_name = name.len() <= MAX_NAME
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(of_name);
    is_name.then_some(name)
}

/// Whether a name in braces is more likely a misspelt placeholder than text, such as the scheme of a
/// password (`{PLAIN}`) or an array of PostgreSQL (`{admin}`).
fn looks_like(name: &str) -> bool {
    let near = |known: &str| {
        name.eq_ignore_ascii_case(known)
            || strsim::osa_distance(name, known) <= 1 + usize::from(known.len() >= 8)
    };
    let is_scheme = !name.bytes().any(|byte| byte.is_ascii_lowercase());
    NAMES.iter().any(|(known, _)| near(known)) || (!is_scheme && foreign::meaning(name).is_some())
}

//------------ Part ----------------------------------------------------------

/// A part of a text of the configuration: a placeholder, or what is between two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// The byte of the whole text where it begins.
    pub(super) at: usize,
    /// As it is written.
    pub(super) text: &'a str,
    /// What it stands for, if it is no text.
    pub(super) placeholder: Option<Placeholder>,
}

/// Takes a text apart. Braces that hold no placeholder, and nothing like one, are text.
pub(super) fn parts(text: &str) -> Result<Vec<Part<'_>>, Flaw> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut push = |start: usize, end: usize, placeholder| {
        if let Some(text) = text.get(start..end).filter(|text| !text.is_empty()) {
            parts.push(Part {
                at: start,
                text,
                placeholder,
            });
        }
    };
    for (at, _) in text.match_indices('{') {
        let rest = text.get(at..).unwrap_or_default();
        let read = Placeholder::read(rest).map_err(|what| Flaw::at(at, what))?;
        if let Some(placeholder) = read {
            let end = at + placeholder.len();
            push(start, at, None);
            push(at, end, Some(placeholder));
            start = end;
        }
    }
    push(start, text.len(), None);
    Ok(parts)
}

/// The first placeholder in a text in which braces that hold none are text.
pub fn first(text: &str) -> Result<Option<Placeholder>, Flaw> {
    let parts = parts(text)?;
    Ok(parts.into_iter().find_map(|part| part.placeholder))
}

/// What is wrong with a text that names no user: `what`, and what to write in place of the placeholder of
/// another program that it has.
pub fn nobody(text: &str, what: &str) -> Flaw {
    let named = |mark: &foreign::Mark<'_>| mark.meant.is_some();
    match foreign::marks(text).find(named) {
        Some(mark) => Flaw::at(mark.at, format!("{what}: {}", mark.flaw())),
        None => Flaw::of_all(what),
    }
}

//------------ Flaw ----------------------------------------------------------

/// A problem in a text of the configuration, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    at: Option<usize>,
    what: String,
}

impl Flaw {
    /// A flaw at a byte of the text.
    pub(super) fn at(at: usize, what: impl Into<String>) -> Self {
        Self {
            at: Some(at),
            what: what.into(),
        }
    }

    /// A flaw of the text as a whole.
    pub(super) fn of_all(what: impl Into<String>) -> Self {
        Self {
            at: None,
            what: what.into(),
        }
    }

    /// The byte of the text, from 0; `None` for the text as a whole.
    pub fn place(&self) -> Option<usize> {
        self.at
    }
}

/// Without its place.
impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Flaw {}

#[cfg(test)]
mod tests;
