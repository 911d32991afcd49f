//! Limits how much a server may send.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::statements::Session;
use crate::net::QUESTION_BYTES;

/// The maximum number of rounds between driver and server per question. A driver sends queries of its own for
/// each unknown type, and for the types that it consists of.
const QUESTION_ROUNDS: usize = 64;

/// The rest of a question's budget, and why a connection was closed. The relay of a connection and the
/// threads that use it share one.
#[derive(Debug)]
pub(in super::super) struct Meter {
    bytes: AtomicUsize,
    rounds: AtomicUsize,
    cut: Mutex<Option<String>>,
    /// The peer of a PostgreSQL connection.
    pub(in super::super) session: Session,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            bytes: AtomicUsize::new(QUESTION_BYTES),
            rounds: AtomicUsize::new(QUESTION_ROUNDS),
            cut: Mutex::default(),
            session: Session::default(),
        }
    }
}

impl Meter {
    /// Starts a new question.
    pub(in super::super) fn renew(&self) {
        self.bytes.store(QUESTION_BYTES, Ordering::Relaxed);
        self.rounds.store(QUESTION_ROUNDS, Ordering::Relaxed);
    }

    /// Why the relay closed the connection, if it did.
    pub(in super::super) fn reason(&self) -> Option<String> {
        let cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        cut.clone()
    }

    /// Stores why the connection is closed; the first reason remains.
    pub(super) fn cut(&self, reason: impl Into<String>) {
        let mut cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        cut.get_or_insert_with(|| reason.into());
    }

    /// Subtracts one round from the budget.
    pub(super) fn round(&self) -> Result<(), String> {
        // No other thread changes the number while a question runs.
        let left = self.rounds.load(Ordering::Relaxed).checked_sub(1);
        let left = left.ok_or("the server asks for too many rounds for one question")?;
        self.rounds.store(left, Ordering::Relaxed);
        Ok(())
    }

    /// Subtracts bytes from the budget.
    fn count(&self, bytes: usize) -> Result<(), String> {
        let left = self.bytes.load(Ordering::Relaxed).checked_sub(bytes);
        let left = left.ok_or_else(too_much)?;
        self.bytes.store(left, Ordering::Relaxed);
        Ok(())
    }
}

/// The error: a server sends or announces more than it may.
pub(super) fn too_much() -> String {
    format!("the server sends more than {QUESTION_BYTES} bytes for one question")
}

/// A socket to a server.
pub(super) enum Socket {
    /// A TCP connection.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
}

/// A socket that counts every received byte.
pub(super) struct Metered {
    socket: Socket,
    meter: Arc<Meter>,
}

impl Metered {
    pub(super) fn new(socket: Socket, meter: Arc<Meter>) -> Self {
        Self { socket, meter }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Socket::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        ready!(read)?;
        let received = buffer.filled().len().saturating_sub(before);
        Poll::Ready(self.meter.count(received).map_err(io::Error::other))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Socket::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Socket::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Socket::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
