//! A connection that is read in lines, with or without TLS.

use std::fmt;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use zeroize::Zeroizing;

use super::socket::Socket;
use super::{Endpoint, Names, address_of, remaining};

mod messages;

pub use messages::Unsolicited;

/// The maximum number of bytes of one read.
const BUFFER_BYTES: usize = 4096;

/// A connection to another server. Every call ends by the deadline, however slowly the other side
/// sends. Received bytes are wiped on drop: they may contain a password.
pub struct Stream {
    link: Link,
    buffer: Zeroizing<Vec<u8>>,
    /// The number of bytes of `buffer` that have been taken.
    taken: usize,
}

enum Link {
    Plain(Socket),
    Tls(Box<StreamOwned<ClientConnection, Socket>>),
    /// A TLS handshake has failed.
    Broken,
}

/// Why no line could be read.
#[derive(Debug)]
pub enum LineError {
    /// The other side closed the connection.
    Closed,
    /// The line is too long.
    TooLong,
    /// The connection failed, or the deadline has passed.
    Io(io::Error),
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the connection was closed"),
            Self::TooLong => f.write_str("a line is too long"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LineError {}

impl Stream {
    /// Connects by `deadline`, which then applies to all further calls. If a host has several
    /// addresses, each is tried, and none can use up the time of the others.
    pub fn connect(endpoint: &Endpoint, names: &Names, deadline: Instant) -> io::Result<Self> {
        let socket = match endpoint {
            Endpoint::Unix(path, listener) => Socket::unix(path, *listener, deadline)?,
            Endpoint::Tcp { host, port } => {
                if let Some(address) = address_of(host) {
                    Socket::tcp(SocketAddr::new(address, port.get()), deadline)?
                } else {
                    let name = host.to_str();
                    let addresses = names.addresses(&name, deadline)?;
                    let places = addresses
                        .iter()
                        .map(|address| SocketAddr::new(*address, port.get()));
                    any(places, deadline).inspect_err(|_| names.mark_stale(&name))?
                }
            }
        };
        Ok(Self {
            link: Link::Plain(socket),
            buffer: Zeroizing::new(Vec::with_capacity(BUFFER_BYTES)),
            taken: 0,
        })
    }

    /// Sets the deadline for a new question, for which the other side may send
    /// [`QUESTION_BYTES`](super::QUESTION_BYTES).
    pub fn set_deadline(&mut self, deadline: Instant) {
        match &mut self.link {
            Link::Plain(socket) => socket.begin(deadline),
            Link::Tls(tls) => tls.sock.begin(deadline),
            Link::Broken => {}
        }
    }

    /// Starts TLS, and checks that the certificate is for `host`.
    ///
    /// Bytes that were received before the handshake are an error: an attacker on the way could
    /// have added them, so that they look like a part of the encrypted conversation
    /// (CVE-2011-0411).
    pub fn start_tls(
        &mut self,
        config: &Arc<ClientConfig>,
        host: &ServerName<'static>,
    ) -> io::Result<()> {
        if self.taken < self.buffer.len() {
            let message = "it sent data ahead of the TLS handshake";
            return Err(io::Error::new(ErrorKind::InvalidData, message));
        }
        let Link::Plain(socket) = std::mem::replace(&mut self.link, Link::Broken) else {
            return Err(io::Error::other("TLS was started already"));
        };
        let connection = ClientConnection::new(Arc::clone(config), host.clone())
            .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        let mut tls = Box::new(StreamOwned::new(connection, socket));
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock)?;
        }
        self.link = Link::Tls(tls);
        Ok(())
    }

    /// Sends all of `bytes`.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.link {
            Link::Plain(socket) => socket.write_all(bytes),
            Link::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
            Link::Broken => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// The next line without its line end; at most `max` bytes.
    pub fn line(&mut self, max: usize) -> Result<Zeroizing<Vec<u8>>, LineError> {
        let mut line = Zeroizing::new(Vec::with_capacity(max + 1));
        loop {
            let rest = self.buffer.get(self.taken..).unwrap_or_default();
            let end = rest.iter().position(|byte| *byte == b'\n');
            let part = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            // The carriage return does not count.
            if line.len() + part.len() > max + 1 {
                return Err(LineError::TooLong);
            }
            line.extend_from_slice(part);
            self.taken += part.len();
            if end.is_some() {
                self.taken += 1;
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return match line.len() > max {
                    true => Err(LineError::TooLong),
                    false => Ok(line),
                };
            }
            if self.fill().map_err(LineError::Io)? == 0 {
                return Err(LineError::Closed);
            }
        }
    }

    /// Limits all further calls to this time, and to the deadline.
    pub fn hurry(&mut self, most: Duration) {
        let soon = Instant::now() + most;
        match &mut self.link {
            Link::Plain(socket) => socket.deadline = soon.min(socket.deadline),
            Link::Tls(tls) => tls.sock.deadline = soon.min(tls.sock.deadline),
            Link::Broken => {}
        }
    }

    /// Reads the available bytes into the buffer, which must be empty; 0 at the end.
    fn fill(&mut self) -> io::Result<usize> {
        self.taken = 0;
        self.buffer.resize(BUFFER_BYTES, 0);
        let read = match &mut self.link {
            Link::Plain(socket) => socket.read(&mut self.buffer),
            Link::Tls(tls) => tls.read(&mut self.buffer),
            Link::Broken => Ok(0),
        };
        self.buffer.truncate(*read.as_ref().unwrap_or(&0));
        read
    }
}

/// Connects to the first address that can be reached.
fn any(places: impl ExactSizeIterator<Item = SocketAddr>, deadline: Instant) -> io::Result<Socket> {
    let mut failed = io::Error::other("the name has no address");
    let mut left = u32::try_from(places.len()).unwrap_or(u32::MAX);
    for place in places {
        let share = remaining(deadline)? / left;
        match Socket::tcp(place, Instant::now() + share) {
            Ok(mut socket) => {
                socket.deadline = deadline;
                return Ok(socket);
            }
            Err(error) => failed = io::Error::new(error.kind(), format!("{place}: {error}")),
        }
        left -= 1;
    }
    Err(failed)
}
