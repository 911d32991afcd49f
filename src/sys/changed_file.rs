//! Changes a file as a whole: locked against other runs of this program, and atomically.
//!
//! The new content is written to another file in the same folder, with the owner, the mode and the
//! extended attributes (access control lists) of the old one, and renamed after it is on the disk. So a
//! reader sees the old file or the new one, and an error leaves the old one.
//!
//! Other programs do not know the lock: `htpasswd` rewrites a file in its place, an editor replaces it. A
//! change that another program makes while the new content is prepared is noticed before the old file is
//! replaced, and the edit starts again from that version.

use std::fs::{
    File, Metadata, OpenOptions, Permissions, TryLockError, remove_file, rename, symlink_metadata,
};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::OFlags;
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::sys::problem::Problem;
use crate::sys::trusted_file::path::{ActingAsService, TrustedPath};
use crate::sys::trusted_file::{Fingerprint, unlocated, unreadable};

mod attributes;

/// How often an edit starts again because another program changes the file meanwhile.
const TRIES: usize = 100;
/// The pause between two looks at a file that another process has locked or is writing.
const PAUSE: Duration = Duration::from_millis(20);
/// A file that is empty, or whose last line has no line end, may be incomplete for this long after its last
/// change: `htpasswd` truncates a file and then writes it.
const UNFINISHED: Duration = Duration::from_secs(1);
/// The mode of a new file: the group is that of its folder.
const NEW_MODE: u32 = 0o640;

/// How a file is changed.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// The maximum size of the file, before and after.
    pub max_bytes: u64,
    /// How long to wait while another process has the lock.
    pub patience: Duration,
    /// Whether a file that does not exist is created.
    pub missing: Missing,
}

/// What happens with a file that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It is created, with the owner and the group of its folder.
    Create,
    /// It is an error.
    Fail,
}

/// The result of a change.
#[derive(Debug)]
pub struct Changed<T> {
    /// The result of the edit.
    pub value: T,
    /// Whether the file did not exist before.
    pub created: bool,
}

/// Replaces the content of a file by what `edit` makes of it; `edit` runs again if another program changed
/// the file meanwhile. The file stays as it is if `edit` fails or returns the same content.
///
/// The file must be one that [`read_trusted`](super::trusted_file::read_trusted) accepts. Links to it are
/// followed, and stay.
pub fn change<T, E: From<Problem>>(
    path: &Path,
    manner: Manner,
    mut edit: impl FnMut(&[u8]) -> Result<(Zeroizing<Vec<u8>>, T), E>,
) -> Result<Changed<T>, E> {
    let until = Instant::now() + manner.patience;
    for _ in 0..TRIES {
        let Some(locked) = Locked::open(path, manner, until)? else {
            continue;
        };
        let edited = edit(&locked.bytes);
        let replaced = match &edited {
            Ok((new, _)) if **new != *locked.bytes => locked.replace(path, new, manner.max_bytes),
            Ok(_) | Err(_) => Ok(Replaced::Yes),
        };
        let failed = edited.is_err() || replaced.is_err();
        if locked.created && failed {
            locked.withdraw();
        }
        let (_, value) = edited?;
        match replaced? {
            Replaced::Yes => {
                return Ok(Changed {
                    value,
                    created: locked.created,
                });
            }
            Replaced::NotAnyMore => {}
        }
    }
    let message = "is changed by another program again and again, so it was not changed: try later";
    Err(Problem::new(path, message).into())
}

/// Whether the old file was replaced.
enum Replaced {
    Yes,
    /// Another program changed it meanwhile, so it was not.
    NotAnyMore,
}

/// A locked file and its content.
struct Locked {
    place: TrustedPath,
    /// Has the lock, which ends with it.
    file: File,
    before: Metadata,
    bytes: Zeroizing<Vec<u8>>,
    created: bool,
    /// The rights of the service's user, if root changes a file in a folder of that user.
    _acting: ActingAsService,
}

impl Locked {
    /// Opens, locks and reads the file. `None`: it was replaced or changed meanwhile.
    fn open(path: &Path, manner: Manner, until: Instant) -> Result<Option<Self>, Problem> {
        let place = TrustedPath::of_file(path).map_err(|fault| unlocated(path, fault))?;
        let failed = |error: io::Error| unreadable(path, &error);
        let acting = place.act().map_err(failed)?;
        let opened = options(OpenOptions::new().read(true)).open(&place.path);
        let (file, created) = match opened {
            Ok(file) => (file, false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if manner.missing == Missing::Fail {
                    return Err(failed(error));
                }
                match create(&place) {
                    Ok(file) => (file, true),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
                    Err(error) => return Err(unwritable(path, "cannot be created", &error)),
                }
            }
            // A link has replaced the file.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::LOOP) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        lock(path, &file, until)?;
        let before = file.metadata().map_err(failed)?;
        if !is_at(&place.path, &before) {
            return Ok(None);
        }
        if let Some(reason) = unchangeable(&place, &before) {
            return Err(Problem::new(path, reason));
        }
        let mut bytes = Zeroizing::new(Vec::new());
        let most = manner.max_bytes.saturating_add(1);
        (&file).take(most).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > manner.max_bytes {
            return Err(too_large(path, manner.max_bytes));
        }
        let version = Fingerprint::of_metadata(&before);
        let unfinished = bytes.last() != Some(&b'\n');
        let being_written = unfinished && version.is_fresh(SystemTime::now(), UNFINISHED);
        if being_written && !created {
            if Instant::now() >= until {
                return Err(Problem::new(
                    path,
                    "is being written at the moment: try later",
                ));
            }
            std::thread::sleep(PAUSE);
            return Ok(None);
        }
        Ok(is_unchanged(&place.path, &version).then_some(Self {
            place,
            file,
            before,
            bytes,
            created,
            _acting: acting,
        }))
    }

    /// Writes the new content beside the file, and puts it in the file's place.
    fn replace(&self, path: &Path, new: &[u8], max: u64) -> Result<Replaced, Problem> {
        if new.len() as u64 > max {
            return Err(too_large(path, max));
        }
        // Only the process that has locked the old file uses this name.
        let name = format!(".nginx-mail-auth.{}", self.before.ino());
        let beside = self.place.path.with_file_name(name);
        let result = self.prepare(&beside, new).and_then(|()| {
            let version = Fingerprint::of_metadata(&self.before);
            if !is_unchanged(&self.place.path, &version) {
                return Ok(Replaced::NotAnyMore);
            }
            rename(&beside, &self.place.path)?;
            Ok(Replaced::Yes)
        });
        match result {
            Ok(Replaced::Yes) => {}
            Ok(Replaced::NotAnyMore) => {
                let _gone = remove_file(&beside);
                return Ok(Replaced::NotAnyMore);
            }
            Err(error) => {
                let _gone = remove_file(&beside);
                return Err(unwritable(path, "cannot be changed", &error));
            }
        }
        self.settle(path)?;
        Ok(Replaced::Yes)
    }

    /// Makes the file that will replace the old one, as complete as it will be, and on the disk.
    fn prepare(&self, beside: &Path, new: &[u8]) -> io::Result<()> {
        match remove_file(beside) {
            // A run that was killed left it behind.
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        // The sandbox denies a change of the mode, but not the mode of a new file.
        let mode = self.before.mode() & 0o777;
        let mut file = OpenOptions::new();
        let mut file = options(file.write(true).create_new(true).mode(mode)).open(beside)?;
        file.write_all(new)?;
        let own = file.metadata()?;
        let (user, group) = (self.before.uid(), self.before.gid());
        if (own.uid(), own.gid()) != (user, group) {
            let user = (own.uid() != user).then_some(user);
            let group = (own.gid() != group).then_some(group);
            fchown(&file, user, group)?;
        }
        attributes::copy(&self.file, &file)?;
        if file.metadata()?.mode() & 0o777 != mode {
            file.set_permissions(Permissions::from_mode(mode))?;
        }
        file.sync_all()
    }

    /// Sees to it that the new name of the file is on the disk, and that nothing was lost.
    fn settle(&self, path: &Path) -> Result<(), Problem> {
        let folder = self.place.path.parent().unwrap_or(Path::new("/"));
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| {
                let message = format!("was changed, but may be lost if the system fails: {error}");
                Problem::new(path, message)
            })?;
        let version = |file: &Metadata| (file.mtime(), file.mtime_nsec(), file.len());
        match self.file.metadata() {
            Ok(now) if version(&now) != version(&self.before) => {
                let message = "was changed, and another program wrote to it at the same moment: \
                               its change is lost, repeat it";
                Err(Problem::new(path, message))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Removes the file that was created for a change that failed, if it is still empty.
    fn withdraw(&self) {
        let now = self.file.metadata();
        let empty = now.is_ok_and(|now| now.len() == 0 && is_at(&self.place.path, &now));
        if empty {
            let _gone = remove_file(&self.place.path);
        }
    }
}

fn options(options: &mut OpenOptions) -> &mut OpenOptions {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.custom_flags(flags.bits().cast_signed())
}

/// An empty file at the place, for the owner and the group of its folder.
fn create(place: &TrustedPath) -> io::Result<File> {
    let folder = symlink_metadata(folder_of(&place.path))?;
    let mut new = OpenOptions::new();
    let file =
        options(new.read(true).write(true).create_new(true).mode(0o600)).open(&place.path)?;
    let own = file.metadata()?;
    let user = (own.uid() == 0 && folder.uid() != 0).then_some(folder.uid());
    let group = (own.gid() != folder.gid()).then_some(folder.gid());
    let finished = fchown(&file, user, group)
        .and_then(|()| file.set_permissions(Permissions::from_mode(NEW_MODE)));
    match finished {
        Ok(()) => Ok(file),
        Err(error) => {
            let _gone = remove_file(&place.path);
            Err(error)
        }
    }
}

fn folder_of(file: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("/")).to_owned()
}

/// Waits for the lock.
fn lock(path: &Path, file: &File, until: Instant) -> Result<(), Problem> {
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {
                let message = "is locked by another process, which is changing it: try later";
                return Err(Problem::new(path, message));
            }
            Err(TryLockError::Error(error)) => {
                return Err(unwritable(path, "cannot be locked", &error));
            }
        }
    }
}

/// Why a file must not be replaced.
fn unchangeable(place: &TrustedPath, file: &Metadata) -> Option<String> {
    if let Some(reason) = place.distrust(&place.path, file) {
        return Some(reason);
    }
    if file.nlink() > 1 {
        return Some(format!(
            "has {} names (hard links), and only this one would be changed: remove the others, or \
             make them symbolic links",
            file.nlink()
        ));
    }
    let service = place.service().filter(|user| *user != file.uid());
    service.map(|user| {
        format!(
            "belongs to user {} in a folder of user {user}, so its owner would change: chown the \
             file or the folder",
            file.uid()
        )
    })
}

/// Whether a path leads to this file, and not by a link.
fn is_at(path: &Path, file: &Metadata) -> bool {
    let id = |file: &Metadata| (file.dev(), file.ino());
    symlink_metadata(path).is_ok_and(|found| id(&found) == id(file))
}

/// Whether a path leads to this version of the file.
fn is_unchanged(path: &Path, version: &Fingerprint) -> bool {
    symlink_metadata(path).is_ok_and(|found| Fingerprint::of_metadata(&found) == *version)
}

fn too_large(path: &Path, max: u64) -> Problem {
    Problem::new(path, format!("is larger than {max} bytes"))
}

fn unwritable(path: &Path, what: &str, error: &io::Error) -> Problem {
    let more = match Errno::from_io_error(error) {
        Some(Errno::BUSY) => {
            " (it is a mount point of its own, as in containers: mount its folder instead)"
        }
        _ => "",
    };
    Problem::new(path, format!("{what}, and is as before: {error}{more}"))
}

#[cfg(test)]
mod tests;
