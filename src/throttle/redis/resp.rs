//! The serialization protocol of Redis and Valkey, version 2: commands out, replies in.
//!
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>

use std::io;

use crate::login::printable::Printable;
use crate::net::{LineError, Stream};

/// The most bytes of a reply. A list of keys comes in portions far smaller.
const MAX_BYTES: usize = 1024 * 1024;

/// The most bytes of a line: an error text.
const MAX_LINE: usize = 1024;

/// How deep arrays may nest: `SCAN` has one in one.
const MAX_DEPTH: usize = 2;

/// What the server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// `OK` and the like.
    Status(Vec<u8>),
    /// It cannot or will not; why, in words.
    Error(String),
    Integer(i64),
    /// A string; `None` where there is none.
    Bulk(Option<Vec<u8>>),
    Array(Vec<Reply>),
}

/// A command with its arguments, as an array of strings.
pub(super) fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Reads one reply, by the deadline of the stream.
pub(super) fn reply(stream: &mut Stream) -> io::Result<Reply> {
    Reader {
        stream,
        left: MAX_BYTES,
    }
    .reply(0)
}

struct Reader<'a> {
    stream: &'a mut Stream,
    /// How many bytes the rest of the reply may have.
    left: usize,
}

impl Reader<'_> {
    fn reply(&mut self, depth: usize) -> io::Result<Reply> {
        let line = self.stream.line(MAX_LINE).map_err(|error| match error {
            LineError::Io(error) => error,
            LineError::Closed => io::ErrorKind::UnexpectedEof.into(),
            LineError::TooLong => odd("its line is too long"),
        })?;
        self.spend(line.len())?;
        let (kind, rest) = line.split_first().ok_or_else(|| odd("its line is empty"))?;
        match kind {
            b'+' => Ok(Reply::Status(rest.to_vec())),
            b'-' => Ok(Reply::Error(Printable(rest).to_string())),
            b':' => number(rest).map(Reply::Integer),
            b'$' => match number(rest)? {
                -1 => Ok(Reply::Bulk(None)),
                length => self.bulk(length).map(|bytes| Reply::Bulk(Some(bytes))),
            },
            b'*' if depth < MAX_DEPTH => {
                let mut items = Vec::new();
                for _ in 0..number(rest)? {
                    items.push(self.reply(depth + 1)?);
                }
                Ok(Reply::Array(items))
            }
            _ => Err(odd("it is of an unknown kind")),
        }
    }

    fn bulk(&mut self, length: i64) -> io::Result<Vec<u8>> {
        let length = usize::try_from(length).map_err(|_| odd("it has a length below zero"))?;
        self.spend(length)?;
        while self.stream.received().len() < length + 2 {
            if self.stream.receive()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let received = self.stream.received();
        let bytes = received.get(..length).unwrap_or_default().to_vec();
        if received.get(length..length + 2) != Some(b"\r\n") {
            return Err(odd("a string in it does not end where it should"));
        }
        self.stream.take(length + 2);
        Ok(bytes)
    }

    /// Every line counts for itself, so that empty ones have an end too.
    fn spend(&mut self, bytes: usize) -> io::Result<()> {
        let left = self.left.checked_sub(bytes.saturating_add(1));
        self.left = left.ok_or_else(|| odd("it is too long"))?;
        Ok(())
    }
}

fn number(digits: &[u8]) -> io::Result<i64> {
    let text = std::str::from_utf8(digits).unwrap_or_default();
    text.parse().map_err(|_| odd("a number in it is none"))
}

fn odd(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the reply is odd: {what}"),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::net::{Endpoint, Names};

    /// What is read of bytes that somebody sends, and then closes.
    fn read(bytes: &[u8]) -> io::Result<Reply> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let endpoint = Endpoint::parse(&address, std::num::NonZeroU16::MIN).unwrap();
        let names = Names::system();
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut stream = Stream::connect(&endpoint, &names, deadline).unwrap();
        let bytes = bytes.to_vec();
        let peer = thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            // It may be closed in the middle.
            let _ = peer.write_all(&bytes);
        });
        let reply = reply(&mut stream);
        drop(stream);
        peer.join().unwrap();
        reply
    }

    #[test]
    fn commands() {
        assert_eq!(
            command(&[b"GET", b"a\r\nb"]),
            b"*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n"
        );
    }

    #[test]
    fn replies() {
        let bulk = |text: &str| Reply::Bulk(Some(text.into()));
        for (bytes, expected) in [
            ("+OK\r\n", Reply::Status(b"OK".to_vec())),
            (
                "-NOAUTH x\x1b\r\n",
                Reply::Error("NOAUTH x\u{fffd}".to_owned()),
            ),
            (":-7\r\n", Reply::Integer(-7)),
            ("$-1\r\n", Reply::Bulk(None)),
            ("$0\r\n\r\n", bulk("")),
            ("$4\r\na\r\nb\r\n", bulk("a\r\nb")),
            ("*0\r\n", Reply::Array(Vec::new())),
            (
                "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n",
                Reply::Array(vec![bulk("0"), Reply::Array(vec![bulk("k")])]),
            ),
        ] {
            assert_eq!(read(bytes.as_bytes()).unwrap(), expected, "{bytes:?}");
        }
        let large = "x".repeat(100_000);
        let bytes = format!("${}\r\n{large}\r\n", large.len());
        assert_eq!(read(bytes.as_bytes()).unwrap(), bulk(&large));
    }

    #[test]
    fn hostile_replies_end() {
        let nested = "*1\r\n".repeat(100_000);
        let endless = "+".repeat(100_000);
        let many = format!("*1000000000\r\n{}", "+\r\n".repeat(2_000_000));
        for bytes in [
            "",
            "\r\n",
            "+OK",
            "?\r\n",
            "$5\r\nab\r\n",
            "$2\r\nabcd",
            "$-2\r\n",
            "$x\r\n",
            "$9223372036854775807\r\n",
            "$99999999999999999999\r\n",
            "$2000000\r\nx",
            ":\r\n",
            nested.as_str(),
            endless.as_str(),
            many.as_str(),
        ] {
            let start: String = bytes.chars().take(20).collect();
            assert!(read(bytes.as_bytes()).is_err(), "{start:?}");
        }
    }
}
