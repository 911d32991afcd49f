//! The FastCGI transport (FastCGI 1.0, role Responder). It knows neither mail nor nginx.
//!
//! `record` encodes and decodes records; `conn` turns bytes into whole requests and answers into
//! bytes; neither does any I/O. `listener` finds or creates the sockets, `link` reads and writes
//! one connection within its time-outs, `slots` tracks the phase of each connection, `held` keeps
//! delayed answers, `wipe` overwrites buffers, `server` owns threads, limits and signals.

use std::time::Duration;

pub mod client;
pub mod conn;
mod connection_limit;
mod delay_queue;
mod link;
pub mod listener;
mod log_rate_limit;
pub mod record;
pub mod server;
mod slots;
mod wipe;

/// Limits of the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections served at once.
    pub connections: usize,
    /// How long an open connection may stay without a request.
    pub idle_timeout: Duration,
    /// The time-out for the arrival of a whole request.
    pub read_timeout: Duration,
    /// Bytes of PARAMS in one request.
    pub params_bytes: usize,
    /// Name-value pairs in one request.
    pub params_pairs: usize,
}

/// The default limits.
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
