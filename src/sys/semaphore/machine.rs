//! A semaphore for all processes of this machine. It limits password hashes, which need much memory
//! and time by design.

use std::fmt;
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use super::{Permit, Requester, Semaphore};
use crate::sys::trusted_file::path::{FolderRule, PathError, TrustedPath};

/// The interval between two attempts to lock. The kernel cannot wake a process that waits for one
/// of several locks.
const LOOK_AGAIN: Duration = Duration::from_millis(4);

/// A semaphore of this process, or of all processes of this machine that name the same folder.
/// Without a limit on password hashes, many logins at once would use up the machine's memory.
#[derive(Debug)]
pub struct MachineSemaphore {
    threads: Semaphore,
    /// One file for each permit, if all processes of this machine share them.
    shared: Vec<SharedPermit>,
}

/// A permit that all processes of this machine share.
#[derive(Debug)]
struct SharedPermit {
    file: File,
    /// Whether a thread of this process holds it or tries to. The kernel distinguishes processes,
    /// not threads.
    taken: AtomicBool,
}

impl SharedPermit {
    /// `Ok(false)`: another thread or process holds it.
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
            log::error!("cannot release a permit for a password hash: {error}");
        }
        self.taken.store(false, Ordering::Release);
    }
}

/// Creates or opens the file of a permit; the error says why it cannot be used. It does not block
/// on a FIFO, and does not follow a link.
fn open_lock(place: &TrustedPath, path: &Path) -> Result<File, String> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let said = |error: io::Error| match Errno::from_io_error(&error) {
        Some(Errno::LOOP) => "is a symbolic link".to_owned(),
        _ => error.to_string(),
    };
    // For reading too: opening a FIFO without a reader for writing alone fails.
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(said)?;
    let found = file.metadata().map_err(said)?;
    if let Some(reason) = place.distrust(path, &found) {
        return Err(reason);
    }
    if found.nlink() != 1 {
        return Err(format!("has {} hard links: remove it", found.nlink()));
    }
    // Users who can open the file can lock it. In the sandbox its mode stays as it was at the
    // start.
    if found.mode() & 0o044 != 0 {
        let _denied = file.set_permissions(Permissions::from_mode(0o600));
    }
    Ok(file)
}

/// A permit, given back on drop.
#[derive(Debug)]
#[must_use]
pub struct MachinePermit<'a> {
    place: Option<&'a SharedPermit>,
    /// Given back after the shared permit.
    _permit: Permit<'a>,
}

impl MachineSemaphore {
    /// A semaphore with this many permits for the threads of this process.
    pub fn new(places: NonZeroUsize) -> Self {
        Self {
            threads: Semaphore::new(places),
            shared: Vec::new(),
        }
    }

    /// A semaphore with this many permits for all processes that name the same folder. Each permit
    /// is a lock on a file in that folder; the kernel releases the lock when a process dies. The
    /// files are not removed.
    ///
    /// No untrusted user may be able to create files in the folder. The files must be regular files
    /// of a trusted owner with one name: otherwise other users could hold all locks. If root checks
    /// a service, the files are created with the rights of its user. The error names the file.
    pub fn shared(places: NonZeroUsize, folder: &Path) -> Result<Self, String> {
        let named = |path: &Path, what: &dyn fmt::Display| format!("{}: {what}", path.display());
        let place =
            TrustedPath::of_folder(folder, FolderRule::Private).map_err(|fault| match fault {
                PathError::Io(error) => named(folder, &error),
                PathError::Distrusted(reason) => named(folder, &reason),
            })?;
        let _acting = place.act().map_err(|error| named(folder, &error))?;
        let open = |number: usize| {
            let name = format!("hash-{number}.lock");
            let path = place.path.join(&name);
            let file = open_lock(&place, &path);
            let file = file.map_err(|reason| named(&folder.join(&name), &reason))?;
            Ok(SharedPermit {
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

    /// How many permits the threads of this process hold or wait for a file lock with, how many threads wait
    /// for one, and the maximum.
    pub fn load(&self) -> (usize, usize, NonZeroUsize) {
        let (held, waiting) = self.threads.load();
        (held, waiting, self.threads.most)
    }

    /// Takes a permit; `None` if none was available by `deadline`. Waiters of this process take
    /// [turns](Semaphore::acquire); between processes there is no fixed order.
    pub fn acquire(
        &self,
        requester: Requester<'_>,
        deadline: Instant,
    ) -> Option<MachinePermit<'_>> {
        let permit = self.threads.acquire(requester, deadline)?;
        let place = match self.shared.is_empty() {
            true => None,
            false => Some(self.shared_place(deadline)?),
        };
        Some(MachinePermit {
            place,
            _permit: permit,
        })
    }

    fn shared_place(&self, deadline: Instant) -> Option<&SharedPermit> {
        // Each process starts at another file, so that not all try the same one first.
        let start = std::process::id() as usize % self.shared.len();
        let (before, after) = self.shared.split_at_checked(start)?;
        loop {
            for place in after.iter().chain(before) {
                match place.take() {
                    Ok(true) => return Some(place),
                    Ok(false) => {}
                    Err(error) => {
                        log::warn!("cannot lock a permit for a password hash: {error}");
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

impl Drop for MachinePermit<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            place.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn at_once() -> Instant {
        Instant::now()
    }

    #[test]
    fn permits_are_bounded_and_given_back() {
        let semaphore = MachineSemaphore::new(NonZeroUsize::new(2).unwrap());
        let first = semaphore.acquire(Requester::default(), at_once()).unwrap();
        let _second = semaphore.acquire(Requester::default(), at_once()).unwrap();
        assert!(semaphore.acquire(Requester::default(), at_once()).is_none());
        drop(first);
        assert!(semaphore.acquire(Requester::default(), at_once()).is_some());
    }

    #[test]
    fn a_waiter_gets_the_permit_that_is_given_back() {
        let semaphore = MachineSemaphore::new(NonZeroUsize::MIN);
        let patient = Instant::now() + Duration::from_secs(60);
        thread::scope(|scope| {
            let first = semaphore.acquire(Requester::default(), at_once()).unwrap();
            let waiting =
                scope.spawn(|| semaphore.acquire(Requester::default(), patient).is_some());
            drop(first);
            assert!(waiting.join().unwrap());
        });
    }

    /// Two semaphores open their own files, as two processes do.
    #[test]
    fn permits_are_shared_through_a_folder() {
        let folder = std::env::temp_dir().join(format!("nma-machine-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
        let two = NonZeroUsize::new(2).unwrap();
        let one = MachineSemaphore::shared(two, &folder).unwrap();
        let other = MachineSemaphore::shared(two, &folder).unwrap();
        let first = one.acquire(Requester::default(), at_once()).unwrap();
        let _second = other.acquire(Requester::default(), at_once()).unwrap();
        assert!(one.acquire(Requester::default(), at_once()).is_none());
        assert!(other.acquire(Requester::default(), at_once()).is_none());
        let patient = Instant::now() + Duration::from_secs(60);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| other.acquire(Requester::default(), patient).is_some());
            drop(first);
            assert!(waiting.join().unwrap());
        });
        fs::remove_dir_all(&folder).unwrap();
    }
}
