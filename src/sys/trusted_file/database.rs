//! Checks the database files of SQLite, with the files that SQLite reads beside them.
//!
//! SQLite reads a newer or older state of the database from a `-wal` or `-journal` file beside it
//! (sqlite.org/tempfiles.html). So these files are checked like the database itself.

use std::ffi::OsString;
use std::fs::symlink_metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::path::TrustedPath;
use super::unlocated;
use crate::sys::problem::Problem;

/// The files that SQLite looks for beside a database.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The trusted path of a database, which does not have to exist. The database, the files beside it and the
/// way to it are checked as in [`read_trusted`](super::read_trusted).
pub fn locate(path: &Path) -> Result<TrustedPath, Problem> {
    let trusted = TrustedPath::of_file(path).map_err(|fault| unlocated(path, fault))?;
    let database = trusted.metadata.as_ref();
    if let Some(reason) = database.and_then(|found| trusted.distrust(&trusted.path, found)) {
        return Err(Problem::new(path, reason));
    }
    for suffix in COMPANIONS {
        // SQLite follows links before it looks beside the database.
        let companion = beside(&trusted.path, suffix);
        let reason = match symlink_metadata(&companion) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(format!("cannot be examined: {error}")),
            // SQLite writes to it, and run by root it gives the file to the owner of the database.
            Ok(found) if found.is_file() && found.nlink() != 1 => Some(format!(
                "has {} hard links: stop what uses the database, and remove it",
                found.nlink()
            )),
            Ok(found) => trusted.distrust(&companion, &found),
        };
        if let Some(reason) = reason {
            return Err(Problem::new(beside(path, suffix), reason));
        }
    }
    Ok(trusted)
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut path = OsString::from(database);
    path.push(suffix);
    path.into()
}
