//! The first step of a connection to a PostgreSQL server: starts TLS before the driver's messages.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::meter::Metered;
use super::{ConnectionPlan, MaybeTls, encrypted};
use crate::users::sql::server::Tls;

/// SSLRequest: its length, and a number in place of a protocol's version (PostgreSQL 15, 55.7).
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Starts TLS if the configuration and the server require it (PostgreSQL 15, 55.2.10).
pub(super) async fn open(mut socket: Metered, plan: &ConnectionPlan) -> io::Result<MaybeTls> {
    if plan.tls == Tls::Off {
        return Ok(MaybeTls::Plain(socket));
    }
    socket.write_all(&SSL_REQUEST).await?;
    // Reads exactly one byte: further bytes are not part of the encrypted connection (CVE-2021-23222), and
    // make the handshake fail.
    match socket.read_u8().await? {
        b'S' => encrypted(socket, plan).await,
        b'N' if plan.tls == Tls::Prefer => Ok(MaybeTls::Plain(socket)),
        b'N' => Err(io::Error::other("TLS: the server does not offer it")),
        _ => Err(io::Error::other(
            "the server does not answer as PostgreSQL does",
        )),
    }
}
