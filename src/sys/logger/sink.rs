//! The output of the log, written without blocking where that is possible, or with a time-out.

use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

/// The maximum number of bytes that a pipe takes completely or not at all (PIPE_BUF, pipe(7)).
const PIPE_BUF: usize = 4096;

/// A file, pipe, socket or terminal.
pub(super) struct Sink<F> {
    file: F,
    kind: OutputKind,
    /// The same pipe or terminal, opened again with O_NONBLOCK: so the flags of other processes
    /// that share stderr do not change.
    again: Option<OwnedFd>,
}

/// The kind of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutputKind {
    /// A file: it accepts everything, but a write can take long.
    File,
    /// A socket, such as the journal's.
    Socket,
    /// A pipe or a terminal.
    Pipe,
}

/// How many bytes were written, and why not all.
pub(super) type Written = (usize, Result<(), Errno>);

impl<F: AsFd> Sink<F> {
    pub(super) fn new(file: F) -> Self {
        let kind = match fstat(&file).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::RegularFile) => OutputKind::File,
            Ok(FileType::Socket) => OutputKind::Socket,
            _ => OutputKind::Pipe,
        };
        Self {
            file,
            kind,
            again: None,
        }
    }

    /// The kind of the output.
    #[cfg(test)]
    pub(super) fn kind(&self) -> OutputKind {
        self.kind
    }

    /// Prepares a pipe or terminal for [`Sink::at_once`], if it can be opened again: that fails for
    /// one of another user.
    pub(super) fn open_again(&mut self) {
        if self.kind == OutputKind::Pipe {
            let path = format!("/proc/self/fd/{}", self.file.as_fd().as_raw_fd());
            let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            self.again = open(path, flags, Mode::empty()).ok();
        }
    }

    /// Writes what the output accepts without blocking; `None` if that cannot be known in advance.
    pub(super) fn at_once(&self, bytes: &[u8]) -> Option<Written> {
        match (self.kind, &self.again) {
            (OutputKind::Socket, _) | (_, Some(_)) => {
                Some(self.parts(bytes, |part| self.write(part)))
            }
            (OutputKind::File | OutputKind::Pipe, None) => None,
        }
    }

    /// Writes everything, with this time-out for each part; `None`: without a time-out.
    pub(super) fn all(&self, bytes: &[u8], patience: Option<Duration>) -> Written {
        let patience = patience.map(|time| Timespec::try_from(time).unwrap_or_default());
        self.parts(bytes, |part| {
            // A file is always ready (poll(2)).
            let mut files = [PollFd::new(&self.file, PollFlags::OUT)];
            match poll(&mut files, patience.as_ref())? {
                0 => Err(Errno::AGAIN),
                _ => match self.write(part) {
                    // Another writer was faster. Some time may be left.
                    Err(Errno::AGAIN) if patience.is_none() => Ok(0),
                    written => written,
                },
            }
        })
    }

    fn parts(&self, bytes: &[u8], write: impl Fn(&[u8]) -> Result<usize, Errno>) -> Written {
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            match write(first_part(rest)) {
                Ok(count) => done += count,
                Err(Errno::INTR) => {}
                Err(error) => return (done, Err(error)),
            }
        }
        (done, Ok(()))
    }

    fn write(&self, part: &[u8]) -> Result<usize, Errno> {
        match (self.kind, &self.again) {
            (OutputKind::Socket, _) => {
                let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
                send(&self.file, part, flags)
            }
            (_, Some(again)) => rustix::io::write(again, part),
            (OutputKind::File | OutputKind::Pipe, None) => rustix::io::write(&self.file, part),
        }
    }
}

/// As many whole lines as can be written at once. A longer line is written in parts.
fn first_part(bytes: &[u8]) -> &[u8] {
    let Some(part) = bytes.get(..PIPE_BUF) else {
        return bytes;
    };
    let end = part.iter().rposition(|byte| *byte == b'\n');
    end.and_then(|end| part.get(..=end)).unwrap_or(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_whole_lines_if_they_fit() {
        let line = |length: usize| [vec![b'x'; length - 1], vec![b'\n']].concat();
        for (lines, first) in [
            (vec![], 0),
            (vec![10], 10),
            (vec![4096], 4096),
            (vec![4000, 96], 4096),
            (vec![4000, 97], 4000),
            (vec![5000, 10], 4096),
            (vec![100, 5000], 100),
        ] {
            let bytes: Vec<u8> = lines.iter().flat_map(|length| line(*length)).collect();
            assert_eq!(first_part(&bytes).len(), first, "{lines:?}");
        }
    }
}
