//! The system's resolver: /etc/nsswitch.conf, /etc/hosts, DNS. In a sandbox, by way of another
//! process.

use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use super::lookups;
use crate::lookup::Lookups;

/// What glibc brings to look names up with, by the rules of /etc/nsswitch.conf (getent(1)).
const GETENT: &str = "/usr/bin/getent";

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
        if cfg!(static_glibc) {
            match ask_getent(GETENT, name) {
                // Where there is no getent there are no modules for it either.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                answer => return answer,
            }
        }
        let found = (name, 0).to_socket_addrs()?;
        each_once(found.map(|address| address.ip()))
    }
}

/// Has another program look a name up. A statically linked one cannot load the modules that
/// /etc/nsswitch.conf may name.
fn ask_getent(program: &str, name: &str) -> io::Result<Vec<IpAddr>> {
    let output = Command::new(program)
        .args(["ahosts", "--", name])
        // Under CGI it holds the password.
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()?;
    // A line for each address and type of socket, the address first.
    let text = String::from_utf8_lossy(&output.stdout);
    let firsts = text
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().next());
    each_once(firsts.filter_map(|address| address.parse().ok()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn getent_says_what_the_library_says() {
        let [by_getent, by_library] = [ask_getent(GETENT, "localhost"), System.all("localhost")];
        for mut addresses in [by_getent.unwrap(), by_library.unwrap()] {
            assert!(addresses.iter().all(IpAddr::is_loopback), "{addresses:?}");
            let count = addresses.len();
            addresses.sort_unstable();
            addresses.dedup();
            assert_eq!(addresses.len(), count, "{addresses:?}");
            assert!(count > 0);
        }
        let error = ask_getent(GETENT, "nowhere.invalid").unwrap_err();
        assert_eq!(error.to_string(), "it has no address");
        let error = ask_getent(GETENT, "--help").unwrap_err();
        assert_eq!(error.to_string(), "it has no address");
    }

    #[test]
    fn without_getent_the_library_is_asked() {
        let error = ask_getent("/nonexistent/getent", "localhost").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
