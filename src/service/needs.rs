//! What a configuration takes: files, folders, ports, names.

use std::collections::BTreeSet;
use std::fmt;
#[cfg(feature = "tls")]
use std::net::IpAddr;
use std::path::PathBuf;

use crate::config::{Config, StoreConfig, Use};
use crate::login::Protocol;
#[cfg(feature = "tls")]
use crate::net::Endpoint;
use crate::route::{ProbeKind, Target};

/// One thing that a configuration takes, and where it says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The thing.
    pub what: What,
    /// Line and column, both from 1.
    pub place: Option<(usize, usize)>,
    /// The key.
    pub key: Option<String>,
}

/// What may be needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A file, also one that is put in its place later.
    Read(PathBuf),
    /// A folder in which files are made and written.
    Write(PathBuf),
    /// Connections to a TCP port, of whatever host.
    Connect(u16),
    /// Addresses of hosts that are given by name.
    Names,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path) => write!(f, "to read {}", path.display()),
            Self::Write(path) => write!(f, "to write in {}", path.display()),
            Self::Connect(port) => write!(f, "connections to port {port}"),
            Self::Names => f.write_str("host names to be looked up"),
        }
    }
}

/// All that a configuration takes.
pub fn needs(config: &Config) -> Vec<Need> {
    let mut needs = vec![Need {
        what: What::Read(config.path.clone()),
        place: None,
        key: None,
    }];
    needs.extend(config.named.iter().map(|named| Need {
        what: match named.usage {
            Use::Read => What::Read(named.path.clone()),
            Use::Write => What::Write(named.path.clone()),
        },
        place: Some(named.place),
        key: Some(named.key.clone()),
    }));
    for users in &config.users {
        needs.extend(of_store(&users.store).into_iter().map(|what| Need {
            what,
            place: Some(users.places.whole),
            key: Some("users".to_owned()),
        }));
    }
    #[cfg(feature = "oauth")]
    if let Some(oauth) = &config.oauth
        && let Some(introspection) = &oauth.settings.introspection
    {
        needs.extend(of_url(&introspection.url).into_iter().map(|what| Need {
            what,
            place: Some(oauth.places.of("introspection-url")),
            key: Some("oauth.introspection-url".to_owned()),
        }));
    }
    #[cfg(feature = "redis")]
    if let Some(throttle) = &config.throttle
        && let crate::throttle::Place::Redis(redis) = &throttle.settings.place
    {
        needs.extend(of_endpoint(&redis.endpoint).into_iter().map(|what| Need {
            what,
            place: Some(throttle.place),
            key: Some("throttle.state".to_owned()),
        }));
    }
    needs.extend(of_hosts(config));
    needs
}

fn of_store(store: &StoreConfig) -> Vec<What> {
    match store {
        StoreConfig::Accept | StoreConfig::File(_) | StoreConfig::Domains(_) => Vec::new(),
        #[cfg(feature = "sql")]
        StoreConfig::Sql(settings) => of_database(&settings.kind),
        #[cfg(feature = "ldap")]
        StoreConfig::Ldap(settings) => settings
            .urls
            .iter()
            .flat_map(|url| of_endpoint(&url.endpoint))
            .collect(),
        #[cfg(feature = "remote")]
        StoreConfig::Server(settings) => of_endpoint(&settings.endpoint),
        #[cfg(feature = "remote")]
        StoreConfig::Http(settings) => of_endpoint(&settings.url.endpoint),
    }
}

#[cfg(feature = "sql")]
fn of_database(kind: &crate::users::sql::Kind) -> Vec<What> {
    use crate::users::sql::Kind;
    use crate::users::sql::network::Address;
    match kind {
        Kind::Sqlite(_) => Vec::new(),
        Kind::Postgres(server) | Kind::Mysql(server) => match &server.address {
            Address::Tcp(host, port) => of_host(host.parse::<IpAddr>().is_ok(), *port),
            Address::Unix(..) => Vec::new(),
        },
    }
}

#[cfg(feature = "tls")]
fn of_endpoint(endpoint: &Endpoint) -> Vec<What> {
    match endpoint {
        Endpoint::Tcp { host, port } => {
            of_host(host.to_str().parse::<IpAddr>().is_ok(), port.get())
        }
        Endpoint::Unix(..) => Vec::new(),
    }
}

/// `is_address`: whether the host is given by its address.
#[cfg(feature = "tls")]
fn of_host(is_address: bool, port: u16) -> Vec<What> {
    let name = (!is_address).then_some(What::Names);
    [What::Connect(port)].into_iter().chain(name).collect()
}

/// The URL has been checked: its port is there, or the scheme's is meant.
#[cfg(feature = "oauth")]
fn of_url(url: &str) -> Vec<What> {
    let port = match url.starts_with("https:") {
        true => 443,
        false => 80,
    };
    let authority = url.split_once("://").map(|(_, rest)| rest);
    let authority = authority.and_then(|rest| rest.split(['/', '?', '#']).next());
    let default = std::num::NonZeroU16::new(port);
    match authority.zip(default).map(|(authority, default)| {
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        Endpoint::parse(host, default)
    }) {
        Some(Ok(endpoint)) => of_endpoint(&endpoint),
        _ => vec![What::Connect(port), What::Names],
    }
}

/// The names of mail servers, and the ports of those that are probed. A port that only a user in
/// some store has is not among them.
fn of_hosts(config: &Config) -> Vec<Need> {
    let mut needs = Vec::new();
    let mut ports = BTreeSet::new();
    for host in config.routes.hosts() {
        let named = |server: &&crate::route::Server| matches!(server.target, Target::Name(_));
        needs.extend(host.servers.iter().filter(named).map(|server| Need {
            what: What::Names,
            place: server.place,
            key: Some(server.key.clone()),
        }));
        if host.servers.len() > 1 && config.routes.probes.kind != ProbeKind::Off {
            for protocol in [Protocol::Imap, Protocol::Pop3, Protocol::Smtp] {
                ports.insert(host.ports.of(protocol).get());
            }
        }
    }
    needs.extend(ports.into_iter().map(|port| Need {
        what: What::Connect(port),
        place: None,
        key: Some("hosts".to_owned()),
    }));
    needs
}
