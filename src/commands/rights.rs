//! `--user`: a command that root runs with the rights of the user that the service runs as.

use std::io::{self, Write};

use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::sys::accounts::{Rights, rights_of};

/// What `check` says to root who has named no user.
const HINT: &str = "note: root may read and write more than the service does: name the user that it runs \
                    as, as in `check --user www-data`";

/// Gives the process the user, the group and all groups of `user`, for good. To be called before
/// anything is opened, and before the process has a second thread.
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
    // The kernel takes the capabilities away with the last number of root's (capabilities(7)).
    let root_again = || set_thread_res_uid(None::<Uid>, Uid::ROOT, None::<Uid>).is_ok();
    match rights.user != 0 && root_again() {
        true => Err(format!(
            "--user {user}: the rights of root cannot be given up"
        )),
        false => Ok(()),
    }
}

/// The calls work on the thread, of which others inherit.
fn become_user(rights: &Rights) -> io::Result<()> {
    let groups: Vec<_> = rights.groups.iter().copied().map(Gid::from_raw).collect();
    let (user, group) = (Uid::from_raw(rights.user), Gid::from_raw(rights.group));
    set_thread_groups(&groups)?;
    set_thread_res_gid(group, group, group)?;
    set_thread_res_uid(user, user, user)?;
    Ok(())
}

/// Tells root, who has named no user, that what was found holds for root.
pub(super) fn hint(user: Option<&str>, err: &mut impl Write) -> io::Result<()> {
    match user {
        None if geteuid().is_root() => writeln!(err, "{HINT}"),
        None | Some(_) => Ok(()),
    }
}
