//! Decides when a changed file may be loaded.
//!
//! A file that is written in place is half-written for a moment, and a half-written file can look
//! complete. The end of writing cannot be detected, so the time since the last change decides.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::sys::trusted_file::{Fingerprint, fingerprint};

/// How long a file must be unchanged.
pub(super) const SETTLED: Duration = Duration::from_millis(300);

/// The maximum wait for a file that keeps changing.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How long a file without a final line feed must keep its size: its last line may be half-written.
pub(super) const COMPLETE: Duration = Duration::from_secs(10);

/// A file with its observed states.
pub(super) struct WatchedFile {
    path: PathBuf,
    seen: Mutex<Observed>,
    /// Whether a check is in progress: a file system may never answer.
    looking: AtomicBool,
}

#[derive(Clone)]
struct Observed {
    /// Its state when it was last loaded, with or without success; `None` if it did not exist.
    loaded: Option<Fingerprint>,
    /// Its state at the last check.
    last: Option<Fingerprint>,
    /// Since when it differs from the loaded state.
    changed: Option<Instant>,
    /// Since when it has its size, if it has changed.
    sized: Instant,
    /// Whether the loaded state is in use.
    good: bool,
    /// Its state when the version in use was loaded.
    in_force: Option<Fingerprint>,
}

/// The next step for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Freshness {
    /// None: it is unchanged.
    Same,
    /// It has changed and can be loaded.
    Ready,
    /// It has just changed and must be checked again.
    Fresh,
}

impl WatchedFile {
    /// A file that was loaded in this state.
    pub(super) fn new(path: PathBuf, loaded: Option<Fingerprint>, now: Instant) -> Self {
        Self {
            path,
            looking: AtomicBool::new(false),
            seen: Mutex::new(Observed {
                last: loaded.clone(),
                in_force: loaded.clone(),
                loaded,
                changed: None,
                sized: now,
                good: true,
            }),
        }
    }

    /// A file that has not been loaded, in its current state.
    pub(super) fn found(path: PathBuf) -> Self {
        let seen = fingerprint(&path).ok();
        let file = Self::new(path, seen, Instant::now());
        file.seen().in_force = None;
        file
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Checks the file. While another check is in progress, the file counts as unchanged.
    pub(super) fn look(&self) -> Freshness {
        if self.looking.swap(true, Ordering::SeqCst) {
            return Freshness::Same;
        }
        let found = fingerprint(&self.path).ok();
        let mut seen = self.seen();
        seen.note(found, Instant::now());
        let freshness = seen.freshness(Instant::now(), SystemTime::now());
        drop(seen);
        self.looking.store(false, Ordering::SeqCst);
        freshness
    }

    /// Notes that it is being loaded in the state of the last check.
    pub(super) fn load(&self) {
        let mut seen = self.seen();
        seen.loaded = seen.last.clone();
        seen.changed = None;
    }

    /// Whether this version is that of the last check.
    pub(super) fn is(&self, version: &Fingerprint) -> bool {
        self.seen().last.as_ref() == Some(version)
    }

    /// Notes that it was not loaded.
    pub(super) fn put_off(&self) {
        self.seen().loaded = None;
    }

    /// Notes that the loaded state is in use.
    pub(super) fn accept(&self) {
        let mut seen = self.seen();
        seen.good = true;
        seen.in_force = seen.loaded.clone();
    }

    /// Notes that it was loaded in this state.
    pub(super) fn loaded(&self, loaded: Option<Fingerprint>) {
        let mut seen = self.seen();
        seen.note(loaded.clone(), Instant::now());
        seen.loaded = loaded;
        seen.changed = None;
    }

    /// Whether it has kept its size long enough to be complete, or its content is in use already.
    pub(super) fn is_complete(&self) -> bool {
        let now = SystemTime::now();
        let seen = self.seen();
        let last = seen.last.as_ref();
        seen.sized.elapsed() >= COMPLETE
            || last.is_some_and(|last| !last.is_fresh(now, COMPLETE))
            || seen.has_content_in_force()
    }

    fn seen(&self) -> MutexGuard<'_, Observed> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observed {
    fn has_content_in_force(&self) -> bool {
        let both = self.last.as_ref().zip(self.in_force.as_ref());
        both.is_some_and(|(last, in_force)| last.has_content_of(in_force))
    }

    fn note(&mut self, found: Option<Fingerprint>, now: Instant) {
        let same_size = match (&found, &self.last) {
            (Some(found), Some(last)) => found.has_size_of(last),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let is_new = found != self.loaded;
        // A file that is written in place can have the same size as before.
        if !same_size || is_new && std::mem::take(&mut self.good) {
            self.sized = now;
        }
        if is_new {
            self.changed.get_or_insert(now);
        } else {
            self.changed = None;
        }
        self.last = found;
    }

    fn freshness(&self, now: Instant, clock: SystemTime) -> Freshness {
        let Some(changed) = self.changed else {
            return Freshness::Same;
        };
        let is_fresh = |last: &Fingerprint| last.is_fresh(clock, SETTLED);
        let overdue = now.saturating_duration_since(changed) >= PATIENCE;
        match self.last.as_ref().is_some_and(is_fresh) && !overdue {
            true => Freshness::Fresh,
            false => Freshness::Ready,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let name = format!("nma-freshness-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_changed_file_is_ready_once_it_is_left_alone_or_was_long_waited_for() {
        let folder = folder("ready");
        let path = folder.join("file");
        fs::write(&path, "one\n").unwrap();
        let one = fingerprint(&path).ok();
        fs::write(&path, "two and more\n").unwrap();
        let two = fingerprint(&path).ok();
        let (start, clock) = (Instant::now(), SystemTime::now());
        let mut seen = Observed {
            loaded: one.clone(),
            last: one.clone(),
            changed: None,
            sized: start,
            good: true,
            in_force: one.clone(),
        };
        let mut see = |found: &Option<Fingerprint>, after: Duration, age: Duration| {
            seen.note(found.clone(), start + after);
            seen.freshness(start + after, clock + age)
        };
        let (zero, millis) = (Duration::ZERO, Duration::from_millis);
        assert_eq!(see(&one, zero, zero), Freshness::Same);
        assert_eq!(see(&two, zero, zero), Freshness::Fresh);
        assert_eq!(see(&two, zero, millis(400)), Freshness::Ready);
        // Touched again and again, so never older than it is now.
        assert_eq!(see(&two, millis(4900), zero), Freshness::Fresh);
        assert_eq!(see(&two, millis(5000), zero), Freshness::Ready);
        // Restored, and removed.
        assert_eq!(see(&one, millis(5000), zero), Freshness::Same);
        assert_eq!(see(&None, millis(5000), zero), Freshness::Ready);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_line_is_complete_when_nothing_was_added_for_long() {
        let folder = folder("complete");
        let path = folder.join("file");
        let version = |(text, seconds): (&str, u64)| {
            fs::write(&path, text).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            fs::File::open(&path).unwrap().set_modified(time).unwrap();
            fingerprint(&path).ok()
        };
        let [one, same_size, longer] = [("one", 1), ("two", 2), ("three", 3)].map(version);
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut seen = Observed {
            loaded: one.clone(),
            last: one.clone(),
            changed: None,
            sized: start,
            good: true,
            in_force: one.clone(),
        };
        for (found, at, sized) in [
            (&one, 20, 0),
            (&same_size, 30, 30),
            (&same_size, 31, 30),
            (&longer, 32, 32),
            // Touched.
            (&longer, 33, 32),
            (&None, 34, 34),
        ] {
            seen.note(found.clone(), after(at));
            assert_eq!(seen.sized, after(sized), "{at}");
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_that_nobody_answers_for_counts_as_unchanged() {
        let folder = folder("hangs");
        let path = folder.join("file");
        let file = WatchedFile::new(path.clone(), None, Instant::now());
        fs::write(&path, "one\n").unwrap();
        file.looking.store(true, Ordering::SeqCst);
        assert_eq!(file.look(), Freshness::Same);
        file.looking.store(false, Ordering::SeqCst);
        assert_ne!(file.look(), Freshness::Same);
        file.load();
        assert_eq!(file.look(), Freshness::Same);
        fs::remove_dir_all(folder).unwrap();
    }
}
