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

#[cfg(feature = "sql")]
pub mod database;
pub mod place;

use place::{Fault, Place};

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
/// folder on the way to it ([`place`]). A file that keeps changing while it is read is an error, so
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
    let (place, found) = locate(path)?;
    // The type is checked before opening, because opening some devices has an effect.
    if let Some(reason) = place.distrust(&place.path, &found) {
        return Err(problem(reason));
    }
    // Opening must not block on a FIFO that has just replaced the file.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
    let mut file = match OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(&place.path)
    {
        // A link has replaced the file in between.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::LOOP) => return Ok(None),
        opened => opened.map_err(unreadable)?,
    };
    let before = file.metadata().map_err(unreadable)?;
    if let Some(reason) = place.distrust(&place.path, &before) {
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
        service: service(path, &place),
    }))
}

/// The place of a file, and its metadata.
fn locate(path: &Path) -> Result<(Place, Metadata), Problem> {
    let place = Place::of_file(path).map_err(|fault| unlocated(path, fault))?;
    match place.metadata.clone() {
        Some(metadata) => Ok((place, metadata)),
        None => Err(unreadable(path, &Errno::NOENT.into())),
    }
}

pub(crate) fn unlocated(path: &Path, fault: Fault) -> Problem {
    match fault {
        Fault::Io(error) => unreadable(path, &error),
        Fault::Distrusted(reason) => Problem::new(path, reason),
    }
}

pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let message = format!("cannot be read: {error}{}", sandbox::hint(error));
    Problem::new(path, message)
}

/// Warnings about a file with secrets that a library is going to read.
pub fn warnings_of_secret(path: &Path) -> Vec<Problem> {
    let located = locate(path).ok();
    located.map_or_else(Vec::new, |(place, found)| {
        let exposure = exposure(path, &found, Secrecy::Secret);
        exposure.into_iter().chain(service(path, &place)).collect()
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

fn service(path: &Path, place: &Place) -> Option<Problem> {
    place.service().map(|user| {
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
pub type Watched = Vec<(PathBuf, Option<Fingerprint>)>;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use super::place::CREDENTIALS;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let folder =
                std::env::temp_dir().join(format!("nma-files-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
            Self(folder)
        }

        fn file(&self, content: &str, mode: u32) -> PathBuf {
            let path = self.0.join("file");
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            path
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn refusal(path: &Path, max: u64) -> String {
        let problem = read_trusted(path, max, Secrecy::Secret).err().unwrap();
        assert_eq!(problem.file, path);
        problem.message
    }

    #[test]
    fn what_others_may_write_is_refused_and_what_they_may_read_is_warned_of() {
        let scratch = Scratch::new("modes");
        for (mode, secrecy, warned) in [
            (0o600, Secrecy::Secret, false),
            (0o640, Secrecy::Secret, false),
            (0o644, Secrecy::Secret, true),
            (0o644, Secrecy::Open, false),
        ] {
            let trusted = read_trusted(&scratch.file("x", mode), 9, secrecy).unwrap();
            assert_eq!(trusted.bytes, b"x");
            assert_eq!(trusted.exposure.is_some(), warned, "{mode:o}");
        }
        for (mode, message) in [
            (0o620, "may be written by others (mode 0620): chmod go-w"),
            (0o602, "may be written by others (mode 0602): chmod go-w"),
        ] {
            assert_eq!(refusal(&scratch.file("x", mode), 9), message);
        }
    }

    #[test]
    fn only_regular_files_within_the_bound() {
        let scratch = Scratch::new("kinds");
        let path = scratch.file("12345", 0o600);
        assert_eq!(
            read_trusted(&path, 5, Secrecy::Open).unwrap().bytes,
            b"12345"
        );
        assert_eq!(refusal(&path, 4), "is larger than 4 bytes");
        let folder = scratch.0.join("folder");
        fs::create_dir(&folder).unwrap();
        assert_eq!(refusal(&folder, 4), "is not a regular file");
        assert_eq!(refusal(Path::new("/dev/zero"), 4), "is not a regular file");
        assert_eq!(
            refusal(&scratch.0.join("none"), 4),
            "cannot be read: No such file or directory (os error 2)"
        );
    }

    /// Run as root, as the tests of the program are.
    #[test]
    fn root_takes_what_was_lent_to_a_service_and_no_other_file_of_its_user() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let nobody = Some(65_534);
        let scratch = Scratch::new("owners");
        let path = scratch.file("x", 0o400);
        std::os::unix::fs::chown(&path, nobody, nobody).unwrap();
        assert!(refusal(&path, 9).starts_with("belongs to user 65534, "));
        let unit = format!("nma-files-{}.service", std::process::id());
        let lent = Scratch(Path::new(CREDENTIALS).join(unit));
        fs::create_dir_all(&lent.0).unwrap();
        let path = lent.file("x", 0o400);
        std::os::unix::fs::chown(&path, nobody, nobody).unwrap();
        assert!(read_trusted(&path, 9, Secrecy::Secret).is_ok());
        // The path with the link is not checked, only the path that it leads to.
        let around = lent
            .0
            .join("../../..")
            .join(scratch.0.strip_prefix("/").unwrap());
        assert!(refusal(&around.join("file"), 9).starts_with("belongs to user 65534, "));
    }

    #[test]
    fn a_fifo_does_not_block() {
        let scratch = Scratch::new("fifo");
        let path = scratch.0.join("fifo");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert_eq!(refusal(&path, 4), "is not a regular file");
    }

    #[test]
    fn a_fingerprint_tells_versions_apart() {
        let scratch = Scratch::new("versions");
        let path = scratch.file("one", 0o600);
        let first = fingerprint(&path).unwrap();
        assert_eq!(fingerprint(&path).unwrap(), first);
        assert_eq!(
            read_trusted(&path, 9, Secrecy::Open).unwrap().fingerprint,
            first
        );
        let other = scratch.0.join("other");
        fs::write(&other, "two").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_ne!(fingerprint(&path).unwrap(), first);
    }

    #[test]
    fn a_file_is_fresh_for_a_while_after_its_last_change() {
        let changed = |seconds, nanos| Fingerprint {
            modified: (0, 0),
            changed: (seconds, nanos),
            inode: 1,
            device: 2,
            size: 3,
        };
        let at = |millis| UNIX_EPOCH + Duration::from_millis(millis);
        let span = Duration::from_secs(2);
        for (now, fresh) in [
            (9_999, false),
            (10_499, false),
            (10_500, true),
            (12_499, true),
            (12_500, false),
            (20_000, false),
        ] {
            let file = changed(10, 500_000_000);
            assert_eq!(file.is_fresh(at(now), span), fresh, "{now}");
        }
        assert!(!changed(-1, 0).is_fresh(at(0), span));
        let file = changed(10, 0);
        assert!(file.has_size_of(&changed(99, 9)));
        for (inode, device, size) in [(9, 2, 3), (1, 9, 3), (1, 2, 9)] {
            let other = Fingerprint {
                inode,
                device,
                size,
                ..changed(10, 0)
            };
            assert!(!file.has_size_of(&other) && file != other);
        }
    }

    /// A file of the kernel reports size 0, like a file that grows while it is read.
    #[test]
    fn half_a_file_is_never_taken_for_the_whole() {
        let growing = Path::new("/proc/sys/kernel/ostype");
        assert_eq!(fs::metadata(growing).unwrap().len(), 0);
        assert_eq!(fs::read(growing).unwrap(), b"Linux\n");
        assert_eq!(refusal(growing, 6), "is being written at the moment");
        assert_eq!(refusal(growing, 5), "is larger than 5 bytes");
        // And not more than that is read.
        let read = |max| read(&mut File::open("/dev/zero").unwrap(), 0, max).unwrap();
        assert_eq!(read(0), [0]);
        assert_eq!(read(4), [0; 5]);
    }

    #[test]
    fn who_may_read_a_secret_is_looked_at_also_where_something_else_reads_it() {
        let scratch = Scratch::new("exposed");
        let exposed = "holds secrets and may be read by everybody (mode 0644): chmod o-r";
        for (mode, expected) in [(0o640, None), (0o604, Some("0604")), (0o644, Some("0644"))] {
            let path = scratch.file("x", mode);
            let message = expected.map(|mode| exposed.replace("0644", mode));
            let expected = Vec::from_iter(message.map(|message| Problem::new(&path, message)));
            assert_eq!(warnings_of_secret(&path), expected);
            let trusted = read_trusted(&path, 9, Secrecy::Secret).unwrap();
            assert_eq!(Vec::from_iter(trusted.exposure), expected);
            assert_eq!(trusted.service, None);
        }
        assert_eq!(warnings_of_secret(&scratch.0.join("none")), []);
    }

    #[test]
    fn a_file_is_the_same_until_it_is_replaced_or_its_mode_changes() {
        let scratch = Scratch::new("identity");
        let path = scratch.file("x", 0o600);
        let first = identify(&path).unwrap();
        fs::write(&path, "other").unwrap();
        assert_eq!(identify(&path).unwrap(), first);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert_ne!(identify(&path).unwrap(), first);
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(identify(&path).unwrap(), first);
        let other = scratch.0.join("other");
        fs::write(&other, "x").unwrap();
        fs::set_permissions(&other, Permissions::from_mode(0o600)).unwrap();
        fs::rename(&other, &path).unwrap();
        assert_ne!(identify(&path).unwrap(), first);
    }
}
