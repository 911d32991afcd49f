//! Chooses the mail server of a login: login → host → address and port.
//!
//! The store's host for the user takes precedence over the routes of the configuration. Both name a host, or
//! a move between two hosts, where the login's [`MovePlace`] decides. A host is one mail server, or several that
//! share its users by their [`Score`]s; the servers that probes find dead get no users.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::login::Upstream;
use crate::sys::problem::Problem;

mod allowed;
mod bad_route;
mod choose;
mod explain;
mod host;
mod master;
mod monitor;
mod moves;
mod place;
mod probe;
mod standing;
mod table;
pub(crate) mod written;

pub use allowed::AllowedNetworks;
pub use bad_route::BadRoute;
pub use choose::Query;
pub use explain::{Candidate, Explanation};
pub use host::{Host, HostId, Ports, Role, Server, State, Target};
pub use master::{Credentials, MasterLogin, MasterUse, NoPassword, OwnPassword};
pub use monitor::Health;
pub use moves::{Move, Stage, UserMove};
pub use place::{MovePlace, Score};
pub use probe::{ProbeKind, Probes};
pub use standing::{Probed, ServerStanding};
pub use table::{RouteTarget, Table};

use crate::net::dns::{Name, Purpose, Resolver};
use monitor::HealthMonitor;

/// How long a request waits for an unknown address.
const DNS_WAIT: Duration = Duration::from_secs(5);

/// How long a start or a reload waits for the addresses of names. A login waits itself for the address that
/// it needs.
const RELOAD_WAIT: Duration = Duration::from_millis(300);

/// The routes in use: a [`Table`], and the addresses of its hosts.
pub struct Routes {
    table: Table,
    /// The addresses of the servers of each host in the table.
    server_addresses: Vec<Vec<ServerAddress>>,
    resolver: Resolver,
    /// How long a request waits for an unknown address.
    max_wait: Duration,
    probing: Probing,
}

/// The source of a mail server's address.
enum ServerAddress {
    Fixed(IpAddr),
    Named(Arc<Name>),
    /// The server gets no users, so its address is not needed.
    Unused,
}

impl ServerAddress {
    fn name(&self) -> Option<&Arc<Name>> {
        match self {
            Self::Fixed(_) | Self::Unused => None,
            Self::Named(name) => Some(name),
        }
    }

    /// The address, if it is known already.
    fn known(&self) -> Option<IpAddr> {
        match self {
            Self::Fixed(address) => Some(*address),
            Self::Named(name) => name.first(),
            Self::Unused => None,
        }
    }

    /// The address; waits for it until the deadline, and no longer than `max_wait`.
    fn find(&self, deadline: Instant, max_wait: Duration) -> Result<IpAddr, String> {
        match self {
            Self::Fixed(address) => Ok(*address),
            Self::Named(name) => name
                .address(deadline.min(Instant::now() + max_wait))
                .map_err(|failure| format!("{}: {failure}", name.host())),
            Self::Unused => Err("gets no users".to_owned()),
        }
    }
}

/// How the program knows which of several mail servers are alive.
enum Probing {
    /// It takes all of them for alive.
    Off,
    /// It probes them when a login needs one.
    InLine,
    /// Probes in the background have found out.
    Background(HealthMonitor),
}

/// The mail server for a login.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The host's name as configured.
    pub host: Arc<str>,
    /// The rule that named the host.
    pub rule: Rule,
    /// The move that led to the host.
    pub user_move: Option<UserMove>,
    /// The address and port of the mail server.
    pub upstream: Upstream,
    /// The login that acts for every user there.
    pub master: Option<Arc<MasterLogin>>,
}

impl Destination {
    /// The login and password for nginx to send there. `login` is the login that nginx has; `user` is the
    /// login for the mail server, if it differs; `own` says what is known about the user's password.
    ///
    /// An error means that the user's own password is unknown or cannot be sent, and the host has no master
    /// login. Whether that matters depends on the protocol: for SMTP, nginx need not log in.
    pub fn credentials(
        &self,
        login: &[u8],
        user: Option<Vec<u8>>,
        own: OwnPassword,
    ) -> Result<Credentials, NoPassword> {
        master::credentials(self.master.as_deref(), login, user, own)
    }
}

/// The rule that names a login's host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The store's host of the user.
    User,
    /// `[routes.login]`.
    Login,
    /// `[routes.domain]`.
    Domain,
    /// `[routes.first-letter]`.
    FirstLetter,
    /// `[routes] default`.
    Default,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Login => "login",
            Self::Domain => "domain",
            Self::FirstLetter => "first-letter",
            Self::Default => "default",
        })
    }
}

impl Routes {
    /// For a server process: looks up all names, and again each time `resolve-ttl` has passed; waits at most
    /// 0.3 s for names without an address. It probes hosts with several addresses in separate threads, from
    /// the first login for the host on. `before` are the routes that these replace: names that DNS cannot
    /// resolve keep the address that they have there, and the states of mail servers are taken over.
    pub fn open(table: &Table, resolver: Resolver, before: Option<&Self>) -> Self {
        Self::start(table.clone(), resolver, before, DNS_WAIT)
    }

    /// For a single request: looks up only the names that the request needs, and probes only the servers that
    /// it can get, at that time.
    pub fn lazy(table: &Table, resolver: Resolver) -> Self {
        Self::idle(table.clone(), resolver, DNS_WAIT)
    }

    fn start(table: Table, resolver: Resolver, before: Option<&Self>, max_wait: Duration) -> Self {
        let mut routes = Self::idle(table, resolver, max_wait);
        routes.look_names_up();
        if matches!(routes.probing, Probing::InLine) {
            let monitor = HealthMonitor::new(routes.table.probes);
            if let Some(Probing::Background(old)) = before.map(|before| &before.probing) {
                monitor.take_over(old, |address| routes.is_in_a_pool(address));
            }
            routes.probing = Probing::Background(monitor);
        }
        routes
    }

    /// Looks up all names, and waits for a moment if an address is unknown.
    fn look_names_up(&self) {
        self.resolver.keep_fresh(self.table.resolve_ttl);
        let until = Instant::now() + self.max_wait.min(RELOAD_WAIT);
        for name in self.names().filter(|name| name.first().is_none()) {
            name.wait_for_first(until);
        }
    }

    fn idle(table: Table, resolver: Resolver, max_wait: Duration) -> Self {
        // Looks up each name once, even if several hosts have it.
        let mut names: HashMap<Arc<str>, Arc<Name>> = HashMap::new();
        let mut locate = |host: &Host, server: &Server| {
            if host.state == State::Moving || server.role == Role::Drained {
                return ServerAddress::Unused;
            }
            match &server.target {
                Target::Address(address) => ServerAddress::Fixed(*address),
                Target::Name(name) => {
                    let known = names.entry(Arc::clone(name)).or_insert_with(|| {
                        let allowed = table.allowed.clone();
                        let usable = move |found: &[IpAddr]| allowed.among(found);
                        resolver.name(name, Purpose::MailServer, usable)
                    });
                    ServerAddress::Named(Arc::clone(known))
                }
            }
        };
        let all = table.hosts().iter();
        let addresses = all
            .map(|host| {
                host.servers
                    .iter()
                    .map(|server| locate(host, server))
                    .collect()
            })
            .collect();
        let probing = match table.probes.kind {
            ProbeKind::Off => Probing::Off,
            ProbeKind::Greeting | ProbeKind::Connect => Probing::InLine,
        };
        Self {
            server_addresses: addresses,
            table,
            resolver,
            max_wait,
            probing,
        }
    }

    /// The mail servers without an address at the moment, as problems of the configuration `file`.
    pub fn unresolved(&self, file: &Path) -> Vec<Problem> {
        let hosts = self.table.hosts().iter().zip(&self.server_addresses);
        let servers = hosts.flat_map(|(host, addresses)| host.servers.iter().zip(addresses));
        servers
            .filter_map(|(server, address)| {
                let name = address.name()?;
                let trouble = format!("{}: {}", name.host(), name.trouble()?);
                Some(Problem {
                    file: file.to_owned(),
                    position: server.place,
                    key: Some(server.key.clone()),
                    message: format!("cannot resolve {trouble}"),
                })
            })
            .collect()
    }

    fn names(&self) -> impl Iterator<Item = &Arc<Name>> {
        self.server_addresses
            .iter()
            .flatten()
            .filter_map(ServerAddress::name)
    }

    fn is_in_a_pool(&self, address: IpAddr) -> bool {
        let pools = self
            .server_addresses
            .iter()
            .filter(|servers| servers.len() > 1);
        pools
            .flatten()
            .any(|server| server.known() == Some(address))
    }
}

#[cfg(test)]
mod tests;
