//! A process of our own that removes the files of our sockets, for a server that has shut itself in.
//!
//! Landlock grants the removal of all files of a folder, or of none. So this program runs once more,
//! from before the sandbox on, in a sandbox of its own, with the files as arguments: it removes the
//! one whose number it reads as a line, and answers each line by an empty one. It ends when nobody
//! is left to ask.

use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::{Granted, calls, folder_of, objects};

/// The argument by which the program knows that it is to remove the files that follow. Not for
/// typing.
pub const ARGUMENT: &str = "remove-sockets";

/// The one of this process. It belongs to the process as the sandbox does.
static REMOVAL: OnceLock<Removal> = OnceLock::new();

/// The process that removes files, which nobody asks yet.
pub(super) struct Starting {
    child: Child,
    files: Vec<PathBuf>,
}

struct Removal {
    files: Vec<PathBuf>,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Starting {
    /// Starts the process for these files and no others.
    pub(super) fn start(files: Vec<PathBuf>) -> io::Result<Self> {
        let child = Command::new("/proc/self/exe")
            .arg0("nginx-mail-auth")
            .arg(ARGUMENT)
            .args(&files)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Self { child, files })
    }

    /// Has it asked by [`remove`] from now on.
    pub(super) fn attend(mut self) -> io::Result<()> {
        let pipes = self.child.stdin.take().zip(self.child.stdout.take());
        let (questions, answers) = pipes.ok_or(io::ErrorKind::BrokenPipe)?;
        let removal = Removal {
            files: self.files,
            pipes: Mutex::new((questions, BufReader::new(answers))),
        };
        // Only the first one would ever be asked.
        REMOVAL
            .set(removal)
            .map_err(|_| io::ErrorKind::AlreadyExists.into())
    }
}

/// Removes the file of a socket of ours, or the lock beside it, by the process outside if there is
/// one.
pub fn remove(file: &Path) -> io::Result<()> {
    let Some((removal, number)) = REMOVAL.get().and_then(|removal| {
        let number = removal.files.iter().position(|one| one == file)?;
        Some((removal, number))
    }) else {
        return fs::remove_file(file);
    };
    let mut pipes = removal.pipes.lock().unwrap_or_else(PoisonError::into_inner);
    let (questions, answers) = &mut *pipes;
    questions.write_all(format!("{number}\n").as_bytes())?;
    match answers.read_line(&mut String::new())? {
        0 => Err(io::ErrorKind::BrokenPipe.into()),
        _ => Ok(()),
    }
}

/// Removes files as it is told: what the program does if [`ARGUMENT`] is its first argument, with the
/// arguments after that.
pub fn serve(files: impl Iterator<Item = OsString>) -> io::Result<()> {
    // Meant for the one that asks, where a signal goes to both, as from systemd. That one has logins
    // to finish, and with it this one ends.
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::default())?;
    }
    let files: Vec<PathBuf> = files.map(PathBuf::from).collect();
    let granted = Granted {
        cleared: files.iter().filter_map(|file| folder_of(file)).collect(),
        ..Granted::default()
    };
    // As much of it as the kernel has.
    let _landlock = objects::restrict(&granted);
    let _seccomp = calls::restrict();
    for question in io::stdin().lock().lines() {
        let number = question?.parse().ok();
        let file = number.and_then(|number: usize| files.get(number));
        // If it cannot be removed, the next start finds it stale.
        let _removed = file.map(fs::remove_file);
        let mut answers = io::stdout().lock();
        answers.write_all(b"\n")?;
        answers.flush()?;
    }
    Ok(())
}
