//! What the checks of all tables use: it collects problems, and reads the values that many tables have.

use std::fmt::Display;
use std::num::NonZeroU16;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};

use toml::Spanned;
use zeroize::Zeroizing;

use super::source::Source;
use super::{FileUse, MAX_KEY_FILE_BYTES, NamedFile};
use crate::login::rules::LoginRules;
use crate::route::AllowedNetworks;
use crate::sys::problem::Problem;
use crate::sys::trusted_file::{Fingerprint, Secrecy, read_trusted};
use crate::users::file::is_unfinished;
use crate::users::placeholder::Flaw;

#[cfg(feature = "servers")]
mod authorities;
#[cfg(feature = "servers")]
mod local_port;
mod networks;

/// What is said of a key that must be there.
pub(super) const MISSING: &str = "is missing";

/// Collects problems. Where there is one, its functions give some value that would do, so that
/// the rest can be checked too.
pub(super) struct Checker<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    pub(super) advice: Vec<Problem>,
    pub(super) files: Vec<(PathBuf, Fingerprint)>,
    pub(super) unfinished: Vec<PathBuf>,
    pub(super) named: Vec<NamedFile>,
    /// `limits.max-hash-ms`.
    pub(super) max_hash_ms: u32,
    /// Whether the file itself has a secret.
    pub(super) holds_secret: bool,
    /// Where mail servers may be.
    pub(super) allowed: AllowedNetworks,
    /// The rules of `[logins]` that have been checked so far.
    pub(super) rules: LoginRules,
    /// Where a key belongs that stands in a table whose names the administrator chooses, if it is one of
    /// another table.
    pub(super) misplaced: &'a dyn Fn(&[&str], &str) -> Option<String>,
    /// The keys that unknown keys were meant for.
    pub(super) meant: Vec<String>,
}

impl Checker<'_> {
    //-------- Files ---------------------------------------------------------

    pub(super) fn path(
        &mut self,
        key: &str,
        table: &Range<usize>,
        path: Option<&Spanned<String>>,
    ) -> Option<PathBuf> {
        match path {
            None => self.report(table, key, MISSING),
            Some(path) if path.get_ref().is_empty() => {
                self.report(&path.span(), key, "must not be empty");
            }
            Some(path) => {
                let span = path.span();
                let path = self.beside(path.get_ref());
                self.name(key, &span, &path, FileUse::Read);
                return Some(path);
            }
        }
        None
    }

    /// A folder in which files are made and written.
    pub(super) fn folder(&mut self, key: &str, path: Option<&Spanned<String>>) -> Option<PathBuf> {
        let path = path?;
        let folder = self.path(key, &path.span(), Some(path))?;
        self.name(key, &path.span(), &folder, FileUse::Write);
        Some(folder)
    }

    /// Notes that the configuration names something, whether or not it can be used.
    pub(super) fn name(&mut self, key: &str, span: &Range<usize>, path: &Path, usage: FileUse) {
        self.named.push(NamedFile {
            path: path.to_owned(),
            usage,
            position: self.source.position(span.start),
            key: key.to_owned(),
        });
    }

    /// Paths are relative to the configuration file.
    pub(super) fn beside(&self, path: &str) -> PathBuf {
        match self.source.path.parent() {
            Some(folder) => folder.join(path),
            None => PathBuf::from(path),
        }
    }

    /// The first line of a file that holds a secret. The file is watched from then on.
    pub(super) fn first_line(
        &mut self,
        key: &str,
        file: &Spanned<String>,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = self.secret_file(key, file)?;
        let line = bytes
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        Some(Zeroizing::new(line.to_vec()))
    }

    /// The content of a file that holds a secret. The file is watched from then on.
    pub(super) fn secret_file(
        &mut self,
        key: &str,
        file: &Spanned<String>,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let path = self.path(key, &file.span(), Some(file))?;
        match read_trusted(&path, MAX_KEY_FILE_BYTES, Secrecy::Secret) {
            Err(problem) => {
                self.report(&file.span(), key, problem.to_string());
                None
            }
            Ok(trusted) => {
                if is_unfinished(&trusted.bytes) {
                    self.unfinished.push(path.clone());
                }
                self.files.push((path, trusted.fingerprint));
                self.warnings.extend(trusted.exposure);
                self.warnings.extend(trusted.service);
                Some(Zeroizing::new(trusted.bytes))
            }
        }
    }

    //-------- Values --------------------------------------------------------

    pub(super) fn port(&mut self, key: &str, port: &Spanned<i64>) -> NonZeroU16 {
        let number = self.number(key, port, 1..=u16::MAX);
        NonZeroU16::new(number).unwrap_or(NonZeroU16::MIN)
    }

    /// A text that is not empty.
    pub(super) fn non_empty(&mut self, key: &str, text: &Spanned<String>) -> Option<String> {
        if text.get_ref().is_empty() {
            self.report(&text.span(), key, "must not be empty");
            return None;
        }
        Some(text.get_ref().clone())
    }

    /// The meaning of one of some words; that of the first after an unknown word.
    pub(super) fn word<T: Copy>(
        &mut self,
        key: &str,
        word: &Spanned<String>,
        words: &[(&str, T)],
    ) -> Option<T> {
        let found = words.iter().find(|(known, _)| known == word.get_ref());
        if found.is_none() {
            let known: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            let message = format!(
                "must be one of {}, not {:?}",
                known.join(", "),
                word.get_ref()
            );
            self.report(&word.span(), key, message);
        }
        found.or(words.first()).map(|(_, meaning)| *meaning)
    }

    /// The number, or the least that is allowed.
    pub(super) fn number<T>(
        &mut self,
        key: &str,
        number: &Spanned<i64>,
        range: RangeInclusive<T>,
    ) -> T
    where
        T: TryFrom<i64> + PartialOrd + Display + Copy,
    {
        match T::try_from(*number.get_ref()) {
            Ok(checked) if range.contains(&checked) => checked,
            _ => {
                let (number, span) = (number.get_ref(), number.span());
                let message = format!(
                    "must be from {} to {}, not {number}",
                    range.start(),
                    range.end()
                );
                self.report(&span, key, message);
                *range.start()
            }
        }
    }

    //-------- Reports -------------------------------------------------------

    pub(super) fn report(&mut self, span: &Range<usize>, key: &str, message: impl Into<String>) {
        let problem = self.source.problem(span, Some(key.to_owned()), message);
        self.problems.push(problem);
    }

    /// Reports what is wrong with a text at its position in the text.
    pub(super) fn report_flaw(&mut self, key: &str, text: &Spanned<String>, flaw: &Flaw) {
        let span = text.span();
        let place = match flaw.place() {
            Some(byte) => self.source.in_string(&span, byte),
            None => span.start,
        };
        self.report(&(place..span.end), key, flaw.to_string());
    }

    pub(super) fn warn(&mut self, span: &Range<usize>, key: &str, message: impl Into<String>) {
        let problem = self.source.problem(span, Some(key.to_owned()), message);
        self.warnings.push(problem);
    }

    #[cfg(feature = "servers")]
    pub(super) fn advise(&mut self, span: &Range<usize>, key: &str, message: impl Into<String>) {
        let problem = self.source.problem(span, Some(key.to_owned()), message);
        self.advice.push(problem);
    }
}
