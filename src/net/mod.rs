//! Connections to other servers: to a host or a Unix socket, with or without TLS, and with a
//! deadline that the other side cannot extend.

#[cfg(feature = "tls")]
use std::io;
#[cfg(feature = "tls")]
use std::time::Instant;

pub mod dns;
#[cfg(feature = "tls")]
mod endpoint;
pub mod own_login;
#[cfg(feature = "tls")]
pub mod peer;
#[cfg(feature = "tls")]
pub mod pool;
#[cfg(feature = "tls")]
mod socket;
#[cfg(feature = "tls")]
mod stream;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "tls")]
mod trust;

#[cfg(feature = "tls")]
pub use dns::Names;
#[cfg(feature = "tls")]
use endpoint::address_of;
#[cfg(feature = "tls")]
pub use endpoint::{Endpoint, QUESTION_BYTES};
#[cfg(feature = "tls")]
pub use stream::{LineError, Stream, Unasked};
#[cfg(feature = "tls")]
pub use trust::{Fresh, Trust};

#[cfg(feature = "tls")]
/// The remaining time, or the error of a deadline that has passed.
fn remaining(deadline: Instant) -> io::Result<std::time::Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(timed_out());
    }
    Ok(left)
}

#[cfg(feature = "tls")]
fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}
