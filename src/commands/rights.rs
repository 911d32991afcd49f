//! `--user`: runs a command of root with the rights of the user that the service runs as.

use std::io::{self, Write};

use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::sys::accounts::{Rights, rights_of};

/// The note of `check` for root without `--user`.
const HINT: &str = "note: root may read and write more than the service does: name the user that it runs \
                    as, as in `check --user www-data`";

/// Whether the command runs as root.
pub(super) fn is_root() -> bool {
    geteuid().is_root()
}

/// Permanently changes the process to the user, the group and all groups of `user`. Call it before
/// anything is opened and before the process has a second thread.
pub(super) fn take(user: &str) -> Result<(), String> {
    let rights = rights_of(user).map_err(|why| format!("--user: {why}"))?;
    if !geteuid().is_root() {
        return match geteuid().as_raw() == rights.user {
            true => Ok(()),
            false => Err(format!(
                "--user {user}: only root can take the rights of another user"
            )),
        };
    }
    become_user(&rights)
        .map_err(|error| format!("--user {user}: cannot take the rights of the user: {error}"))?;
    // The kernel removes the capabilities with the last user id of root (capabilities(7)).
    let root_again = || set_thread_res_uid(None::<Uid>, Uid::ROOT, None::<Uid>).is_ok();
    match rights.user != 0 && root_again() {
        true => Err(format!("--user {user}: cannot give up the rights of root")),
        false => Ok(()),
    }
}

/// The calls change this thread; later threads inherit its rights.
fn become_user(rights: &Rights) -> io::Result<()> {
    let groups: Vec<_> = rights.groups.iter().copied().map(Gid::from_raw).collect();
    let (user, group) = (Uid::from_raw(rights.user), Gid::from_raw(rights.group));
    set_thread_groups(&groups)?;
    set_thread_res_gid(group, group, group)?;
    set_thread_res_uid(user, user, user)?;
    Ok(())
}

/// Prints for root without `--user` that the result applies to root.
pub(super) fn hint(user: Option<&str>, err: &mut impl Write) -> io::Result<()> {
    match user {
        None if geteuid().is_root() => writeln!(err, "{HINT}"),
        None | Some(_) => Ok(()),
    }
}
