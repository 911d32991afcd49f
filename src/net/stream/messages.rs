//! A connection that is read in messages of known length, and used for many of them.

use std::fmt;
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use rustls::ClientConnection;
use zeroize::Zeroizing;

use super::{BUFFER_BYTES, LineError, Link, Stream};

impl Stream {
    /// The received bytes that have not been taken yet.
    pub fn received(&self) -> &[u8] {
        self.buffer.get(self.taken..).unwrap_or_default()
    }

    /// Takes the first bytes of what was [received](Self::received).
    pub fn take(&mut self, count: usize) {
        self.taken = self.taken.saturating_add(count).min(self.buffer.len());
    }

    /// Receives more; 0 at the end. The caller must limit the amount of buffered bytes.
    pub fn receive(&mut self) -> io::Result<usize> {
        let kept = self.received();
        let start = kept.len();
        // A buffer that reallocates would leave its old content unwiped.
        let mut buffer = Zeroizing::new(Vec::with_capacity(start + BUFFER_BYTES));
        buffer.extend_from_slice(kept);
        buffer.resize(start + BUFFER_BYTES, 0);
        let room = buffer.get_mut(start..).unwrap_or_default();
        let read = match &mut self.link {
            Link::Plain(socket) => socket.read(room),
            Link::Tls(tls) => tls.read(room),
            Link::Broken => Ok(0),
        };
        buffer.truncate(start + *read.as_ref().unwrap_or(&0));
        self.buffer = buffer;
        self.taken = 0;
        read
    }

    /// Whether the connection can be used again: no unsolicited data and no end has arrived.
    pub fn is_quiet(&mut self) -> bool {
        self.unasked().is_none()
    }

    /// Unsolicited input. Never blocks. Under TLS only application data in a complete record
    /// counts; session tickets do not.
    pub fn unasked(&mut self) -> Option<Unsolicited> {
        if !self.received().is_empty() {
            return Some(Unsolicited::Data);
        }
        match &mut self.link {
            Link::Plain(socket) => {
                let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
                match recv(socket.as_fd(), &mut [0u8; 1], flags) {
                    Err(Errno::AGAIN) => None,
                    Ok((_, 1..)) => Some(Unsolicited::Data),
                    Ok(_) | Err(_) => Some(Unsolicited::End),
                }
            }
            Link::Tls(tls) => within(&mut tls.conn, tls.sock.as_fd()),
            Link::Broken => Some(Unsolicited::End),
        }
    }

    /// Skips this many bytes.
    pub fn skip(&mut self, bytes: usize) -> Result<(), LineError> {
        let mut left = bytes;
        loop {
            let here = left.min(self.received().len());
            self.take(here);
            left -= here;
            if left == 0 {
                return Ok(());
            }
            if self.receive().map_err(LineError::Io)? == 0 {
                return Err(LineError::Closed);
            }
        }
    }
}

/// Unsolicited input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsolicited {
    /// Data.
    Data,
    /// The end of the connection, or an error.
    End,
}

impl fmt::Display for Unsolicited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Data => "it sent data that it was not asked for",
            Self::End => "it closed the connection",
        })
    }
}

/// Unsolicited input of a TLS connection.
fn within(connection: &mut ClientConnection, socket: BorrowedFd<'_>) -> Option<Unsolicited> {
    /// The maximum number of reads for records without data.
    const MOST_READS: usize = 16;
    for _ in 0..MOST_READS {
        match connection.process_new_packets() {
            Ok(state) if state.plaintext_bytes_to_read() > 0 => return Some(Unsolicited::Data),
            Ok(state) if !state.peer_has_closed() => {}
            Ok(_) | Err(_) => return Some(Unsolicited::End),
        }
        match connection.read_tls(&mut NonBlocking(socket)) {
            Ok(1..) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Ok(_) | Err(_) => return Some(Unsolicited::End),
        }
    }
    Some(Unsolicited::Data)
}

/// Reads the available bytes and never blocks.
struct NonBlocking<'a>(BorrowedFd<'a>);

impl io::Read for NonBlocking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (read, _) = recv(self.0, buffer, RecvFlags::DONTWAIT)?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::net::{Endpoint, Names};

    #[test]
    fn messages_are_kept_until_they_are_taken_and_the_end_is_seen() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let port = std::num::NonZeroU16::new(port).unwrap();
        let endpoint = Endpoint::parse("127.0.0.1", port).unwrap();
        let names = Names::system();
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut stream = Stream::connect(&endpoint, &names, deadline).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        assert!(stream.is_quiet());
        peer.write_all(b"one").unwrap();
        stream.receive().unwrap();
        assert!(!stream.is_quiet());
        peer.write_all(b"two").unwrap();
        while stream.received().len() < 6 {
            stream.receive().unwrap();
        }
        stream.take(3);
        assert_eq!(stream.received(), b"two");
        stream.take(3);
        assert!(stream.is_quiet());
        peer.write_all(b"unasked").unwrap();
        while stream.is_quiet() {
            thread::yield_now();
        }
        assert_eq!(stream.receive().unwrap(), 7);
        stream.take(7);
        peer.write_all(b"skipped and kept").unwrap();
        stream.skip(12).unwrap();
        while stream.received() != b"kept" {
            stream.receive().unwrap();
        }
        stream.take(4);
        assert_eq!(stream.unasked(), None);
        drop(peer);
        while stream.is_quiet() {
            thread::yield_now();
        }
        assert_eq!(stream.unasked(), Some(Unsolicited::End));
        assert_eq!(stream.receive().unwrap(), 0);
        assert!(matches!(stream.skip(1), Err(LineError::Closed)));
    }

    /// Each line is valid, but the input never ends.
    #[test]
    fn a_server_that_sends_on_and_on_is_cut_and_each_question_has_its_own_budget() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let port = std::num::NonZeroU16::new(port).unwrap();
        let endpoint = Endpoint::parse("127.0.0.1", port).unwrap();
        let names = Names::system();
        let deadline = Instant::now() + Duration::from_secs(20);
        let server = thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            while peer.write_all(b"* 1 EXISTS\r\n").is_ok() {}
        });
        let mut stream = Stream::connect(&endpoint, &names, deadline).unwrap();
        for _ in 0..2 {
            stream.set_deadline(deadline);
            let mut bytes = 0;
            let error = loop {
                match stream.line(100) {
                    Ok(line) => bytes += line.len() + 2,
                    Err(error) => break error.to_string(),
                }
            };
            assert_eq!(error, "it sends more than 1048576 bytes for one question");
            assert!((1_000_000..=1_060_000).contains(&bytes), "{bytes}");
        }
        drop(stream);
        server.join().unwrap();
    }
}
