//! Unix sockets that we make: in whose folder, with which rights, and never in place of one that is
//! served.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Error, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{
    FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, lchown,
};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, fchmod, flock};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::sys::trusted_file::place::{Fault, Holder, Place};

/// How often the lock is looked for again where it was just taken away.
const TRIES: usize = 100;

/// Who may connect to a Unix socket that we make: whoever may write to its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketRights {
    /// The file's mode.
    pub mode: u32,
    /// The number of the user that it belongs to; `None`: the one we run as.
    pub owner: Option<u32>,
    /// The number of its group; `None`: ours, or that of the folder where this has the bit for it.
    pub group: Option<u32>,
}

impl SocketRights {
    /// A file of our own with this mode.
    pub fn of_mode(mode: u32) -> Self {
        Self {
            mode,
            owner: None,
            group: None,
        }
    }
}

/// The file of a Unix socket that we made, how to know it again, and the lock that keeps others
/// from taking its place.
#[derive(Debug)]
pub(super) struct OwnFile {
    path: PathBuf,
    device: u64,
    inode: u64,
    lock: Lock,
}

impl OwnFile {
    /// Where it is, and its lock.
    pub(super) fn paths(&self) -> [&Path; 2] {
        [&self.path, &self.lock.path]
    }

    /// Removes the file, unless it is another's by now, and then the lock.
    pub(super) fn remove(&self) {
        if let Ok(file) = fs::symlink_metadata(&self.path)
            && (file.dev(), file.ino()) == (self.device, self.inode)
        {
            // If it cannot be removed, the next start finds it stale.
            let _ = fs::remove_file(&self.path);
        }
        self.lock.give_up();
    }
}

/// Makes a socket at `path`. Nobody can connect before it listens.
pub(super) fn bind(path: &Path, rights: SocketRights) -> io::Result<(OwnedFd, OwnFile)> {
    check_folder(folder_of(path))?;
    let lock = Lock::take(path)?;
    let bound = remove_stale(path).and_then(|()| make(path, rights));
    match bound {
        Ok((socket, (device, inode))) => {
            let path = path.to_owned();
            let own = OwnFile {
                path,
                device,
                inode,
                lock,
            };
            Ok((socket, own))
        }
        Err(error) => {
            lock.give_up();
            Err(error)
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) => Path::new("."),
        None => path,
    }
}

/// Who can replace the file can take the place of the program, and gets the passwords.
fn check_folder(folder: &Path) -> io::Result<()> {
    match Place::of_folder(folder, Holder::Sticky) {
        Ok(_) => Ok(()),
        Err(Fault::Io(error)) => Err(error),
        Err(Fault::Distrusted(why)) => Err(Error::new(ErrorKind::PermissionDenied, why)),
    }
}

fn stream_socket(flags: SocketFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | SocketFlags::CLOEXEC;
    net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// Removes a socket file that nobody serves. The caller has the lock.
fn remove_stale(path: &Path) -> io::Result<()> {
    let in_use = |what| Err(Error::new(ErrorKind::AddrInUse, what));
    let kind = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        file => file?.file_type(),
    };
    if kind.is_symlink() {
        return in_use("the file is a symbolic link");
    }
    if !kind.is_socket() {
        return in_use("the file exists and is no socket");
    }
    // Without waiting: a server whose backlog is full is one as well.
    let socket = stream_socket(SocketFlags::NONBLOCK)?;
    match net::connect(&socket, &SocketAddrUnix::new(path)?) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path),
        Ok(()) | Err(Errno::AGAIN | Errno::INPROGRESS) => {
            in_use("another program serves this socket")
        }
        Err(error) => Err(error.into()),
    }
}

/// A socket whose file nobody has any right to. Linux makes it with the mode of the socket, less
/// the umask.
fn make_closed(path: &Path) -> io::Result<OwnedFd> {
    let socket = stream_socket(SocketFlags::empty())?;
    fchmod(&socket, Mode::empty())?;
    net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// The socket, and device and inode of its file.
fn make(path: &Path, rights: SocketRights) -> io::Result<(OwnedFd, (u64, u64))> {
    let socket = make_closed(path)?;
    let ready = || -> io::Result<_> {
        // In this order: as long as the file is ours, nobody else can put another in its place.
        fs::set_permissions(path, fs::Permissions::from_mode(rights.mode))?;
        if rights.owner.is_some() || rights.group.is_some() {
            lchown(path, rights.owner, rights.group).map_err(|error| {
                let what = format!("cannot give the socket to its owner and group: {error}");
                Error::new(error.kind(), what)
            })?;
        }
        let file = fs::symlink_metadata(path)?;
        Ok((file.dev(), file.ino()))
    };
    match ready() {
        Ok(identity) => Ok((socket, identity)),
        Err(error) => {
            let _ = fs::remove_file(path);
            Err(error)
        }
    }
}

/// A file beside the socket that whoever serves it holds locked: of two programs that start at
/// once, one finds the socket stale and the other none.
#[derive(Debug)]
struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock, or finds that another program has it.
    fn take(socket: &Path) -> io::Result<Self> {
        let mut path = socket.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let named = |error: Error| Error::new(error.kind(), format!("{}: {error}", path.display()));
        for _ in 0..TRIES {
            let file = open(&path).map_err(named)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => {
                    let what = format!(
                        "another program serves this socket, or is about to: it holds {}",
                        path.display()
                    );
                    return Err(Error::new(ErrorKind::AddrInUse, what));
                }
                Err(error) => return Err(named(error.into())),
            }
            // Whoever had it may have removed it in between; then the name is another's.
            let ours = file.metadata().map_err(named)?;
            match fs::symlink_metadata(&path) {
                Ok(named) if (named.dev(), named.ino()) == (ours.dev(), ours.ino()) => {
                    return Ok(Self { file, path });
                }
                _ => {}
            }
        }
        let what = format!("{} changes all the time", path.display());
        Err(Error::new(ErrorKind::AddrInUse, what))
    }

    /// Removes the file first, as its name may be another's once it is unlocked.
    fn give_up(&self) {
        let _ = fs::remove_file(&self.path);
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// Makes the file, or opens one that is ours or root's.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
        .open(path)?;
    let metadata = file.metadata()?;
    let ours = rustix::process::geteuid().as_raw();
    if metadata.is_file() && (metadata.uid() == ours || metadata.uid() == 0) {
        return Ok(file);
    }
    let what = "is no file of root or of the user we run as";
    Err(Error::new(ErrorKind::PermissionDenied, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_socket_has_no_rights_at_first() {
        let name = format!("nma-closed-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let socket = make_closed(&path).unwrap();
        let file = fs::symlink_metadata(&path).unwrap();
        assert!(file.file_type().is_socket());
        assert_eq!(file.mode() & 0o777, 0);
        drop(socket);
        fs::remove_file(path).unwrap();
    }
}
