//! Sends one request to a FastCGI server, as a web server does (FastCGI 1.0, 3).

use std::fmt;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::record::{Begin, Header, RecordKind};

/// The maximum size of an answer in bytes.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// The place where a FastCGI server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// An address and a port.
    Tcp(SocketAddr),
}

/// A text that is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAddress;

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("neither unix:/path nor address:port, such as 127.0.0.1:9000")
    }
}

impl std::error::Error for NoAddress {}

impl Address {
    /// Reads `unix:/path`, `/path` or `address:port`.
    pub fn parse(text: &str) -> Result<Self, NoAddress> {
        let path = text.strip_prefix("unix:").unwrap_or(text);
        match path.starts_with('/') && !path.contains('\0') {
            true => Ok(Self::Unix(path.into())),
            false => text.parse().map(Self::Tcp).map_err(|_| NoAddress),
        }
    }
}

/// As `serve --listen` takes it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

/// Sends one request with these variables, each shorter than 64 KiB altogether, and returns what the
/// server writes to STDOUT: a CGI response. Fails at the deadline.
pub fn ask(address: &Address, params: &[(&str, &str)], deadline: Instant) -> io::Result<Vec<u8>> {
    let mut stream = Stream::connect(address, deadline)?;
    let request = request(params)?;
    let mut rest = request.as_slice();
    while !rest.is_empty() {
        let sent = stream.in_time(Timeout::Send, deadline, |socket| socket.write(rest))?;
        rest = rest.get(sent..).unwrap_or_default();
    }
    let mut answer = Vec::new();
    loop {
        let mut head = [0; Header::LEN];
        stream.fill(&mut head, deadline)?;
        let header = Header::decode(head).ok_or_else(|| broken("another FastCGI version"))?;
        let mut content = vec![0; usize::from(header.content) + usize::from(header.padding)];
        stream.fill(&mut content, deadline)?;
        content.truncate(header.content.into());
        match header.kind {
            RecordKind::Stdout => answer.append(&mut content),
            RecordKind::End => return Ok(answer),
            _ => {}
        }
        if answer.len() > MAX_ANSWER {
            return Err(broken("the answer is too long"));
        }
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

/// The records of a request without a body.
fn request(params: &[(&str, &str)]) -> io::Result<Vec<u8>> {
    let mut pairs = Vec::new();
    for (name, value) in params {
        for text in [name, value] {
            let length = u32::try_from(text.len()).map_err(|_| broken("a variable is too long"))?;
            pairs.extend((length | 0x8000_0000).to_be_bytes());
        }
        pairs.extend(name.as_bytes());
        pairs.extend(value.as_bytes());
    }
    let mut request = Vec::new();
    let mut record = |kind, content: &[u8]| {
        let length = u16::try_from(content.len()).map_err(|_| broken("a request is too long"))?;
        let header = Header {
            kind,
            id: 1,
            content: length,
            padding: 0,
        };
        request.extend(header.encode());
        request.extend(content);
        Ok::<_, io::Error>(())
    };
    let [high, low] = Begin::RESPONDER.to_be_bytes();
    record(RecordKind::Begin, &[high, low, 0, 0, 0, 0, 0, 0])?;
    record(RecordKind::Params, &pairs)?;
    record(RecordKind::Params, &[])?;
    record(RecordKind::Stdin, &[])?;
    Ok(request)
}

/// A connection of either kind.
enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    fn connect(address: &Address, deadline: Instant) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => Ok(Self::Tcp(TcpStream::connect_timeout(
                address,
                left(deadline)?,
            )?)),
            Address::Unix(path) => {
                let flags = SocketFlags::CLOEXEC;
                let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
                // If the backlog is full, connecting blocks for as long as the time-out for sending.
                set_socket_timeout(&socket, Timeout::Send, Some(left(deadline)?))?;
                connect(&socket, &SocketAddrUnix::new(path)?)?;
                Ok(Self::Unix(socket.into()))
            }
        }
    }

    /// Runs `call` with the remaining time as its time-out.
    fn in_time(
        &mut self,
        limit: Timeout,
        deadline: Instant,
        mut call: impl FnMut(&mut Self) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            set_socket_timeout(self.as_fd(), limit, Some(left(deadline)?))?;
            match call(self) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Reads exactly as many bytes.
    fn fill(&mut self, mut buffer: &mut [u8], deadline: Instant) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.in_time(Timeout::Recv, deadline, |socket| socket.read(buffer))? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                read => buffer = buffer.get_mut(read..).unwrap_or_default(),
            }
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(stream) => stream.as_fd(),
            Self::Tcp(stream) => stream.as_fd(),
        }
    }
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    match left.is_zero() {
        true => Err(ErrorKind::TimedOut.into()),
        false => Ok(left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::fcgi::Limits;
    use crate::front::fcgi::conn::{Connection, Event};

    #[test]
    fn addresses_are_those_of_serve_and_bare_paths() {
        let unix = Address::Unix("/run/x.sock".into());
        for (text, expected) in [
            ("unix:/run/x.sock", Ok(unix.clone())),
            ("/run/x.sock", Ok(unix)),
            (
                "127.0.0.1:9000",
                Ok(Address::Tcp(([127, 0, 0, 1], 9000).into())),
            ),
            ("", Err(NoAddress)),
            ("unix:", Err(NoAddress)),
            ("run/x.sock", Err(NoAddress)),
            ("/run/\0", Err(NoAddress)),
            ("localhost:9000", Err(NoAddress)),
            ("127.0.0.1", Err(NoAddress)),
        ] {
            assert_eq!(Address::parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_server_reads_the_request_as_it_was_made() {
        let long = "x".repeat(300);
        let mut conn = Connection::new(Limits::default());
        let bytes = request(&[
            ("SCRIPT_NAME", "/mail/status"),
            ("EMPTY", ""),
            ("LONG", &long),
        ]);
        conn.room().extend(bytes.unwrap());
        assert_eq!(conn.next(&mut Vec::new()), Event::Answer);
        conn.answer(&mut Vec::new(), |params, _| {
            let params: Vec<_> = params.unwrap().iter().collect();
            let expected: [(&[u8], &[u8]); 3] = [
                (b"SCRIPT_NAME", b"/mail/status"),
                (b"EMPTY", b""),
                (b"LONG", long.as_bytes()),
            ];
            assert_eq!(params, expected);
        });
        assert_eq!(conn.next(&mut Vec::new()), Event::Over);
        assert!(request(&[("LONG", &"x".repeat(70_000))]).is_err());
    }
}
