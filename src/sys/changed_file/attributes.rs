//! Copies the extended attributes of a file, among them its access control list (xattr(7), acl(5)).

use std::ffi::CStr;
use std::fs::File;
use std::io;

use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr};
use rustix::io::Errno;

/// The maximum size of a list of names and of a value in Linux (xattr(7)).
const MAX_BYTES: usize = 64 * 1024;

/// The access control list. Without it, other users could read the file, or the service could not.
const ACCESS_LIST: &CStr = c"system.posix_acl_access";

/// Copies them all, and removes an access control list that only the new file has: its folder can have a
/// default one. Those that the system or a security module manages are left out if the process may not
/// set them.
pub(super) fn copy(from: &File, to: &File) -> io::Result<()> {
    let names = names(from)?;
    let mut value = vec![0; MAX_BYTES];
    let mut has_list = false;
    for name in names.split_inclusive(|byte| *byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else {
            continue;
        };
        has_list |= name == ACCESS_LIST;
        let copied = fgetxattr(from, name, &mut value[..])
            .and_then(|length| fsetxattr(to, name, &value[..length], XattrFlags::empty()));
        match copied {
            Ok(()) => {}
            Err(error) if is_needed(name) => return Err(error.into()),
            Err(_) => {}
        }
    }
    let is_list = |name: &[u8]| name == ACCESS_LIST.to_bytes_with_nul();
    if !has_list
        && self::names(to)?
            .split_inclusive(|byte| *byte == 0)
            .any(is_list)
    {
        fremovexattr(to, ACCESS_LIST)?;
    }
    Ok(())
}

/// The names of all attributes, each with a NUL at its end.
fn names(file: &File) -> io::Result<Vec<u8>> {
    let mut names = vec![0; MAX_BYTES];
    match flistxattr(file, &mut names[..]) {
        Ok(length) => {
            names.truncate(length);
            Ok(names)
        }
        Err(Errno::OPNOTSUPP) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

fn is_needed(name: &CStr) -> bool {
    name == ACCESS_LIST || name.to_bytes().starts_with(b"user.")
}
