//! A connection that is read by messages of known length, and used for many of them.

use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use zeroize::Zeroizing;

use super::{BUFFER_BYTES, Link, Stream};

impl Stream {
    /// What has been received and not been taken yet.
    pub fn received(&self) -> &[u8] {
        self.buffer.get(self.taken..).unwrap_or_default()
    }

    /// Takes the first bytes of what was [received](Self::received).
    pub fn take(&mut self, count: usize) {
        self.taken = self.taken.saturating_add(count).min(self.buffer.len());
    }

    /// Receives more; 0 at the end. How much may pile up is for the caller to bound.
    pub fn receive(&mut self) -> io::Result<usize> {
        let kept = self.received();
        let start = kept.len();
        // One that grew by itself would leave what it held behind, unwiped.
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

    /// Whether nothing has come in unasked, not even the end: then the connection can be used
    /// again. Under TLS that cannot be told without reading, so there only the end counts.
    pub fn is_quiet(&self) -> bool {
        let quiet = |socket: BorrowedFd<'_>, encrypted| {
            let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
            match recv(socket, &mut [0u8; 1], flags) {
                Err(Errno::AGAIN) => true,
                Ok((_, 1..)) => encrypted,
                Ok(_) | Err(_) => false,
            }
        };
        self.received().is_empty()
            && match &self.link {
                Link::Plain(socket) => quiet(socket.as_fd(), false),
                Link::Tls(tls) => quiet(tls.sock.as_fd(), true),
                Link::Broken => false,
            }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::lookup::Lookups;
    use crate::net::{Endpoint, Names};

    #[test]
    fn messages_are_kept_until_they_are_taken_and_the_end_is_seen() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let port = std::num::NonZeroU16::new(port).unwrap();
        let endpoint = Endpoint::parse("127.0.0.1", port).unwrap();
        let names = Names::new(Lookups::new(1, |_| Err(io::Error::other("no names here"))));
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
        drop(peer);
        while stream.is_quiet() {
            thread::yield_now();
        }
        assert_eq!(stream.receive().unwrap(), 0);
    }

    /// Each line is sound; there is no end of them.
    #[test]
    fn a_server_that_sends_on_and_on_is_cut_and_each_question_has_its_own_budget() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let port = std::num::NonZeroU16::new(port).unwrap();
        let endpoint = Endpoint::parse("127.0.0.1", port).unwrap();
        let names = Names::new(Lookups::new(1, |_| Err(io::Error::other("no names here"))));
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
