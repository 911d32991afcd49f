//! One connection to a server: commands and replies of the `redis` crate over our own stream, which bounds
//! the bytes and the time of each query.

use std::io::{self, Read};
use std::time::Instant;

use ::redis::{Cmd, FromRedisValue, Parser, RedisError, from_redis_value, pack_command};
use zeroize::Zeroizing;

use super::failure::{RequestError, said};
use super::settings::RedisAccount;
use crate::net::own_login::OwnLogin;
use crate::net::{Endpoint, Names, Stream, Trust};

/// Prefixes of the errors that mean a refused password; the last two are those before Redis 6.
const REFUSALS: [&str; 4] = [
    "WRONGPASS",
    "NOPERM",
    "ERR invalid password",
    "ERR Client sent AUTH",
];

/// The maximum length of a reply in bytes: `SCAN` and the reading script return 100 keys at a time. The
/// parser rescans an incomplete line at each read.
const MAX_REPLY: usize = 128 * 1024;

/// A connection to a server.
pub(super) struct Connection {
    stream: Stream,
    /// The server.
    pub(super) endpoint: Endpoint,
}

impl Connection {
    /// Connects, with TLS if `trust` is given.
    pub(super) fn open(
        endpoint: &Endpoint,
        names: &Names,
        trust: Option<&Trust>,
        until: Instant,
    ) -> io::Result<Self> {
        let mut stream = Stream::connect(endpoint, names, until)?;
        if let (Some(trust), Endpoint::Tcp { host, .. }) = (trust, endpoint) {
            let config = trust.config().map_err(io::Error::other)?;
            stream.start_tls(&config, host)?;
        }
        let endpoint = endpoint.clone();
        Ok(Self { stream, endpoint })
    }

    /// Logs in, if a password is configured and was not refused recently.
    pub(super) fn log_in(
        &mut self,
        account: &RedisAccount,
        own: &OwnLogin,
        until: Instant,
    ) -> Result<(), RequestError> {
        let Some(password) = &account.password else {
            return Ok(());
        };
        let refused = |why: String| RequestError::Refused(format!("AUTH: {why}"));
        let attempt = own
            .attempt()
            .map_err(|closed| refused(closed.to_string()))?;
        let user = account.user.as_ref().map(|user| user.as_bytes().to_vec());
        // Not a `Cmd`: it does not wipe its memory when it is dropped.
        let words = [Some(b"AUTH".to_vec()), user, Some(password.to_vec())];
        let words: Zeroizing<Vec<Vec<u8>>> = Zeroizing::new(words.into_iter().flatten().collect());
        match self.exchange(&Zeroizing::new(pack_command(&words)), until) {
            Ok(::redis::Value::ServerError(error)) => {
                let why = said(&RedisError::from(error));
                if !REFUSALS.iter().any(|begins| why.starts_with(begins)) {
                    return Err(refused(why));
                }
                attempt.refused(why.as_str());
                let when = "it is retried in a minute, or when the password changes";
                Err(refused(format!("{why}; {when}")))
            }
            Ok(_) => {
                attempt.accepted();
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Sends a command and reads its reply, until `until`. An error reply of the server is an error.
    pub(super) fn ask<T: FromRedisValue>(
        &mut self,
        command: &Cmd,
        until: Instant,
    ) -> Result<T, RedisError> {
        let reply = self.exchange(&Zeroizing::new(command.get_packed_command()), until)?;
        Ok(from_redis_value(reply.extract_error()?)?)
    }

    /// Whether nothing was received without a request, not even the end of the stream.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.stream.is_quiet()
    }

    fn exchange(&mut self, command: &[u8], until: Instant) -> Result<::redis::Value, RedisError> {
        self.stream.set_deadline(until);
        self.stream.send(command)?;
        // A new parser for each reply, so that the remains of a broken reply are dropped with it.
        Parser::new().parse_value(Incoming {
            stream: &mut self.stream,
            room: MAX_REPLY,
        })
    }
}

/// The parser's input: all bytes received so far. Unexpected bytes after a reply are dropped with it.
struct Incoming<'a> {
    stream: &'a mut Stream,
    /// The number of bytes that the rest of the reply may have.
    room: usize,
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.room == 0 {
            let what = format!("the reply is longer than {MAX_REPLY} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        if self.stream.received().is_empty() && self.stream.receive()? == 0 {
            return Ok(0);
        }
        let received = self.stream.received();
        let count = received.len().min(buffer.len()).min(self.room);
        for (to, from) in buffer.iter_mut().zip(received).take(count) {
            *to = *from;
        }
        self.stream.take(count);
        self.room -= count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;
    use std::num::NonZeroU16;
    use std::thread;
    use std::time::Duration;

    use ::redis::Value;

    use super::*;

    /// What is read of bytes that a server sends, before it closes.
    fn read(bytes: &[u8]) -> Result<Value, RedisError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let endpoint = Endpoint::parse(&address, NonZeroU16::MIN).unwrap();
        let names = Names::system();
        let until = Instant::now() + Duration::from_secs(20);
        let mut connection = Connection::open(&endpoint, &names, None, until).unwrap();
        let bytes = bytes.to_vec();
        let peer = thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            // It may be closed in the middle.
            let _ = peer.write_all(&bytes);
        });
        let reply = connection.exchange(b"PING\r\n", until);
        drop(connection);
        peer.join().unwrap();
        reply
    }

    #[test]
    fn replies_are_read_whole() {
        let bulk = |text: &[u8]| Value::BulkString(text.to_vec());
        for (bytes, expected) in [
            (&b"+OK\r\n"[..], Value::Okay),
            (b":-7\r\n", Value::Int(-7)),
            (b"$-1\r\n", Value::Nil),
            (b"$0\r\n\r\n", bulk(b"")),
            (b"$4\r\na\r\nb\r\n", bulk(b"a\r\nb")),
            (b"*0\r\n", Value::Array(Vec::new())),
            (
                b"*2\r\n$1\r\n0\r\n*1\r\n$1\r\n\xff\r\n",
                Value::Array(vec![bulk(b"0"), Value::Array(vec![bulk(b"\xff")])]),
            ),
        ] {
            assert_eq!(read(bytes).unwrap(), expected, "{bytes:?}");
        }
        let large = "x".repeat(100_000);
        let bytes = format!("${}\r\n{large}\r\n", large.len());
        assert_eq!(read(bytes.as_bytes()).unwrap(), bulk(large.as_bytes()));
    }

    /// With half of the stack that a thread of the server has.
    #[test]
    fn hostile_replies_end_in_an_error() {
        let deep = "*1\r\n".repeat(98);
        let nested = |kind: &str| format!("{kind}1\r\n+a\r\n").repeat(50_000);
        let all = [
            String::new(),
            "\r\n".to_owned(),
            "+OK".to_owned(),
            "?\r\n".to_owned(),
            "$5\r\nab\r\n".to_owned(),
            "$2\r\nabcd".to_owned(),
            "$x\r\n".to_owned(),
            "$9223372036854775807\r\nx".to_owned(),
            "$99999999999999999999\r\n".to_owned(),
            "=-1\r\nx".to_owned(),
            "!-1\r\nx".to_owned(),
            ":\r\n".to_owned(),
            "*9223372036854775807\r\n".to_owned(),
            "%9223372036854775807\r\n".to_owned(),
            "%-1\r\n".to_owned(),
            "|9223372036854775807\r\n".to_owned(),
            "*1\r\n".repeat(100_000),
            "*4096\r\n".repeat(100_000),
            nested("%"),
            nested("|"),
            ">1\r\n".repeat(100_000),
            "~1\r\n".repeat(100_000),
            "+".repeat(2_000_000),
            "+".to_owned() + &"\r".repeat(2_000_000),
            deep.clone() + "*1000000\r\n" + &"+a\r\n".repeat(500_000),
            deep + "$2000000\r\n" + &"\r\n".repeat(1_000_000),
            "$2000000\r\n".to_owned() + &"x".repeat(2_000_000),
            "*1000000000\r\n".to_owned() + &"+\r\n".repeat(700_000),
        ];
        for bytes in all {
            let start: String = bytes.chars().take(20).collect();
            let reading = move || read(bytes.as_bytes()).map_err(|error| said(&error));
            let thread = thread::Builder::new().stack_size(256 * 1024);
            let reply = thread.spawn(reading).unwrap().join().unwrap();
            let error = reply.expect_err(&start);
            assert!(!error.contains('\n') && error.len() < 100, "{error}");
        }
    }
}
