//! Restricts the server process after its start, so that a bug in it can do little harm.
//!
//! Landlock: the process reads only the folders of the system and those that the configuration
//! names files in. It writes only to folders that the configuration names for this. It cannot
//! listen on a further TCP port, signal another process, or connect to an abstract socket of
//! another process. Seccomp: the process cannot start a program, and it can make only the system
//! calls that it needs. Neither can be undone. The sandbox does not restrict which hosts the
//! process connects to: `IPAddressAllow=` of systemd does.
//!
//! The system's resolver works in the sandbox: `objects` and `calls` allow what its modules need.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::sys::problem::Problem;

mod calls;
mod objects;

/// One access that the configuration needs in the sandbox, and the position of the key that needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The access.
    pub what: Access,
    /// Line and column, both from 1.
    pub position: Option<(usize, usize)>,
    /// The key.
    pub key: Option<String>,
}

/// A kind of access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read a file, also after it was replaced.
    Read(PathBuf),
    /// Create and write files in a folder.
    Write(PathBuf),
    /// Remove a file: a socket of this process, or its lock.
    Remove(PathBuf),
}

/// The mode of the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// No sandbox.
    Off,
    /// As much of it as the kernel supports.
    On,
    /// The program does not serve without it.
    Required,
}

/// Why there is no sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable(String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot enter the sandbox: {}", self.0)
    }
}

impl std::error::Error for Unavailable {}

/// The sandbox of this process, with what it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    granted: GrantedPaths,
    landlock: Option<&'static str>,
    seccomp: bool,
}

/// Folders and single files of the system, by the access that is granted to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct GrantedPaths {
    read: BTreeSet<PathBuf>,
    /// Files can be created and written, too.
    written: BTreeSet<PathBuf>,
    /// Files can be removed.
    cleared: BTreeSet<PathBuf>,
}

impl Sandbox {
    /// Puts this process into a sandbox permanently. Every access in `needs` stays possible.
    ///
    /// Only threads that start later are restricted completely. Restrictions that the kernel does
    /// not support are left out. An error if it supports none, or if the call fails.
    pub fn enter(needs: &[Need]) -> Result<Self, Unavailable> {
        let granted = GrantedPaths::new(needs);
        let landlock = objects::restrict(&granted)?;
        ENTERED.store(landlock.is_some(), Ordering::Relaxed);
        // SQLite creates its journals with the mode of the database, and the sandbox denies
        // changing it afterwards; so the umask must not remove the group's rights. Our own files
        // ask for narrow modes themselves.
        let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o007));
        let seccomp = calls::restrict();
        if let Err(error) = &seccomp {
            rustix::process::umask(before);
            if landlock.is_none() {
                let message = format!("the kernel has no Landlock, and seccomp failed: {error}");
                return Err(Unavailable(message));
            }
            log::debug!("seccomp: {error}");
        }
        Ok(Self {
            granted,
            landlock,
            seccomp: seccomp.is_ok(),
        })
    }

    /// Enters the sandbox as `mode` asks, and logs what is enforced, or why nothing is. An error
    /// only where the mode requires the whole sandbox.
    pub fn start(mode: Mode, needs: &[Need]) -> Result<Option<Self>, Unavailable> {
        if mode == Mode::Off {
            return Ok(None);
        }
        let required = mode == Mode::Required;
        let entered =
            Self::enter(needs).and_then(|sandbox| match required && !sandbox.is_whole() {
                true => Err(Unavailable(format!("not all of it is there: {sandbox}"))),
                false => Ok(sandbox),
            });
        match entered {
            Ok(sandbox) => {
                log::info!("{sandbox}");
                Ok(Some(sandbox))
            }
            Err(error) if required => Err(error),
            Err(error) => {
                log::warn!("{error}; the server goes on without it");
                Ok(None)
            }
        }
    }

    /// Whether the kernel supports every part of the sandbox.
    pub fn is_whole(&self) -> bool {
        self.landlock.is_some() && self.seccomp
    }

    /// The accesses that the configuration `file` needs and this sandbox denies.
    pub fn denied(&self, file: &Path, needs: Vec<Need>) -> Vec<Problem> {
        let home = folder_of(file).unwrap_or_default();
        let denied = needs.into_iter().filter_map(|need| {
            let message = self.granted.denial(&need.what, &home)?;
            Some(Problem {
                file: file.to_path_buf(),
                position: need.position,
                key: need.key,
                message,
            })
        });
        denied.collect()
    }
}

/// Whether file access is restricted for this process.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// A hint for a file error that the sandbox may have caused: a folder that was replaced since the
/// start, or is now reached by a link to another path, is not granted.
pub fn hint(error: &io::Error) -> &'static str {
    let denied = error.kind() == io::ErrorKind::PermissionDenied;
    match denied && ENTERED.load(Ordering::Relaxed) {
        true => {
            " (if its folder was replaced since the start, the sandbox denies it: restart the program)"
        }
        false => "",
    }
}

/// What is enforced, for the log.
impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sandbox: ")?;
        match &self.landlock {
            Some(kinds) => write!(f, "{kinds} (Landlock)")?,
            None => f.write_str("the kernel has no Landlock")?,
        }
        f.write_str(match self.seccomp {
            true => ", system calls (seccomp)",
            false => ", but not system calls: the kernel has no seccomp",
        })
    }
}

impl GrantedPaths {
    fn new(needs: &[Need]) -> Self {
        let mut granted = Self {
            read: objects::of_the_system(),
            ..Self::default()
        };
        for need in needs {
            match &need.what {
                Access::Read(file) => granted.read.extend(folders_of(file)),
                Access::Write(folder) => granted.written.extend(real(folder)),
                Access::Remove(file) => granted.cleared.extend(folder_of(file)),
            }
        }
        granted
    }

    /// Why an access is denied, and what to do; `None` if it is allowed. `home` is the folder of
    /// the configuration, which is granted.
    fn denial(&self, what: &Access, home: &Path) -> Option<String> {
        let below = |path: &Path, folders: &BTreeSet<PathBuf>| {
            folders.iter().any(|folder| path.starts_with(folder))
        };
        match what {
            Access::Read(file) => {
                // A path that does not exist or cannot be reached is reported as such.
                let path = file.canonicalize().ok().or_else(|| folder_of(file))?;
                let granted = below(&path, &self.read) || below(&path, &self.written);
                let folder = match path.is_dir() {
                    true => path.as_path(),
                    false => path.parent()?,
                };
                (!granted).then(|| {
                    format!(
                        "the sandbox denies {}: no file in {} was named when the server started. Move \
                         the file to {} or a folder below it, or restart the program",
                        file.display(),
                        folder.display(),
                        home.display()
                    )
                })
            }
            Access::Write(folder) => {
                let path = real(folder)?;
                (!below(&path, &self.written)).then(|| {
                    format!(
                        "the sandbox denies writing in {}: the folder was not named when the server \
                         started. Restart the program",
                        folder.display()
                    )
                })
            }
            // Only the start of a server needs it.
            Access::Remove(_) => None,
        }
    }
}

/// The folder of a file and, if the file is a link, the folder of its target: the file may be
/// replaced in either.
fn folders_of(file: &Path) -> impl Iterator<Item = PathBuf> {
    let real = file.canonicalize().ok();
    let real = real.and_then(|file| file.parent().map(Path::to_path_buf));
    folder_of(file).into_iter().chain(real)
}

fn folder_of(file: &Path) -> Option<PathBuf> {
    real(file.parent()?)
}

/// A folder by its path without links; `None` if it does not exist.
fn real(folder: &Path) -> Option<PathBuf> {
    match folder.as_os_str().is_empty() {
        true => Path::new(".").canonicalize().ok(),
        false => folder.canonicalize().ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn need(what: Access) -> Need {
        Need {
            what,
            position: None,
            key: None,
        }
    }

    #[test]
    fn what_is_beside_a_granted_file_is_granted_and_nothing_else() {
        let base = std::env::temp_dir().join(format!("nma-sandbox-{}", std::process::id()));
        let _none_yet = fs::remove_dir_all(&base);
        for folder in ["etc/keys", "srv", "else"] {
            fs::create_dir_all(base.join(folder)).unwrap();
        }
        for file in ["etc/auth.toml", "srv/users", "else/users"] {
            fs::write(base.join(file), "").unwrap();
        }
        symlink("../srv/users", base.join("etc/users")).unwrap();
        symlink("../else/users", base.join("etc/other")).unwrap();
        let home = base.join("etc");
        let read = |name: &str| Access::Read(base.join(name));
        let granted = GrantedPaths::new(&[
            need(read("etc/auth.toml")),
            need(read("etc/users")),
            need(Access::Write(base.join("else"))),
        ]);
        for (what, yes) in [
            (read("etc/auth.toml"), true),
            (read("etc/keys/one"), true),
            (read("etc/not-there"), true),
            (read("srv/other"), true),
            (read("nowhere/at/all"), true),
            (read("etc/other"), true),
            (read("etc/../auth.toml"), false),
            (Access::Read(PathBuf::from("/etc/ssl/certs/any.pem")), true),
            (Access::Write(base.join("else")), true),
            (Access::Write(base.join("etc")), false),
            (Access::Write(PathBuf::from("/etc")), false),
        ] {
            assert_eq!(granted.denial(&what, &home).is_none(), yes, "{what:?}");
        }
        let elsewhere = GrantedPaths::new(&[need(read("etc/auth.toml"))]);
        // The folder contains the link, but not the file.
        assert_eq!(
            elsewhere.denial(&read("etc/other"), &home).unwrap(),
            format!(
                "the sandbox denies {0}/etc/other: no file in {0}/else was named when the server started. \
                 Move the file to {0}/etc or a folder below it, or restart the program",
                base.display()
            )
        );
        // A folder that is only read or written does not allow removing.
        assert_eq!(granted.cleared, BTreeSet::new());
        fs::remove_dir_all(&base).unwrap();
    }
}
