//! Chooses the mail server of a login: the host by store and routes, then one of the host's servers.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::monitor::{ProbeTarget, SLACK};
use super::probe::{ProbeFailure, probe};
use super::{
    Destination, Health, Host, HostId, MovePlace, Ports, Probing, Role, RouteTarget, Routes, Rule,
    Score, ServerAddress, Stage, State, UserMove,
};
use crate::login::Upstream;
use crate::login::{Login, Protocol};
use crate::nginx::refusal::Trouble;

/// The longest time for which a request at a server process waits for the state of one of several addresses.
const POOL_WAIT: Duration = Duration::from_secs(2);

/// The maximum number of dead addresses in one message.
const MAX_NAMED: usize = 8;

/// The question which mail server a login gets.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The login, after the rules of `[logins]`.
    pub login: &'a Login,
    /// The mail protocol of the client.
    pub protocol: Protocol,
    /// The user's host, if the store knows it: a name of `[hosts]` or an address.
    pub host: Option<&'a str>,
    /// The port on that host, for all protocols, if the store knows it.
    pub port: Option<NonZeroU16>,
    /// The deadline of the answer.
    pub deadline: Instant,
}

/// The route of a login to a host, before a mail server is chosen.
pub(super) struct HostChoice {
    pub(super) rule: Rule,
    pub(super) user_move: Option<UserMove>,
    pub(super) end: HostOrAddress,
}

pub(super) enum HostOrAddress {
    Host(HostId),
    /// The store names no host of `[hosts]`, but an address.
    Address(IpAddr),
}

impl Routes {
    /// The mail server for an accepted login. The values of the store's account take precedence over the
    /// routes.
    ///
    /// Waits for DNS, and for mail servers whose state is unknown, until the deadline of the query. A server
    /// without time for a probe counts as alive.
    pub fn choose(&self, asked: &Query<'_>) -> Result<Destination, Trouble> {
        let choice = self.choose_host(asked)?;
        self.follow(&choice, asked, |id, host, port| {
            let until = self.wait_until(asked);
            let ranking = host.ranking(asked.login);
            if let Probing::Background(monitor) = &self.probing {
                let known = ranking.iter().filter_map(|(index, _)| {
                    let address = self.server_address(id, *index).known()?;
                    Some(ProbeTarget::new(address, port, asked.protocol))
                });
                monitor.add(known);
            }
            first_alive(host, &ranking, |index| {
                let address = self.find(id, index, until)?;
                let server = ProbeTarget::new(address, port, asked.protocol);
                match self.health(server, until) {
                    Health::Dead(why) => Err(format!("{address}: {why}")),
                    Health::Alive | Health::Unknown => Ok(address),
                }
            })
        })
    }

    /// The host that the store names, else the host of the routes.
    pub(super) fn choose_host(&self, asked: &Query<'_>) -> Result<HostChoice, Trouble> {
        let (target, rule) = match asked.host {
            None => self.table.find(asked.login).ok_or(Trouble::NoRoute)?,
            Some(host) => match self.table.declared(host) {
                Some(target) => (target, Rule::User),
                None => {
                    let unknown = |_| {
                        let what = "neither a host of [hosts] nor an address";
                        Trouble::UnknownHost(format!("{host}: {what}"))
                    };
                    return Ok(HostChoice {
                        rule: Rule::User,
                        user_move: None,
                        end: HostOrAddress::Address(host.parse().map_err(unknown)?),
                    });
                }
            },
        };
        let (end, user_move) = match target {
            RouteTarget::Host(host) => (host, None),
            RouteTarget::Move(index) => {
                let users = self.table.move_at(index).ok_or(Trouble::NoRoute)?;
                let place = MovePlace::of(asked.login);
                let stage = users.stage(place);
                let user_move = UserMove {
                    name: Arc::clone(&users.name),
                    place,
                    stage,
                };
                let host = match stage {
                    Stage::Old | Stage::Moving => users.old,
                    Stage::New => users.new,
                };
                (host, Some(user_move))
            }
        };
        Ok(HostChoice {
            rule,
            user_move,
            end: HostOrAddress::Host(end),
        })
    }

    /// The mail server at the end of a route; `pick` chooses one of several addresses for a port.
    pub(super) fn follow(
        &self,
        choice: &HostChoice,
        asked: &Query<'_>,
        pick: impl FnOnce(HostId, &Host, NonZeroU16) -> Result<IpAddr, Trouble>,
    ) -> Result<Destination, Trouble> {
        if let Some(user_move) = &choice.user_move
            && user_move.stage == Stage::Moving
        {
            return Err(Trouble::Moving(user_move.to_string()));
        }
        let port_of = |ports: Ports| asked.port.unwrap_or_else(|| ports.of(asked.protocol));
        let (name, address, port, master) = match choice.end {
            HostOrAddress::Address(address) => {
                let name = asked.host.unwrap_or_default().into();
                (name, address, port_of(self.table.ports), None)
            }
            HostOrAddress::Host(id) => {
                let host = &self.table.hosts()[id.index()];
                let name = Arc::clone(&host.name);
                let port = port_of(host.ports);
                if host.state == State::Moving {
                    let what = format!("{name}: its users are being moved");
                    return Err(Trouble::Moving(what));
                }
                let address = match host.servers.as_slice() {
                    [only] if only.role != Role::Drained => {
                        self.find(id, 0, asked.deadline).map_err(Trouble::Host)?
                    }
                    _ => pick(id, host, port)?,
                };
                (name, address, port, host.master.clone())
            }
        };
        // The configuration has checked the addresses of `[hosts]`.
        let upstream = Upstream::new(address, port).ok_or_else(|| {
            Trouble::UnknownHost(format!("{name}: not the address of a mail server"))
        })?;
        self.table
            .allowed
            .check(address)
            .map_err(|why| match choice.end {
                HostOrAddress::Address(_) => Trouble::UnknownHost(why),
                HostOrAddress::Host(_) => Trouble::Host(format!("{name}: {why}")),
            })?;
        Ok(Destination {
            host: name,
            rule: choice.rule,
            user_move: choice.user_move.clone(),
            upstream,
            master,
        })
    }

    fn server_address(&self, host: HostId, server: usize) -> &ServerAddress {
        let servers = self.server_addresses.get(host.index());
        servers
            .and_then(|servers| servers.get(server))
            .unwrap_or(&ServerAddress::Unused)
    }

    /// The address of a server; waits for DNS until `until`, and no longer than a look-up may take.
    pub(super) fn find(
        &self,
        host: HostId,
        server: usize,
        until: Instant,
    ) -> Result<IpAddr, String> {
        self.server_address(host, server).find(until, self.max_wait)
    }

    /// Until when the program waits for the state of one of several servers. In a server process, a name that
    /// DNS does not know counts as dead; the long wait is only for a host's single server.
    pub(super) fn wait_until(&self, asked: &Query<'_>) -> Instant {
        let max_wait = match &self.probing {
            Probing::InLine => return asked.deadline,
            Probing::Off => POOL_WAIT,
            Probing::Background(_) => POOL_WAIT.min(self.table.probes.timeout + SLACK),
        };
        asked.deadline.min(Instant::now() + max_wait)
    }

    pub(super) fn health(&self, server: ProbeTarget, until: Instant) -> Health {
        match &self.probing {
            Probing::Off => Health::Unknown,
            Probing::Background(monitor) => {
                monitor.add([server]);
                monitor.health(&server, until)
            }
            Probing::InLine => self.probe_now(server, until),
        }
    }

    pub(super) fn probe_now(&self, server: ProbeTarget, until: Instant) -> Health {
        let probes = self.table.probes;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Health::Unknown;
        }
        let timeout = probes.timeout.min(left);
        match probe(probes.kind, server.address, server.protocol, timeout) {
            Ok(()) => Health::Alive,
            Err(ProbeFailure::Dead(why)) => {
                log::debug!("mail server {server} is dead: {why}");
                Health::Dead(why.into())
            }
            Err(ProbeFailure::NotProbed(why)) => {
                log::warn!("mail server {server} cannot be probed: {why}");
                Health::Unknown
            }
        }
    }
}

/// The first usable address of a ranking; `find` returns it, or says why it is unusable.
pub(super) fn first_alive(
    host: &Host,
    ranking: &[(usize, Score)],
    mut find: impl FnMut(usize) -> Result<IpAddr, String>,
) -> Result<IpAddr, Trouble> {
    let mut dead = Vec::new();
    for (index, _) in ranking {
        match find(*index) {
            Ok(address) => return Ok(address),
            Err(why) => dead.push(why),
        }
    }
    let name = &host.name;
    if dead.is_empty() {
        return Err(Trouble::Host(format!("{name}: all addresses are drained")));
    }
    let more = dead.len().saturating_sub(MAX_NAMED);
    dead.truncate(MAX_NAMED);
    let dead = dead.join("; ");
    Err(Trouble::Host(match more {
        0 => format!("{name}: no address is alive: {dead}"),
        _ => format!("{name}: no address is alive: {dead}; and {more} more"),
    }))
}
