//! The one way from a driver to its database server.
//!
//! The drivers open their connections themselves, read what a server announces into memory, answer
//! its challenges as it likes, and wait for DNS as long as it takes. But they also take a Unix socket.
//! So each gets a socket of our own, and everything between driver and server passes here:
//!
//! - addresses are those that were looked up already ([`crate::net::Names`]);
//! - TLS ends here, in every mode, and a Unix socket must belong to who may have it;
//! - the bytes of a server are counted, and what it announces is looked at ([`meter`], [`guard`]);
//! - no password goes in clear to a server that has not shown who it is.
//!
//! The drivers' own runtime does the copying, while somebody asks.

use std::ffi::OsString;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use rustix::rand::{GetRandomFlags, getrandom};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout_at;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use super::network::{Address, Server, Tls, share};
use crate::net::peer;
use guard::{Guard, Proof};
use meter::{Metered, Socket};
use statements::Statements;

mod guard;
pub(super) mod meter;
mod mysql;
mod postgres;
mod statements;
mod tls;

pub(super) use meter::Meter;
pub(super) use statements::Session;

/// Bytes that are copied at once.
const BUFFER_BYTES: usize = 8192;

/// Whose protocol it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Postgres,
    Mysql,
}

/// How connections to a server are made.
pub(super) struct Route {
    family: Family,
    server: Server,
    /// Loaded when first needed.
    tls: OnceLock<Arc<ClientConfig>>,
}

/// What a connection is made by.
struct Plan {
    family: Family,
    server: Server,
    tls: Tls,
    client: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// Whether the server has shown who it is, or will before the first byte passes.
    trusted: bool,
}

impl Plan {
    fn user(&self) -> &str {
        &self.server.user
    }

    fn password(&self) -> &str {
        let password = self.server.password.as_ref();
        password.map_or("", |password| password.reveal())
    }

    fn database(&self) -> &str {
        self.server.database.as_deref().unwrap_or_default()
    }
}

/// A relay at work: where the driver connects to, once, and what becomes of it.
pub(super) struct Relay {
    pub(super) path: PathBuf,
    pub(super) running: JoinHandle<()>,
}

impl Route {
    pub(super) fn new(family: Family, server: Server) -> Self {
        Self {
            family,
            server,
            tls: OnceLock::new(),
        }
    }

    /// Connects to the server, at the first of `addresses` that takes it if it has any, and opens
    /// a socket that leads there, once. Its path ends in `suffix`.
    ///
    /// The path is one of Linux's abstract sockets, with a name that nobody can foresee; and nobody
    /// but this process is let through.
    pub(super) async fn open(
        &self,
        addresses: &[SocketAddr],
        deadline: Instant,
        suffix: &str,
        meter: &Arc<Meter>,
    ) -> io::Result<Relay> {
        let (socket, trusted) = match &self.server.address {
            Address::Tcp(..) => {
                let stream = connect(addresses, deadline).await?;
                stream.set_nodelay(true)?;
                (Socket::Tcp(stream), self.server.tls == Tls::Verify)
            }
            Address::Unix(path, port) => {
                let path = match self.family {
                    Family::Postgres => path.join(format!(".s.PGSQL.{port}")),
                    Family::Mysql => path.clone(),
                };
                let stream = UnixStream::connect(&path).await?;
                let owner = stream.peer_cred()?.uid();
                peer::check(&path, owner, self.server.socket_user)?;
                (Socket::Unix(stream), true)
            }
        };
        let plan = Plan {
            family: self.family,
            tls: match socket {
                Socket::Tcp(_) => self.server.tls,
                Socket::Unix(_) => Tls::Off,
            },
            client: self.client()?,
            server: self.server.clone(),
            trusted,
        };
        let path = PathBuf::from(OsString::from_vec(unforeseeable(suffix)?));
        let listener = UnixListener::bind(&path)?;
        let socket = Metered::new(socket, Arc::clone(meter));
        let meter = Arc::clone(meter);
        let running = tokio::spawn(async move {
            // However it ends, the driver sees that its connection does.
            if let Err(error) = carry(listener, socket, &plan, &meter).await {
                meter.cut(error.to_string());
            }
        });
        Ok(Relay { path, running })
    }

    fn client(&self) -> io::Result<Option<(Arc<ClientConfig>, ServerName<'static>)>> {
        let (Address::Tcp(host, _), Tls::Prefer | Tls::Require | Tls::Verify) =
            (&self.server.address, self.server.tls)
        else {
            return Ok(None);
        };
        let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
        if let Some(config) = self.tls.get() {
            return Ok(Some((Arc::clone(config), name)));
        }
        let config = tls::client(self.server.tls, self.server.authorities.as_deref());
        let config = config.map_err(|error| io::Error::other(format!("TLS: {error}")))?;
        Ok(Some((Arc::clone(self.tls.get_or_init(|| config)), name)))
    }
}

/// An address that does not answer uses up no more than its share of the time.
async fn connect(addresses: &[SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    let mut failed = io::ErrorKind::AddrNotAvailable.into();
    for (number, address) in addresses.iter().enumerate() {
        let until = share(deadline, addresses.len() - number).into();
        match timeout_at(until, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = error,
            Err(_) => failed = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failed)
}

/// Waits for the driver, sees to TLS, and carries what both say until one of them ends.
async fn carry(
    listener: UnixListener,
    socket: Metered,
    plan: &Plan,
    meter: &Arc<Meter>,
) -> io::Result<()> {
    let mut driver = own_connection(&listener).await?;
    drop(listener);
    let (mut link, mut guard) = match plan.family {
        Family::Postgres => {
            let proof = match plan.trusted || plan.server.password.is_none() {
                true => Proof::NotNeeded,
                false => Proof::Needed,
            };
            let link = postgres::open(socket, plan).await?;
            (link, Guard::postgres(proof, Arc::clone(meter)))
        }
        Family::Mysql => {
            let link = mysql::open(socket, &mut driver, plan).await?;
            (link, Guard::mysql(Arc::clone(meter)))
        }
    };
    let mut statements =
        (plan.family == Family::Postgres).then(|| Statements::new(Arc::clone(meter)));
    let (mut questions, mut answers) = (Copy::new(), Copy::new());
    poll_fn(|context| {
        let ended = questions.poll(context, &mut driver, &mut link, |bytes| {
            let statements = statements.as_mut();
            statements.map_or(Ok(None), |statements| statements.pass(bytes))
        })?;
        let answered = answers.poll(context, &mut link, &mut driver, |bytes| {
            guard.pass(bytes).map(|()| None)
        })?;
        // Who has asked its last does not wait for an answer.
        match (ended, answered) {
            (Poll::Pending, Poll::Pending) => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    })
    .await
}

/// The next connection that this process itself makes.
async fn own_connection(listener: &UnixListener) -> io::Result<UnixStream> {
    let own = i32::try_from(std::process::id()).ok();
    loop {
        let (stream, _) = listener.accept().await?;
        if own.is_some() && stream.peer_cred()?.pid() == own {
            return Ok(stream);
        }
    }
}

/// The name of an abstract socket (unix(7)): a NUL, then what nobody else has.
fn unforeseeable(suffix: &str) -> io::Result<Vec<u8>> {
    let mut random = [0; 16];
    // Up to 256 bytes come whole (getrandom(2)).
    if getrandom(&mut random, GetRandomFlags::empty())? != random.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let number = u128::from_ne_bytes(random);
    Ok(format!("\0nginx-mail-auth-{number:032x}{suffix}").into_bytes())
}

/// Changes to TLS.
async fn encrypted(socket: Metered, plan: &Plan) -> io::Result<Link> {
    let Some((config, name)) = plan.client.clone() else {
        return Err(io::Error::other("TLS: it is not configured"));
    };
    let connected = TlsConnector::from(config).connect(name, socket).await;
    let stream =
        connected.map_err(|error| io::Error::new(error.kind(), format!("TLS: {error}")))?;
    Ok(Link::Tls(Box::new(stream)))
}

/// The connection to a server, with or without TLS.
enum Link {
    Plain(Metered),
    Tls(Box<TlsStream<Metered>>),
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// One direction. What passes may be a stored password, and is wiped.
struct Copy {
    buffer: Zeroizing<Vec<u8>>,
    /// What is sent in place of the buffer, if anything.
    other: Option<Zeroizing<Vec<u8>>>,
    start: usize,
    end: usize,
    unflushed: bool,
}

impl Copy {
    fn new() -> Self {
        Self {
            buffer: Zeroizing::new(vec![0; BUFFER_BYTES]),
            other: None,
            start: 0,
            end: 0,
            unflushed: false,
        }
    }

    /// Copies what there is, or what `look` gives in its place. Ready when nothing more will come and
    /// all of it has been passed on.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        mut look: impl FnMut(&[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, String>,
    ) -> io::Result<Poll<()>> {
        loop {
            while self.start < self.end {
                let bytes = self.other.as_ref().unwrap_or(&self.buffer);
                let waiting = bytes.get(self.start..self.end).unwrap_or_default();
                match Pin::new(&mut *to).poll_write(context, waiting)? {
                    Poll::Pending => return Ok(Poll::Pending),
                    Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Poll::Ready(written) => self.start += written,
                }
                self.unflushed = true;
            }
            let mut buffer = ReadBuf::new(&mut self.buffer);
            let read = Pin::new(&mut *from).poll_read(context, &mut buffer)?;
            (self.start, self.end) = (0, buffer.filled().len());
            if read.is_pending() || self.end == 0 {
                // TLS keeps what it has not been told to send.
                if self.unflushed {
                    if Pin::new(&mut *to).poll_flush(context)?.is_pending() {
                        return Ok(Poll::Pending);
                    }
                    self.unflushed = false;
                }
                return Ok(read);
            }
            let received = self.buffer.get(..self.end).unwrap_or_default();
            self.other = look(received).map_err(io::Error::other)?;
            if let Some(other) = &self.other {
                self.end = other.len();
            }
        }
    }
}

#[cfg(test)]
mod tests;
