//! Reads files that decide about logins; rejects those that an untrusted user could have written.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::sys::problem::Problem;
use crate::sys::sandbox;

#[cfg(feature = "servers")]
pub mod database;
pub mod path;

use path::{PathError, TrustedPath};

/// Identifies one version of a file: times of change, inode, device, size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    modified: (i64, i64),
    changed: (i64, i64),
    inode: u64,
    device: u64,
    size: u64,
}

impl Fingerprint {
    /// The fingerprint of a file with this metadata.
    pub fn of_metadata(metadata: &Metadata) -> Self {
        Self {
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
            device: metadata.dev(),
            size: metadata.len(),
        }
    }

    /// Whether it is the same file with the same size; its times may differ.
    pub fn has_size_of(&self, other: &Self) -> bool {
        let of = |it: &Self| (it.device, it.inode, it.size);
        of(self) == of(other)
    }

    /// Whether it is the same file with the same content; owner, mode and name may have changed.
    pub fn has_content_of(&self, other: &Self) -> bool {
        self.has_size_of(other) && self.modified == other.modified
    }

    /// Whether the file changed within `span` before `now`, not after it: it may be half-written.
    pub fn is_fresh(&self, now: SystemTime, span: Duration) -> bool {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, nanos) = self.changed;
        let changed = u64::try_from(seconds).ok().zip(u32::try_from(nanos).ok());
        changed
            .and_then(|(seconds, nanos)| since.checked_sub(Duration::new(seconds, nanos)))
            .is_some_and(|age| age < span)
    }
}

/// The fingerprint of the file that `path` leads to, with one system call.
pub fn fingerprint(path: &Path) -> io::Result<Fingerprint> {
    std::fs::metadata(path).map(|metadata| Fingerprint::of_metadata(&metadata))
}

/// Whether a file holds secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// It does; a warning reports that all users can read it.
    Secret,
    /// It does not.
    Open,
}

/// The content of a file that no untrusted user can write.
pub struct Trusted {
    /// The whole content. A caller that treats it as a secret must wipe it.
    pub bytes: Vec<u8>,
    /// The version that was read.
    pub fingerprint: Fingerprint,
    /// A warning that all users can read a secret.
    pub exposure: Option<Problem>,
    /// A note that root read the file of a service whose user can change it.
    pub service: Option<Problem>,
}

/// How often a file is read that changes meanwhile. A replaced file is a change too.
const TRIES: usize = 3;

/// Reads a regular file of at most `max` bytes. It must belong to root or to the user that the
/// process runs as, and no other user may be able to change or replace it: neither the file nor a
/// folder on the way to it ([`TrustedPath`]). A file that keeps changing while it is read is an error, so
/// that a half-written file is never used. A FIFO or a device in its place does not block.
pub fn read_trusted(path: &Path, max: u64, secrecy: Secrecy) -> Result<Trusted, Problem> {
    for _ in 0..TRIES {
        if let Some(trusted) = read_once(path, max, secrecy)? {
            return Ok(trusted);
        }
    }
    Err(Problem::new(path, "is being written at the moment"))
}

/// `None` if the file changed while it was read.
fn read_once(path: &Path, max: u64, secrecy: Secrecy) -> Result<Option<Trusted>, Problem> {
    let problem = |message: String| Problem::new(path, message);
    let unreadable = |error: io::Error| unreadable(path, &error);
    let (trusted, found) = locate(path)?;
    // The type is checked before opening, because opening some devices has an effect.
    if let Some(reason) = trusted.distrust(&trusted.path, &found) {
        return Err(problem(reason));
    }
    // Opening must not block on a FIFO that has just replaced the file.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
    let mut file = match OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(&trusted.path)
    {
        // A link has replaced the file in between.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::LOOP) => return Ok(None),
        opened => opened.map_err(unreadable)?,
    };
    let before = file.metadata().map_err(unreadable)?;
    if let Some(reason) = trusted.distrust(&trusted.path, &before) {
        return Err(problem(reason));
    }
    let too_large = || problem(format!("is larger than {max} bytes"));
    if before.len() > max {
        return Err(too_large());
    }
    let bytes = read(&mut file, before.len(), max).map_err(unreadable)?;
    let after = file.metadata().map_err(unreadable)?;
    let fingerprint = Fingerprint::of_metadata(&before);
    if bytes.len() as u64 > max {
        return Err(too_large());
    }
    if fingerprint != Fingerprint::of_metadata(&after) || bytes.len() as u64 != before.len() {
        return Ok(None);
    }
    Ok(Some(Trusted {
        bytes,
        fingerprint,
        exposure: exposure(path, &before, secrecy),
        service: service(path, &trusted),
    }))
}

/// The trusted path of a file, and its metadata.
fn locate(path: &Path) -> Result<(TrustedPath, Metadata), Problem> {
    let trusted = TrustedPath::of_file(path).map_err(|fault| unlocated(path, fault))?;
    match trusted.metadata.clone() {
        Some(metadata) => Ok((trusted, metadata)),
        None => Err(unreadable(path, &Errno::NOENT.into())),
    }
}

pub(crate) fn unlocated(path: &Path, fault: PathError) -> Problem {
    match fault {
        PathError::Io(error) => unreadable(path, &error),
        PathError::Distrusted(reason) => Problem::new(path, reason),
    }
}

pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let message = format!("cannot be read: {error}{}", sandbox::hint(error));
    Problem::new(path, message)
}

/// Warnings about a file with secrets that a library is going to read.
pub fn warnings_of_secret(path: &Path) -> Vec<Problem> {
    let located = locate(path).ok();
    located.map_or_else(Vec::new, |(trusted, found)| {
        let exposure = exposure(path, &found, Secrecy::Secret);
        exposure
            .into_iter()
            .chain(service(path, &trusted))
            .collect()
    })
}

fn exposure(path: &Path, file: &Metadata, secrecy: Secrecy) -> Option<Problem> {
    let mode = file.mode() & 0o7777;
    let exposed = secrecy == Secrecy::Secret && mode & 0o004 != 0;
    exposed.then(|| {
        let message =
            format!("holds secrets and may be read by everybody (mode {mode:04o}): chmod o-r");
        Problem::new(path, message)
    })
}

fn service(path: &Path, trusted: &TrustedPath) -> Option<Problem> {
    trusted.service().map(|user| {
        let message = format!(
            "user {user} can change it: the service refuses it unless it runs as that user"
        );
        Problem::new(path, message)
    })
}

/// Identifies a file, its owner and its mode, whatever its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    inode: u64,
    device: u64,
    owner: u32,
    mode: u32,
}

impl Identity {
    /// The identity of a file with this metadata.
    pub fn of_metadata(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            device: metadata.dev(),
            owner: metadata.uid(),
            mode: metadata.mode(),
        }
    }
}

/// Identifies the file that `path` leads to, with one system call.
pub fn identify(path: &Path) -> io::Result<Identity> {
    std::fs::metadata(path).map(|metadata| Identity::of_metadata(&metadata))
}

/// Reads to the end, or one byte more than `max`.
fn read(file: &mut File, expected: u64, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0).saturating_add(1));
    file.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The files that a load read or looked for; without a fingerprint, the file did not exist.
pub type ObservedFiles = Vec<(PathBuf, Option<Fingerprint>)>;

#[cfg(test)]
mod tests;
