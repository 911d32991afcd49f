//! The system's resolver: /etc/nsswitch.conf, /etc/hosts, DNS. In a sandbox, by way of another
//! process.

use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::LazyLock;

use super::lookups;
use crate::net::lookup::Lookups;

/// The most lookups at once of mail servers, and as many again of the servers that stores and the
/// like ask, so that neither keeps the other from its names. A lookup that hangs ends when the
/// system's resolver gives up.
const MOST: usize = 32;

/// All lookups at once.
pub(super) const MOST_OF_ALL: usize = 2 * MOST;

/// Those of this process: reloads come and go, lookups that hang stay.
static OF_HOSTS: LazyLock<Lookups> = LazyLock::new(|| Lookups::new(MOST, |name| System.all(name)));
static OF_STORES: LazyLock<Lookups> = LazyLock::new(|| Lookups::new(MOST, |name| System.all(name)));

/// The system's resolver.
#[derive(Clone, Copy, Debug)]
pub struct System;

impl System {
    /// For mail servers.
    pub fn lookups_of_hosts(self) -> Lookups {
        OF_HOSTS.clone()
    }

    /// For the servers that stores, introspection and the throttle ask.
    pub fn lookups_of_stores(self) -> Lookups {
        OF_STORES.clone()
    }

    /// All addresses of `name`, each once, at least one. May take as long as it likes.
    pub fn all(self, name: &str) -> io::Result<Vec<IpAddr>> {
        if let Some(answer) = lookups::ask(name) {
            return answer;
        }
        let found = (name, 0).to_socket_addrs()?;
        each_once(found.map(|address| address.ip()))
    }
}

/// In the order of the system, which puts those first that are likely to be reached (RFC 6724).
fn each_once(found: impl Iterator<Item = IpAddr>) -> io::Result<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    match addresses.is_empty() {
        true => Err(no_address()),
        false => Ok(addresses),
    }
}

fn no_address() -> io::Error {
    io::Error::other("it has no address")
}
