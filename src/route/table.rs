//! The table of routes: hosts, moves, and the rules that choose a host for a login.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Rule;
use super::allowed::AllowedNetworks;
use super::bad_route::BadRoute;
use super::host::{Host, HostId, Ports, Server, State, Target};
use super::moves::Move;
use super::probe::Probes;
use crate::login::domain;
use crate::login::{Login, MAX_LOGIN_BYTES};

/// Hosts and routes, checked. Every route leads to a host of the table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Those of `[hosts]` first, sorted by name, then those that only routes name.
    hosts: Vec<Host>,
    declared: usize,
    /// The index of the others, by name.
    others: BTreeMap<Arc<str>, HostId>,
    /// Sorted by name.
    moves: Vec<Move>,
    /// Both sorted by key.
    logins: Vec<(Box<[u8]>, RouteTarget)>,
    domains: Vec<(Box<[u8]>, RouteTarget)>,
    letters: [Option<RouteTarget>; 128],
    default: Option<RouteTarget>,
    /// Whether logins are compared, and stored, in lower case.
    fold_case: bool,
    /// The default ports of hosts.
    pub ports: Ports,
    /// The interval after which a DNS name is looked up again.
    pub resolve_ttl: Duration,
    /// How mail servers are probed.
    pub probes: Probes,
    /// The networks that mail servers may be in.
    pub allowed: AllowedNetworks,
}

/// The target of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteTarget {
    /// A host.
    Host(HostId),
    /// One of two hosts, chosen by the login: the index of a move in its table.
    Move(u32),
}

impl From<HostId> for RouteTarget {
    fn from(host: HostId) -> Self {
        Self::Host(host)
    }
}

impl Table {
    /// A table without routes. `declared` are the hosts of `[hosts]`, each with a different name.
    pub fn new(mut declared: Vec<Host>, ports: Ports, resolve_ttl: Duration) -> Self {
        declared.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            declared: declared.len(),
            hosts: declared,
            others: BTreeMap::new(),
            moves: Vec::new(),
            logins: Vec::new(),
            domains: Vec::new(),
            letters: [None; 128],
            default: None,
            fold_case: false,
            ports,
            resolve_ttl,
            probes: Probes::OFF,
            allowed: AllowedNetworks::default(),
        }
    }

    /// Makes logins and first letters independent of case. Must be called before routes are added.
    pub fn fold_case(&mut self) {
        self.fold_case = true;
    }

    /// Whether logins and first letters are independent of case.
    pub fn folds_case(&self) -> bool {
        self.fold_case
    }

    /// Sets the moves of `[moves]`, each with a different name.
    pub fn add_moves(&mut self, mut moves: Vec<Move>) {
        moves.sort_by(|a, b| a.name.cmp(&b.name));
        self.moves = moves;
    }

    /// The host of `[hosts]`, or else the move of `[moves]`, with this name.
    pub fn declared(&self, name: &str) -> Option<RouteTarget> {
        if let Some(host) = self.declared_host(name) {
            return Some(RouteTarget::Host(host));
        }
        let index = self.moves.binary_search_by(|known| (*known.name).cmp(name));
        Some(RouteTarget::Move(u32::try_from(index.ok()?).ok()?))
    }

    fn declared_host(&self, name: &str) -> Option<HostId> {
        let hosts = &self.hosts[..self.declared];
        let index = hosts.binary_search_by(|host| (*host.name).cmp(name)).ok()?;
        HostId::at(index)
    }

    /// The target of a route: a name of `[hosts]` or `[moves]`, else an address or a DNS name itself, as in
    /// the original script. `place` and `key` are those of the route in the configuration.
    pub fn target(
        &mut self,
        name: &str,
        place: impl FnOnce() -> (usize, usize),
        key: &str,
    ) -> Result<RouteTarget, BadRoute> {
        match self.declared(name) {
            Some(target) => Ok(target),
            None => self.host(name, place, key).map(RouteTarget::Host),
        }
    }

    /// The same for a key that cannot name a move.
    pub fn host(
        &mut self,
        name: &str,
        place: impl FnOnce() -> (usize, usize),
        key: &str,
    ) -> Result<HostId, BadRoute> {
        if let Some(id) = self.declared_host(name) {
            return Ok(id);
        }
        if let Some(id) = self.others.get(name) {
            return Ok(*id);
        }
        let target = Target::parse(name)?;
        let id = HostId::at(self.hosts.len()).ok_or(BadRoute::TooMany)?;
        let name: Arc<str> = name.into();
        self.others.insert(Arc::clone(&name), id);
        self.hosts.push(Host {
            name,
            servers: vec![Server::only(target, Some(place()), key.to_owned())],
            state: State::Serving,
            ports: self.ports,
            master: None,
        });
        Ok(id)
    }

    /// Adds a route for one login.
    pub fn route_login(&mut self, login: &str, target: RouteTarget) -> Result<(), BadRoute> {
        if login.is_empty() {
            return Err(BadRoute::Empty);
        }
        if let Some(flaw) = domain::login_flaw(login, "[routes.domain]") {
            return Err(BadRoute::Flaw(flaw));
        }
        let checked = Login::new(login.as_bytes().to_vec()).map_err(|_| BadRoute::Login)?;
        let key = if self.fold_case {
            domain::folded(checked.as_bytes()).to_ascii_lowercase()
        } else {
            domain::folded(checked.as_bytes()).into_owned()
        };
        insert(&mut self.logins, key, target)
    }

    /// Adds a route for all logins of a domain, or of all domains below it: `*.example.org`.
    pub fn route_domain(&mut self, domain: &str, target: RouteTarget) -> Result<(), BadRoute> {
        if let Some(flaw) = domain::flaw(domain, true) {
            return Err(BadRoute::Flaw(flaw));
        }
        insert(
            &mut self.domains,
            domain::written(domain).into_bytes(),
            target,
        )
    }

    /// Adds a route for all logins that start with one of `letters`: `acfg`, `a-m`, `a-cx`.
    pub fn route_letters(&mut self, letters: &str, target: RouteTarget) -> Result<(), BadRoute> {
        let mut routed = self.letters;
        for letter in each_letter(letters)? {
            for letter in [letter, self.other_case(letter)] {
                let place = &mut routed[usize::from(letter)];
                if place.is_some() {
                    return Err(BadRoute::LetterTwice(char::from(letter)));
                }
                *place = Some(target);
                if self.other_case(letter) == letter {
                    break;
                }
            }
        }
        self.letters = routed;
        Ok(())
    }

    /// Sets the route of all other logins.
    pub fn route_default(&mut self, target: RouteTarget) {
        self.default = Some(target);
    }

    /// Whether there is any route.
    pub fn has_routes(&self) -> bool {
        self.default.is_some()
            || !self.logins.is_empty()
            || !self.domains.is_empty()
            || self.letters.iter().any(Option::is_some)
    }

    /// All hosts: those of `[hosts]` sorted by name, then those that only routes name.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// A host of this table.
    pub fn host_of(&self, id: HostId) -> &Host {
        &self.hosts[id.index()]
    }

    /// The moves, sorted by name.
    pub fn moves(&self) -> &[Move] {
        &self.moves
    }

    /// The move with this index, from an [`RouteTarget`].
    pub(super) fn move_at(&self, index: u32) -> Option<&Move> {
        self.moves.get(index as usize)
    }

    /// The target of a login, and the rule: exact login, else domain, else first letter, else the default.
    pub fn find(&self, login: &Login) -> Option<(RouteTarget, Rule)> {
        let typed = login.as_bytes();
        // On the stack, because this runs at every request.
        let mut buffer = [0; MAX_LOGIN_BYTES];
        let folded = buffer.get_mut(..typed.len())?;
        folded.copy_from_slice(typed);
        folded.make_ascii_lowercase();
        let compared = if self.fold_case { &*folded } else { typed };
        let domain = login.domain().map_or(0, <[u8]>::len);
        let domain = folded.len() - domain..;
        if let Some(target) = look_up(&self.logins, compared) {
            Some((target, Rule::Login))
        } else if let Some(target) = self.of_domain(folded.get_mut(domain)?) {
            Some((target, Rule::Domain))
        } else if let Some(target) = self.first_letter(typed) {
            Some((target, Rule::FirstLetter))
        } else {
            self.default.map(|target| (target, Rule::Default))
        }
    }

    /// The target of a domain: by its own name, else by the longest domain above it. Overwrites the name.
    fn of_domain(&self, domain: &mut [u8]) -> Option<RouteTarget> {
        if let Some(target) = look_up(&self.domains, domain) {
            return Some(target);
        }
        // The names for all domains below another sort first, and most tables have none.
        let (first, _) = self.domains.first()?;
        if !first.starts_with(b"*") {
            return None;
        }
        (1..domain.len()).find_map(|dot| {
            if *domain.get(dot)? != b'.' {
                return None;
            }
            let below = domain.get_mut(dot - 1..)?;
            *below.first_mut()? = b'*';
            look_up(&self.domains, below)
        })
    }

    fn first_letter(&self, login: &[u8]) -> Option<RouteTarget> {
        *self.letters.get(usize::from(*login.first()?))?
    }

    /// The letter in the other case; the same letter if case matters.
    fn other_case(&self, letter: u8) -> u8 {
        if self.fold_case && letter.is_ascii_alphabetic() {
            letter ^ 0x20
        } else {
            letter
        }
    }
}

fn insert(
    routes: &mut Vec<(Box<[u8]>, RouteTarget)>,
    key: Vec<u8>,
    target: RouteTarget,
) -> Result<(), BadRoute> {
    match routes.binary_search_by(|(other, _)| (**other).cmp(&key)) {
        Ok(_) => Err(BadRoute::Twice),
        Err(place) => {
            routes.insert(place, (key.into(), target));
            Ok(())
        }
    }
}

fn look_up(routes: &[(Box<[u8]>, RouteTarget)], key: &[u8]) -> Option<RouteTarget> {
    let index = routes.binary_search_by(|(other, _)| (**other).cmp(key));
    index.ok().map(|index| routes[index].1)
}

/// The letters of a set such as `a-cx`.
fn each_letter(set: &str) -> Result<Vec<u8>, BadRoute> {
    let mut letters = Vec::new();
    let mut rest = set.chars().peekable();
    if rest.peek().is_none() {
        return Err(BadRoute::Empty);
    }
    while let Some(first) = rest.next() {
        let start = letter(first)?;
        if rest.next_if_eq(&'-').is_none() {
            letters.push(start);
            continue;
        }
        let last = rest.next().ok_or(BadRoute::Letter('-'))?;
        let end = letter(last)?;
        let same_kind = start.is_ascii_digit() == end.is_ascii_digit()
            && start.is_ascii_uppercase() == end.is_ascii_uppercase();
        if start > end || !same_kind {
            return Err(BadRoute::Range(first, last));
        }
        letters.extend(start..=end);
    }
    Ok(letters)
}

fn letter(letter: char) -> Result<u8, BadRoute> {
    u8::try_from(letter)
        .ok()
        .filter(u8::is_ascii_alphanumeric)
        .ok_or(BadRoute::Letter(letter))
}

#[cfg(test)]
mod tests;
