//! Stderr as a log that no login waits for: the disk may be full, and nobody may read the pipe.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

/// How long a reader that is slow gets. Then lines are lost at once, until it takes one again.
const PATIENCE: Duration = Duration::from_secs(1);

/// As many bytes as a pipe takes whole, or not at all, if it takes any (PIPE_BUF, pipe(7)).
const MOST_AT_ONCE: usize = 4096;

/// Takes every line, and writes it if that does not keep anybody waiting.
pub(super) struct Sink<F> {
    file: F,
    kind: Kind,
    /// Lines that could not be written since the last one that could.
    lost: u64,
}

/// What is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A file takes what it takes at once.
    File,
    /// A socket, such as the journal's.
    Socket,
    /// A pipe or a terminal.
    Pipe,
}

impl Sink<BorrowedFd<'static>> {
    /// The log on stderr.
    pub(super) fn stderr() -> Self {
        Self::new(rustix::stdio::stderr())
    }
}

impl<F: AsFd> Sink<F> {
    fn new(file: F) -> Self {
        let kind = match fstat(&file).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::RegularFile) => Kind::File,
            Ok(FileType::Socket) => Kind::Socket,
            _ => Kind::Pipe,
        };
        Self {
            file,
            kind,
            lost: 0,
        }
    }

    /// Writes all of it, waiting for a moment if need be, but not where the last line was lost.
    fn put(&self, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            let part = bytes.get(..MOST_AT_ONCE).unwrap_or(bytes);
            if self.kind != Kind::File && !self.is_ready()? {
                return Err(Errno::AGAIN);
            }
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            let written = match self.kind {
                Kind::Socket => send(&self.file, part, flags),
                Kind::File | Kind::Pipe => rustix::io::write(&self.file, part),
            };
            match written {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn is_ready(&self) -> Result<bool, Errno> {
        let patience = if self.lost == 0 {
            PATIENCE
        } else {
            Duration::ZERO
        };
        let patience = Timespec::try_from(patience).unwrap_or_default();
        let mut files = [PollFd::new(&self.file, PollFlags::OUT)];
        Ok(poll(&mut files, Some(&patience))? > 0)
    }

    /// What stands before a line if others are missing.
    fn gap(&self, line: &[u8]) -> Vec<u8> {
        // The time, as the line has it.
        let end = line.iter().position(|byte| *byte == b' ').unwrap_or(0);
        let time = String::from_utf8_lossy(line.get(..end).unwrap_or_default());
        format!(
            "{time} WARN nginx-mail-auth[{}]: {} lines of this log were lost: nobody took them\n",
            std::process::id(),
            self.lost
        )
        .into_bytes()
    }
}

/// Each call brings one whole line.
impl<F: AsFd> Write for Sink<F> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let told = match self.lost {
            0 => Ok(()),
            _ => self.put(&self.gap(line)),
        };
        match told.map(|()| self.lost = 0).and_then(|()| self.put(line)) {
            Ok(()) => {}
            Err(_) => self.lost += 1,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::net::UnixStream;
    use std::time::Instant;

    use super::*;

    const LINE: &[u8] = b"2026-01-31T00:00:00Z INFO nginx-mail-auth[1]: login=\"alice\"\n";

    /// Writes until lines are lost; how many came through.
    fn fill<F: AsFd>(sink: &mut Sink<F>) -> u64 {
        let mut written = 0;
        while sink.lost == 0 {
            sink.write_all(LINE).unwrap();
            written += 1 - sink.lost;
        }
        let start = Instant::now();
        for _ in 0..1000 {
            sink.write_all(LINE).unwrap();
        }
        assert!(start.elapsed() < PATIENCE * 5, "each of them has waited");
        assert_eq!(sink.lost, 1001);
        written
    }

    /// Takes what came, and makes room; then the next line tells of the gap.
    fn drain<F: AsFd>(mut sink: Sink<F>, mut reader: impl io::Read, written: u64) {
        let mut read = vec![0; written as usize * LINE.len()];
        reader.read_exact(&mut read).unwrap();
        assert!(read.chunks(LINE.len()).all(|line| line == LINE));
        sink.write_all(LINE).unwrap();
        sink.write_all(LINE).unwrap();
        assert_eq!(sink.lost, 0);
        drop(sink);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        let lines: Vec<_> = rest.lines().collect();
        assert_eq!(lines.len(), 3, "{rest}");
        assert!(lines[0].starts_with("2026-01-31T00:00:00Z WARN nginx-mail-auth["));
        assert!(lines[0].ends_with("]: 1001 lines of this log were lost: nobody took them"));
    }

    #[test]
    fn nobody_reads_the_pipe() {
        let (reader, writer) = io::pipe().unwrap();
        let mut sink = Sink::new(writer);
        assert_eq!(sink.kind, Kind::Pipe);
        let written = fill(&mut sink);
        drain(sink, reader, written);
    }

    #[test]
    fn nobody_reads_the_socket() {
        let (reader, writer) = UnixStream::pair().unwrap();
        let mut sink = Sink::new(writer);
        assert_eq!(sink.kind, Kind::Socket);
        let written = fill(&mut sink);
        drain(sink, reader, written);
    }

    #[test]
    fn whoever_read_is_gone() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut sink = Sink::new(writer);
        sink.write_all(LINE).unwrap();
        assert_eq!(sink.lost, 1);
    }

    #[test]
    fn the_disk_is_full() {
        let mut sink = Sink::new(File::options().write(true).open("/dev/full").unwrap());
        sink.write_all(LINE).unwrap();
        sink.write_all(LINE).unwrap();
        assert_eq!(sink.lost, 2);
    }
}
