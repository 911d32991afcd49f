//! Chooses the mail server of a login: the host by store and routes, then one of the host's servers.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::probe::{Fault, probe};
use super::watch::{SLACK, Watched};
use super::{
    Aim, Destination, Health, Host, HostId, Passage, Place, Ports, Probing, Role, Routes, Rule,
    Score, Stage, State, Whereabouts,
};
use crate::login::Upstream;
use crate::login::{Login, Protocol};
use crate::nginx::refusal::Trouble;

/// The longest time for which a request at a server process waits for the state of one of several addresses.
const POOL_PATIENCE: Duration = Duration::from_secs(2);

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
pub(super) struct Way {
    pub(super) rule: Rule,
    pub(super) passage: Option<Passage>,
    pub(super) end: End,
}

pub(super) enum End {
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
        let way = self.way(asked)?;
        self.follow(&way, asked, |id, host, port| {
            let until = self.patient_until(asked);
            let ranking = host.ranking(asked.login);
            if let Probing::Background(watchman) = &self.probing {
                let known = ranking.iter().filter_map(|(index, _)| {
                    let address = self.whereabouts(id, *index).known()?;
                    Some(Watched::new(address, port, asked.protocol))
                });
                watchman.watch(known);
            }
            first_alive(host, &ranking, |index| {
                let address = self.find(id, index, until)?;
                let server = Watched::new(address, port, asked.protocol);
                match self.health(server, until) {
                    Health::Dead(why) => Err(format!("{address}: {why}")),
                    Health::Alive | Health::Unknown => Ok(address),
                }
            })
        })
    }

    /// The host that the store names, else the host of the routes.
    pub(super) fn way(&self, asked: &Query<'_>) -> Result<Way, Trouble> {
        let (aim, rule) = match asked.host {
            None => self.table.find(asked.login).ok_or(Trouble::NoRoute)?,
            Some(host) => match self.table.declared(host) {
                Some(aim) => (aim, Rule::User),
                None => {
                    let unknown = |_| {
                        let what = "neither a host of [hosts] nor an address";
                        Trouble::UnknownHost(format!("{host}: {what}"))
                    };
                    return Ok(Way {
                        rule: Rule::User,
                        passage: None,
                        end: End::Address(host.parse().map_err(unknown)?),
                    });
                }
            },
        };
        let (end, passage) = match aim {
            Aim::Host(host) => (host, None),
            Aim::Move(index) => {
                let users = self.table.move_at(index).ok_or(Trouble::NoRoute)?;
                let place = Place::of(asked.login);
                let stage = users.stage(place);
                let passage = Passage {
                    name: Arc::clone(&users.name),
                    place,
                    stage,
                };
                let host = match stage {
                    Stage::Old | Stage::Moving => users.old,
                    Stage::New => users.new,
                };
                (host, Some(passage))
            }
        };
        Ok(Way {
            rule,
            passage,
            end: End::Host(end),
        })
    }

    /// The mail server at the end of a route; `pick` chooses one of several addresses for a port.
    pub(super) fn follow(
        &self,
        way: &Way,
        asked: &Query<'_>,
        pick: impl FnOnce(HostId, &Host, NonZeroU16) -> Result<IpAddr, Trouble>,
    ) -> Result<Destination, Trouble> {
        if let Some(passage) = &way.passage
            && passage.stage == Stage::Moving
        {
            return Err(Trouble::Moving(passage.to_string()));
        }
        let port_of = |ports: Ports| asked.port.unwrap_or_else(|| ports.of(asked.protocol));
        let (name, address, port, master) = match way.end {
            End::Address(address) => {
                let name = asked.host.unwrap_or_default().into();
                (name, address, port_of(self.table.ports), None)
            }
            End::Host(id) => {
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
            .map_err(|why| match way.end {
                End::Address(_) => Trouble::UnknownHost(why),
                End::Host(_) => Trouble::Host(format!("{name}: {why}")),
            })?;
        Ok(Destination {
            host: name,
            rule: way.rule,
            passage: way.passage.clone(),
            upstream,
            master,
        })
    }

    fn whereabouts(&self, host: HostId, server: usize) -> &Whereabouts {
        let servers = self.whereabouts.get(host.index());
        servers
            .and_then(|servers| servers.get(server))
            .unwrap_or(&Whereabouts::Unused)
    }

    /// The address of a server; waits for DNS until `until`, and no longer than a look-up may take.
    pub(super) fn find(
        &self,
        host: HostId,
        server: usize,
        until: Instant,
    ) -> Result<IpAddr, String> {
        let until = until.min(Instant::now() + self.patience);
        self.whereabouts(host, server).find(until)
    }

    /// Until when the program waits for the state of one of several servers. In a server process, a name that
    /// DNS does not know counts as dead; the long wait is only for a host's single server.
    pub(super) fn patient_until(&self, asked: &Query<'_>) -> Instant {
        let patience = match &self.probing {
            Probing::InLine => return asked.deadline,
            Probing::Off => POOL_PATIENCE,
            Probing::Background(_) => POOL_PATIENCE.min(self.table.probes.timeout + SLACK),
        };
        asked.deadline.min(Instant::now() + patience)
    }

    pub(super) fn health(&self, server: Watched, until: Instant) -> Health {
        match &self.probing {
            Probing::Off => Health::Unknown,
            Probing::Background(watchman) => {
                watchman.watch([server]);
                watchman.health(&server, until)
            }
            Probing::InLine => self.probe_now(server, until),
        }
    }

    pub(super) fn probe_now(&self, server: Watched, until: Instant) -> Health {
        let probes = self.table.probes;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Health::Unknown;
        }
        let timeout = probes.timeout.min(left);
        match probe(probes.kind, server.address, server.protocol, timeout) {
            Ok(()) => Health::Alive,
            Err(Fault::Dead(why)) => {
                log::debug!("mail server {server} is dead: {why}");
                Health::Dead(why.into())
            }
            Err(Fault::Ours(why)) => {
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
