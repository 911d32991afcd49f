//! Edits and lists the app passwords of a login in the text of their file; everything else stays, byte for
//! byte.

use std::fmt;

use zeroize::Zeroizing;

use super::apps::{MAX_LABEL_BYTES, credential};
use super::edit::{join, raw_lines, unwritable};
use super::line::Line;
use super::{LineLogins, PasswordRules};
use crate::login::domain;
use crate::secret::Scheme;
use crate::users::MAX_APP_PASSWORDS;

/// A new app password.
#[derive(Debug)]
pub struct NewApp {
    /// Its name.
    pub label: String,
    /// The password field.
    pub stored: Zeroizing<String>,
    /// Its limits: `protocols=…`, `allow_nets=…`, `expires=…`.
    pub limits: Vec<String>,
}

/// One app password, without its secret.
#[derive(Debug, PartialEq, Eq)]
pub struct App {
    /// The number of its line, from 1.
    pub line: usize,
    /// Its name, as it is in the file.
    pub label: String,
    /// The scheme, if it can be checked.
    pub scheme: Option<Scheme>,
    /// Its limits, as they are in the file.
    pub limits: Vec<String>,
    /// Whether it has expired.
    pub expired: bool,
    /// Why it is unusable.
    pub problem: Option<String>,
}

/// Why an edit is not possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The format has no place for the login; the text says why.
    Login(&'static str),
    /// The label is not one.
    Label,
    /// This line has it already.
    Exists(usize),
    /// The login has no app password of this name.
    Unknown,
    /// The login has as many as it can have.
    TooMany,
    /// The line would be unusable; the text says why.
    Line(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Login(why) => write!(f, "cannot be a login of a password file: {why}"),
            Self::Label => write!(
                f,
                "a label has 1 to {MAX_LABEL_BYTES} bytes, no colon and no control characters"
            ),
            Self::Exists(line) => write!(
                f,
                "the user has an app password with this label already (line {line})"
            ),
            Self::Unknown => f.write_str("the user has no app password with this label"),
            Self::TooMany => write!(
                f,
                "the user has {MAX_APP_PASSWORDS} app passwords already; with more, none of them \
                 would count: revoke one"
            ),
            Self::Line(why) => write!(f, "the line would be unusable: {why}"),
        }
    }
}

impl std::error::Error for Refused {}

/// The text with one more app password.
pub fn add(
    text: &[u8],
    logins: &LineLogins,
    rules: &PasswordRules,
    login: &[u8],
    new: &NewApp,
) -> Result<Zeroizing<Vec<u8>>, Refused> {
    if let Some(why) = unwritable(login) {
        return Err(Refused::Login(why));
    }
    let label = &new.label;
    if !(1..=MAX_LABEL_BYTES).contains(&label.len())
        || label.contains(':')
        || label.chars().any(char::is_control)
    {
        return Err(Refused::Label);
    }
    let apps = of(text, logins, rules, login);
    if let Some(app) = apps.iter().find(|app| app.label == *label) {
        return Err(Refused::Exists(app.line));
    }
    if apps.len() >= MAX_APP_PASSWORDS {
        return Err(Refused::TooMany);
    }
    let mut line = Zeroizing::new([login, b":", new.stored.as_bytes(), b":"].concat());
    line.extend_from_slice(label.as_bytes());
    for (at, limit) in new.limits.iter().enumerate() {
        line.push(if at == 0 { b':' } else { b' ' });
        line.extend_from_slice(limit.as_bytes());
    }
    let cut = Line::cut(&line).ok_or_else(|| Refused::Line("it would be a comment".to_owned()))?;
    match credential(&cut, rules) {
        Ok(_) => Ok(join(text, &raw_lines(text), std::iter::once(line.clone()))),
        Err(flaw) => Err(Refused::Line(flaw.kind.to_string())),
    }
}

/// The text without the app passwords of a login: without that of one label, or without all of them; and
/// their number.
pub fn remove(
    text: &[u8],
    logins: &LineLogins,
    login: &[u8],
    label: Option<&str>,
) -> (Zeroizing<Vec<u8>>, usize) {
    let mut lines = raw_lines(text);
    let mut removed = 0;
    for line in &mut lines {
        let is_meant = |cut: Line<'_>| {
            let is_label = label.is_none_or(|label| label_of(&cut) == label.as_bytes());
            is_label && *logins.written(cut.login) == *domain::folded(login)
        };
        if Line::cut(line.content()).is_some_and(is_meant) {
            line.remove();
            removed += 1;
        }
    }
    (join(text, &lines, std::iter::empty()), removed)
}

/// The app passwords of a login, in the order of the file.
pub fn of(text: &[u8], logins: &LineLogins, rules: &PasswordRules, login: &[u8]) -> Vec<App> {
    let login = domain::folded(login);
    let lines = raw_lines(text);
    let cut = lines.iter().enumerate();
    let cut = cut.filter_map(|(at, line)| Some((at + 1, Line::cut(line.content())?)));
    cut.filter(|(_, line)| logins.written(line.login) == login)
        .map(|(number, line)| {
            let read = credential(&line, rules);
            let found = read.as_ref().ok().and_then(Option::as_ref);
            let now = std::time::SystemTime::now();
            App {
                line: number,
                label: String::from_utf8_lossy(label_of(&line)).into_owned(),
                scheme: found.map(|found| found.secret.scheme()),
                limits: limits_of(&line),
                expired: found.is_some_and(|found| found.expires.is_some_and(|end| end <= now)),
                problem: match &read {
                    Ok(Some(_)) => None,
                    Ok(None) => Some("it is locked".to_owned()),
                    Err(flaw) => Some(flaw.kind.to_string()),
                },
            }
        })
        .collect()
}

/// The login of every line, in the form in which it is looked up.
pub fn logins(text: &[u8], logins: &LineLogins) -> Vec<Vec<u8>> {
    let lines = raw_lines(text);
    let cut = lines.iter().filter_map(|line| Line::cut(line.content()));
    cut.map(|line| logins.written(line.login).into_owned())
        .collect()
}

fn label_of<'a>(line: &Line<'a>) -> &'a [u8] {
    line.field(1)
}

fn limits_of(line: &Line<'_>) -> Vec<String> {
    let limits = String::from_utf8_lossy(line.fields_from(2)).into_owned();
    limits.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
