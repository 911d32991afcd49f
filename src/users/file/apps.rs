//! App passwords in a file: `login:{SCHEME}hash:label:extra fields`, any number of lines a login.
//!
//! The extra fields are `protocols=imap,smtp`, `allow_nets=192.0.2.0/24` and `expires=2027-01-31`.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hasher as _};
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::index::{self, Index};
use super::line::{Flaw, FlawKind, Line, PasswordRules};
use super::problems::Flaws;
use super::{LineLogins, keyed_hasher, lines, text_of};
use crate::login::Login;
use crate::login::domain;
use crate::sys::problem::Problem;
use crate::users::MAX_APP_PASSWORDS;
use crate::users::{Credential, limits};

/// The maximum length of a label.
pub(super) const MAX_LABEL_BYTES: usize = 64;

/// The problem of the line that makes all app passwords of its login invalid.
const TOO_MANY: Flaw = Flaw {
    at: 0,
    kind: FlawKind::Structure("the login has more than 31 app passwords, and none of them counts"),
};
const _: () = assert!(MAX_APP_PASSWORDS == 31);

/// The app passwords of a file's users. The password file defines the users: a login that is only in this
/// file has no account.
pub struct AppPasswords {
    path: PathBuf,
    rules: PasswordRules,
    logins: LineLogins,
    bytes: Zeroizing<Vec<u8>>,
    keyed: DefaultHasher,
    /// `None`: the file is searched when a login is looked up.
    index: Option<Index>,
    warnings: Vec<Problem>,
}

impl AppPasswords {
    /// Checks every line and makes an index of the logins. An unusable line is a warning, up to a bound, and
    /// is skipped.
    pub fn load(
        bytes: Vec<u8>,
        path: PathBuf,
        rules: impl Into<PasswordRules>,
        logins: &LineLogins,
    ) -> Result<Self, Vec<Problem>> {
        let mut apps = Self::lazy(bytes, path, rules, logins)?;
        let mut flaws = Flaws::default();
        let mut entries = Vec::new();
        for (number, (offset, text)) in lines(&apps.bytes).enumerate() {
            let Some(line) = Line::cut(text) else {
                continue;
            };
            let written = apps.logins.written(line.login);
            entries.push(index::entry(apps.hash(&written), offset as u32));
            match credential(&line, &apps.rules) {
                Ok(found) => {
                    let nets = found.as_ref().and_then(|app| app.allow_nets.as_deref());
                    flaws.host_bits(&apps.path, number + 1, nets);
                    let asked = apps.logins.asked(line.login);
                    let unreachable_login = apps.logins.unreachable_login(line.login, &asked);
                    flaws.unreachable_login(&apps.path, number + 1, unreachable_login);
                }
                Err(flaw) => flaws.add(&apps.path, number + 1, &flaw),
            }
        }
        entries.sort_unstable();
        let surplus = apps.surplus(&entries);
        if !surplus.is_empty() {
            for (number, (offset, _)) in lines(&apps.bytes).enumerate() {
                if surplus.contains(&offset) {
                    flaws.add(&apps.path, number + 1, &TOO_MANY);
                }
            }
        }
        apps.index = Some(Index::of_sorted(&entries));
        apps.warnings = flaws.finish(&apps.path);
        Ok(apps)
    }

    /// Checks no line, and searches the file when a login is looked up. A file without any line is valid.
    pub fn lazy(
        bytes: Vec<u8>,
        path: PathBuf,
        rules: impl Into<PasswordRules>,
        logins: &LineLogins,
    ) -> Result<Self, Vec<Problem>> {
        let bytes = text_of(bytes, &path)?;
        Ok(Self {
            keyed: keyed_hasher(&bytes),
            path,
            rules: rules.into(),
            logins: logins.clone(),
            bytes,
            index: None,
            warnings: Vec::new(),
        })
    }

    /// The first line of each login that makes all app passwords of its login invalid.
    fn surplus(&self, entries: &[u64]) -> BTreeSet<usize> {
        let mut surplus = BTreeSet::new();
        let same_hash = |a: &u64, b: &u64| index::hash_of(*a) == index::hash_of(*b);
        let many = |chunk: &&[u64]| chunk.len() > MAX_APP_PASSWORDS;
        for entries in entries.chunk_by(same_hash).filter(many) {
            let mut numbers = BTreeMap::new();
            for offset in entries.iter().map(|entry| index::offset_of(*entry)) {
                let rest = self.bytes.get(offset..).unwrap_or_default();
                let text = lines(rest).next().map_or(&[][..], |(_, text)| text);
                let counts = |line: &Line<'_>| matches!(credential(line, &self.rules), Ok(Some(_)));
                let Some(line) = Line::cut(text).filter(counts) else {
                    continue;
                };
                let number = numbers
                    .entry(self.logins.written(line.login).into_owned())
                    .or_insert(0);
                *number += 1;
                if *number == MAX_APP_PASSWORDS + 1 {
                    surplus.insert(offset);
                }
            }
        }
        surplus
    }

    /// Problems of single lines, which are unusable.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The app passwords of a login, in the order of the file. An unusable one is skipped, because the user
    /// has others; the reason is returned too.
    pub(super) fn of(&self, login: &Login) -> (Vec<Credential>, Option<String>) {
        let login = domain::folded(login.as_bytes());
        let mut found = Vec::new();
        let mut unusable = None;
        let mut too_many = false;
        let mut take = |offset: usize, text: &[u8]| {
            let is_its = |line: &Line<'_>| self.logins.written(line.login) == login;
            let Some(line) = Line::cut(text).filter(is_its) else {
                return;
            };
            if too_many {
                return;
            }
            match credential(&line, &self.rules) {
                Ok(credential) => found.extend(credential),
                Err(flaw) => {
                    unusable.get_or_insert_with(|| self.at_line(offset, &flaw));
                }
            }
            if found.len() > MAX_APP_PASSWORDS {
                unusable = Some(self.at_line(offset, &TOO_MANY));
                too_many = true;
                found.clear();
            }
        };
        match &self.index {
            Some(index) => {
                for offset in index.with_hash(self.hash(&login)) {
                    let rest = self.bytes.get(offset..).unwrap_or_default();
                    let text = lines(rest).next().map_or(&[][..], |(_, text)| text);
                    take(offset, text);
                }
            }
            None => {
                for (offset, text) in lines(&self.bytes) {
                    take(offset, text);
                }
            }
        }
        (found, unusable)
    }

    fn at_line(&self, offset: usize, flaw: &Flaw) -> String {
        let before = self.bytes.get(..offset).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = flaw.at + 1;
        format!("{}:{line}:{column}: {}", self.path.display(), flaw.kind)
    }

    fn hash(&self, login: &[u8]) -> u32 {
        let mut hasher = self.keyed.clone();
        hasher.write(login);
        (hasher.finish() >> 32) as u32
    }
}

/// Parses a line; `Ok(None)` if its password field is locked.
pub(super) fn credential(
    line: &Line<'_>,
    rules: &PasswordRules,
) -> Result<Option<Credential>, Flaw> {
    let rest = line.checked_rest()?;
    let start = line.login.len() + 1;
    let structure = |at, what| Flaw {
        at,
        kind: FlawKind::Structure(what),
    };
    let mut fields = rest.splitn(3, |byte| *byte == b':');
    let stored = fields.next().unwrap_or_default();
    let label_at = start + stored.len() + 1;
    let Some(label) = fields.next() else {
        return Err(structure(start, "no label follows the password"));
    };
    let label = str::from_utf8(label)
        .ok()
        .filter(|label| (1..=MAX_LABEL_BYTES).contains(&label.len()))
        .filter(|label| !label.chars().any(char::is_control))
        .ok_or_else(|| structure(label_at, "the label is not 1 to 64 bytes of plain text"))?;
    let (mut protocols, mut allow_nets, mut expires, mut ends) = (None, None, None, false);
    let mut at = label_at + label.len() + 1;
    let extra = fields.next().unwrap_or_default();
    for field in extra.split(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
        let flaw = |what| structure(at, what);
        let text = str::from_utf8(field).map_err(|_| flaw("this extra field is not UTF-8"))?;
        let is_there = match text.split_once('=') {
            Some(("protocols", _)) => protocols.is_some(),
            Some(("allow_nets", _)) => allow_nets.is_some(),
            Some(("expires", _)) => ends,
            _ => false,
        };
        if is_there {
            return Err(flaw("this extra field is present twice"));
        }
        match text.split_once('=') {
            Some(("protocols", list)) => {
                let read = limits::protocols(list);
                protocols = Some(read.ok_or_else(|| flaw("protocols are imap, pop3 and smtp"))?);
            }
            Some(("allow_nets", list)) => {
                let read = limits::networks(list);
                allow_nets = Some(read.ok_or_else(|| {
                    flaw(
                        "allow_nets is not a list of \
                    networks",
                    )
                })?);
            }
            Some(("expires", end)) => {
                ends = true;
                expires = limits::expiry(end).map_err(|bad| flaw(bad.of_field()))?;
            }
            None if text.is_empty() => {}
            // A misspelt limit must not be ignored.
            _ => {
                return Err(flaw(
                    "extra fields are protocols=, allow_nets= and expires=",
                ));
            }
        }
        at += field.len() + 1;
    }
    let secret = line.secret(rules);
    let secret = secret.map_err(|error| line.flaw_of(error))?;
    Ok(secret.map(|secret| Credential {
        secret,
        label: Some(label.to_owned()),
        protocols,
        allow_nets,
        expires,
    }))
}

#[cfg(test)]
mod tests;
