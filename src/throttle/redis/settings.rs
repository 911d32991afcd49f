//! Settings of the servers that keep the counts.

use std::fmt;

use zeroize::Zeroizing;

use super::address::{Form, SCHEMES};
use crate::net::Endpoint;
use crate::net::tls::CaFile;

/// How the server that keeps the counts is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The only endpoint is the server.
    Single,
    /// The endpoints are sentinels, which know the primary of this service.
    Sentinels(String),
    /// The endpoints are nodes of a cluster, which redirect to the node that holds our keys.
    Cluster,
}

/// An account at a server.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RedisAccount {
    /// The user; `default` if none is configured.
    pub user: Option<String>,
    /// The password; without one, the program sends no login.
    pub password: Option<Zeroizing<Vec<u8>>>,
}

/// Servers as configured.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// How the server is found.
    pub kind: Kind,
    /// The configured servers, at least one.
    pub endpoints: Vec<Endpoint>,
    /// Whether connections are encrypted from the first byte on.
    pub tls: bool,
    /// Certificates in PEM form that are trusted in place of the system's.
    pub ca_file: Option<CaFile>,
    /// The number of the database.
    pub database: u32,
    /// The account at the server that keeps the counts.
    pub account: RedisAccount,
    /// The account at the sentinels.
    pub sentinel_account: RedisAccount,
}

impl Settings {
    /// The scheme of the URL.
    fn scheme(&self) -> &'static str {
        let form = match self.kind {
            Kind::Single => Form::Single,
            Kind::Sentinels(_) => Form::Sentinels,
            Kind::Cluster => Form::Cluster,
        };
        let mut schemes = SCHEMES.iter();
        let found = schemes.find(|(_, of, tls)| (*of, *tls) == (form, self.tls));
        found.map_or("redis", |(scheme, ..)| scheme)
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme())?;
        for (number, endpoint) in self.endpoints.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma}{endpoint}")?;
        }
        match &self.kind {
            Kind::Single => write!(f, "/{}", self.database),
            Kind::Sentinels(service) => write!(f, "/{service}/{}", self.database),
            Kind::Cluster => Ok(()),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Settings({self})")
    }
}
