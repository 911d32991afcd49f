//! A password file in use: the loaded version, and how the next one is read.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use super::rehash::{self, Rehashing};
use super::{AppPasswords, FileStore, Settings};
use crate::login::Login;
use crate::secret::{Password, Secret};
use crate::sys::Lifetime;
use crate::sys::problem::Problem;
use crate::sys::trusted_file::ObservedFiles;
use crate::sys::trusted_file::{Secrecy, fingerprint, read_trusted};
use crate::users::{Account, Decoy, Question, StoreError, UserStore};

/// The maximum size of a password file in bytes: ten million users with long hashes.
pub const MAX_USERS_FILE_BYTES: u64 = 2 << 30;

/// A password file and its app passwords. A new version can replace the loaded one.
pub struct UsersFile {
    settings: Settings,
    opened: ObservedFiles,
    /// Why no version was loaded when it was opened.
    lack: String,
    current: RwLock<Option<Arc<FileStore>>>,
    rehashing: Arc<Rehashing>,
}

/// The result of reading a password file and its app passwords.
pub struct FileContents {
    /// The identity and version of the files when they were read; `None` for a missing file.
    pub files: ObservedFiles,
    /// The files that may be incomplete: those whose last line has no line feed, and an empty password file.
    pub unfinished: Vec<PathBuf>,
    /// The users, with their app passwords if these are usable; or all problems.
    pub users: Result<FileStore, Vec<Problem>>,
    /// The problems of the app passwords. Users can be loaded without them.
    pub apps: Vec<Problem>,
}

impl FileContents {
    /// Reads the files.
    pub fn of(settings: &Settings, lifetime: Lifetime) -> Self {
        let mut reading = Self {
            files: Vec::new(),
            unfinished: Vec::new(),
            users: Err(Vec::new()),
            apps: Vec::new(),
        };
        reading.users = reading.read(settings, lifetime);
        reading
    }

    /// Users and app passwords together; or all problems.
    pub fn whole(self) -> Result<FileStore, Vec<Problem>> {
        let mut problems = self.apps;
        match self.users {
            Ok(store) if problems.is_empty() => Ok(store),
            Ok(_) => Err(problems),
            Err(mut all) => {
                all.append(&mut problems);
                Err(all)
            }
        }
    }

    /// Whether the users may be incomplete: then nothing is loaded. Incomplete app passwords do not prevent
    /// loading the users.
    pub fn has_unfinished_users(&self, settings: &Settings) -> bool {
        self.unfinished.contains(&settings.path)
    }

    fn read(&mut self, settings: &Settings, lifetime: Lifetime) -> Result<FileStore, Vec<Problem>> {
        let mut warnings = Vec::new();
        let users = self.bytes(&settings.path, &mut warnings);
        let empty = users.as_ref().is_ok_and(Vec::is_empty);
        // Read even if the other file is unusable: both are watched from then on.
        let apps = settings.app_passwords.as_deref();
        let apps = apps.map(|path| (path, self.bytes(path, &mut warnings)));
        let mut store = match lifetime {
            Lifetime::OneRequest => FileStore::lazy(users?, settings),
            Lifetime::Server => FileStore::load(users?, settings),
        }?;
        if !store.has_users() {
            warnings.push(Problem::new(&settings.path, NO_USER));
        }
        if let Some((path, bytes)) = apps {
            match app_passwords(settings, path, bytes, lifetime) {
                Ok(apps) => {
                    warnings.extend_from_slice(apps.warnings());
                    store = store.with_app_passwords(Arc::new(apps));
                }
                Err(problems) => self.apps = problems,
            }
        }
        let unfinished = self.unfinished.iter();
        warnings.extend(unfinished.map(|path| Problem::new(path, NO_LINE_FEED)));
        if empty {
            self.unfinished.push(settings.path.clone());
        }
        Ok(store.with_warnings(warnings))
    }

    fn bytes(&mut self, path: &Path, warnings: &mut Vec<Problem>) -> Result<Vec<u8>, Problem> {
        let read = read_trusted(path, MAX_USERS_FILE_BYTES, Secrecy::Secret);
        let seen = match &read {
            Ok(read) => Some(read.fingerprint.clone()),
            Err(_) => fingerprint(path).ok(),
        };
        self.files.push((path.to_owned(), seen));
        let read = read?;
        warnings.extend(read.exposure);
        warnings.extend(read.service);
        if is_unfinished(&read.bytes) {
            self.unfinished.push(path.to_owned());
        }
        Ok(read.bytes)
    }
}

fn app_passwords(
    settings: &Settings,
    path: &Path,
    bytes: Result<Vec<u8>, Problem>,
    lifetime: Lifetime,
) -> Result<AppPasswords, Vec<Problem>> {
    let (path, rules) = (path.to_owned(), settings.rules());
    match lifetime {
        Lifetime::OneRequest => AppPasswords::lazy(bytes?, path, rules, &settings.logins),
        Lifetime::Server => AppPasswords::load(bytes?, path, rules, &settings.logins),
    }
}

/// The message about a password file without users. It is a warning if the file has whole lines, such as a
/// comment: the administrator has removed the last user. At the start it is an error for an empty file.
pub const NO_USER: &str = "the file has no users";

/// The message about a file that ends in the middle of a line.
pub const NO_LINE_FEED: &str = "the last line has no line feed: after a change, such a file is \
    loaded only when its size has not changed for 10 s";

/// Whether the last line may be incomplete.
pub fn is_unfinished(bytes: &[u8]) -> bool {
    bytes.last().is_some_and(|last| *last != b'\n')
}

impl UsersFile {
    /// A file with this content, in this state of the files.
    pub fn new(settings: &Settings, store: FileStore, files: ObservedFiles) -> Self {
        Self {
            settings: settings.clone(),
            opened: files,
            lack: String::new(),
            current: RwLock::new(Some(Arc::new(store))),
            rehashing: Arc::default(),
        }
    }

    /// A file that was unusable for this reason, in this state of the files.
    pub fn unusable(settings: &Settings, files: ObservedFiles, why: String) -> Self {
        Self {
            settings: settings.clone(),
            opened: files,
            lack: why,
            current: RwLock::new(None),
            rehashing: Arc::default(),
        }
    }

    /// The settings of the file.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The state of the files when it was opened.
    pub fn opened(&self) -> &ObservedFiles {
        &self.opened
    }

    /// The loaded version, if there is one.
    pub fn current(&self) -> Option<Arc<FileStore>> {
        let current = self.current.read();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A secret that matches nothing, for an unknown login.
    pub fn decoy_for(&self, login: &Login) -> Secret {
        let current = self.current();
        current.map_or_else(Secret::dummy, |store| store.decoy_for(login))
    }

    /// Replaces the loaded version.
    pub fn replace(&self, store: FileStore) {
        let new = Some(Arc::new(store));
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, new);
        drop(current);
        // Without the lock: wiping the old version may take a moment.
        drop(old);
    }
}

impl UserStore for UsersFile {
    fn find(&self, asked: &Question<'_>) -> Result<Option<Account>, StoreError> {
        match self.current() {
            Some(store) => store.find(asked),
            None => Err(StoreError::Unavailable(self.lack.clone())),
        }
    }

    fn host_field(&self) -> String {
        format!("{}: host=", self.settings.path.display())
    }

    fn decoy(&self, asked: &Question<'_>) -> Decoy {
        Decoy::Secret(self.decoy_for(asked.login))
    }

    fn note_right(&self, asked: &Question<'_>, stored: &Secret, password: &Password) {
        // A process that answers one request ends before the password would be stored.
        if self.current().is_some_and(|store| !store.is_lazy()) {
            rehash::start(
                &self.rehashing,
                &self.settings,
                asked.login,
                stored,
                password,
            );
        }
    }
}
