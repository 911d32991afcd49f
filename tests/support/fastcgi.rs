//! The web server's side of FastCGI, written down byte by byte.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A whole request with these variables, each shorter than 64 KiB.
pub(crate) fn request(id: u8, keep: bool, params: &[(&str, &str)]) -> Vec<u8> {
    let mut content = Vec::new();
    for (name, value) in params {
        for length in [name.len(), value.len()] {
            content.extend((length as u32 | 0x8000_0000).to_be_bytes());
        }
        content.extend([name.as_bytes(), value.as_bytes()].concat());
    }
    let mut bytes = vec![1, 1, 0, id, 0, 8, 0, 0, 0, 1, keep.into(), 0, 0, 0, 0, 0];
    for part in content.chunks(65_535) {
        let [high, low] = (part.len() as u16).to_be_bytes();
        bytes.extend([1, 4, 0, id, high, low, 0, 0]);
        bytes.extend(part);
    }
    bytes.extend([1, 4, 0, id, 0, 0, 0, 0, 1, 5, 0, id, 0, 0, 0, 0]);
    bytes
}

/// What came before END_REQUEST.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer(pub(crate) String);

impl Answer {
    pub(crate) fn ok(user: &str) -> Self {
        Self(format!("Status: 200 OK\nX-Toy: {user}\n\n"))
    }
}

pub(crate) trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A web server's connection.
pub(crate) struct Client(Box<dyn Stream>);

/// Longer than anything that a test waits for.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

impl From<UnixStream> for Client {
    fn from(stream: UnixStream) -> Self {
        stream.set_read_timeout(PATIENCE).unwrap();
        Self(Box::new(stream))
    }
}

impl From<TcpStream> for Client {
    fn from(stream: TcpStream) -> Self {
        stream.set_read_timeout(PATIENCE).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(Box::new(stream))
    }
}

impl Read for Client {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Client {
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    pub(crate) fn send_if_open(&mut self, bytes: &[u8]) {
        match self.0.write_all(bytes).map_err(|error| error.kind()) {
            Ok(()) | Err(ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
            Err(kind) => panic!("{kind}"),
        }
    }

    /// Reads the records of one answer, of which the last is a good END_REQUEST.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        let mut stdout = Vec::new();
        loop {
            let mut header = [0; 8];
            self.0.read_exact(&mut header).unwrap();
            let [1, kind, _, _, high, low, padding, _] = header else {
                panic!("{header:?}");
            };
            let length = usize::from(u16::from_be_bytes([high, low]));
            let mut content = vec![0; length + usize::from(padding)];
            self.0.read_exact(&mut content).unwrap();
            content.truncate(length);
            match kind {
                3 => {
                    assert_eq!(content, [0; 8]);
                    return Answer(String::from_utf8(stdout).unwrap());
                }
                6 => stdout.extend(content),
                other => panic!("record of type {other}"),
            }
        }
    }

    /// What comes up to the orderly end of the connection.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        rest
    }
}
