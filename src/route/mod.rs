//! Which mail server a login goes to: login → host → address and port.
//!
//! What the store says of the user comes first, then the routes of the configuration. Both name a
//! host, or a move between two hosts, where the login's [`Place`] decides. A host is one mail
//! server, or several that share its users by their [`Score`]s, as long as probes find them alive.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::login::Upstream;
use crate::sys::problem::Problem;

mod allowed;
mod bad;
mod choose;
mod explain;
mod host;
mod master;
mod moves;
mod place;
mod probe;
mod table;
mod watch;
pub(crate) mod written;

pub use allowed::AllowedNetworks;
pub use bad::Bad;
pub use choose::Query;
pub use explain::{Candidate, Explanation};
pub use host::{Host, HostId, Ports, Role, Server, State, Target};
pub use master::{Credentials, MasterLogin, MasterUse, NoPassword, OwnPassword};
pub use moves::{Move, Passage, Stage};
pub use place::{Place, Score};
pub use probe::{ProbeKind, Probes};
pub use table::{Aim, Table};
pub use watch::Health;

use crate::net::dns::{Name, Purpose, Resolver};
use watch::Watchman;

/// How long a request waits for an address that is not known.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a start or a reload waits for the addresses of names. A login that needs one waits itself.
const RELOAD_PATIENCE: Duration = Duration::from_millis(300);

/// The routes at work: a [`Table`], and the addresses of its hosts.
pub struct Routes {
    table: Table,
    /// Where the servers of each host of the table are.
    whereabouts: Vec<Vec<Whereabouts>>,
    resolver: Resolver,
    /// How long a request waits for an address that is not known.
    patience: Duration,
    probing: Probing,
}

/// Where a mail server is.
enum Whereabouts {
    Fixed(IpAddr),
    Named(Arc<Name>),
    /// Nobody is sent there, so nobody needs to know.
    Unused,
}

impl Whereabouts {
    fn name(&self) -> Option<&Arc<Name>> {
        match self {
            Self::Fixed(_) | Self::Unused => None,
            Self::Named(name) => Some(name),
        }
    }

    /// Where it is, as far as that is known.
    fn known(&self) -> Option<IpAddr> {
        match self {
            Self::Fixed(address) => Some(*address),
            Self::Named(name) => name.first(),
            Self::Unused => None,
        }
    }

    /// Where it is; that is known by the deadline, or not at all.
    fn find(&self, deadline: Instant) -> Result<IpAddr, String> {
        match self {
            Self::Fixed(address) => Ok(*address),
            Self::Named(name) => name
                .address(deadline)
                .map_err(|failure| format!("{}: {failure}", name.host())),
            Self::Unused => Err("gets no users".to_owned()),
        }
    }
}

/// How it is known which of several mail servers are alive.
enum Probing {
    /// They are taken to be.
    Off,
    /// They are probed when they are needed.
    InLine,
    /// They have been probed before.
    Background(Watchman),
}

/// Where a login goes.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The host's name as configured.
    pub host: Arc<str>,
    /// What decided.
    pub rule: Rule,
    /// The move that led to the host.
    pub passage: Option<Passage>,
    /// The mail server.
    pub upstream: Upstream,
    /// Who may log in there for everybody.
    pub master: Option<Arc<MasterLogin>>,
}

impl Destination {
    /// What nginx is to log in with there. `login` is the login that nginx has, `user` the one
    /// that the mail server is to see, if another; `own` is what is known of the user's password.
    ///
    /// The error is only for a user whose own password is not known, at a host without a master
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

/// What decides about a login's host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The store says which host the user has.
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
    /// For a server: looks all names up, and again each time `resolve-ttl` has passed; it waits 0.3 s
    /// at most for those without an address. It probes hosts with several addresses in threads of their own, once
    /// somebody is to be sent there. Names that DNS has no answer for keep the address that they
    /// have in `before`, the routes that these replace, and what is known of mail servers is taken
    /// over too.
    pub fn open(table: &Table, resolver: Resolver, before: Option<&Self>) -> Self {
        Self::start(table.clone(), resolver, before, PATIENCE)
    }

    /// For a single request: only the names that are needed are looked up, and only the servers
    /// that come into question are probed, when they are.
    pub fn lazy(table: &Table, resolver: Resolver) -> Self {
        Self::idle(table.clone(), resolver, PATIENCE)
    }

    fn start(table: Table, resolver: Resolver, before: Option<&Self>, patience: Duration) -> Self {
        let mut routes = Self::idle(table, resolver, patience);
        routes.look_names_up();
        if matches!(routes.probing, Probing::InLine) {
            let watchman = Watchman::new(routes.table.probes);
            if let Some(Probing::Background(old)) = before.map(|before| &before.probing) {
                watchman.take_over(old, |address| routes.is_in_a_pool(address));
            }
            routes.probing = Probing::Background(watchman);
        }
        routes
    }

    /// Has all names looked up, and waits for a moment if the address of one is not known.
    fn look_names_up(&self) {
        self.resolver.keep_fresh(self.table.resolve_ttl);
        let until = Instant::now() + self.patience.min(RELOAD_PATIENCE);
        for name in self.names().filter(|name| name.first().is_none()) {
            name.wait_for_first(until);
        }
    }

    fn idle(table: Table, resolver: Resolver, patience: Duration) -> Self {
        // Each name once, however many hosts have it.
        let mut names: HashMap<Arc<str>, Arc<Name>> = HashMap::new();
        let mut locate = |host: &Host, server: &Server| {
            if host.state == State::Moving || server.role == Role::Drained {
                return Whereabouts::Unused;
            }
            match &server.target {
                Target::Address(address) => Whereabouts::Fixed(*address),
                Target::Name(name) => {
                    let known = names.entry(Arc::clone(name)).or_insert_with(|| {
                        let allowed = table.allowed.clone();
                        let usable = move |found: &[IpAddr]| allowed.among(found);
                        resolver.name(name, Purpose::MailServer, usable)
                    });
                    Whereabouts::Named(Arc::clone(known))
                }
            }
        };
        let all = table.hosts().iter();
        let whereabouts = all
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
            whereabouts,
            table,
            resolver,
            patience,
            probing,
        }
    }

    /// The mail servers that have no address at the moment, as problems of the configuration
    /// `file`.
    pub fn unresolved(&self, file: &Path) -> Vec<Problem> {
        let hosts = self.table.hosts().iter().zip(&self.whereabouts);
        let servers = hosts.flat_map(|(host, whereabouts)| host.servers.iter().zip(whereabouts));
        servers
            .filter_map(|(server, whereabouts)| {
                let name = whereabouts.name()?;
                let trouble = format!("{}: {}", name.host(), name.trouble()?);
                Some(Problem {
                    file: file.to_owned(),
                    place: server.place,
                    key: Some(server.key.clone()),
                    message: format!("cannot resolve {trouble}"),
                })
            })
            .collect()
    }

    fn names(&self) -> impl Iterator<Item = &Arc<Name>> {
        self.whereabouts
            .iter()
            .flatten()
            .filter_map(Whereabouts::name)
    }

    fn is_in_a_pool(&self, address: IpAddr) -> bool {
        let pools = self.whereabouts.iter().filter(|servers| servers.len() > 1);
        pools
            .flatten()
            .any(|server| server.known() == Some(address))
    }
}

#[cfg(test)]
mod tests;
