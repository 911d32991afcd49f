//! Connections to other servers: to a host or a Unix socket, with or without TLS, and with a
//! deadline that the other side cannot extend.

use std::io;
use std::time::Instant;

pub mod dns;
#[cfg(feature = "servers")]
mod endpoint;
#[cfg(feature = "servers")]
pub mod http;
pub mod own_login;
#[cfg(feature = "servers")]
pub mod peer;
pub(crate) mod percent;
#[cfg(feature = "servers")]
pub mod pool;
pub(crate) mod socket;
#[cfg(feature = "servers")]
mod stream;
#[cfg(feature = "servers")]
pub mod tls;
#[cfg(feature = "servers")]
mod trust;
pub(crate) mod url;

#[cfg(feature = "servers")]
pub use dns::Names;
#[cfg(feature = "servers")]
pub use endpoint::Endpoint;
#[cfg(feature = "servers")]
use endpoint::address_of;
#[cfg(feature = "servers")]
pub use stream::{LineError, Stream, Unsolicited};
#[cfg(feature = "servers")]
pub use trust::Trust;

/// The maximum number of bytes that a server may send for one question, including TLS.
pub const QUESTION_BYTES: usize = 1024 * 1024;

/// The remaining time, or the error of a deadline that has passed.
fn remaining(deadline: Instant) -> io::Result<std::time::Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(timed_out());
    }
    Ok(left)
}

fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}
