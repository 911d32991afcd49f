//! Checks the folders and links on the way to a file, and which users can change what is found
//! there.
//!
//! Each folder on the way must belong to root or to the user that the process runs as, and no other
//! user may write to it. A folder above the one that holds the file may be writable for others if
//! it has the sticky bit, like `/tmp`: there a user cannot rename or remove the entries of another
//! user (inode(7)). The folder that holds the file, or a link on the way to it, must not be
//! writable for others even so: they could put a hard link there to another file of a trusted
//! owner, or files that a library looks for beside it. Access control lists are covered: the bits
//! of the group are the mask of what they grant (acl(5)).
//!
//! The check starts at `/` and goes down. So an accepted folder cannot be replaced later by an
//! untrusted user, and the resulting path, which is free of links, is safe to open.
//!
//! If root runs a command, such as `check`, for a service of another user ([`look_for_a_service`]),
//! the owner of the file's folder counts as the user that the process runs as.

use std::ffi::OsString;
use std::fs::{Metadata, read_link, symlink_metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::process::geteuid;
use rustix::thread::{set_thread_res_gid, set_thread_res_uid};

/// The maximum number of links on one way, as in Linux (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// The folder of systemd's credentials for services (`LoadCredential=`, systemd.exec(5)). Its files
/// may belong to the user of the service: only systemd can put them there.
pub(super) const CREDENTIALS: &str = "/run/credentials";

/// Whether root checks the files of a service of another user.
static INSPECTING: AtomicBool = AtomicBool::new(false);

/// From now on, root trusts the user that owns a file's folder: for commands of administrators,
/// which open for root what the service opens for its own user. No effect for other users.
pub fn look_for_a_service() {
    INSPECTING.store(true, Ordering::Relaxed);
}

/// Why a file is rejected.
#[derive(Debug)]
pub enum PathError {
    /// The way to the file, or the file, cannot be read.
    Io(io::Error),
    /// An untrusted user could have put it there; the text explains how.
    Distrusted(String),
}

impl From<io::Error> for PathError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Whether the folder of a file may be one where all users can create files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderRule {
    /// Only root and the user that the process runs as can create files in it.
    Private,
    /// Others can too, but they cannot replace the files of another user: the folder has the sticky
    /// bit.
    Sticky,
}

/// The path of a file without links, in folders that no untrusted user can change.
#[derive(Debug)]
pub struct TrustedPath {
    /// The path.
    pub path: PathBuf,
    /// The metadata of the file there; `None` if there is none.
    pub metadata: Option<Metadata>,
    trust: TrustedUsers,
}

impl TrustedPath {
    /// Follows the way to a file, which does not have to exist.
    pub fn of_file(path: &Path) -> Result<Self, PathError> {
        follow(path, None)
    }

    /// Follows the way to a folder, which must exist and in which files are created.
    pub fn of_folder(path: &Path, holder: FolderRule) -> Result<Self, PathError> {
        let trusted = follow(path, Some(holder))?;
        match trusted.metadata.as_ref().is_some_and(Metadata::is_dir) {
            true => Ok(trusted),
            false => Err(PathError::Io(Errno::NOTDIR.into())),
        }
    }

    /// Why a file at this path cannot be trusted; `None` if it can.
    pub fn distrust(&self, path: &Path, metadata: &Metadata) -> Option<String> {
        let mode = metadata.mode() & 0o7777;
        if !metadata.is_file() {
            Some("is not a regular file".to_owned())
        } else if !self.trust.owner(path, metadata.uid()) {
            Some(self.trust.stranger(metadata.uid()))
        } else if mode & 0o022 != 0 {
            Some(format!(
                "may be written by others (mode {mode:04o}): chmod go-w"
            ))
        } else {
            None
        }
    }

    /// The user that the service must run as, if root checks its files.
    pub fn service(&self) -> Option<u32> {
        self.trust.service.map(|(user, _)| user)
    }

    /// If root checks the files of a service: works with the rights of the service's user until the
    /// result is dropped. New files then belong to that user, and a link of that user cannot
    /// redirect root.
    pub fn act(&self) -> io::Result<ActingAsService> {
        let Some((user, group)) = self.trust.service else {
            return Ok(ActingAsService(false));
        };
        set_thread_res_gid(None::<Gid>, Gid::from_raw(group), None::<Gid>)?;
        let acting = ActingAsService(true);
        set_thread_res_uid(None::<Uid>, Uid::from_raw(user), None::<Uid>)?;
        Ok(acting)
    }
}

/// The rights of another user in this thread, until the value is dropped.
#[must_use]
#[derive(Debug)]
pub struct ActingAsService(bool);

impl Drop for ActingAsService {
    fn drop(&mut self) {
        if !self.0 {
            return;
        }
        // The real user stays root, so neither call can fail; if one did, the thread would only
        // have too few rights.
        let user = set_thread_res_uid(None::<Uid>, Uid::ROOT, None::<Uid>);
        let group = set_thread_res_gid(None::<Gid>, Gid::ROOT, None::<Gid>);
        if let Err(error) = user.and(group) {
            log::error!("cannot become root again: {error}");
        }
    }
}

/// The trusted users.
#[derive(Clone, Copy, Debug)]
struct TrustedUsers {
    ours: u32,
    looking: bool,
    /// The advice about a folder that others can write to.
    remedy: &'static str,
    /// User and group of the folder of a service that root checks.
    service: Option<(u32, u32)>,
}

impl TrustedUsers {
    fn owner(&self, path: &Path, user: u32) -> bool {
        let lent = || self.ours == 0 && path.starts_with(CREDENTIALS);
        let serves = |(service, _)| service == user;
        user == 0 || user == self.ours || self.service.is_some_and(serves) || lent()
    }

    fn stranger(&self, user: u32) -> String {
        format!(
            "belongs to user {user}, neither to root nor to the user we run as ({})",
            self.ours
        )
    }

    /// Checks a folder on the way.
    fn enter(&mut self, path: &Path, folder: &Metadata) -> Result<(), PathError> {
        let (user, mode) = (folder.uid(), folder.mode() & 0o7777);
        if !self.owner(path, user) {
            if !self.looking || self.service.is_some() {
                return Err(PathError::Distrusted(format!(
                    "the folder {} {} (mode {mode:04o}): chown it, or use another folder",
                    path.display(),
                    self.stranger(user)
                )));
            }
            self.service = Some((user, folder.gid()));
        }
        if mode & 0o022 != 0 && mode & 0o1000 == 0 {
            return Err(writable(path, folder, self.remedy));
        }
        Ok(())
    }

    /// Checks a folder that holds the file or a link to it.
    fn hold(path: &Path, folder: &Metadata) -> Result<(), PathError> {
        if folder.mode() & 0o022 == 0 {
            return Ok(());
        }
        let what = "its sticky bit does not keep others from putting files there: chmod go-w, or \
                    use another folder";
        Err(writable(path, folder, what))
    }
}

fn writable(path: &Path, folder: &Metadata, remedy: &str) -> PathError {
    PathError::Distrusted(format!(
        "the folder {} may be written by others (mode {:04o}, owner {}): {remedy}",
        path.display(),
        folder.mode() & 0o7777,
        folder.uid()
    ))
}

/// Puts the components of a path on top of those that remain, the first one at the end.
fn plan(steps: &mut Vec<OsString>, path: &Path) {
    let taken = path.components().rev().filter_map(|step| match step {
        Component::Normal(_) | Component::ParentDir => Some(step.as_os_str().to_owned()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    });
    steps.extend(taken);
}

/// Follows a path from `/`. `holder`: the path leads to a folder that will hold files.
fn follow(path: &Path, holder: Option<FolderRule>) -> Result<TrustedPath, PathError> {
    let ours = geteuid().as_raw();
    let mut trust = TrustedUsers {
        ours,
        looking: ours == 0 && INSPECTING.load(Ordering::Relaxed),
        remedy: match holder {
            Some(FolderRule::Sticky) => "chmod go-w, or +t",
            Some(FolderRule::Private) | None => "chmod go-w",
        },
        service: None,
    };
    let mut steps = Vec::new();
    plan(&mut steps, &std::path::absolute(path)?);
    let mut real = PathBuf::from("/");
    let mut folder = symlink_metadata(&real)?;
    trust.enter(&real, &folder)?;
    let mut links = 0;
    while let Some(step) = steps.pop() {
        if step == ".." {
            real.pop();
            folder = symlink_metadata(&real)?;
            continue;
        }
        let next = real.join(&step);
        let found = match symlink_metadata(&next) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && steps.is_empty() => None,
            found => Some(found?),
        };
        match found {
            Some(found) if found.is_symlink() => {
                TrustedUsers::hold(&real, &folder)?;
                links += 1;
                if links > MAX_LINKS {
                    return Err(PathError::Io(Errno::LOOP.into()));
                }
                let target = read_link(&next)?;
                if target.is_absolute() {
                    real = PathBuf::from("/");
                    folder = symlink_metadata(&real)?;
                }
                plan(&mut steps, &target);
            }
            Some(found) if found.is_dir() && (holder.is_some() || !steps.is_empty()) => {
                trust.enter(&next, &found)?;
                (real, folder) = (next, found);
            }
            Some(_) if !steps.is_empty() => return Err(PathError::Io(Errno::NOTDIR.into())),
            None if holder.is_some() => return Err(PathError::Io(Errno::NOENT.into())),
            metadata => {
                TrustedUsers::hold(&real, &folder)?;
                return Ok(TrustedPath {
                    path: next,
                    metadata,
                    trust,
                });
            }
        }
    }
    if holder == Some(FolderRule::Private) {
        TrustedUsers::hold(&real, &folder)?;
    }
    Ok(TrustedPath {
        path: real,
        metadata: Some(folder),
        trust,
    })
}

#[cfg(test)]
mod tests;
