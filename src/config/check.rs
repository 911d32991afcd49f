//! [`File`] to [`Config`]: every rule that the types of the file do not hold, all of them at once.

use std::fmt::Display;
use std::num::{NonZeroU16, NonZeroUsize};
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use zeroize::Zeroizing;

use super::file::File;
use super::source::{Read, Source};
use super::{Config, MAX_KEY_FILE_BYTES, Named, StoreConfig, Use, UsersConfig};
use crate::login::rules::LoginRules;
use crate::route::{AllowedNetworks, Table};
use crate::secret::MAX_HASH_MS;
#[cfg(any(feature = "sql", feature = "ldap"))]
use crate::secret::{Accepted, WeakSchemes};
use crate::sys::problem::Problem;
use crate::sys::trusted_file::{Fingerprint, Secrecy, read_trusted};
use crate::users::file::is_unfinished;

mod answers;
#[cfg(feature = "tls")]
mod authorities;
#[cfg(feature = "tls")]
mod here;
mod hosts;
#[cfg(feature = "ldap")]
mod ldap;
mod logins;
mod methods;
mod nginx;
#[cfg(any(feature = "ldap", feature = "remote"))]
mod outgoing;
mod process;
#[cfg(feature = "remote")]
mod remote;
mod routes;
#[cfg(feature = "sql")]
mod sql;
mod throttle;
mod users;

/// Checks what could be read. `problems` are those of form, found before; they come back with all
/// others, in the order of their places. Where there are any, the configuration is not one to work
/// with, only one to look for more of them.
pub(super) fn check(
    source: &Source<'_>,
    read: Read,
    problems: Vec<Problem>,
) -> (Config, Vec<Problem>) {
    let form = problems.len();
    let Read {
        file,
        whole,
        broken,
        meant,
    } = read;
    let mut checker = Checker {
        source,
        problems,
        warnings: Vec::new(),
        advice: Vec::new(),
        files: Vec::new(),
        unfinished: Vec::new(),
        named: Vec::new(),
        max_hash_ms: MAX_HASH_MS,
        holds_secret: false,
        allowed: AllowedNetworks::default(),
        rules: LoginRules::default(),
        meant,
    };
    let config = checker.config(file, whole);
    // One fault, one message: what was taken out of the file is not missing besides.
    let mut found = checker.problems.split_off(form);
    found.retain(|problem| {
        let missing = problem.message.starts_with(MISSING);
        let taken_out = |other: &Problem| other.explains(problem);
        let meant = |key: &String| problem.is_about(key);
        let elsewhere =
            || checker.problems.iter().any(taken_out) || checker.meant.iter().any(meant);
        !(broken.has(problem) || missing && elsewhere())
    });
    checker.problems.append(&mut found);
    checker.warnings.retain(|warning| !broken.has(warning));
    checker.problems.sort_by_key(|problem| problem.place);
    let config = Config {
        warnings: checker.warnings,
        advice: checker.advice,
        files: checker.files,
        unfinished: checker.unfinished,
        named: checker.named,
        holds_secret: checker.holds_secret,
        ..config
    };
    (config, checker.problems)
}

/// What is said of a key that must be there.
const MISSING: &str = "is missing";

/// Collects problems. Where there is one, its functions give some value that would do, so that
/// the rest can be checked too.
struct Checker<'a> {
    source: &'a Source<'a>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    advice: Vec<Problem>,
    files: Vec<(PathBuf, Fingerprint)>,
    unfinished: Vec<PathBuf>,
    named: Vec<Named>,
    /// `limits.max-hash-ms`.
    max_hash_ms: u32,
    /// Whether a secret stands in the file itself.
    holds_secret: bool,
    /// Where mail servers may be.
    allowed: AllowedNetworks,
    /// What is made of logins, as far as it is known yet.
    rules: LoginRules,
    /// Keys that somebody meant by others.
    meant: Vec<String>,
}

impl Checker<'_> {
    fn config(&mut self, file: File, whole: bool) -> Config {
        let max_hash_ms = "limits.max-hash-ms";
        self.max_hash_ms = self.number(max_hash_ms, &file.limits.max_hash_ms, 1..=10_000);
        let logins = self.logins(&file.logins);
        let fronts = self.fronts(file.nginx);
        let vouched_for = !fronts.are_anybody();
        let any_users = !file.users.is_empty();
        let users = self.users(file.users);
        let routes = self.table(
            file.routes,
            file.hosts,
            &file.moves,
            &file.probes,
            &file.ports,
        );
        let inbound = self.inbound(&file.inbound, &users, &routes);
        if whole && !any_users {
            self.report(&(0..0), "users", "no [[users]]: nobody could log in");
        }
        if whole {
            self.complete(&users, &routes);
        }
        let master = self.master(file.master, &users);
        let oauth = self.oauth(&file.oauth);
        let codes = file.answers.codes;
        let messages = self.messages(file.messages, codes, oauth.sasl_error);
        Config {
            path: self.source.path.to_owned(),
            fronts,
            users,
            routes,
            messages,
            retry: self.retry(&file.answers, file.throttle.as_ref()),
            throttle: file
                .throttle
                .map(|throttle| self.throttle(throttle, vouched_for)),
            logins,
            master,
            external: self.external(&file.external),
            inbound,
            #[cfg(feature = "oauth")]
            oauth: oauth.config,
            deadline: Duration::from_secs(self.number(
                "limits.deadline",
                &file.limits.deadline,
                1..=30,
            )),
            remembered_logins: self.number(
                "limits.remembered-logins",
                &file.limits.remembered_logins,
                0..=10_000_000,
            ),
            hash_locks_place: file
                .limits
                .hash_locks
                .as_ref()
                .map(|folder| self.source.place(folder.span().start)),
            hash_locks: self.folder("limits.hash-locks", file.limits.hash_locks.as_ref()),
            log_level: self.level(&file.log),
            fastcgi: self.fastcgi(&file.fastcgi),
            socket: self.socket(&file.fastcgi),
            max_hashes: NonZeroUsize::new(self.number(
                "limits.max-hashes",
                &file.limits.max_hashes,
                0..=1024,
            )),
            max_hash_ms: self.max_hash_ms,
            sandbox: self.sandbox(&file.process),
            files: Vec::new(),
            unfinished: Vec::new(),
            named: Vec::new(),
            warnings: Vec::new(),
            advice: Vec::new(),
            holds_secret: false,
        }
    }

    /// Which stored secrets are taken.
    #[cfg(any(feature = "sql", feature = "ldap"))]
    fn accepted(&self, allow_weak: bool) -> Accepted {
        Accepted {
            weak: match allow_weak {
                true => WeakSchemes::Allowed,
                false => WeakSchemes::Refused,
            },
            max_ms: self.max_hash_ms,
        }
    }

    /// What must be there; not asked of a file that could be read in part only.
    fn complete(&mut self, users: &[UsersConfig], routes: &Table) {
        let hosts_from_store = users
            .iter()
            .any(|users| !matches!(users.store, StoreConfig::Accept));
        // Why there is none has been said, if one could not be read.
        let of_route = |key: &String| key.starts_with("routes") || key.starts_with("hosts");
        let mut keys = self
            .problems
            .iter()
            .filter_map(|problem| problem.key.as_ref());
        if !routes.has_routes() && !hosts_from_store && !keys.any(of_route) {
            self.report(
                &(0..0),
                "routes",
                "no route: nobody would get to a mail server",
            );
        }
    }

    //-------- Files ---------------------------------------------------------

    fn path(
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
                self.name(key, &span, &path, Use::Read);
                return Some(path);
            }
        }
        None
    }

    /// A folder in which files are made and written.
    fn folder(&mut self, key: &str, path: Option<&Spanned<String>>) -> Option<PathBuf> {
        let path = path?;
        let folder = self.path(key, &path.span(), Some(path))?;
        self.name(key, &path.span(), &folder, Use::Write);
        Some(folder)
    }

    /// Notes that the configuration names something, whether or not it can be used.
    fn name(&mut self, key: &str, span: &Range<usize>, path: &Path, usage: Use) {
        self.named.push(Named {
            path: path.to_owned(),
            usage,
            place: self.source.place(span.start),
            key: key.to_owned(),
        });
    }

    /// Paths are relative to the configuration file.
    fn beside(&self, path: &str) -> PathBuf {
        match self.source.path.parent() {
            Some(folder) => folder.join(path),
            None => PathBuf::from(path),
        }
    }

    /// The first line of a file that holds a secret. The file is watched from then on.
    fn first_line(&mut self, key: &str, file: &Spanned<String>) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = self.secret_file(key, file)?;
        let line = bytes
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        Some(Zeroizing::new(line.to_vec()))
    }

    /// The content of a file that holds a secret. The file is watched from then on.
    fn secret_file(&mut self, key: &str, file: &Spanned<String>) -> Option<Zeroizing<Vec<u8>>> {
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

    fn port(&mut self, key: &str, port: &Spanned<i64>) -> NonZeroU16 {
        let number = self.number(key, port, 1..=u16::MAX);
        NonZeroU16::new(number).unwrap_or(NonZeroU16::MIN)
    }

    /// One of some words, and what it stands for; the first of them where it is none.
    fn word<T: Copy>(
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
    fn number<T>(&mut self, key: &str, number: &Spanned<i64>, range: RangeInclusive<T>) -> T
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

    fn report(&mut self, span: &Range<usize>, key: &str, message: impl Into<String>) {
        let problem = self.source.problem(span, Some(key.to_owned()), message);
        self.problems.push(problem);
    }

    fn warn(&mut self, span: &Range<usize>, key: &str, message: impl Into<String>) {
        let problem = self.source.problem(span, Some(key.to_owned()), message);
        self.warnings.push(problem);
    }

    #[cfg(feature = "tls")]
    fn advise(&mut self, span: &Range<usize>, key: &str, message: impl Into<String>) {
        let problem = self.source.problem(span, Some(key.to_owned()), message);
        self.advice.push(problem);
    }
}
