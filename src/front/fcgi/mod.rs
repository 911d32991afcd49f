//! The FastCGI transport (FastCGI 1.0, role Responder). It knows neither mail nor nginx.
//!
//! `record` turns bytes into records and back, `conn` turns bytes into whole requests and answers
//! into bytes; neither does any I/O. `listener` finds or makes the sockets, `link` moves one
//! connection's bytes in time, `slots` knows what each connection is doing, `held` keeps answers that
//! are not to leave yet, `server` owns threads, bounds and signals.

use std::time::Duration;

pub mod conn;
mod held;
mod link;
pub mod listener;
pub mod record;
mod repeats;
mod seats;
pub mod server;
mod slots;

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
