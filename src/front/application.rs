//! The interface between the transports and the part that answers requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::pace::SendTime;
use super::params::{Params, Peer};

/// Answers requests for a transport. An answer is a CGI response: headers, and a blank line (RFC
/// 3875, 6.2).
pub trait Application {
    /// Receives the load of the server before the first request.
    fn attach(&self, _load: Arc<Load>) {}

    /// Whether a connection of this peer is served; if not, it is closed without an answer.
    fn admits(&self, _peer: Peer) -> bool {
        true
    }

    /// Appends the answer to a whole request of this peer, and returns when it may be sent.
    fn respond(&self, peer: Peer, params: &Params<'_>, out: &mut Vec<u8>) -> SendTime;

    /// Appends the answer if there is no whole request. A bare END_REQUEST would reach nginx as
    /// `200 OK` through mod_proxy_fcgi.
    fn respond_without_request(&self, why: NoRequest, out: &mut Vec<u8>);

    /// Checks the configuration for changes (SIGHUP). An application that answers a single request
    /// does nothing.
    fn reload(&self) {}

    /// The server accepts requests and signals from now on.
    fn started(&self) {}

    /// The server begins to end because of this signal; requests may still come.
    fn stopping(&self, _signal: &str) {}

    /// All requests are answered, and the server ends.
    fn stopped(&self, _signal: &str) {}
}

/// How many connections a server has now.
#[derive(Debug)]
pub struct Load {
    connections: AtomicUsize,
    most: usize,
}

impl Load {
    /// No connections, of at most this many.
    pub fn new(most: usize) -> Self {
        Self {
            connections: AtomicUsize::new(0),
            most,
        }
    }

    /// Connections that are accepted and not closed. Those that are turned away and those whose answer is
    /// held count too, so there can be more than the maximum.
    pub fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }

    /// The maximum number of connections that are served at once.
    pub fn most(&self) -> usize {
        self.most
    }

    /// A connection is accepted.
    pub(super) fn accepted(&self) {
        self.connections.fetch_add(1, SeqCst);
    }

    /// A connection is closed.
    pub(super) fn closed(&self) {
        self.connections.fetch_sub(1, SeqCst);
    }
}

/// Why there is no whole request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRequest {
    /// The web server sent ABORT_REQUEST, or the connection was evicted while a request was
    /// arriving.
    Aborted,
    /// All connections are busy.
    Overloaded,
    /// The variables exceed the limits of the transport.
    TooLarge,
    /// PARAMS is not a sequence of name-value pairs (FastCGI 1.0, 3.4).
    Malformed,
    /// The request did not arrive before the time-out.
    TooSlow,
}
