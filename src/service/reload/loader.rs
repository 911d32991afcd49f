//! A loader: a unit that is loaded as a whole, either the configuration with its keys or a password
//! file with its app passwords.
//!
//! Each loader has its own version and is loaded independently: a database that does not answer, a
//! file system that hangs or a file that keeps changing delays only its own loader.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::folders::Folders;
use super::freshness::{Freshness, WatchedFile};
use crate::sys::problem::Problem;
use crate::sys::trusted_file::Fingerprint;
use crate::users::file::{MAX_PROBLEMS, and_more};

/// The interval after which a failed load is repeated even if no file changed: it may depend on a
/// file that it never reached.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// After how long a slow load is logged, and another may begin.
const SLOW: Duration = Duration::from_secs(5);

/// The maximum number of hanging loads of one loader. Each has a thread.
const MAX_HANGING: usize = 4;

/// The files of one loader, and the state of loading them.
pub(super) struct Loader {
    /// Its name in the log.
    name: PathBuf,
    folders: Folders,
    state: Mutex<State>,
}

struct State {
    files: Vec<Arc<WatchedFile>>,
    /// The checks and loads in progress, the oldest first.
    attempts: Vec<Attempt>,
    /// The number of the latest attempt.
    last: u64,
    /// The number of the latest attempt that began to load.
    loading: u64,
    /// When the latest load began.
    tried: Instant,
    /// A load is due soon: a file has just changed.
    waiting: bool,
    /// A load is due although nothing has changed.
    asked: bool,
    problems: Vec<Problem>,
    /// The first of the latest problems, also if they are repaired, and when it was found.
    last_error: Option<(Instant, String)>,
    /// The files that have been reported as incomplete.
    unfinished: Vec<PathBuf>,
}

struct Attempt {
    number: u64,
    since: Instant,
    reported: bool,
}

/// A check, and possibly a load, in progress. It ends on drop.
pub(super) struct LoadRun<'a> {
    loader: &'a Loader,
    number: u64,
}

/// The result of a load.
pub(super) enum Outcome {
    /// The new version is in use; more about it for the log.
    Loaded(String),
    /// These files may be half-written: they count once they have not changed for a while.
    Unfinished(Vec<PathBuf>),
    /// All problems.
    Failed(Vec<Problem>),
}

impl Loader {
    /// A loader with these loaded files.
    pub(super) fn new(name: PathBuf, files: Vec<(PathBuf, Option<Fingerprint>)>) -> Self {
        let now = Instant::now();
        let watched = |(path, seen)| Arc::new(WatchedFile::new(path, seen, now));
        Self {
            name,
            folders: Folders::default(),
            state: Mutex::new(State {
                files: files.into_iter().map(watched).collect(),
                attempts: Vec::new(),
                last: 0,
                loading: 0,
                tried: now,
                waiting: false,
                asked: false,
                problems: Vec::new(),
                last_error: None,
                unfinished: Vec::new(),
            }),
        }
    }

    /// Causes a load at the next turn, although nothing has changed, and reports problems again.
    pub(super) fn ask(&self) {
        let mut state = self.state();
        state.asked = true;
        state.problems.clear();
        state.unfinished.clear();
    }

    /// The same, if something was wrong at the last load.
    pub(super) fn ask_if_in_trouble(&self) {
        let trouble = {
            let state = self.state();
            !state.problems.is_empty() || !state.unfinished.is_empty()
        };
        if trouble {
            self.ask();
        }
    }

    /// Whether a load is due soon or in progress.
    pub(super) fn is_busy(&self) -> bool {
        let state = self.state();
        let hangs = |attempt: &Attempt| attempt.since.elapsed() >= SLOW;
        let working = state.attempts.iter().any(|attempt| !hangs(attempt));
        working || (state.waiting || state.asked) && state.attempts.len() < MAX_HANGING
    }

    /// Whether all is well: the current version is that of the last check.
    pub(super) fn is_quiet(&self) -> bool {
        let state = self.state();
        let in_trouble = !state.problems.is_empty() || !state.unfinished.is_empty();
        !in_trouble && !state.waiting && !state.asked && state.attempts.is_empty()
    }

    /// The problems of the last load.
    pub(super) fn problems(&self) -> Vec<Problem> {
        self.state().problems.clone()
    }

    /// The latest problem, also if it is repaired, and when it was found.
    pub(super) fn last_error(&self) -> Option<(Instant, String)> {
        self.state().last_error.clone()
    }

    /// Whether the last load failed.
    pub(super) fn has_failed(&self) -> bool {
        !self.state().problems.is_empty()
    }

    /// Begins a check; `None` while another is in progress. One that hangs is logged, and no longer
    /// waited for.
    pub(super) fn enter(&self) -> Option<LoadRun<'_>> {
        let mut slow = false;
        let run = {
            let mut state = self.state();
            for attempt in &mut state.attempts {
                if attempt.since.elapsed() >= SLOW && !attempt.reported {
                    attempt.reported = true;
                    slow = true;
                }
            }
            let free = state.attempts.iter().all(|attempt| attempt.reported);
            (free && state.attempts.len() < MAX_HANGING).then(|| {
                state.last += 1;
                let number = state.last;
                state.attempts.push(Attempt {
                    number,
                    since: Instant::now(),
                    reported: false,
                });
                LoadRun {
                    loader: self,
                    number,
                }
            })
        };
        if slow {
            log::error!(
                "{}: loading takes longer than {} s; the previous version stays in force, and \
                 other files are loaded meanwhile",
                self.name.display(),
                SLOW.as_secs()
            );
        }
        run
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LoadRun<'_> {
    /// Checks the files; returns whether they must be loaded now.
    pub(super) fn is_due(&self) -> bool {
        // A check may never end, so no lock is held.
        let files = self.loader.state().files.clone();
        let looks: Vec<_> = files.iter().map(|file| file.look()).collect();
        let moved = self
            .loader
            .folders
            .look(files.iter().map(|file| file.path()));
        let mut state = self.loader.state();
        // Incomplete files count once they have not changed for a while.
        let complete = |path: &PathBuf| {
            let mut files = files.iter();
            files.any(|file| file.path() == path && file.is_complete())
        };
        let unfinished = !state.unfinished.is_empty();
        let completed = unfinished && state.unfinished.iter().all(complete);
        let overdue = !state.problems.is_empty() && state.tried.elapsed() >= TRY_AGAIN;
        state.asked |= moved;
        state.waiting = looks.contains(&Freshness::Fresh);
        if state.waiting {
            return false;
        }
        let due = looks.contains(&Freshness::Ready) || state.asked || completed || overdue;
        if due {
            state.asked = false;
            state.loading = self.number;
            state.tried = Instant::now();
            files.iter().for_each(|file| file.load());
        }
        due
    }

    /// Whether one of these files may be half-written.
    pub(super) fn still_unfinished(&self, unfinished: Vec<PathBuf>) -> Vec<PathBuf> {
        let files = self.loader.state().files.clone();
        let complete = |path: &PathBuf| {
            let known = files.iter().find(|file| file.path() == path);
            match known {
                Some(file) => file.is_complete(),
                None => WatchedFile::found(path.clone()).is_complete(),
            }
        };
        unfinished
            .into_iter()
            .filter(|path| !complete(path))
            .collect()
    }

    /// Whether these are the versions of the last check; if not, they may be half-written and are
    /// checked again.
    pub(super) fn match_last_check<'a>(
        &self,
        read: impl Iterator<Item = (&'a Path, &'a Fingerprint)>,
    ) -> bool {
        let mut state = self.loader.state();
        let mut all = true;
        for (path, version) in read {
            let file = state.files.iter().find(|file| file.path() == path);
            if let Some(file) = file.filter(|file| !file.is(version)) {
                file.put_off();
                all = false;
            }
        }
        state.waiting |= !all;
        all
    }

    /// Whether its result is still needed: no other turn has begun to load since.
    pub(super) fn is_wanted(&self) -> bool {
        self.loader.state().loading == self.number
    }

    /// Sets its files.
    pub(super) fn watch(&self, files: Vec<(PathBuf, Option<Fingerprint>)>) {
        let folders = files.iter().map(|(path, _)| path.as_path());
        self.loader.folders.add(folders);
        let now = Instant::now();
        let mut state = self.loader.state();
        let mut watched: Vec<Arc<WatchedFile>> = Vec::new();
        for (path, seen) in files {
            if watched.iter().any(|file| file.path() == path) {
                continue;
            }
            let known = state.files.iter().find(|file| file.path() == path);
            watched.push(match known {
                Some(known) => {
                    known.loaded(seen);
                    Arc::clone(known)
                }
                None => Arc::new(WatchedFile::new(path, seen, now)),
            });
        }
        state.files = watched;
    }

    /// Records the result of a load, and logs it if it is new.
    pub(super) fn report(&self, outcome: Outcome, kept: &str) {
        self.news(outcome, kept).log();
    }

    /// Records the result of a load; returns the news about it.
    pub(super) fn news(&self, outcome: Outcome, kept: &str) -> LoadLog {
        let mut news = LoadLog::default();
        let mut state = self.loader.state();
        let mut more = String::new();
        let (problems, unfinished) = match outcome {
            Outcome::Loaded(what) => {
                state.files.iter().for_each(|file| file.accept());
                more = what;
                (Vec::new(), Vec::new())
            }
            Outcome::Unfinished(files) => (Vec::new(), files),
            Outcome::Failed(problems) => (problems, Vec::new()),
        };
        if let Some(first) = problems.first() {
            state.last_error = Some((Instant::now(), first.to_string()));
        }
        if problems != state.problems {
            news.errors
                .extend(problems.iter().map(|it| format!("{it}; {kept}")));
        }
        if unfinished != state.unfinished {
            let unfinished = unfinished.iter().map(|path| {
                format!(
                    "{}: its last line has no line feed, or it is empty, so it may still be \
                     being written: it is loaded when its size has not changed for 10 s; {kept}",
                    path.display()
                )
            });
            news.warnings.extend(unfinished);
        }
        (state.problems, state.unfinished) = (problems, unfinished);
        if state.problems.is_empty() && state.unfinished.is_empty() {
            let name = self.loader.name.display();
            news.loaded.push(match more.is_empty() {
                true => format!("{name}: loaded"),
                false => format!("{name}: loaded; {more}"),
            });
        }
        news
    }

    /// Whether no other check has begun since.
    pub(super) fn is_last(&self) -> bool {
        self.loader.state().last == self.number
    }
}

/// News about loads, for the log.
#[derive(Default)]
pub(super) struct LoadLog {
    errors: Vec<String>,
    warnings: Vec<String>,
    loaded: Vec<String>,
}

impl LoadLog {
    /// Adds other news.
    pub(super) fn add(&mut self, mut other: Self) {
        self.errors.append(&mut other.errors);
        self.warnings.append(&mut other.warnings);
        self.loaded.append(&mut other.loaded);
    }

    /// Logs it.
    pub(super) fn log(self) {
        self.loaded.iter().for_each(|text| log::info!("{text}"));
        self.errors.iter().for_each(|text| log::error!("{text}"));
        self.warnings.iter().for_each(|text| log::warn!("{text}"));
    }

    /// Logs the first of it, and how many more there are about `what`.
    pub(super) fn log_bounded(mut self, what: &Path) {
        for list in [&mut self.errors, &mut self.warnings, &mut self.loaded] {
            let more = list.len().saturating_sub(MAX_PROBLEMS);
            list.truncate(MAX_PROBLEMS);
            if let Some(more) = and_more(what, more) {
                list.push(more.to_string());
            }
        }
        self.log();
    }
}

impl Drop for LoadRun<'_> {
    fn drop(&mut self) {
        let mut state = self.loader.state();
        let number = self.number;
        let position = state
            .attempts
            .iter()
            .position(|attempt| attempt.number == number);
        let attempt = position.map(|position| state.attempts.remove(position));
        drop(state);
        if let Some(attempt) = attempt.filter(|attempt| attempt.reported) {
            log::warn!(
                "{}: a load that hung has ended after {} s",
                self.loader.name.display(),
                attempt.since.elapsed().as_secs()
            );
        }
    }
}

#[cfg(test)]
mod tests;
