//! Reloads the password files of domains while a server runs: new, changed and removed ones.
//!
//! Each file has its own loader, like other password files. There may be thousands, so a check of the
//! folder makes one system call for each; only files that changed, or that have a problem, are
//! checked further.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::freshness::SETTLED;
use super::loader::{LoadLog, Loader};
use super::{Inner, UsersLoader};
use crate::sys::problem::Problem;
use crate::users::file::domains::{DomainFiles, Listing, Version, first_of};

/// The loader of a folder with a file for each domain.
pub(super) struct FolderLoader {
    pub(super) store: Arc<DomainFiles>,
    loader: Loader,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<Box<str>, Tracked>,
    /// The last messages about the folder.
    reported: Vec<Problem>,
    /// The last messages about skipped names.
    ignored: Vec<Problem>,
}

struct Tracked {
    users: Arc<UsersLoader>,
    seen: Version,
    /// Since when it is missing.
    missing: Option<Instant>,
}

impl FolderLoader {
    pub(super) fn new(store: &Arc<DomainFiles>) -> Self {
        let mut state = State::default();
        for (domain, file) in store.all() {
            let opened = file.opened().first();
            let seen = Version {
                file: opened.and_then(|(_, version)| version.clone()),
                ..Version::default()
            };
            let users = Arc::new(UsersLoader::new(&file));
            if file.current().is_none() {
                // It is loaded again, and problems are reported if it has changed.
                users.loader.ask();
            }
            let tracked = Tracked {
                users,
                seen,
                missing: None,
            };
            state.files.insert(domain, tracked);
        }
        Self {
            loader: Loader::new(store.settings().pattern.whole().to_owned(), Vec::new()),
            store: Arc::clone(store),
            state: Mutex::new(state),
        }
    }

    /// Whether it has work soon or is working.
    pub(super) fn is_busy(&self) -> bool {
        let state = self.state();
        let busy = |file: &Tracked| file.missing.is_some() || file.users.loader.is_busy();
        self.loader.is_busy() || state.files.values().any(busy)
    }

    /// The problems of its files.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let state = self.state();
        let files = state.files.values();
        let of_files = files.flat_map(|file| file.users.loader.problems());
        state.reported.iter().cloned().chain(of_files).collect()
    }

    /// The latest problem of its files, and when it was found.
    pub(super) fn last_error(&self) -> Option<(Instant, String)> {
        let state = self.state();
        let files = state.files.values();
        files
            .filter_map(|file| file.users.loader.last_error())
            .max()
    }

    /// How many of its files could not be loaded.
    pub(super) fn failed(&self) -> usize {
        let state = self.state();
        let failed = |file: &&Tracked| file.users.loader.has_failed();
        usize::from(!state.reported.is_empty()) + state.files.values().filter(failed).count()
    }

    pub(super) fn ask_if_in_trouble(&self) {
        let mut state = self.state();
        state.reported.clear();
        let files = state.files.values();
        files.for_each(|file| file.users.loader.ask_if_in_trouble());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the content of the folder; returns the files that need a further check.
    fn note(&self, listing: Listing) -> Vec<Arc<UsersLoader>> {
        let mut due = Vec::new();
        let mut state = self.state();
        let State { files, ignored, .. } = &mut *state;
        if listing.unusable_names != *ignored {
            listing
                .unusable_names
                .iter()
                .for_each(|name| log::warn!("{name}"));
            *ignored = listing.unusable_names;
        }
        for (domain, file) in &mut *files {
            if listing.files.contains_key(domain) {
                file.missing = None;
            } else {
                file.missing.get_or_insert_with(Instant::now);
            }
        }
        // A file that is being replaced may be missing for a moment.
        let is_gone = |file: &Tracked| file.missing.is_some_and(|since| since.elapsed() >= SETTLED);
        let gone: Vec<_> = files.extract_if(.., |_, file| is_gone(file)).collect();
        for (domain, version) in listing.files {
            if let Some(file) = files.get_mut(&domain) {
                let moved = !file.seen.folders.is_empty() && file.seen.folders != version.folders;
                if moved {
                    file.users.loader.ask();
                }
                if version.unsure || version != file.seen || !file.users.loader.is_quiet() {
                    file.seen = version;
                    due.push(Arc::clone(&file.users));
                }
            } else if let Some(file) = self.store.add(&domain) {
                let users = Arc::new(UsersLoader::new(&file));
                due.push(Arc::clone(&users));
                let tracked = Tracked {
                    users,
                    seen: version,
                    missing: None,
                };
                files.insert(domain, tracked);
            }
        }
        drop(state);
        for (number, (domain, file)) in gone.iter().enumerate() {
            self.store.remove(domain);
            if number < crate::users::file::MAX_PROBLEMS {
                let path = file.users.file.settings().path.display();
                log::info!("{path}: the file was removed, and with it the users of the domain");
            }
        }
        due
    }
}

impl Inner {
    /// Checks a folder with files of domains, and loads those that changed.
    pub(super) fn load_domains(&self, folder: &FolderLoader) {
        let Some(run) = folder.loader.enter() else {
            return;
        };
        let listed = folder.store.list();
        if !run.is_last() {
            return;
        }
        let listing = match listed {
            Ok(listing) => listing,
            Err(problem) => {
                let problems = vec![problem];
                let mut state = folder.state();
                if state.reported != problems {
                    let kept = "the files of its domains stay in force as they are";
                    problems.iter().for_each(|it| log::error!("{it}; {kept}"));
                    state.reported = problems;
                }
                return;
            }
        };
        folder.state().reported.clear();
        let mut all = LoadLog::default();
        let mut warnings = Vec::new();
        for users in folder.note(listing) {
            if let Some(news) = self.load_users(&users, &mut warnings) {
                all.add(news);
            }
        }
        let whole = folder.store.settings().pattern.whole();
        for warning in first_of(warnings, whole) {
            log::warn!("{warning}");
        }
        all.log_bounded(whole);
    }
}
