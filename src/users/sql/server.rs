//! A database server: its address, its account, and how a connection to it is protected.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::database::Failure;
use super::server_key::ServerKey;
use crate::net::Names;

/// Settings of a database server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The address of the server.
    pub address: Address,
    /// The user of this program at the server.
    pub user: String,
    /// The password of this user.
    pub password: Option<DatabasePassword>,
    /// The database; `None` for the server's default.
    pub database: Option<String>,
    /// How the connection is protected.
    pub tls: Tls,
    /// Certificates in PEM form that are trusted besides those of the system.
    pub authorities: Option<Vec<u8>>,
    /// The time after which the server itself stops a statement.
    pub timeout: Duration,
    /// The uid of the server that listens on the Unix socket, if another than
    /// [`check`](crate::net::peer::check) expects.
    pub socket_user: Option<u32>,
    /// The key that encrypts the password for a MySQL server without TLS.
    pub server_key: Option<ServerKey>,
}

impl Server {
    /// The addresses of the host, looked up if it is a name; none for a Unix socket.
    pub(super) fn addresses(
        &self,
        names: &Names,
        deadline: Instant,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let Address::Tcp(host, port) = &self.address else {
            return Ok(Vec::new());
        };
        let found = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => names
                .addresses(host, deadline)
                .map_err(Failure::disconnected)?,
        };
        let place = |address: IpAddr| (address, *port).into();
        Ok(found.into_iter().map(place).collect())
    }
}

/// The deadline of the first of `many` operations, so that all get the same time.
pub(super) fn share(deadline: Instant, many: usize) -> Instant {
    let now = Instant::now();
    let many = u32::try_from(many).unwrap_or(u32::MAX).max(1);
    now + deadline.saturating_duration_since(now) / many
}

/// Database and place.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let database = self.database.as_deref().unwrap_or_default();
        match &self.address {
            Address::Tcp(host, port) => write!(f, "{database}@{host}:{port}"),
            Address::Unix(path, _) => write!(f, "{database}@{}", path.display()),
        }
    }
}

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A host, by name or address, and the port on it.
    Tcp(String, u16),
    /// A Unix socket; for PostgreSQL its folder, and the port that is part of the socket's name.
    Unix(PathBuf, u16),
}

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Without TLS.
    Off,
    /// Encrypted if the server supports it; the identity of the server is not checked.
    Prefer,
    /// Encrypted; the identity of the server is not checked.
    Require,
    /// Encrypted, and the certificate must be valid for that host.
    Verify,
}

/// The password of this program's user. It cannot be printed, and is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabasePassword(Zeroizing<String>);

impl DatabasePassword {
    /// Wraps a password.
    pub fn new(password: Zeroizing<String>) -> Self {
        Self(password)
    }

    /// The bytes, for the driver.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DatabasePassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabasePassword(..)")
    }
}
