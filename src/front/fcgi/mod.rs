//! The FastCGI transport (FastCGI 1.0, role Responder). It knows neither mail nor nginx.
//!
//! `record` turns bytes into records and back, `conn` turns bytes into whole requests and answers
//! into bytes; neither does any I/O. `listener` finds or makes the sockets, `link` moves one
//! connection's bytes in time, `slots` knows what each connection is doing, `held` keeps answers that
//! are not to leave yet, `server` owns threads, bounds and signals.

use std::time::Duration;

use crate::front::pace::Departure;
use crate::front::params::{Params, Peer};

pub mod conn;
mod held;
mod link;
pub mod listener;
pub mod record;
mod repeats;
mod seats;
pub mod server;
mod slots;

/// What the transport asks for answers. An answer is a CGI response: headers, a blank line.
pub trait Application: Send + Sync + 'static {
    /// Whether a connection of this peer is served; if not, it is closed without a word.
    fn admits(&self, _peer: Peer) -> bool {
        true
    }

    /// Appends the answer to a whole request that this peer has sent, and says when it may leave.
    fn respond(&self, peer: Peer, params: &Params<'_>, out: &mut Vec<u8>) -> Departure;

    /// Appends the answer where there is no whole request to hand over. A bare END_REQUEST would
    /// reach nginx as `200 OK` through mod_proxy_fcgi.
    fn respond_without_request(&self, why: NoRequest, out: &mut Vec<u8>);

    /// Looks at the configuration again (SIGHUP).
    fn reload(&self);
}

/// Why there is no whole request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRequest {
    /// The web server sent ABORT_REQUEST, or the connection was given up while a request was
    /// still arriving.
    Aborted,
    /// All connections are busy.
    Overloaded,
    /// PARAMS is longer or has more pairs than [`Limits`] allow.
    TooLarge,
    /// PARAMS is no sequence of name-value pairs.
    Malformed,
    /// The request took longer than [`Limits::read_timeout`] to arrive.
    TooSlow,
}

/// Bounds of the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections served at once.
    pub connections: usize,
    /// How long a kept connection may stay without a request.
    pub idle_timeout: Duration,
    /// How long a request may take to arrive whole.
    pub read_timeout: Duration,
    /// Bytes of PARAMS in one request.
    pub params_bytes: usize,
    /// Name-value pairs in one request.
    pub params_pairs: usize,
}

/// The bounds where nothing is configured.
impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            idle_timeout: Duration::from_secs(60),
            read_timeout: Duration::from_secs(10),
            params_bytes: 128 * 1024,
            params_pairs: 512,
        }
    }
}
