//! Watches the folders on the way to files: their owners and modes decide whether the files are
//! trusted, and a change there does not change the files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::sys::trusted_file::{Identity, identify};

/// The folders on the way to the files of one loader.
#[derive(Default)]
pub(super) struct Folders {
    /// Their state at the last check; `None` for one that could not be read.
    seen: Mutex<BTreeMap<PathBuf, Option<Identity>>>,
    /// Whether a check is in progress: a file system may never answer.
    looking: AtomicBool,
}

impl Folders {
    /// Checks the folders on the way to these files: whether the owner or the mode of one, or the
    /// folder itself, changed since the last check. A folder that was not checked before counts as
    /// unchanged; while another check is in progress, all do.
    pub(super) fn look<'a>(&self, files: impl Iterator<Item = &'a Path>) -> bool {
        let Some(found) = self.find(files) else {
            return false;
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = found
            .iter()
            .any(|(folder, now)| seen.get(folder).is_some_and(|before| before != now));
        *seen = found;
        changed
    }

    /// Records the folders on the way to these files that were not checked before.
    pub(super) fn add<'a>(&self, files: impl Iterator<Item = &'a Path>) {
        let found = self.find(files).unwrap_or_default();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (folder, now) in found {
            seen.entry(folder).or_insert(now);
        }
    }

    /// The current state of the folders; `None` while another check is in progress.
    fn find<'a>(
        &self,
        files: impl Iterator<Item = &'a Path>,
    ) -> Option<BTreeMap<PathBuf, Option<Identity>>> {
        if self.looking.swap(true, Ordering::SeqCst) {
            return None;
        }
        let mut found = BTreeMap::new();
        for file in files {
            note(file, &mut found);
            // The folders on the way to a link's target count too.
            if let Ok(real) = file.canonicalize() {
                note(&real, &mut found);
            }
        }
        self.looking.store(false, Ordering::SeqCst);
        Some(found)
    }
}

/// Adds the folders above a file, from the nearest up to one that is known.
fn note(file: &Path, found: &mut BTreeMap<PathBuf, Option<Identity>>) {
    for folder in file.ancestors().skip(1) {
        if folder.as_os_str().is_empty() || found.contains_key(folder) {
            return;
        }
        found.insert(folder.to_owned(), identify(folder).ok());
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_changed_mode_of_any_folder_on_the_way_is_seen_once() {
        let top = std::env::temp_dir().join(format!("nma-folders-{}", std::process::id()));
        let (below, elsewhere) = (top.join("a/b"), top.join("real/c"));
        for folder in [&below, &elsewhere] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(elsewhere.join("file"), "x").unwrap();
        symlink(elsewhere.join("file"), below.join("link")).unwrap();
        let (link, gone) = (below.join("link"), top.join("none/file"));
        let folders = Folders::default();
        let look = || folders.look([&*link, &*gone].into_iter());
        assert!(!look(), "new folders have not changed");
        fs::write(below.join("another"), "x").unwrap();
        assert!(!look(), "a new file changes nothing");
        for folder in [&below, &top.join("a"), &elsewhere, &top.join("real")] {
            fs::set_permissions(folder, Permissions::from_mode(0o700)).unwrap();
            assert!(look(), "{}", folder.display());
            assert!(!look(), "{}", folder.display());
        }
        fs::create_dir(top.join("none")).unwrap();
        assert!(look() && !look());
        fs::set_permissions(&below, Permissions::from_mode(0o750)).unwrap();
        folders.looking.store(true, Ordering::SeqCst);
        assert!(!look(), "another look hangs");
        folders.looking.store(false, Ordering::SeqCst);
        assert!(look());
        fs::remove_dir_all(top).unwrap();
    }
}
