//! Explains where a login goes and why, for an administrator.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::choose::{HostOrAddress, first_alive};
use super::monitor::ProbeTarget;
use super::{Destination, Health, HostId, Probing, Query, Role, Routes, Rule, Score, UserMove};
use crate::nginx::refusal::Trouble;

/// The maximum number of servers that are probed at the same time.
const MAX_CONCURRENT_PROBES: usize = 8;

/// The route of a login, with every decision on the way.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The rule that named the host, and the host; `None` without one.
    pub host: Option<(Rule, Arc<str>)>,
    /// The move that led to the host.
    pub user_move: Option<UserMove>,
    /// The servers of a host with several of them: the first choice first, those without users last.
    pub candidates: Vec<Candidate>,
    /// The answer to nginx.
    pub outcome: Result<Destination, Trouble>,
}

/// One of several servers.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its address or name as configured.
    pub written: String,
    /// When it gets users.
    pub role: Role,
    /// Its share of the users, relative to the others.
    pub weight: NonZeroU16,
    /// Its score for the login; `None` if it gets no users.
    pub score: Option<Score>,
    /// Its address, or why the address is unknown.
    pub address: Result<IpAddr, String>,
    /// Its health.
    pub health: Health,
}

impl Routes {
    /// Explains where a login goes. For routes made by [`Routes::lazy`]; takes as long as a few probes.
    pub fn explain(&self, asked: &Query<'_>) -> Explanation {
        let choice = match self.choose_host(asked) {
            Ok(choice) => choice,
            Err(trouble) => {
                return Explanation {
                    host: None,
                    user_move: None,
                    candidates: Vec::new(),
                    outcome: Err(trouble),
                };
            }
        };
        let name = match choice.end {
            HostOrAddress::Address(address) => address.to_string().into(),
            HostOrAddress::Host(id) => Arc::clone(&self.table.hosts()[id.index()].name),
        };
        let mut candidates = Vec::new();
        let outcome = self.follow(&choice, asked, |id, host, port| {
            let ranking = host.ranking(asked.login);
            let looks = self.probe_all(id, host.servers.len(), port, asked);
            let drained = (0..host.servers.len()).filter(|index| {
                let ranked = |(other, _): &(usize, Score)| other == index;
                !ranking.iter().any(ranked)
            });
            let scored = ranking.iter().map(|(index, score)| (*index, Some(*score)));
            let all = scored.chain(drained.map(|index| (index, None)));
            candidates = all
                .filter_map(|(index, score)| {
                    let server = host.servers.get(index)?;
                    let (address, health) = looks.get(index)?.clone();
                    Some(Candidate {
                        written: server.target.to_string(),
                        role: server.role,
                        weight: server.weight,
                        score,
                        address,
                        health,
                    })
                })
                .collect();
            first_alive(host, &ranking, |index| match looks.get(index) {
                Some((Ok(address), Health::Dead(why))) => Err(format!("{address}: {why}")),
                Some((address, _)) => address.clone(),
                None => Err("is not a server of this host".to_owned()),
            })
        });
        Explanation {
            host: Some((choice.rule, name)),
            user_move: choice.user_move,
            candidates,
            outcome,
        }
    }

    /// The address and the health of each server of a host.
    fn probe_all(
        &self,
        host: HostId,
        servers: usize,
        port: NonZeroU16,
        asked: &Query<'_>,
    ) -> Vec<(Result<IpAddr, String>, Health)> {
        let unseen = || (Err("was not probed".to_owned()), Health::Unknown);
        let looks: Vec<_> = (0..servers).map(|_| Mutex::new(unseen())).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(look) = looks.get(index) else {
                    return;
                };
                let until = self.wait_until(asked);
                let address = self.find(host, index, until);
                let health = match &address {
                    Ok(address) if !matches!(self.probing, Probing::Off) => {
                        self.probe_now(ProbeTarget::new(*address, port, asked.protocol), until)
                    }
                    _ => Health::Unknown,
                };
                *look.lock().unwrap_or_else(PoisonError::into_inner) = (address, health);
            }
        };
        thread::scope(|scope| {
            for _ in 1..servers.min(MAX_CONCURRENT_PROBES) {
                // Without these threads the probes only take longer.
                let _helper = thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
        let seen = |look: Mutex<_>| look.into_inner().unwrap_or_else(PoisonError::into_inner);
        looks.into_iter().map(seen).collect()
    }
}
