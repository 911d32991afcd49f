//! Creates Unix sockets: checks their folder, sets their rights, and never replaces one that is
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

use crate::sys::trusted_file::path::{FolderRule, PathError, TrustedPath};

/// How often locking is tried again if the lock file was removed in between.
const TRIES: usize = 100;

/// The rights of a created Unix socket: users who may write to its file may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketRights {
    /// The file's mode.
    pub mode: u32,
    /// The number of its owner; `None`: the user that the process runs as.
    pub owner: Option<u32>,
    /// The number of its group; `None`: that of the process, or that of a folder with the setgid
    /// bit.
    pub group: Option<u32>,
}

impl SocketRights {
    /// A file with the owner and group of the process and this mode.
    pub fn of_mode(mode: u32) -> Self {
        Self {
            mode,
            owner: None,
            group: None,
        }
    }
}

/// The file of a created Unix socket, its identity, and the lock that prevents other programs from
/// replacing it.
#[derive(Debug)]
pub(super) struct OwnFile {
    path: PathBuf,
    device: u64,
    inode: u64,
    lock: Lock,
}

impl OwnFile {
    /// The path of the socket, and that of its lock.
    pub(super) fn paths(&self) -> [&Path; 2] {
        [&self.path, &self.lock.path]
    }

    /// Removes the file, unless another program has replaced it, and then the lock.
    pub(super) fn remove(&self) {
        if let Ok(file) = fs::symlink_metadata(&self.path)
            && (file.dev(), file.ino()) == (self.device, self.inode)
        {
            // If removing fails, the next start finds a stale file.
            let _ = fs::remove_file(&self.path);
        }
        self.lock.give_up();
    }
}

/// Creates a socket at `path`. No client can connect before it listens.
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

/// A user who can replace the file could pose as this program, and receive the passwords.
fn check_folder(folder: &Path) -> io::Result<()> {
    match TrustedPath::of_folder(folder, FolderRule::Sticky) {
        Ok(_) => Ok(()),
        Err(PathError::Io(error)) => Err(error),
        Err(PathError::Distrusted(why)) => Err(Error::new(ErrorKind::PermissionDenied, why)),
    }
}

fn stream_socket(flags: SocketFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | SocketFlags::CLOEXEC;
    net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// Removes a socket file without a server. The caller holds the lock.
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
        return in_use("the file exists and is not a socket");
    }
    // Without blocking: a server with a full backlog counts as a server.
    let socket = stream_socket(SocketFlags::NONBLOCK)?;
    match net::connect(&socket, &SocketAddrUnix::new(path)?) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path),
        Ok(()) | Err(Errno::AGAIN | Errno::INPROGRESS) => {
            in_use("another program serves this socket")
        }
        Err(error) => Err(error.into()),
    }
}

/// A socket whose file gives no rights to any user. Linux creates it with the mode of the socket,
/// minus the umask.
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
        // In this order: as long as this process owns the file, no other user can replace it.
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

/// A file beside the socket that its server holds locked: if two programs start at once, only one
/// of them can find the socket stale.
#[derive(Debug)]
struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock; an error if another program holds it.
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
            // The previous holder may have removed the file in between; then the name belongs to
            // another lock file.
            let ours = file.metadata().map_err(named)?;
            match fs::symlink_metadata(&path) {
                Ok(named) if (named.dev(), named.ino()) == (ours.dev(), ours.ino()) => {
                    return Ok(Self { file, path });
                }
                _ => {}
            }
        }
        let what = format!("{} keeps changing", path.display());
        Err(Error::new(ErrorKind::AddrInUse, what))
    }

    /// Removes the file before unlocking, because afterwards its name may belong to another
    /// program.
    fn give_up(&self) {
        let _ = fs::remove_file(&self.path);
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// Creates the file, or opens one that belongs to this user or root.
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
