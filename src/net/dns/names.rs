//! The host names of one store.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::{LookupFailure, Name, Purpose, Resolver};

/// The maximum number of names that are kept: a store has a handful.
const MAX_NAMES: usize = 64;

/// The names of the hosts that a store or a similar service connects to, each added by its first
/// question.
#[derive(Clone)]
pub struct Names(Arc<Shared>);

struct Shared {
    resolver: Resolver,
    names: Mutex<HashMap<String, Arc<Name>>>,
}

impl Names {
    /// Uses the system's resolver.
    pub fn system() -> Self {
        Self::new(Resolver::system())
    }

    pub(crate) fn new(resolver: Resolver) -> Self {
        Self(Arc::new(Shared {
            resolver,
            names: Mutex::default(),
        }))
    }

    /// The addresses of `host`, at least one: the last good ones at once, or those of a lookup.
    pub fn addresses(&self, host: &str, deadline: Instant) -> io::Result<Vec<IpAddr>> {
        self.name(host)
            .addresses(deadline)
            .map_err(|failure| match failure {
                LookupFailure::NoAnswer => {
                    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
                }
                LookupFailure::Failed(why) => {
                    io::Error::other(format!("the name cannot be looked up: {why}"))
                }
            })
    }

    /// Causes a new lookup at the next question: no server answered at the addresses.
    pub fn mark_stale(&self, host: &str) {
        self.name(host).mark_stale();
    }

    fn name(&self, host: &str) -> Arc<Name> {
        let mut names = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = names.get(host) {
            return Arc::clone(name);
        }
        if names.len() >= MAX_NAMES {
            names.clear();
        }
        let all = |found: &[IpAddr]| match found.is_empty() {
            true => Err("it has no address".to_owned()),
            false => Ok(found.to_vec()),
        };
        let name = self.0.resolver.name(host, Purpose::Store, all);
        names.insert(host.to_owned(), Arc::clone(&name));
        name
    }
}
