//! The connection of `probe`: one request, and the answer as far as nginx reads it.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::net::dns::{LookupFailure, Purpose, Resolver};
use crate::net::socket::Socket;
use crate::nginx::mail_proxy::{AuthUrl, BUFFER_BYTES, Host, Place, Read, read};

/// How much of an answer is read beyond nginx's buffer, to tell how long its header is.
const MAX_ANSWER_BYTES: usize = 16 * 1024;

/// How long that takes at most.
const LOOK_FURTHER: Duration = Duration::from_secs(2);

/// An answer, and how it ended.
pub(super) struct Exchange {
    /// nginx's name of the server.
    pub(super) server: String,
    /// All that arrived. nginx reads the first [`BUFFER_BYTES`] at most. Can contain a password.
    pub(super) received: Zeroizing<Vec<u8>>,
    /// Why nginx would read no further.
    pub(super) end: End,
    /// The time from the start until nginx would read no further.
    pub(super) took: Duration,
}

/// Why nginx reads no further.
#[derive(Debug)]
pub(super) enum End {
    /// The header is complete, or not valid.
    Read,
    /// The buffer is full.
    Full,
    /// The server closed the connection.
    Closed,
    /// The time is over.
    TimedOut,
    /// The connection failed.
    Failed(io::Error),
}

/// Why nothing could be asked.
pub(super) struct NotAsked {
    /// nginx's name of the server, or the host name.
    pub(super) server: String,
    /// The step that failed.
    pub(super) step: Step,
    pub(super) error: io::Error,
}

/// A step on the way to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    LookUp,
    Connect,
}

/// Sends the request and reads the answer. nginx has `timeout` for both together.
pub(super) fn exchange(
    url: &AuthUrl,
    request: &[u8],
    timeout: Duration,
) -> Result<Exchange, NotAsked> {
    let start = Instant::now();
    let deadline = start + timeout;
    let (server, mut socket) = connect(&url.place, deadline)?;
    // A server may answer and close before it has read everything; its answer counts.
    let sent = socket.write_all(request);
    let mut received = Zeroizing::new(Vec::with_capacity(MAX_ANSWER_BYTES));
    let end = loop {
        match fill(&mut socket, &mut received, BUFFER_BYTES) {
            Ok(0) if received.is_empty() && sent.is_err() => {
                break End::Failed(sent.err().unwrap_or(ErrorKind::BrokenPipe.into()));
            }
            Ok(0) => break End::Closed,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::TimedOut => break End::TimedOut,
            Err(error) => break End::Failed(error),
        }
        if read(&received) != Read::More {
            break End::Read;
        }
        if received.len() == BUFFER_BYTES {
            break End::Full;
        }
    };
    let took = start.elapsed();
    if let End::Full = end {
        socket.deadline = deadline.min(Instant::now() + LOOK_FURTHER);
        while read(&received) == Read::More
            && fill(&mut socket, &mut received, MAX_ANSWER_BYTES).is_ok_and(|read| read > 0)
        {
        }
    }
    Ok(Exchange {
        server,
        received,
        end,
        took,
    })
}

/// Appends what has arrived, up to `most` bytes in all. 0: the server closed the connection, or there is no room.
fn fill(socket: &mut Socket, received: &mut Vec<u8>, most: usize) -> io::Result<usize> {
    let mut buffer = Zeroizing::new([0; BUFFER_BYTES]);
    let room = most.saturating_sub(received.len()).min(buffer.len());
    let read = socket.read(buffer.get_mut(..room).unwrap_or_default())?;
    received.extend_from_slice(buffer.get(..read).unwrap_or_default());
    Ok(read)
}

fn connect(place: &Place, deadline: Instant) -> Result<(String, Socket), NotAsked> {
    let not = |server: &str, step| {
        let server = server.to_owned();
        move |error| NotAsked {
            server,
            step,
            error,
        }
    };
    let address = match place {
        Place::Unix(path) => {
            let server = place.to_string();
            let socket = Socket::unix_of_anybody(path, deadline);
            return match socket {
                Ok(socket) => Ok((server, socket)),
                Err(error) => Err(not(&server, Step::Connect)(error)),
            };
        }
        Place::Tcp(Host::Address(address), port) => SocketAddr::new(*address, *port),
        Place::Tcp(Host::Name(name), port) => {
            let address = first_address(name, deadline).map_err(not(name, Step::LookUp))?;
            SocketAddr::new(address, *port)
        }
    };
    let server = address.to_string();
    let socket = Socket::tcp(address, deadline).map_err(not(&server, Step::Connect))?;
    Ok((server, socket))
}

/// nginx uses the first address of a name.
fn first_address(name: &str, deadline: Instant) -> io::Result<std::net::IpAddr> {
    let any = |found: &[std::net::IpAddr]| Ok(found.to_vec());
    let name = Resolver::system().name(name, Purpose::Store, any);
    name.address(deadline).map_err(|failure| match failure {
        LookupFailure::NoAnswer => io::Error::new(ErrorKind::TimedOut, "no answer from DNS"),
        LookupFailure::Failed(why) => io::Error::other(why),
    })
}
