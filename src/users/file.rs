//! `store = "file"`: a password file in Dovecot's passwd-file format, which includes htpasswd's.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use zeroize::Zeroizing;

use self::index::Index;
use self::line::{Flaw, FlawKind, Line};
use self::problems::Flaws;
use self::text::{keyed_hasher, lines, text_of};
use super::{Account, Decoy, Passwords, Question, StoreError, UserStore};
use crate::login::Likeness;
use crate::login::Login;
use crate::login::domain;
use crate::secret::Secret;
use crate::sys::problem::Problem;

pub mod app_edit;
mod apps;
pub mod domains;
pub mod edit;
pub mod entries;
mod index;
mod line;
mod line_logins;
mod problems;
mod rehash;
mod settings;
mod tally;
mod text;
mod users_file;

pub use apps::AppPasswords;
pub use line::PasswordRules;
pub use line_logins::LineLogins;
pub(crate) use problems::{MAX_PROBLEMS, and_more};
pub use rehash::Rehash;
pub use settings::Settings;
pub use tally::Tally;
pub use users_file::{
    FileContents, MAX_USERS_FILE_BYTES, NO_LINE_FEED, NO_USER, UsersFile, is_unfinished,
};

/// The maximum size of the file, because lines are found by offsets of 32 bits: 4 GiB, about 30 million
/// logins.
pub const MAX_FILE_BYTES: u64 = u32::MAX as u64;
/// The maximum number of host names that are kept for the check against `[hosts]`.
const MAX_HOST_NAMES: usize = 1000;
/// The maximum number of lines without a usable secret that the search for a decoy skips.
const MAX_PASSED_OVER: usize = 64;

/// The users of a password file.
///
/// The text is kept as it is; a line is parsed when its login is looked up. Logins are compared byte by byte,
/// their domains in canonical form; the case of local parts matters.
pub struct FileStore {
    path: PathBuf,
    rules: PasswordRules,
    logins: LineLogins,
    bytes: Zeroizing<Vec<u8>>,
    /// Hashes logins. It has absorbed a secret of the file, and is cloned for each login.
    keyed: DefaultHasher,
    lookup: Lookup,
    warnings: Vec<Problem>,
    host_names: BTreeMap<String, usize>,
    apps: Option<Arc<AppPasswords>>,
}

enum Lookup {
    Indexed(Index),
    /// The result of the only search, and its login.
    Scanned(Box<OnceLock<(Login, Scan)>>),
}

/// The result of one search through the whole file.
#[derive(Clone)]
struct Scan {
    lines: Lines,
    decoy: Option<Secret>,
}

/// The lines of one login.
#[derive(Clone, Copy)]
enum Lines {
    None,
    One(usize),
    /// The first two lines.
    Several([usize; 2]),
}

impl FileStore {
    /// Checks every line of a file and makes an index of the logins: for a process that answers many
    /// requests.
    ///
    /// An unusable line is a warning, up to a bound; its login is refused, as is a login on several lines.
    /// Other logins are not affected. An error only means that the whole file is unusable.
    pub fn load(bytes: Vec<u8>, settings: &Settings) -> Result<Self, Vec<Problem>> {
        let mut store = Self::new(bytes, settings)?;
        let mut flaws = Flaws::default();
        let mut entries = Vec::new();
        let mut host_names = BTreeMap::new();
        for (number, (offset, text)) in lines(&store.bytes).enumerate() {
            let Some(line) = Line::cut(text) else {
                continue;
            };
            let asked = store.logins.asked(line.login);
            entries.push(index::entry(store.hash(&asked), offset as u32));
            let unreachable_login = store.logins.unreachable_login(line.login, &asked);
            let unknown = |at, name: &[u8]| flaws.unknown(number + 1, at, name);
            match line.check(&store.rules, unknown) {
                Ok(account) => {
                    flaws.host_bits(&settings.path, number + 1, account.allow_nets.as_deref());
                    note_host(&mut host_names, account.host, number + 1);
                    flaws.unreachable_login(&settings.path, number + 1, unreachable_login);
                }
                Err(flaw) => flaws.add(&settings.path, number + 1, &flaw),
            }
        }
        entries.sort_unstable();
        store.find_duplicates(&entries, &mut flaws);
        store.warnings = flaws.finish(&settings.path);
        store.host_names = host_names;
        store.lookup = Lookup::Indexed(Index::of_sorted(&entries));
        Ok(store)
    }

    /// Checks no line, and searches the file when a login is looked up: for a process that answers one
    /// request, as under CGI.
    ///
    /// Errors in other lines remain unnoticed; an error in the line of the login is noted in the account.
    pub fn lazy(bytes: Vec<u8>, settings: &Settings) -> Result<Self, Vec<Problem>> {
        Self::new(bytes, settings)
    }

    /// Also accepts the passwords of this file, even for users whose own password is locked.
    #[must_use]
    pub fn with_app_passwords(self, apps: Arc<AppPasswords>) -> Self {
        Self {
            apps: Some(apps),
            ..self
        }
    }

    /// Also accepts the app passwords that another version of the file has.
    #[must_use]
    pub fn with_app_passwords_of(self, other: &Self) -> Self {
        Self {
            apps: other.apps.clone(),
            ..self
        }
    }

    /// Whether it serves one request only.
    fn is_lazy(&self) -> bool {
        matches!(self.lookup, Lookup::Scanned(_))
    }

    /// Adds warnings about the file as a whole, before all others.
    #[must_use]
    fn with_warnings(mut self, mut warnings: Vec<Problem>) -> Self {
        warnings.append(&mut self.warnings);
        Self { warnings, ..self }
    }

    /// Problems of the file as a whole, and of single lines. The logins of such lines are refused; the others
    /// are not affected.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The values of `host`, except addresses, each with the first line that has it; up to a bound. The
    /// configuration must define these hosts.
    pub fn host_names(&self) -> &BTreeMap<String, usize> {
        &self.host_names
    }

    /// The number of lines with a login.
    pub fn users(&self) -> usize {
        let cut = lines(&self.bytes).filter(|(_, text)| Line::cut(text).is_some());
        cut.count()
    }

    /// Whether the file has a user.
    pub fn has_users(&self) -> bool {
        lines(&self.bytes).any(|(_, text)| Line::cut(text).is_some())
    }

    fn new(bytes: Vec<u8>, settings: &Settings) -> Result<Self, Vec<Problem>> {
        let bytes = text_of(bytes, &settings.path)?;
        Ok(Self {
            path: settings.path.clone(),
            rules: settings.rules(),
            logins: settings.logins.clone(),
            keyed: keyed_hasher(&bytes),
            bytes,
            lookup: Lookup::Scanned(Box::default()),
            warnings: Vec::new(),
            host_names: BTreeMap::new(),
            apps: None,
        })
    }

    /// The account of a login; `Ok(None)` if the file does not have the login.
    pub fn account(&self, login: &Login) -> Result<Option<Account>, StoreError> {
        let mut account = match self.lines_of(login) {
            Lines::None => return Ok(None),
            Lines::One(offset) => {
                let Some(line) = self.line_at(offset) else {
                    return Ok(None);
                };
                let account = line.salvaged(&self.rules, |flaw| self.at_line(offset, flaw));
                if *self.logins.written(line.login) == *domain::folded(login.as_bytes()) {
                    account
                } else if account.has_usable_password() {
                    return Ok(None);
                } else {
                    // The line locks the user, who then has no app passwords in this file either.
                    return Ok(Some(Account {
                        likeness: Likeness::Same,
                        ..account
                    }));
                }
            }
            // Neither line counts: one of them may be meant to lock the user.
            Lines::Several([first, second]) => Account {
                unusable: Some(self.at_line(second, &self.twice(first))),
                ..Account::default()
            },
        };
        // Lines are found by the bytes of their login; only the spelling of its domain does not matter.
        account.likeness = Likeness::Same;
        if let (Some(apps), Passwords::Stored(credentials)) = (&self.apps, &mut account.passwords) {
            let (others, unusable) = apps.of(login);
            credentials.extend(others);
            account.unusable_password = account.unusable_password.or(unusable);
        }
        Ok(Some(account))
    }

    /// The secret of another user, chosen by the login. Every process chooses the same one as long as those
    /// lines stay the same. So an unknown login takes as long as some user of this file, and a client that
    /// does not know the file cannot tell which.
    pub fn decoy_for(&self, login: &Login) -> Secret {
        let secret = match &self.lookup {
            Lookup::Scanned(_) => self.scan(login).decoy,
            Lookup::Indexed(index) => index
                .around(self.hash(&domain::folded(login.as_bytes())))
                .take(MAX_PASSED_OVER)
                .find_map(|offset| self.line_at(offset)?.secret(&self.rules).ok()?),
        };
        secret.map_or_else(Secret::dummy, Secret::into_decoy)
    }

    /// The lines of this login.
    fn lines_of(&self, login: &Login) -> Lines {
        match &self.lookup {
            Lookup::Scanned(_) => self.scan(login).lines,
            Lookup::Indexed(index) => {
                let login = domain::folded(login.as_bytes());
                let is_its = |offset: &usize| {
                    let line = self.line_at(*offset);
                    line.is_some_and(|line| self.logins.asked(line.login) == login)
                };
                let hash = self.hash(&login);
                index
                    .with_hash(hash)
                    .filter(is_its)
                    .fold(Lines::None, Lines::and)
            }
        }
    }

    /// Searches the whole file, even after a match: an unknown login must not take longer than a known one.
    fn scan(&self, login: &Login) -> Scan {
        let Lookup::Scanned(last) = &self.lookup else {
            return self.scan_anew(login);
        };
        let (scanned, scan) = last.get_or_init(|| (login.clone(), self.scan_anew(login)));
        if scanned == login {
            scan.clone()
        } else {
            self.scan_anew(login)
        }
    }

    fn scan_anew(&self, login: &Login) -> Scan {
        let login = domain::folded(login.as_bytes());
        let wanted = self.hash(&login);
        let mut scan = Scan {
            lines: Lines::None,
            decoy: None,
        };
        let mut nearest = None;
        for (offset, text) in lines(&self.bytes) {
            let Some(line) = Line::cut(text) else {
                continue;
            };
            let asked = self.logins.asked(line.login);
            if asked == login {
                scan.lines = scan.lines.and(offset);
            }
            let distance = self.hash(&asked).wrapping_sub(wanted);
            if nearest.is_none_or(|nearest| distance < nearest)
                && let Ok(Some(secret)) = line.secret(&self.rules)
            {
                nearest = Some(distance);
                scan.decoy = Some(secret);
            }
        }
        scan
    }

    fn line_at(&self, offset: usize) -> Option<Line<'_>> {
        let (_, text) = lines(self.bytes.get(offset..)?).next()?;
        Line::cut(text)
    }

    /// The problem of the line at an offset, and its place.
    fn at_line(&self, offset: usize, flaw: &Flaw) -> String {
        let (line, column) = (self.line_number(offset), flaw.at + 1);
        format!("{}:{line}:{column}: {}", self.path.display(), flaw.kind)
    }

    /// The problem of a line whose login is already on an earlier line.
    fn twice(&self, first: usize) -> Flaw {
        Flaw {
            at: 0,
            kind: FlawKind::Twice {
                first: self.line_number(first),
            },
        }
    }

    fn line_number(&self, offset: usize) -> usize {
        let before = &self.bytes[..offset];
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// The hash of a login whose domain is in canonical form.
    fn hash(&self, login: &[u8]) -> u32 {
        let mut hasher = self.keyed.clone();
        hasher.write(login);
        (hasher.finish() >> 32) as u32
    }

    fn find_duplicates(&self, entries: &[u64], flaws: &mut Flaws) {
        let same_hash = |a: &u64, b: &u64| index::hash_of(*a) == index::hash_of(*b);
        let mut doubles = Vec::new();
        for entries in entries.chunk_by(same_hash).filter(|chunk| chunk.len() > 1) {
            let mut logins: Vec<(Cow<'_, [u8]>, usize)> = entries
                .iter()
                .map(|entry| index::offset_of(*entry))
                .filter_map(|offset| Some((self.logins.asked(self.line_at(offset)?.login), offset)))
                .collect();
            logins.sort_unstable();
            let same = logins.windows(2).filter(|pair| pair[0].0 == pair[1].0);
            doubles.extend(same.map(|pair| (pair[1].1, pair[0].1)));
        }
        doubles.sort_unstable();
        let (told, more) = doubles.split_at(doubles.len().min(MAX_PROBLEMS));
        for (second, first) in told {
            let line = self.line_number(*second);
            flaws.add(&self.path, line, &self.twice(*first));
        }
        // Counting lines needs a pass over the file up to this one.
        flaws.add_untold(more.len());
    }
}

impl Lines {
    /// Adds one more line.
    fn and(self, offset: usize) -> Self {
        match self {
            Self::None => Self::One(offset),
            Self::One(first) => Self::Several([first, offset]),
            Self::Several(_) => self,
        }
    }
}

fn note_host(host_names: &mut BTreeMap<String, usize>, host: Option<String>, line: usize) {
    if let Some(host) = host
        && host_names.len() < MAX_HOST_NAMES
        && host.parse::<IpAddr>().is_err()
    {
        host_names.entry(host).or_insert(line);
    }
}

impl UserStore for FileStore {
    fn find(&self, asked: &Question<'_>) -> Result<Option<Account>, StoreError> {
        self.account(asked.login)
    }

    fn host_field(&self) -> String {
        format!("{}: host=", self.path.display())
    }

    fn decoy(&self, asked: &Question<'_>) -> Decoy {
        Decoy::Secret(self.decoy_for(asked.login))
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
