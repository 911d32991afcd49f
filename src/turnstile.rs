//! Lets a bounded number of threads in at once, of one process or of all on this machine.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::num::NonZeroUsize;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

/// How long the others of this machine are left alone before the locks are tried again. The kernel
/// wakes nobody who waits for one of several locks.
const LOOK_AGAIN: Duration = Duration::from_millis(4);

/// Counts who is in. Password hashes are made to cost memory and time; without a bound, many
/// logins at once would use up the machine's.
#[derive(Debug)]
pub struct Turnstile {
    free: Mutex<usize>,
    freed: Condvar,
    /// One file for each place, where all processes of this machine share them.
    shared: Vec<Place>,
}

/// A place that all processes of this machine share.
#[derive(Debug)]
struct Place {
    file: File,
    /// Whether a thread of this process is in it, or tries to be. The kernel tells processes
    /// apart, not threads.
    taken: AtomicBool,
}

impl Place {
    /// `Ok(false)`: somebody is in it.
    fn take(&self) -> Result<bool, Errno> {
        if self.taken.swap(true, Ordering::Acquire) {
            return Ok(false);
        }
        let locked = match flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
            Err(error) => Err(error),
        };
        self.taken.store(false, Ordering::Release);
        locked
    }

    fn leave(&self) {
        if let Err(error) = flock(&self.file, FlockOperation::Unlock) {
            log::error!("cannot give a place for a password hash back: {error}");
        }
        self.taken.store(false, Ordering::Release);
    }
}

/// A place inside, given back on drop.
#[derive(Debug)]
#[must_use]
pub struct Turn<'a> {
    turnstile: &'a Turnstile,
    place: Option<&'a Place>,
}

impl Turnstile {
    /// A turnstile with that many places for the threads of this process.
    pub fn new(places: NonZeroUsize) -> Self {
        Self {
            free: Mutex::new(places.get()),
            freed: Condvar::new(),
            shared: Vec::new(),
        }
    }

    /// A turnstile with that many places for all processes that name the same folder. A file in it
    /// is made and locked for each place; the kernel gives it back when a process dies. The files
    /// stay.
    ///
    /// The folder must not be writable by everybody, who could take all places and keep them. Files
    /// that root makes belong to the owner of the folder, so that `check` does not shut the program
    /// out. The error names the file.
    pub fn shared(places: NonZeroUsize, folder: &Path) -> Result<Self, String> {
        let named = |path: &Path, what: &dyn fmt::Display| format!("{}: {what}", path.display());
        let owner = fs::metadata(folder).map_err(|error| named(folder, &error))?;
        if owner.mode() & 0o002 != 0 {
            return Err(named(folder, &"may be written by everybody: chmod o-w"));
        }
        let open = |number: usize| {
            let path = folder.join(format!("hash-{number}.lock"));
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o660)
                .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
                .open(&path)
                .map_err(|error| named(&path, &error))?;
            if rustix::process::geteuid().is_root() {
                fchown(&file, Some(owner.uid()), Some(owner.gid()))
                    .map_err(|error| named(&path, &error))?;
            }
            Ok(Place {
                file,
                taken: AtomicBool::new(false),
            })
        };
        let shared = (0..places.get()).map(open).collect::<Result<_, String>>()?;
        Ok(Self {
            shared,
            ..Self::new(places)
        })
    }

    /// Takes a place, or `None` if none came free by `deadline`. Who waits in this process gets
    /// places in no certain order; among processes likewise.
    pub fn enter(&self, deadline: Instant) -> Option<Turn<'_>> {
        let patience = deadline.saturating_duration_since(Instant::now());
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut free, _) = self
            .freed
            .wait_timeout_while(free, patience, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free = free.checked_sub(1)?;
        drop(free);
        let mut turn = Turn {
            turnstile: self,
            place: None,
        };
        if !self.shared.is_empty() {
            turn.place = Some(self.shared_place(deadline)?);
        }
        Some(turn)
    }

    fn shared_place(&self, deadline: Instant) -> Option<&Place> {
        // Each begins elsewhere, so that not all try the same one first.
        let start = std::process::id() as usize % self.shared.len();
        let (before, after) = self.shared.split_at_checked(start)?;
        loop {
            for place in after.iter().chain(before) {
                match place.take() {
                    Ok(true) => return Some(place),
                    Ok(false) => {}
                    Err(error) => {
                        log::warn!("cannot lock a place for a password hash: {error}");
                        return None;
                    }
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            thread::sleep(LOOK_AGAIN.min(left));
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            place.leave();
        }
        let free = &self.turnstile.free;
        *free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.turnstile.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_once() -> Instant {
        Instant::now()
    }

    #[test]
    fn places_are_bounded_and_come_back() {
        let turnstile = Turnstile::new(NonZeroUsize::new(2).unwrap());
        let first = turnstile.enter(at_once()).unwrap();
        let _second = turnstile.enter(at_once()).unwrap();
        assert!(turnstile.enter(at_once()).is_none());
        drop(first);
        assert!(turnstile.enter(at_once()).is_some());
    }

    #[test]
    fn who_waits_gets_the_place_that_comes_free() {
        let turnstile = Turnstile::new(NonZeroUsize::MIN);
        let patient = Instant::now() + Duration::from_secs(60);
        thread::scope(|scope| {
            let first = turnstile.enter(at_once()).unwrap();
            let waiting = scope.spawn(|| turnstile.enter(patient).is_some());
            drop(first);
            assert!(waiting.join().unwrap());
        });
    }

    /// Two turnstiles have files of their own, as two processes have.
    #[test]
    fn places_are_shared_through_a_folder() {
        let folder = std::env::temp_dir().join(format!("nma-turnstile-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let two = NonZeroUsize::new(2).unwrap();
        let one = Turnstile::shared(two, &folder).unwrap();
        let other = Turnstile::shared(two, &folder).unwrap();
        let first = one.enter(at_once()).unwrap();
        let _second = other.enter(at_once()).unwrap();
        assert!(one.enter(at_once()).is_none());
        assert!(other.enter(at_once()).is_none());
        let patient = Instant::now() + Duration::from_secs(60);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| other.enter(patient).is_some());
            drop(first);
            assert!(waiting.join().unwrap());
        });
        fs::remove_dir_all(&folder).unwrap();
    }
}
