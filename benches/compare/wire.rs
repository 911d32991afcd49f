//! A FastCGI client that asks one request after the other, as fast as the server answers.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use crate::Outcome;
use crate::requests::Connection;

/// Where a server listens.
#[derive(Clone)]
pub(crate) enum Address {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Address {
    fn connect(&self) -> io::Result<Stream> {
        match self {
            Self::Unix(path) => UnixStream::connect(path).map(Stream::Unix),
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
        }
    }

    /// Whether somebody accepts connections there.
    pub(crate) fn answers(&self) -> bool {
        self.connect().is_ok()
    }
}

impl Stream {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.write_all(bytes),
            Self::Tcp(stream) => stream.write_all(bytes),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }
}

/// A client with a connection of its own.
pub(crate) struct Client {
    address: Address,
    connection: Connection,
    kept: Option<Stream>,
    buffer: Vec<u8>,
}

/// Far more than an answer of 600 bytes with its records.
const BUFFER_BYTES: usize = 16 * 1024;

const STDOUT: u8 = 6;
const END_REQUEST: u8 = 3;

impl Client {
    pub(crate) fn new(address: Address, connection: Connection) -> Self {
        Self {
            address,
            connection,
            kept: None,
            buffer: vec![0; BUFFER_BYTES],
        }
    }

    /// Asks, and gives the records of the answer up to and with END_REQUEST. A connection that is
    /// not kept is closed then, as mod_proxy_fcgi and mod_fcgid do.
    pub(crate) fn ask(&mut self, request: &[u8]) -> io::Result<&[u8]> {
        let mut stream = match self.kept.take() {
            Some(stream) => stream,
            None => self.address.connect()?,
        };
        stream.write_all(request)?;
        let mut filled = 0;
        loop {
            let space = self.buffer.get_mut(filled..).unwrap_or_default();
            match stream.read(space)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
            let answer = self.buffer.get(..filled).unwrap_or_default();
            if records(answer).any(|(kind, _)| kind == END_REQUEST) {
                break;
            }
        }
        if self.connection == Connection::Kept {
            self.kept = Some(stream);
        }
        Ok(self.buffer.get(..filled).unwrap_or_default())
    }
}

/// The whole records at the start of `bytes`: type and content.
fn records(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let ([_, kind, _, _, high, low, padding, _], rest) = bytes.split_first_chunk::<8>()?;
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let content = rest.get(..length)?;
        bytes = rest.get(length + usize::from(*padding)..)?;
        Some((*kind, content))
    })
}

/// What the program wrote, out of the records of an answer.
pub(crate) fn output(answer: &[u8]) -> Vec<u8> {
    records(answer)
        .filter(|(kind, _)| *kind == STDOUT)
        .flat_map(|(_, content)| content.iter().copied())
        .collect()
}

/// A request with the answer that the server gave when it was checked. Servers answer the same
/// request with the same bytes, so that under load comparing them is enough.
pub(crate) struct Checked {
    pub(crate) request: Vec<u8>,
    answer: Vec<u8>,
    check: Check,
}

type Check = Box<dyn Fn(&[u8]) -> Outcome<()>>;

impl Checked {
    pub(crate) fn new(
        client: &mut Client,
        request: Vec<u8>,
        check: impl Fn(&[u8]) -> Outcome<()> + 'static,
    ) -> Outcome<Self> {
        let answer = client.ask(&request)?.to_vec();
        check(&output(&answer))?;
        Ok(Self {
            request,
            answer,
            check: Box::new(check),
        })
    }

    /// Asks, and fails if the answer is wrong.
    pub(crate) fn ask(&self, client: &mut Client) -> Outcome<()> {
        let answer = client.ask(&self.request)?;
        if answer == self.answer {
            return Ok(());
        }
        (self.check)(&output(answer))
    }
}
