//! Where a login goes and why, in full: for administrators who ask.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::choose::{End, first_alive};
use super::watch::Watched;
use super::{Destination, Health, HostId, Passage, Probing, Query, Role, Routes, Rule, Score};
use crate::nginx::refusal::Trouble;

/// The most servers that are looked at at once.
const LOOKS_AT_ONCE: usize = 8;

/// A login's way, with all that decided about it.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// What named the host, and the host; `None` if nothing did.
    pub host: Option<(Rule, Arc<str>)>,
    /// The move that led to the host.
    pub passage: Option<Passage>,
    /// The servers of a host that has several, the first choice first, those that get no users
    /// last.
    pub candidates: Vec<Candidate>,
    /// What nginx would be told.
    pub outcome: Result<Destination, Trouble>,
}

/// One of several servers.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its address or name as configured.
    pub written: String,
    /// When it gets users.
    pub role: Role,
    /// How many, compared with the others.
    pub weight: NonZeroU16,
    /// How much the login is drawn to it; `None` if it gets no users.
    pub score: Option<Score>,
    /// Where it is, or why nobody knows.
    pub address: Result<IpAddr, String>,
    /// How it is.
    pub health: Health,
}

impl Routes {
    /// Where a login goes and why. For routes that were made by [`Routes::lazy`]; takes as long as
    /// a few probes.
    pub fn explain(&self, asked: &Query<'_>) -> Explanation {
        let way = match self.way(asked) {
            Ok(way) => way,
            Err(trouble) => {
                return Explanation {
                    host: None,
                    passage: None,
                    candidates: Vec::new(),
                    outcome: Err(trouble),
                };
            }
        };
        let name = match way.end {
            End::Address(address) => address.to_string().into(),
            End::Host(id) => Arc::clone(&self.table.hosts()[id.index()].name),
        };
        let mut candidates = Vec::new();
        let outcome = self.follow(&way, asked, |id, host, port| {
            let ranking = host.ranking(asked.login);
            let looks = self.look_at_all(id, host.servers.len(), port, asked);
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
                None => Err("is none of its servers".to_owned()),
            })
        });
        Explanation {
            host: Some((way.rule, name)),
            passage: way.passage,
            candidates,
            outcome,
        }
    }

    /// Where each server of a host is, and how.
    fn look_at_all(
        &self,
        host: HostId,
        servers: usize,
        port: NonZeroU16,
        asked: &Query<'_>,
    ) -> Vec<(Result<IpAddr, String>, Health)> {
        let unseen = || (Err("was not looked at".to_owned()), Health::Unknown);
        let looks: Vec<_> = (0..servers).map(|_| Mutex::new(unseen())).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(look) = looks.get(index) else {
                    return;
                };
                let until = self.patient_until(asked);
                let address = self.find(host, index, until);
                let health = match &address {
                    Ok(address) if !matches!(self.probing, Probing::Off) => {
                        self.probe_now(Watched::new(*address, port, asked.protocol), until)
                    }
                    _ => Health::Unknown,
                };
                *look.lock().unwrap_or_else(PoisonError::into_inner) = (address, health);
            }
        };
        thread::scope(|scope| {
            for _ in 1..servers.min(LOOKS_AT_ONCE) {
                // Without these threads it takes longer, that is all.
                let _helper = thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
        let seen = |look: Mutex<_>| look.into_inner().unwrap_or_else(PoisonError::into_inner);
        looks.into_iter().map(seen).collect()
    }
}
