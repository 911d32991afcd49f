//! The relay between a driver and its database server.
//!
//! The drivers open their connections themselves. They allocate memory for everything that a server
//! announces, answer its authentication requests without a check, and wait for DNS without a limit. But they
//! also connect to Unix sockets. So each driver gets a socket of this program, and all traffic between driver
//! and server passes through it:
//!
//! - it uses addresses that are resolved already ([`crate::net::Names`]);
//! - it terminates TLS, in every mode, and checks the owner of a Unix socket;
//! - it counts the bytes of a server and checks what the server announces ([`meter`], [`guard`]);
//! - it sends no password in clear to a server that has not proved its identity.
//!
//! The driver's own runtime copies the bytes, while a question runs.

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

use super::server::{Address, Server, Tls, share};
use crate::net::peer;
use guard::{Guard, ServerProof};
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

/// The number of bytes that are copied at once.
const BUFFER_BYTES: usize = 8192;

/// The protocol of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RelayProtocol {
    Postgres,
    Mysql,
}

/// How connections to a server are made.
pub(super) struct Connector {
    family: RelayProtocol,
    server: Server,
    /// Loaded when they are first needed.
    tls: OnceLock<Arc<ClientConfig>>,
}

/// The parameters of a connection.
struct ConnectionPlan {
    family: RelayProtocol,
    server: Server,
    tls: Tls,
    client: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// Whether the server has proved its identity, or will prove it before the first byte passes.
    trusted: bool,
}

impl ConnectionPlan {
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

/// A relay: the address for the driver's only connection, and the result.
pub(super) struct Relay {
    pub(super) path: PathBuf,
    pub(super) running: JoinHandle<()>,
}

impl Connector {
    pub(super) fn new(family: RelayProtocol, server: Server) -> Self {
        Self {
            family,
            server,
            tls: OnceLock::new(),
        }
    }

    /// Connects to the server, at the first reachable one of `addresses`, or at its Unix socket; opens a
    /// socket that forwards one connection to it. The path of the socket ends in `suffix`.
    ///
    /// The path is one of Linux's abstract sockets with an unpredictable name, and only this process can
    /// connect.
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
                    RelayProtocol::Postgres => path.join(format!(".s.PGSQL.{port}")),
                    RelayProtocol::Mysql => path.clone(),
                };
                let stream = UnixStream::connect(&path).await?;
                let owner = stream.peer_cred()?.uid();
                peer::check(&path, owner, self.server.socket_user)?;
                (Socket::Unix(stream), true)
            }
        };
        let plan = ConnectionPlan {
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
            // When the relay ends, in any way, the driver's connection ends too.
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

/// An unreachable address uses up no more than its share of the time.
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

/// Waits for the driver, starts TLS, and copies in both directions until one of them ends.
async fn carry(
    listener: UnixListener,
    socket: Metered,
    plan: &ConnectionPlan,
    meter: &Arc<Meter>,
) -> io::Result<()> {
    let mut driver = own_connection(&listener).await?;
    drop(listener);
    let (mut link, mut guard) = match plan.family {
        RelayProtocol::Postgres => {
            let proof = match plan.trusted || plan.server.password.is_none() {
                true => ServerProof::NotNeeded,
                false => ServerProof::Needed,
            };
            let link = postgres::open(socket, plan).await?;
            (link, Guard::postgres(proof, Arc::clone(meter)))
        }
        RelayProtocol::Mysql => {
            let link = mysql::open(socket, &mut driver, plan).await?;
            (link, Guard::mysql(Arc::clone(meter)))
        }
    };
    let mut statements =
        (plan.family == RelayProtocol::Postgres).then(|| Statements::new(Arc::clone(meter)));
    let (mut questions, mut answers) = (CopyBuffer::new(), CopyBuffer::new());
    poll_fn(|context| {
        let ended = questions.poll(context, &mut driver, &mut link, |bytes| {
            let statements = statements.as_mut();
            statements.map_or(Ok(None), |statements| statements.pass(bytes))
        })?;
        let answered = answers.poll(context, &mut link, &mut driver, |bytes| {
            guard.pass(bytes).map(|()| None)
        })?;
        // A driver that has ended its connection does not wait for an answer.
        match (ended, answered) {
            (Poll::Pending, Poll::Pending) => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    })
    .await
}

/// Accepts the next connection that this process itself makes.
async fn own_connection(listener: &UnixListener) -> io::Result<UnixStream> {
    let own = i32::try_from(std::process::id()).ok();
    loop {
        let (stream, _) = listener.accept().await?;
        if own.is_some() && stream.peer_cred()?.pid() == own {
            return Ok(stream);
        }
    }
}

/// The name of an abstract socket (unix(7)): a NUL, then a unique, unpredictable text.
fn unforeseeable(suffix: &str) -> io::Result<Vec<u8>> {
    let mut random = [0; 16];
    // getrandom(2) always fills up to 256 bytes.
    if getrandom(&mut random, GetRandomFlags::empty())? != random.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let number = u128::from_ne_bytes(random);
    Ok(format!("\0nginx-mail-auth-{number:032x}{suffix}").into_bytes())
}

/// Starts TLS.
async fn encrypted(socket: Metered, plan: &ConnectionPlan) -> io::Result<MaybeTls> {
    let Some((config, name)) = plan.client.clone() else {
        return Err(io::Error::other("TLS: it is not configured"));
    };
    let connected = TlsConnector::from(config).connect(name, socket).await;
    let stream =
        connected.map_err(|error| io::Error::new(error.kind(), format!("TLS: {error}")))?;
    Ok(MaybeTls::Tls(Box::new(stream)))
}

/// The connection to a server, with or without TLS.
enum MaybeTls {
    Plain(Metered),
    Tls(Box<TlsStream<Metered>>),
}

impl AsyncRead for MaybeTls {
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

impl AsyncWrite for MaybeTls {
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

/// One direction. The bytes may be a stored password, and are wiped.
struct CopyBuffer {
    buffer: Zeroizing<Vec<u8>>,
    /// The bytes to send in place of the buffer, if any.
    other: Option<Zeroizing<Vec<u8>>>,
    start: usize,
    end: usize,
    unflushed: bool,
}

impl CopyBuffer {
    fn new() -> Self {
        Self {
            buffer: Zeroizing::new(vec![0; BUFFER_BYTES]),
            other: None,
            start: 0,
            end: 0,
            unflushed: false,
        }
    }

    /// Copies the available bytes, or the replacement that `look` returns. Ready when no more bytes will come
    /// and all of them have been sent.
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
                // TLS keeps bytes in its buffer until it is flushed.
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
