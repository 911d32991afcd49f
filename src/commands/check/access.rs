//! `check --user` without root: whether a user may read the files of a configuration, by their owners and modes.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::config::{Config, FileUse, MAX_FILE_BYTES};
use crate::sys::accounts::{Rights, rights_of};
use crate::sys::problem::Problem;
use crate::sys::trusted_file::{Secrecy, read_trusted};

const READ: u32 = 0o4;
const WRITE: u32 = 0o2;
const SEARCH: u32 = 0o1;

/// What the user may not do. Access control lists are not read: they can only allow more.
pub(super) fn denied(
    user: &str,
    config: &Path,
    base: Option<&Path>,
) -> Result<Vec<Problem>, String> {
    let rights = rights_of(user).map_err(|why| format!("--user: {why}"))?;
    if rustix::process::geteuid().as_raw() == rights.user {
        // The files were read with these rights.
        return Ok(Vec::new());
    }
    let named = match (base, config.file_name()) {
        (Some(base), Some(name)) => base.join(name),
        _ => config.to_owned(),
    };
    // A temporary file is not the one that the service reads.
    let mut wanted = Vec::from_iter(base.is_none().then(|| (named.clone(), READ, None)));
    let read = read_trusted(config, MAX_FILE_BYTES, Secrecy::Secret);
    // What is wrong with the configuration is reported already.
    if let Ok(Ok(parsed)) = read.map(|trusted| Config::parse(&named, &trusted.bytes)) {
        for file in &parsed.named {
            let wants = match file.usage {
                FileUse::Read => READ,
                FileUse::Write => WRITE | SEARCH,
            };
            wanted.push((
                file.path.clone(),
                wants,
                Some((file.position, file.key.clone())),
            ));
        }
    }
    let mut problems = Vec::new();
    for (path, wants, place) in wanted {
        if let Some(why) = refusal(user, &rights, &path, wants) {
            let (position, key) = place.unzip();
            problems.push(Problem {
                file: config.to_owned(),
                position,
                key,
                message: why,
            });
        }
    }
    Ok(problems)
}

/// Why the user may not use a file, and what to do.
fn refusal(user: &str, rights: &Rights, path: &Path, wants: u32) -> Option<String> {
    let whole = std::path::absolute(path).ok()?;
    let folders: Vec<PathBuf> = whole.ancestors().skip(1).map(Path::to_owned).collect();
    for folder in folders.iter().rev() {
        // What is not there is reported already.
        let found = fs::metadata(folder).ok()?;
        if !allows(rights, &found, SEARCH) {
            return Some(format!(
                "user {user} may not enter the folder {}: chmod o+x, or chgrp it to a group of the user and chmod g+x",
                folder.display()
            ));
        }
    }
    let found = fs::metadata(&whole).ok()?;
    if allows(rights, &found, wants) {
        return None;
    }
    let (verb, mode) = match wants {
        READ => ("read", "g+r"),
        _ => ("write to", "g+rwx"),
    };
    Some(format!(
        "user {user} may not {verb} {}, which has the mode {:04o} and the owner {}:{}: chgrp it to a group of the user and \
         chmod {mode}",
        whole.display(),
        found.mode() & 0o7777,
        found.uid(),
        found.gid()
    ))
}

/// The check of the kernel (path_resolution(7)): the first class that applies decides.
fn allows(rights: &Rights, found: &Metadata, wants: u32) -> bool {
    if rights.user == 0 {
        return true;
    }
    let shift = match () {
        () if found.uid() == rights.user => 6,
        () if rights.group == found.gid() || rights.groups.contains(&found.gid()) => 3,
        () => 0,
    };
    (found.mode() >> shift) & wants == wants
}
