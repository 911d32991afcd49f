//! A socket with a deadline for every call.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

#[cfg(feature = "servers")]
use rustix::net::sockopt::socket_peercred;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

#[cfg(feature = "servers")]
use super::peer;
use super::{QUESTION_BYTES, remaining, timed_out};

/// A connected socket. A call that has not ended by the deadline fails with
/// [`ErrorKind::TimedOut`]. Reading more than [`QUESTION_BYTES`] fails with
/// [`ErrorKind::InvalidData`].
pub(crate) struct Socket {
    kind: Kind,
    pub(crate) deadline: Instant,
    /// Bytes that may still be read.
    room: usize,
}

enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Connects to a port.
    pub(crate) fn tcp(address: SocketAddr, deadline: Instant) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, remaining(deadline)?)?;
        // Short questions and answers alternate: Nagle's algorithm would only add delay.
        stream.set_nodelay(true)?;
        Ok(Self {
            kind: Kind::Tcp(stream),
            deadline,
            room: QUESTION_BYTES,
        })
    }

    /// The user that listens there is checked before anything is sent; see [`peer::check`].
    #[cfg(feature = "servers")]
    pub(super) fn unix(path: &Path, listener: Option<u32>, deadline: Instant) -> io::Result<Self> {
        let socket = unix(path, deadline)?;
        let credentials = socket_peercred(&socket)?;
        peer::check(path, credentials.uid.as_raw(), listener)?;
        Ok(Self::of_unix(socket, deadline))
    }

    /// The same for a socket of any user, as nginx connects to it.
    pub(crate) fn unix_of_anybody(path: &Path, deadline: Instant) -> io::Result<Self> {
        Ok(Self::of_unix(unix(path, deadline)?, deadline))
    }

    fn of_unix(socket: OwnedFd, deadline: Instant) -> Self {
        Self {
            kind: Kind::Unix(UnixStream::from(socket)),
            deadline,
            room: QUESTION_BYTES,
        }
    }

    /// Starts a new question.
    #[cfg(feature = "servers")]
    pub(super) fn begin(&mut self, deadline: Instant) {
        self.deadline = deadline;
        self.room = QUESTION_BYTES;
    }

    /// Runs `call` with the remaining time as its time-out.
    fn in_time(
        &mut self,
        limit: Timeout,
        mut call: impl FnMut(&mut Kind) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            set_socket_timeout(self.kind.as_fd(), limit, Some(remaining(self.deadline)?))?;
            match call(&mut self.kind) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result.map_err(too_late),
            }
        }
    }
}

/// A connected Unix socket.
fn unix(path: &Path, deadline: Instant) -> io::Result<OwnedFd> {
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // If the backlog is full, connecting blocks for as long as the time-out for sending.
    set_socket_timeout(&socket, Timeout::Send, Some(remaining(deadline)?))?;
    connect(&socket, &SocketAddrUnix::new(path)?).map_err(|error| too_late(error.into()))?;
    Ok(socket)
}

/// A time-out of a socket is reported as "would block" (socket(7)).
fn too_late(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock => timed_out(),
        _ => error,
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.kind.as_fd()
    }
}

impl AsFd for Kind {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.in_time(Timeout::Recv, |kind| match kind {
            Kind::Tcp(stream) => stream.read(buffer),
            Kind::Unix(stream) => stream.read(buffer),
        })?;
        self.room = self.room.checked_sub(read).ok_or_else(|| {
            let what = format!("it sends more than {QUESTION_BYTES} bytes for one question");
            io::Error::new(ErrorKind::InvalidData, what)
        })?;
        Ok(read)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.in_time(Timeout::Send, |kind| match kind {
            Kind::Tcp(stream) => stream.write(bytes),
            Kind::Unix(stream) => stream.write(bytes),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_unix_socket_that_nobody_accepts_from_ends_in_time() {
        let folder = std::env::temp_dir().join(format!("mail-auth-net-{}", std::process::id()));
        let _none_yet = std::fs::remove_file(&folder);
        let listener = UnixListener::bind(&folder).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let mut waiting = Vec::new();
        let error = loop {
            let start = Instant::now();
            let socket = Socket::unix_of_anybody(&folder, start + Duration::from_millis(100));
            assert!(start.elapsed() < Duration::from_secs(2));
            match socket {
                Ok(socket) => waiting.push(socket),
                Err(error) => break error,
            }
            assert!(waiting.len() < 10);
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        std::fs::remove_file(&folder).unwrap();
    }
}
