//! Checks the user that listens on a Unix socket: another user could create a socket in the place
//! of a server that is down.

use std::fs::{Metadata, metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Accepts the user that listens at `path` (SO_PEERCRED, unix(7)) if it is root, the user that this
/// process runs as, or `expected`. If no user is expected, the owner of the socket's folder is
/// accepted too, unless an untrusted user could have created or replaced that folder: the owner of
/// a folder decides which sockets are in it.
pub fn check(path: &Path, listener: u32, expected: Option<u32>) -> io::Result<()> {
    let ours = rustix::process::geteuid().as_raw();
    let fits = match expected {
        _ if listener == 0 || listener == ours => true,
        Some(user) => listener == user,
        None => owns_folder(path, listener, ours)?,
    };
    if fits {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!(
            "{}: user {listener} listens there, which is not allowed: if this is the server, name its user \
             in socket-user",
            path.display()
        ),
    ))
}

/// Whether `user` owns the folder of the socket, and only trusted users control the way to it.
fn owns_folder(path: &Path, user: u32, ours: u32) -> io::Result<bool> {
    let folder = path.parent().unwrap_or(path).canonicalize()?;
    let mut below = metadata(&folder)?;
    if below.uid() != user {
        return Ok(false);
    }
    for above in folder.ancestors().skip(1) {
        let above = metadata(above)?;
        if !keeps(&above, &below, ours) {
            return Ok(false);
        }
        below = above;
    }
    Ok(true)
}

/// Whether only root and the user of this process can replace `entry` in `folder`: in a folder with
/// the sticky bit, only its owner can replace an entry.
fn keeps(folder: &Metadata, entry: &Metadata, ours: u32) -> bool {
    const STICKY: u32 = 0o1000;
    const OTHERS_WRITE: u32 = 0o022;
    let ours = |uid| uid == 0 || uid == ours;
    let mode = folder.mode();
    ours(folder.uid()) && (mode & OTHERS_WRITE == 0 || mode & STICKY != 0 && ours(entry.uid()))
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir_all, remove_dir_all, set_permissions};
    use std::os::unix::fs::{PermissionsExt as _, chown};

    use super::*;

    const NOBODY: u32 = 65_534;
    const OTHER: u32 = 65_533;

    /// Run as root, as the tests of the program are.
    #[test]
    fn who_may_listen() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let top = std::env::temp_dir().join(format!("mail-auth-peer-{}", std::process::id()));
        // The modes and owners of two nested folders; the socket is in the inner one.
        let table = [
            ((0o755, 0), (0o755, NOBODY), NOBODY, None, true),
            // All users can write to the outer folder, but only the owner controls the inner one.
            ((0o755, 0), (0o777, NOBODY), NOBODY, None, true),
            ((0o755, 0), (0o777, NOBODY), OTHER, None, false),
            ((0o755, 0), (0o755, 0), NOBODY, None, false),
            ((0o755, 0), (0o1777, 0), NOBODY, None, false),
            // Any user could have created it.
            ((0o1777, 0), (0o755, NOBODY), NOBODY, None, false),
            ((0o777, 0), (0o755, NOBODY), NOBODY, None, false),
            ((0o775, 0), (0o755, NOBODY), NOBODY, None, false),
            ((0o755, OTHER), (0o755, NOBODY), NOBODY, None, false),
            // Root's or our own.
            ((0o777, 0), (0o1777, 0), 0, None, true),
            ((0o777, 0), (0o1777, 0), 0, Some(OTHER), true),
            // The configured user.
            ((0o777, 0), (0o1777, 0), NOBODY, Some(NOBODY), true),
            ((0o755, 0), (0o755, NOBODY), NOBODY, Some(OTHER), false),
        ];
        for (outer, inner, listener, expected, fits) in table {
            let folder = top.join("inner");
            create_dir_all(&folder).unwrap();
            for (path, (mode, owner)) in [(&top, outer), (&folder, inner)] {
                set_permissions(path, Permissions::from_mode(mode)).unwrap();
                chown(path, Some(owner), None).unwrap();
            }
            let checked = check(&folder.join("socket"), listener, expected);
            let row = format!("{outer:?} {inner:?} {listener} {expected:?}: {checked:?}");
            assert_eq!(checked.is_ok(), fits, "{row}");
        }
        remove_dir_all(&top).unwrap();
    }
}
