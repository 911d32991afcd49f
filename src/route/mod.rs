//! Which mail server a login goes to: login → host → address and port.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;

use crate::answer::Upstream;
use crate::problem::Problem;
use crate::refusal::Trouble;
use crate::request::{Login, Protocol};
use crate::store::Account;

mod names;
mod system;
mod table;

pub use names::Resolver;
pub use system::System;
pub use table::{Bad, Host, HostId, Ports, Table, Target};

use names::{Name, Timing, keep_fresh};

/// The routes at work: a [`Table`], and the addresses of its hosts.
pub struct Routes {
    table: Table,
    /// Where each host of the table is.
    whereabouts: Vec<Whereabouts>,
    resolver: Arc<dyn Resolver>,
    timing: Timing,
    /// When it is dropped, the thread that looks names up again ends.
    _refreshing: Option<Sender<()>>,
}

/// Where a host is.
enum Whereabouts {
    Fixed(IpAddr),
    Named(Arc<Name>),
}

impl Whereabouts {
    fn name(&self) -> Option<&Arc<Name>> {
        match self {
            Self::Fixed(_) => None,
            Self::Named(name) => Some(name),
        }
    }
}

/// Where a login goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The host's name as configured.
    pub host: Arc<str>,
    /// What decided.
    pub rule: Rule,
    /// The mail server.
    pub upstream: Upstream,
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
    /// For a server: looks all names up, which takes 5 seconds at most, and again and again in a
    /// thread of its own. Names that DNS has no answer for keep the address that they have in
    /// `before`, the routes that these replace.
    pub fn open(table: &Table, resolver: impl Resolver, before: Option<&Self>) -> Self {
        Self::start(table.clone(), Arc::new(resolver), before, Timing::default())
    }

    /// For a single request: only the name that is needed is looked up, when it is.
    pub fn lazy(table: &Table, resolver: impl Resolver) -> Self {
        Self::idle(table.clone(), Arc::new(resolver), None, Timing::default())
    }

    fn start(
        table: Table,
        resolver: Arc<dyn Resolver>,
        before: Option<&Self>,
        timing: Timing,
    ) -> Self {
        let mut routes = Self::idle(table, resolver, before, timing);
        let names: Vec<_> = routes.names().cloned().collect();
        if names.is_empty() {
            return routes;
        }
        let known = names.iter().all(|name| name.last_good().is_some());
        let (refreshing, stop) = mpsc::channel();
        let (first, first_done) = mpsc::channel();
        let (resolver, ttl) = (Arc::clone(&routes.resolver), routes.table.resolve_ttl);
        let started = thread::Builder::new()
            .name("resolver".into())
            .spawn(move || keep_fresh(&names, &*resolver, ttl, &stop, &first));
        match started {
            Ok(_detached) => {
                routes._refreshing = Some(refreshing);
                if !known {
                    let _in_time_or_not = first_done.recv_timeout(timing.patience);
                }
            }
            Err(error) => log::error!("host names are not looked up again: no thread: {error}"),
        }
        routes
    }

    fn idle(
        table: Table,
        resolver: Arc<dyn Resolver>,
        before: Option<&Self>,
        timing: Timing,
    ) -> Self {
        let whereabouts = table.hosts().iter().map(|host| match &host.target {
            Target::Address(address) => Whereabouts::Fixed(*address),
            Target::Name(name) => {
                let last_good = before.and_then(|before| before.last_good(name));
                Whereabouts::Named(Arc::new(Name::new(Arc::clone(name), last_good)))
            }
        });
        Self {
            whereabouts: whereabouts.collect(),
            table,
            resolver,
            timing,
            _refreshing: None,
        }
    }

    /// The mail server for a login that may in. What the store says of the account goes first.
    pub fn choose(
        &self,
        login: &Login,
        protocol: Protocol,
        account: &Account,
    ) -> Result<Destination, Trouble> {
        let (host, rule) = match &account.host {
            Some(host) => match self.table.declared(host) {
                Some(id) => (id, Rule::User),
                None => return self.address_of_account(host, protocol, account),
            },
            None => self.table.find(login).ok_or(Trouble::NoRoute)?,
        };
        let index = host.index();
        let host = &self.table.hosts()[index];
        let address = match &self.whereabouts[index] {
            Whereabouts::Fixed(address) => *address,
            Whereabouts::Named(name) => name
                .address(&self.resolver, self.timing)
                .map_err(Trouble::Host)?,
        };
        let port = account.port.unwrap_or_else(|| host.ports.of(protocol));
        destination(Arc::clone(&host.name), rule, Upstream::new(address, port))
    }

    /// The host of an account that is none of `[hosts]`: it must be an address.
    fn address_of_account(
        &self,
        host: &str,
        protocol: Protocol,
        account: &Account,
    ) -> Result<Destination, Trouble> {
        let address: IpAddr = host.parse().map_err(|_| {
            Trouble::Host(format!("{host}: neither a host of [hosts] nor an address"))
        })?;
        let port = account
            .port
            .unwrap_or_else(|| self.table.ports.of(protocol));
        destination(host.into(), Rule::User, Upstream::new(address, port))
    }

    /// The hosts that have no address at the moment, as problems of the configuration `file`.
    pub fn unresolved(&self, file: &Path) -> Vec<Problem> {
        let hosts = self.table.hosts().iter().zip(&self.whereabouts);
        hosts
            .filter_map(|(host, whereabouts)| {
                let trouble = whereabouts.name()?.trouble()?;
                Some(Problem {
                    file: file.to_owned(),
                    place: host.place,
                    key: Some(host.key.clone()),
                    message: format!("cannot resolve {trouble}"),
                })
            })
            .collect()
    }

    fn last_good(&self, name: &str) -> Option<IpAddr> {
        self.names()
            .find(|known| known.as_str() == name)?
            .last_good()
    }

    fn names(&self) -> impl Iterator<Item = &Arc<Name>> {
        self.whereabouts.iter().filter_map(Whereabouts::name)
    }
}

fn destination(
    host: Arc<str>,
    rule: Rule,
    upstream: Option<Upstream>,
) -> Result<Destination, Trouble> {
    match upstream {
        Some(upstream) => Ok(Destination {
            host,
            rule,
            upstream,
        }),
        None => Err(Trouble::Host(format!(
            "{host}: not the address of a mail server"
        ))),
    }
}

#[cfg(test)]
mod tests;
