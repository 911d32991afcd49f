//! A password file for each domain: `users/{domain}`.
//!
//! A server lists the folder and uses each name that is a domain in canonical form: no byte of a client
//! becomes part of a path. Under CGI, only the file of the login's domain is read, and only after the domain
//! has passed a strict check: letters, digits, and single hyphens and dots between them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{read_dir, symlink_metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use super::{FileContents, FileStore, MAX_PROBLEMS, Settings, UsersFile, and_more};
use crate::login::Login;
use crate::login::domain;
use crate::secret::{Password, Secret};
use crate::sys::Lifetime;
use crate::sys::problem::Problem;
use crate::sys::trusted_file::path::{FolderRule, TrustedPath};
use crate::sys::trusted_file::{Fingerprint, Identity, unlocated, unreadable};
use crate::users::{Account, Decoy, Question, StoreError, UserStore};

mod pattern;

pub use pattern::Pattern;

/// The maximum number of files.
const MAX_DOMAINS: usize = 100_000;
/// The maximum number of files without users that the search for a decoy skips.
const MAX_REPORTED_NAMES: usize = 64;
/// The same under CGI, where each of these files must be read.
const MAX_READ: usize = 8;

/// Password files of domains as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainSettings {
    /// The path of the files.
    pub pattern: Pattern,
    /// How each file is read. Its `path` is that of the pattern.
    pub each: Settings,
}

impl DomainSettings {
    /// The file of a domain; `None` if no file can have that name.
    fn of(&self, domain: &str) -> Option<Settings> {
        Some(Settings {
            path: self.pattern.path(domain)?,
            logins: self.each.logins.of_domain(domain),
            ..self.each.clone()
        })
    }

    /// The file of a login as a user types it, whether it exists or not; or why there can be none.
    pub fn file_of(&self, typed: &[u8]) -> Result<Settings, String> {
        let path = self.pattern.whole().display();
        let login = self.each.logins.meant(typed);
        let at = login.iter().rposition(|byte| *byte == b'@');
        let domain = at.map(|at| &login[at + 1..]).unwrap_or_default();
        let plain = str::from_utf8(domain).ok();
        match plain.filter(|plain| domain::is_plain(plain.as_bytes())) {
            Some(domain) => {
                let too_long = || format!("{path}: the domain is too long for the name of a file");
                self.of(domain).ok_or_else(too_long)
            }
            None => Err(format!(
                "{path} has files for domains, and the login has none"
            )),
        }
    }

    /// The present files, by their domains.
    pub fn present(&self) -> Result<Vec<Settings>, Problem> {
        let files = DomainFiles::unread(self, Lifetime::Server);
        let mut domains = files.names()?.domains;
        domains.sort_unstable();
        let present = domains
            .iter()
            .filter(|domain| files.version(domain).is_some());
        Ok(present.filter_map(|domain| self.of(domain)).collect())
    }

    /// The settings of a file, if it is one of these.
    pub fn settings_of(&self, file: &Path) -> Option<Settings> {
        self.pattern.leads_to(file).then_some(())?;
        let name = file.strip_prefix(self.pattern.folder()).ok()?;
        let name = name.components().next()?;
        let domain = self.domain_of(name.as_os_str().as_bytes()).ok()?;
        self.of(domain)
    }

    /// The domain of a name in the folder, or why no login can belong to it.
    fn domain_of<'a>(&self, name: &'a [u8]) -> Result<&'a str, String> {
        let written = self.pattern.domain_in(name).unwrap_or_default();
        let canonical = domain::canonical(written);
        let plain = str::from_utf8(written).ok();
        let plain = plain.filter(|plain| domain::is_plain(plain.as_bytes()));
        match plain {
            Some(plain) if !self.each.logins.keep_domain(plain.as_bytes()) => Err(
                "[logins] rewrites all logins of this domain, so no login is looked up in this file"
                    .to_owned(),
            ),
            Some(plain) => Ok(plain),
            None if domain::is_plain(&canonical) => Err(format!(
                "logins have this domain as {:?}, so no login is looked up in this file: rename it \
                to that",
                String::from_utf8_lossy(&canonical)
            )),
            None => Err("its name is not a domain, so no login is looked up in it".to_owned()),
        }
    }
}

/// Decides whether the file of a domain must be read again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Version {
    /// The file itself.
    pub(crate) file: Option<Fingerprint>,
    /// The folders between the listed one and the file.
    pub(crate) folders: Vec<Identity>,
    /// The path has a link, or cannot be examined: the file must be read.
    pub(crate) unsure: bool,
}

/// The names in the folder.
#[derive(Default)]
struct Names {
    domains: Vec<Box<str>>,
    /// Files that no login can belong to, and why, up to a bound.
    unusable: BTreeMap<OsString, String>,
    more: usize,
}

/// The files in the folder.
pub(crate) struct Listing {
    pub(crate) files: BTreeMap<Box<str>, Version>,
    /// Messages about the skipped files.
    pub(crate) unusable_names: Vec<Problem>,
}

/// The password files of domains.
pub struct DomainFiles {
    settings: DomainSettings,
    lifetime: Lifetime,
    files: RwLock<BTreeMap<Box<str>, Arc<UsersFile>>>,
    warnings: Vec<Problem>,
    broken: Vec<Problem>,
}

impl DomainFiles {
    /// Lists the folder and reads all files, for a server. An unusable file affects its own domain only.
    /// Under CGI, nothing is read before a login is looked up.
    pub fn open(settings: &DomainSettings, lifetime: Lifetime) -> Result<Self, Problem> {
        let mut files = Self::unread(settings, lifetime);
        if lifetime == Lifetime::Server {
            files.read_all()?;
        }
        Ok(files)
    }

    fn unread(settings: &DomainSettings, lifetime: Lifetime) -> Self {
        Self {
            settings: settings.clone(),
            lifetime,
            files: RwLock::default(),
            warnings: Vec::new(),
            broken: Vec::new(),
        }
    }

    fn read_all(&mut self) -> Result<(), Problem> {
        let mut names = self.names()?;
        names.domains.sort_unstable();
        let folder = self.settings.pattern.whole().to_owned();
        self.warnings = self.name_problems(names.unusable, names.more);
        if names.domains.is_empty() {
            let message = "no file of a domain was found, so this store accepts no login";
            self.warnings.push(Problem::new(&folder, message));
        }
        let (mut warnings, mut broken) = (Vec::new(), Vec::new());
        let mut files = BTreeMap::new();
        for domain in names.domains {
            let Some(settings) = self.settings.of(&domain) else {
                continue;
            };
            if self.version(&domain).is_none() {
                continue;
            }
            let (file, problems) = read(&settings, self.lifetime);
            broken.extend(problems);
            if let Some(store) = file.current() {
                warnings.extend_from_slice(store.warnings());
            }
            files.insert(domain, Arc::new(file));
        }
        self.warnings.extend(first_of(warnings, &folder));
        self.broken = first_of(broken, &folder);
        self.files = RwLock::new(files);
        Ok(())
    }

    /// As configured.
    pub fn settings(&self) -> &DomainSettings {
        &self.settings
    }

    /// Warnings from the time when the files were opened, up to a bound.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The files that were unusable when they were opened, up to a bound: their logins get the temporary
    /// failure.
    pub fn broken(&self) -> &[Problem] {
        &self.broken
    }

    /// All present files.
    pub fn all(&self) -> Vec<(Box<str>, Arc<UsersFile>)> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        let both = files.iter();
        both.map(|(domain, file)| (domain.clone(), Arc::clone(file)))
            .collect()
    }

    /// The number of files and users, in words.
    pub fn summary(&self) -> String {
        let all = self.all();
        let users = all.iter().filter_map(|(_, file)| file.current());
        let users: usize = users.map(|store| store.users()).sum();
        let path = self.settings.pattern.whole().display();
        format!("{path}: {} domains, {users} users", all.len())
    }

    /// A file of a domain without a valid version; its logins get the temporary failure until a valid version
    /// is read. `None` if no file can have that name.
    pub(crate) fn add(&self, domain: &str) -> Option<Arc<UsersFile>> {
        let settings = self.settings.of(domain)?;
        let why = format!("{}: it is new and not loaded yet", settings.path.display());
        let not_there = vec![(settings.path.clone(), None)];
        let file = Arc::new(UsersFile::unusable(&settings, not_there, why));
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        files.insert(domain.into(), Arc::clone(&file));
        Some(file)
    }

    /// Removes a domain: its logins are unknown from now on.
    pub(crate) fn remove(&self, domain: &str) {
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        let old = files.remove(domain);
        drop(files);
        // Without the lock: wiping the old version may take a moment.
        drop(old);
    }

    /// Examines the folder and each file.
    pub(crate) fn list(&self) -> Result<Listing, Problem> {
        let names = self.names()?;
        let version = |domain: Box<str>| Some((self.version(&domain)?, domain));
        let files = names.domains.into_iter().filter_map(version);
        Ok(Listing {
            files: files.map(|(version, domain)| (domain, version)).collect(),
            unusable_names: self.name_problems(names.unusable, names.more),
        })
    }

    /// The domains in the folder, in no order.
    fn names(&self) -> Result<Names, Problem> {
        let pattern = &self.settings.pattern;
        let folder = pattern.folder();
        let place = TrustedPath::of_folder(folder, FolderRule::Private)
            .map_err(|fault| unlocated(folder, fault))?;
        let failed = |error: io::Error| unreadable(folder, &error);
        let mut names = Names::default();
        for entry in read_dir(&place.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            // Names that begin with `.`, and files that editors and tools leave behind, are ignored.
            let aside = matches!(name.as_bytes(), [b'.' | b'#', ..] | [.., b'~']);
            if aside || pattern.domain_in(name.as_bytes()).is_none() {
                continue;
            }
            let kind = entry.file_type().map_err(failed)?;
            if !kind.is_symlink() && kind.is_dir() != pattern.goes_below() {
                continue;
            }
            match self.settings.domain_of(name.as_bytes()) {
                Ok(domain) => names.domains.push(domain.into()),
                Err(why) => {
                    names.unusable.insert(name, why);
                    if names.unusable.len() > MAX_PROBLEMS {
                        names.unusable.pop_last();
                        names.more += 1;
                    }
                }
            }
            if names.domains.len() > MAX_DOMAINS {
                let message = format!("holds more than {MAX_DOMAINS} files of domains");
                return Err(Problem::new(folder, message));
            }
        }
        Ok(names)
    }

    /// One problem for each unusable name.
    fn name_problems(&self, names: BTreeMap<OsString, String>, more: usize) -> Vec<Problem> {
        let folder = self.settings.pattern.folder();
        let mut said: Vec<_> = names
            .into_iter()
            .map(|(name, why)| Problem::new(folder.join(name), why))
            .collect();
        said.extend(and_more(folder, more));
        said
    }

    /// The present file of a domain; `None` if it does not exist or is a folder.
    fn version(&self, domain: &str) -> Option<Version> {
        let mut version = Version::default();
        let mut steps = self.settings.pattern.steps(domain);
        let mut path = steps.next()?;
        loop {
            let found = match symlink_metadata(&path) {
                Ok(found) => found,
                Err(error) => {
                    use io::ErrorKind::{NotADirectory, NotFound};
                    let gone = matches!(error.kind(), NotFound | NotADirectory);
                    version.unsure = true;
                    return (!gone).then_some(version);
                }
            };
            version.unsure |= found.is_symlink();
            match steps.next() {
                Some(next) => {
                    version.folders.push(Identity::of_metadata(&found));
                    path = next;
                }
                None if found.is_dir() => return None,
                None => {
                    version.file = Some(Fingerprint::of_metadata(&found));
                    return Some(version);
                }
            }
        }
    }

    /// The file of a domain in canonical form, if it exists; under CGI the file is read here.
    fn file(&self, domain: &[u8]) -> Option<Arc<UsersFile>> {
        let domain = str::from_utf8(domain).ok()?;
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        let known = files.get(domain).cloned();
        drop(files);
        if known.is_some() || self.lifetime == Lifetime::Server {
            return known;
        }
        if !domain::is_plain(domain.as_bytes()) {
            return None;
        }
        let settings = self.settings.of(domain)?;
        self.version(domain)?;
        let (file, _) = read(&settings, self.lifetime);
        let file = Arc::new(file);
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        files.insert(domain.into(), Arc::clone(&file));
        Some(file)
    }

    /// A decoy among the users of the domain, or of the next domain in alphabetical order that has users:
    /// every process chooses the same one.
    fn near(&self, domain: &[u8]) -> Option<Arc<FileStore>> {
        let has_users = |file: Arc<UsersFile>| file.current().filter(|store| store.has_users());
        if let Some(own) = self.file(domain).and_then(has_users) {
            return Some(own);
        }
        if self.lifetime == Lifetime::OneRequest {
            let mut names = self.names().ok()?.domains;
            names.sort_unstable();
            let at = names.partition_point(|name| name.as_bytes() < domain);
            names.rotate_left(at);
            let mut next = names.iter().take(MAX_READ);
            return next.find_map(|name| self.file(name.as_bytes()).and_then(has_users));
        }
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        let domain: Box<str> = String::from_utf8_lossy(domain).into();
        let before = files.range(..domain.clone());
        let next = files.range(domain..).chain(before);
        let mut next = next.take(MAX_REPORTED_NAMES);
        next.find_map(|(_, file)| has_users(Arc::clone(file)))
    }
}

/// Reads a file; the problems say why it is unusable.
fn read(settings: &Settings, lifetime: Lifetime) -> (UsersFile, Vec<Problem>) {
    let reading = FileContents::of(settings, lifetime);
    let files = reading.files.clone();
    match reading.whole() {
        Ok(store) => (UsersFile::new(settings, store, files), Vec::new()),
        Err(problems) => {
            let why = problems.first().map(Problem::to_string);
            let file = UsersFile::unusable(settings, files, why.unwrap_or_default());
            (file, problems)
        }
    }
}

/// The first of these problems, and the number of the others.
pub(crate) fn first_of(mut problems: Vec<Problem>, file: &Path) -> Vec<Problem> {
    let more = problems.len().saturating_sub(MAX_PROBLEMS);
    problems.truncate(MAX_PROBLEMS);
    problems.extend(and_more(file, more));
    problems
}

/// The domain of a login after the rules of `[logins]`; empty without one.
fn domain_of(login: &Login) -> &[u8] {
    let bytes = login.as_bytes();
    let at = bytes.iter().rposition(|byte| *byte == b'@');
    at.and_then(|at| bytes.get(at + 1..)).unwrap_or_default()
}

impl UserStore for DomainFiles {
    fn find(&self, asked: &Question<'_>) -> Result<Option<Account>, StoreError> {
        match self.file(domain_of(asked.login)) {
            Some(file) => file.find(asked),
            None => Ok(None),
        }
    }

    fn note_right(&self, asked: &Question<'_>, stored: &Secret, password: &Password) {
        if let Some(file) = self.file(domain_of(asked.login)) {
            file.note_right(asked, stored, password);
        }
    }

    fn host_field(&self) -> String {
        format!("{}: host=", self.settings.pattern.whole().display())
    }

    fn decoy(&self, asked: &Question<'_>) -> Decoy {
        let near = self.near(domain_of(asked.login));
        Decoy::Secret(near.map_or_else(Secret::dummy, |store| store.decoy_for(asked.login)))
    }
}

#[cfg(test)]
mod tests;
