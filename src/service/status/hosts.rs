//! Counts the accepted logins of each host of the configuration.

use std::collections::HashMap;
use std::sync::Arc;

use super::counts::PROTOCOLS;
use crate::login::Protocol;
use crate::route::Routes;
use crate::sys::count::Counter;

type Counters = Arc<[Counter; PROTOCOLS.len()]>;

/// The accepted logins of each host. Hosts that only stores name share one counter, so that no store can
/// make more counters than the configuration has hosts.
#[derive(Default)]
pub(in crate::service) struct HostCounts {
    known: HashMap<Arc<str>, Counters>,
    others: Counters,
}

impl HostCounts {
    /// Counters for the hosts of these routes. Hosts that were known before keep theirs.
    pub(in crate::service) fn new(routes: &Routes, before: Option<&Self>) -> Self {
        let counters = |name: &Arc<str>| {
            let kept = before.and_then(|before| before.known.get(name));
            (Arc::clone(name), kept.cloned().unwrap_or_default())
        };
        let hosts = routes.table().hosts().iter();
        Self {
            known: hosts.map(|host| counters(&host.name)).collect(),
            others: before.map_or_else(Arc::default, |before| Arc::clone(&before.others)),
        }
    }

    /// Counts an accepted login.
    pub(in crate::service) fn note(&self, host: &str, protocol: Protocol) {
        let counters = self.known.get(host).unwrap_or(&self.others);
        let counter = counters.get(protocol as usize);
        counter.into_iter().for_each(Counter::add_one);
    }

    /// The counts of a host, by protocol.
    pub(super) fn of(&self, host: &str) -> [u64; PROTOCOLS.len()] {
        let counters = self.known.get(host);
        counters.map_or([0; PROTOCOLS.len()], |it| it.each_ref().map(Counter::get))
    }

    /// The counts of all hosts that are not in the configuration.
    pub(super) fn others(&self) -> [u64; PROTOCOLS.len()] {
        self.others.each_ref().map(Counter::get)
    }
}
