//! The way to a file: the folders and links that lead to it, and who can change what is found there.
//!
//! Each folder on the way must belong to root or to the user we run as, and nobody else may write to
//! it. Further up, a folder that others can write to is accepted if it has the sticky bit, as `/tmp`
//! has: nobody can rename or remove an entry of somebody else there (inode(7)). The folder that holds
//! the file, or a link on the way to it, may not: others could put a hard link there to another file
//! of a trusted owner, or files that a library looks for beside it. Access control lists are covered:
//! the bits of the group are the mask of what they grant (acl(5)).
//!
//! The check starts at `/` and goes down, so what it has accepted cannot be replaced afterwards by
//! anybody but a trusted user, and the path that it finds, free of links, is safe to open.
//!
//! Where root runs a command, such as `check`, for a service of another user ([`look_for_a_service`]),
//! that user counts as the one we run as: it is the one that the folder of the file belongs to.

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

/// The most links on one way, as in Linux (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Where systemd puts what root lends to services (`LoadCredential=`, systemd.exec(5)). What is in it
/// may belong to the user of the service: only systemd can put it there.
pub(super) const CREDENTIALS: &str = "/run/credentials";

/// Whether root looks at what a service of another user works with.
static LOOKING: AtomicBool = AtomicBool::new(false);

/// From now on, root trusts the user that a file's folder belongs to: for commands of administrators,
/// which open for root what the service opens for its own user. Of no effect for anybody else.
pub fn look_for_a_service() {
    LOOKING.store(true, Ordering::Relaxed);
}

/// Why a file is not taken.
#[derive(Debug)]
pub enum Fault {
    /// The way to it, or the file, cannot be looked at.
    Io(io::Error),
    /// Somebody else could have put it there, in words.
    Distrusted(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Whether the folder that a file is in may be one where everybody can make files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Only root and the user we run as can make files in it.
    Private,
    /// Others can too, but not replace those of somebody else: it has the sticky bit.
    Sticky,
}

/// Where a file is, by a path without links that nobody else can change.
#[derive(Debug)]
pub struct Place {
    /// The path.
    pub path: PathBuf,
    /// What is there; `None`: nothing.
    pub metadata: Option<Metadata>,
    trust: Trust,
}

impl Place {
    /// Follows the way to a file, which need not be there.
    pub fn of_file(path: &Path) -> Result<Self, Fault> {
        follow(path, None)
    }

    /// Follows the way to a folder, which must be there, and in which files are made.
    pub fn of_folder(path: &Path, holder: Holder) -> Result<Self, Fault> {
        let place = follow(path, Some(holder))?;
        match place.metadata.as_ref().is_some_and(Metadata::is_dir) {
            true => Ok(place),
            false => Err(Fault::Io(Errno::NOTDIR.into())),
        }
    }

    /// Why a file at this place cannot be trusted, if so.
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

    /// The user that the service must run as, where root looks for it.
    pub fn service(&self) -> Option<u32> {
        self.trust.service.map(|(user, _)| user)
    }

    /// Works with the rights of the service's user, where root looks for it, until the result is
    /// dropped. What is made then belongs to that user, and no link that it puts there leads root
    /// anywhere.
    pub fn act(&self) -> io::Result<Acting> {
        let Some((user, group)) = self.trust.service else {
            return Ok(Acting(false));
        };
        set_thread_res_gid(None::<Gid>, Gid::from_raw(group), None::<Gid>)?;
        let acting = Acting(true);
        set_thread_res_uid(None::<Uid>, Uid::from_raw(user), None::<Uid>)?;
        Ok(acting)
    }
}

/// The rights of another user, of this thread, until it is dropped.
#[must_use]
#[derive(Debug)]
pub struct Acting(bool);

impl Drop for Acting {
    fn drop(&mut self) {
        if !self.0 {
            return;
        }
        // The real user is root all the time, so that neither can fail; if it did, what follows
        // would only have too few rights.
        let user = set_thread_res_uid(None::<Uid>, Uid::ROOT, None::<Uid>);
        let group = set_thread_res_gid(None::<Gid>, Gid::ROOT, None::<Gid>);
        if let Err(error) = user.and(group) {
            log::error!("cannot become root again: {error}");
        }
    }
}

/// Who is trusted.
#[derive(Clone, Copy, Debug)]
struct Trust {
    ours: u32,
    looking: bool,
    /// What to do about a folder that others can write to.
    remedy: &'static str,
    /// User and group of the folder of a service that root looks at.
    service: Option<(u32, u32)>,
}

impl Trust {
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

    /// Accepts a folder on the way.
    fn enter(&mut self, path: &Path, folder: &Metadata) -> Result<(), Fault> {
        let (user, mode) = (folder.uid(), folder.mode() & 0o7777);
        if !self.owner(path, user) {
            if !self.looking || self.service.is_some() {
                return Err(Fault::Distrusted(format!(
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

    /// Accepts a folder that was entered as the one that holds the file, or a link to it.
    fn hold(path: &Path, folder: &Metadata) -> Result<(), Fault> {
        if folder.mode() & 0o022 == 0 {
            return Ok(());
        }
        let what = "its sticky bit does not keep others from putting files there: chmod go-w, or \
                    use another folder";
        Err(writable(path, folder, what))
    }
}

fn writable(path: &Path, folder: &Metadata, remedy: &str) -> Fault {
    Fault::Distrusted(format!(
        "the folder {} may be written by others (mode {:04o}, owner {}): {remedy}",
        path.display(),
        folder.mode() & 0o7777,
        folder.uid()
    ))
}

/// Puts the steps of a path on top of those that are still to be taken, the first at the end.
fn plan(steps: &mut Vec<OsString>, path: &Path) {
    let taken = path.components().rev().filter_map(|step| match step {
        Component::Normal(_) | Component::ParentDir => Some(step.as_os_str().to_owned()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    });
    steps.extend(taken);
}

/// Follows a path from `/`. `holder`: it leads to a folder, which is to hold files.
fn follow(path: &Path, holder: Option<Holder>) -> Result<Place, Fault> {
    let ours = geteuid().as_raw();
    let mut trust = Trust {
        ours,
        looking: ours == 0 && LOOKING.load(Ordering::Relaxed),
        remedy: match holder {
            Some(Holder::Sticky) => "chmod go-w, or +t",
            Some(Holder::Private) | None => "chmod go-w",
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
                Trust::hold(&real, &folder)?;
                links += 1;
                if links > MAX_LINKS {
                    return Err(Fault::Io(Errno::LOOP.into()));
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
            Some(_) if !steps.is_empty() => return Err(Fault::Io(Errno::NOTDIR.into())),
            None if holder.is_some() => return Err(Fault::Io(Errno::NOENT.into())),
            metadata => {
                Trust::hold(&real, &folder)?;
                return Ok(Place {
                    path: next,
                    metadata,
                    trust,
                });
            }
        }
    }
    if holder == Some(Holder::Private) {
        Trust::hold(&real, &folder)?;
    }
    Ok(Place {
        path: real,
        metadata: Some(folder),
        trust,
    })
}

#[cfg(test)]
mod tests;
