//! Edits the text of a password file: everything that an edit does not concern stays, byte for byte.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use zeroize::Zeroizing;

use super::line::Line;
use super::text::BYTE_ORDER_MARK;
use super::{LineLogins, PasswordRules, Settings};
use crate::login::{MAX_LOGIN_BYTES, domain};

mod fields;
mod locks;
mod raw;

pub(super) use raw::{Raw, join, raw_lines};

/// The content of a file whose last line was removed. A server waits before it loads an empty file, which may
/// only be half written.
const NO_USER_LEFT: &[u8] = b"# no users\n";

/// One edit of the line of a login.
#[derive(Clone, Debug)]
pub struct Edit {
    /// The login, after the rules of `[logins]`.
    pub login: Vec<u8>,
    /// What happens with its line.
    pub action: Action,
}

/// What happens with the line of a login.
#[derive(Clone, Debug)]
pub enum Action {
    /// A new line with this password field and these extra fields; the login must not be there.
    Add {
        /// The password field.
        stored: Zeroizing<String>,
        /// Extra fields, `key` or `key=value`.
        extra: Vec<String>,
    },
    /// Another password field. A locked user stays locked.
    Password(Zeroizing<String>),
    /// No password is accepted; `nologin` gets the reason, if there is one.
    Lock(Option<String>),
    /// The opposite of [`Action::Lock`].
    Unlock,
    /// Its lines are removed.
    Delete,
}

/// What an edit did that the administrator may not expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// What was asked.
    AsAsked,
    /// The user has another password, and stays locked.
    StaysLocked,
    /// Nothing: the user was locked or unlocked already.
    Already,
    /// The user is not locked any more, and has no password of their own.
    NoPassword,
    /// This many lines of the login were removed.
    Removed(usize),
}

/// The new text, and what each edit did.
pub type Applied = (Zeroizing<Vec<u8>>, Vec<Done>);

/// Why an edit is not possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The format has no place for the login; the text says why.
    Login(&'static str),
    /// No line has the login.
    Unknown,
    /// This line has it already.
    Exists(usize),
    /// These lines have it, and none of them counts.
    Several(Vec<usize>),
    /// Another edit of the same run has it: this one, from 0.
    Again(usize),
    /// The line would be unusable, or is; the text says why.
    Line(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Login(why) => write!(f, "cannot be a login of a password file: {why}"),
            Self::Unknown => f.write_str("there is no such user"),
            Self::Exists(line) => write!(f, "the user exists already (line {line})"),
            Self::Several(lines) => {
                let lines: Vec<_> = lines.iter().map(usize::to_string).collect();
                write!(
                    f,
                    "the login is on lines {}, and none of them counts: delete the user, or remove \
                     all lines but one by hand",
                    lines.join(" and ")
                )
            }
            Self::Again(_) => f.write_str("the login is there twice"),
            Self::Line(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Refused {}

/// Why a login cannot be on a line of a password file; `None` if it can.
pub fn unwritable(login: &[u8]) -> Option<&'static str> {
    if login.is_empty() {
        Some("it is empty")
    } else if login.len() > MAX_LOGIN_BYTES {
        Some("it has more than 254 bytes")
    } else if login.iter().any(u8::is_ascii_control) {
        Some("it holds a control byte, such as a line end")
    } else if login.contains(&b':') {
        Some("it holds a colon, which ends the login on its line")
    } else if login.starts_with(b"#") {
        Some("it begins with #, like a comment")
    } else if login.starts_with(BYTE_ORDER_MARK) {
        Some("it begins with a byte order mark")
    } else {
        None
    }
}

/// Makes all edits, or none: then the result has the reasons, each with the number of its edit, from 0.
///
/// Edits find a line by the login that `logins` makes of it, as the store does.
pub fn apply(
    text: &[u8],
    logins: &LineLogins,
    rules: &PasswordRules,
    edits: &[Edit],
) -> Result<Applied, Vec<(usize, Refused)>> {
    let mut lines = raw_lines(text);
    let mut refused = Vec::new();
    let mut wanted: HashMap<Vec<u8>, usize> = HashMap::new();
    for (number, edit) in edits.iter().enumerate() {
        let login = domain::folded(&edit.login).into_owned();
        if let Some(why) = unwritable(&login) {
            refused.push((number, Refused::Login(why)));
        } else if let Some(first) = wanted.get(&login) {
            refused.push((number, Refused::Again(*first)));
        } else {
            wanted.insert(login, number);
        }
    }
    let mut found: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, line) in lines.iter().enumerate() {
        if let Some(cut) = Line::cut(line.content())
            && let Some(number) = wanted.get(&*logins.asked(cut.login))
        {
            found.entry(*number).or_default().push(at);
        }
    }
    let last = lines
        .iter()
        .rev()
        .find_map(|line| Line::cut(line.content()));
    let last = last.map(|line| line.login.to_vec());
    let mut done = vec![Done::AsAsked; edits.len()];
    let mut added = Vec::new();
    for number in wanted.into_values() {
        let at = found.remove(&number).unwrap_or_default();
        match one(&mut lines, &at, rules, &edits[number].action) {
            Ok(what) => done[number] = what,
            Err(why) => {
                refused.push((number, why));
                continue;
            }
        }
        if let Action::Add { stored, extra } = &edits[number].action {
            let login = logins.written_like(last.as_deref(), &edits[number].login);
            let line = fields::new_line(login, stored, extra);
            match usable(&line, rules) {
                Ok(()) => added.push((number, line)),
                Err(why) => refused.push((number, why)),
            }
        }
    }
    if !refused.is_empty() {
        refused.sort_by_key(|(number, _)| *number);
        return Err(refused);
    }
    added.sort_by_key(|(number, _)| *number);
    let added = added.into_iter().map(|(_, line)| line);
    let mut text = join(text, &lines, added);
    if text.is_empty() || *text == BYTE_ORDER_MARK {
        text.extend_from_slice(NO_USER_LEFT);
    }
    Ok((text, done))
}

/// The text with another password field of a login; `None` if not exactly one line has the login, or if its
/// field is not `old`, as [`Secret::stored`](crate::secret::Secret) gives it.
pub(super) fn replace_stored(
    text: &[u8],
    settings: &Settings,
    login: &[u8],
    old: &[u8],
    new: &Zeroizing<String>,
) -> Option<Zeroizing<Vec<u8>>> {
    let mut lines = raw_lines(text);
    let login = domain::folded(login);
    let is_its = |line: &Raw<'_>| {
        let cut = Line::cut(line.content());
        cut.is_some_and(|cut| settings.logins.asked(cut.login) == login)
    };
    let mut its = lines.iter_mut().filter(|line| is_its(line));
    let (Some(line), None) = (its.next(), its.next()) else {
        return None;
    };
    let mut parts = fields::Parts::of(line.content());
    let scheme = settings.default_scheme.as_deref().unwrap_or_default();
    let named = Zeroizing::new([b"{", scheme.as_bytes(), b"}", &parts.stored].concat());
    if *parts.stored != *old && *named != *old {
        return None;
    }
    parts.stored = Zeroizing::new(new.as_bytes().to_vec());
    let replaced = parts.joined();
    usable(&replaced, &settings.rules()).ok()?;
    line.replace(replaced);
    Some(join(text, &lines, std::iter::empty()))
}

/// Makes one edit of the lines that have its login.
fn one(
    lines: &mut [Raw<'_>],
    at: &[usize],
    rules: &PasswordRules,
    action: &Action,
) -> Result<Done, Refused> {
    match (action, at) {
        (Action::Add { .. }, []) => return Ok(Done::AsAsked),
        (Action::Add { .. }, [first, ..]) => return Err(Refused::Exists(first + 1)),
        (_, []) => return Err(Refused::Unknown),
        (Action::Delete, at) => {
            for at in at {
                lines[*at].remove();
            }
            return Ok(match at.len() {
                1 => Done::AsAsked,
                several => Done::Removed(several),
            });
        }
        (_, [_, _, ..]) => return Err(Refused::Several(at.iter().map(|at| at + 1).collect())),
        (_, [_]) => {}
    }
    let line = &mut lines[at[0]];
    let mut parts = fields::Parts::of(line.content());
    let done = match action {
        Action::Password(stored) => {
            let done = locks::set(&mut parts, stored.as_bytes(), rules)?;
            let new = parts.joined();
            usable(&new, rules)?;
            line.replace(new);
            return Ok(done);
        }
        Action::Lock(reason) => locks::lock(&mut parts, reason.as_deref(), rules)?,
        Action::Unlock => locks::unlock(&mut parts, rules)?,
        Action::Add { .. } | Action::Delete => Done::AsAsked,
    };
    if done != Done::Already {
        line.replace(parts.joined());
    }
    Ok(done)
}

/// Whether a line can be used as it is.
fn usable(line: &[u8], rules: &PasswordRules) -> Result<(), Refused> {
    let refuse = |what: &dyn fmt::Display| Refused::Line(format!("the line is unusable: {what}"));
    let cut = Line::cut(line).ok_or_else(|| refuse(&"it would be a comment"))?;
    cut.check(rules, |_, _| {})
        .map(|_| ())
        .map_err(|flaw| refuse(&flaw.kind))
}

#[cfg(test)]
mod tests;
