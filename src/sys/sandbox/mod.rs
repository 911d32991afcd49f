//! What a server gives up once it has started, so that a bug cannot be made much of.
//!
//! Under Landlock the process reads the folders that its configuration names files in, writes
//! next to nothing, and connects to the TCP ports that the configuration names; it binds no port
//! of its choice, and neither sends signals nor connects to abstract sockets outside. Under seccomp it starts no
//! program and uses nothing of the kernel that it has no need of. Both are for good: a later
//! configuration that needs more is refused, with a word on that.
//!
//! Host names are looked up by a process of its own, which is started before
//! ([`lookups`](crate::route::lookups)): the system's way to do it reads files that may be replaced
//! at any time, talks to whatever /etc/nsswitch.conf says, and may be a program.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::accounts;
use crate::config::Config;
use crate::route::lookups::Starting as Lookups;
use crate::sys::problem::Problem;

mod calls;
mod objects;
pub mod removal;

pub use crate::service::needs::{Need, What, needs};
use removal::Starting as Removal;

/// Whether there is to be a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// No.
    Off,
    /// As much of it as the kernel has.
    On,
    /// Without it the program does not serve.
    Required,
}

/// Why there is no sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable(String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the sandbox cannot be had: {}", self.0)
    }
}

impl std::error::Error for Unavailable {}

/// The sandbox that this process is in: what it can still do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    granted: Granted,
    landlock: Option<String>,
    seccomp: bool,
}

/// What is granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Granted {
    /// Folders below which files are read.
    read: BTreeSet<PathBuf>,
    /// Folders in which files are made and written, too.
    written: BTreeSet<PathBuf>,
    /// Folders in which files are removed, by [`removal`].
    cleared: BTreeSet<PathBuf>,
    ports: BTreeSet<u16>,
    names: bool,
}

impl Sandbox {
    /// Puts this process into a sandbox for good; all that `needs` says can still be done.
    ///
    /// Only threads that are started later are in it as a whole. Of what the kernel lacks there is
    /// nothing; an error if that is all of it, or if it fails.
    pub fn enter(needs: &[Need]) -> Result<Self, Unavailable> {
        let granted = Granted::new(needs);
        accounts::remember_users();
        let landlock = objects::restrict(&granted)?;
        ENTERED.store(landlock.is_some(), Ordering::Relaxed);
        // SQLite gives its journals the mode of the database by making them so: the way to change it
        // afterwards is shut. We ask for no more than we want either.
        let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o007));
        let seccomp = calls::restrict();
        if let Err(error) = &seccomp {
            rustix::process::umask(before);
            if landlock.is_none() {
                let message = format!("there is no Landlock here, and no seccomp: {error}");
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

    /// Whether the kernel has all kinds of it.
    pub fn is_whole(&self) -> bool {
        self.landlock.is_some() && self.seccomp
    }

    /// What of a configuration cannot be done in here.
    fn missing(&self, config: &Config) -> Vec<Problem> {
        needs(config)
            .into_iter()
            .filter(|need| !self.granted.grants(&need.what))
            .map(|need| Problem {
                file: config.path.clone(),
                place: need.place,
                key: need.key,
                message: format!(
                    "needs {}, which the sandbox has ruled out since the start: restart the program",
                    need.what
                ),
            })
            .collect()
    }
}

/// Whether files are ruled for this process.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// What to add to an error with a file, if the sandbox may be the reason: a folder that was replaced
/// since the start, or is reached by a link that leads elsewhere now, is none that it has granted.
pub fn hint(error: &io::Error) -> &'static str {
    let denied = error.kind() == io::ErrorKind::PermissionDenied;
    match denied && ENTERED.load(Ordering::Relaxed) {
        true => " (if its folder was replaced, the sandbox has ruled it out: restart the program)",
        false => "",
    }
}

/// What of a configuration a process cannot do that is in this sandbox, or in none.
pub fn impossible(sandbox: Option<&Sandbox>, config: &Config) -> Vec<Problem> {
    let mut problems = sandbox.map_or_else(Vec::new, |sandbox| sandbox.missing(config));
    if config.sandbox == Mode::Required && !sandbox.is_some_and(Sandbox::is_whole) {
        problems.push(Problem {
            file: config.path.clone(),
            place: None,
            key: Some("process.sandbox".to_owned()),
            message: "is \"required\", and this process has none: restart the program".to_owned(),
        });
    }
    problems
}

/// Puts this process into the sandbox that `config` asks for, and starts what has to stay outside;
/// `removable` are the files that [`removal::remove`] is to remove from inside. To be called before
/// there are threads.
///
/// What is in force, or why nothing is, goes to the log. An error only where there must be a
/// sandbox, and all of it.
pub fn start(config: &Config, removable: Vec<PathBuf>) -> Result<Option<Sandbox>, Unavailable> {
    if config.sandbox == Mode::Off {
        return Ok(None);
    }
    let needs = needs(config);
    let entered = enter(&needs, removable).and_then(|sandbox| {
        match config.sandbox == Mode::Required && !sandbox.is_whole() {
            true => Err(Unavailable(format!("not all of it: {sandbox}"))),
            false => Ok(sandbox),
        }
    });
    match entered {
        Ok(sandbox) => {
            log::info!("{sandbox}");
            Ok(Some(sandbox))
        }
        Err(error) if config.sandbox == Mode::Required => Err(error),
        Err(error) => {
            log::warn!("{error}; it goes on without");
            Ok(None)
        }
    }
}

/// With the process that looks names up, and the one that removes files, if there are any.
fn enter(needs: &[Need], removable: Vec<PathBuf>) -> Result<Sandbox, Unavailable> {
    let unnamed = |error| Unavailable(format!("names cannot be looked up outside: {error}"));
    let names = needs.iter().any(|need| need.what == What::Names);
    let lookups = names.then(Lookups::start).transpose().map_err(unnamed)?;
    let files = !removable.is_empty();
    let removal = files.then(|| Removal::start(removable));
    let sandbox = Sandbox::enter(needs)?;
    lookups.map(Lookups::attend).transpose().map_err(unnamed)?;
    // Without it they stay, and the next start finds them stale.
    if let Some(Err(error)) = removal.map(|started| started.and_then(Removal::attend)) {
        log::warn!("the files of sockets will stay at the end: {error}");
    }
    Ok(sandbox)
}

/// What is in force, for the log.
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

impl Granted {
    fn new(needs: &[Need]) -> Self {
        let mut granted = Self::default();
        for need in needs {
            match &need.what {
                What::Read(file) => granted.read.extend(folders_of(file)),
                What::Write(folder) => granted.written.extend(real(folder)),
                What::Connect(port) => {
                    granted.ports.insert(*port);
                }
                What::Names => granted.names = true,
            }
        }
        granted
    }

    fn grants(&self, what: &What) -> bool {
        let below = |path: &Path, folders: &BTreeSet<PathBuf>| {
            folders.iter().any(|folder| path.starts_with(folder))
        };
        match what {
            // What is not there, or not to be got at, is reported as that.
            What::Read(file) => match file.canonicalize().ok().or_else(|| folder_of(file)) {
                Some(path) => below(&path, &self.read) || below(&path, &self.written),
                None => true,
            },
            What::Write(folder) => real(folder).is_none_or(|path| below(&path, &self.written)),
            What::Connect(port) => self.ports.contains(port),
            What::Names => self.names,
        }
    }
}

/// The folder that a file is in, and the one that it is really in, if the file is a link: in either
/// it may be replaced.
fn folders_of(file: &Path) -> impl Iterator<Item = PathBuf> {
    let real = file.canonicalize().ok();
    let real = real.and_then(|file| file.parent().map(Path::to_path_buf));
    folder_of(file).into_iter().chain(real)
}

fn folder_of(file: &Path) -> Option<PathBuf> {
    real(file.parent()?)
}

/// A folder without links on the way to it; `None` if it is not there.
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

    fn need(what: What) -> Need {
        Need {
            what,
            place: None,
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
        let read = |name: &str| What::Read(base.join(name));
        let granted = Granted::new(&[
            need(read("etc/auth.toml")),
            need(read("etc/users")),
            need(What::Write(base.join("else"))),
            need(What::Connect(389)),
        ]);
        for (what, yes) in [
            (read("etc/auth.toml"), true),
            (read("etc/keys/one"), true),
            (read("etc/not-there"), true),
            (read("srv/other"), true),
            (read("nowhere/at/all"), true),
            (read("etc/other"), true),
            (read("etc/../auth.toml"), false),
            (What::Read(PathBuf::from("/etc/passwd")), false),
            (What::Write(base.join("else")), true),
            (What::Write(base.join("etc")), false),
            (What::Connect(389), true),
            (What::Connect(636), false),
            (What::Names, false),
        ] {
            assert_eq!(granted.grants(&what), yes, "{what}");
        }
        let elsewhere = Granted::new(&[need(read("etc/auth.toml"))]);
        // The link is in there, the file is not.
        assert!(!elsewhere.grants(&read("etc/other")));
        // Nothing is removed where it is only read.
        assert_eq!(granted.cleared, BTreeSet::new());
        fs::remove_dir_all(&base).unwrap();
    }
}
