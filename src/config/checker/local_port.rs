//! Servers on this machine: the user that runs one, and unprivileged ports.

use std::ops::Range;

#[cfg(feature = "servers")]
use toml::Spanned;

use super::Checker;
#[cfg(feature = "servers")]
use crate::sys::accounts::{AccountKind, number_of};

/// The first port that any user may listen on (ip_unprivileged_port_start, ip(7)).
fn first_free_port() -> u16 {
    const DEFAULT: u16 = 1024;
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(DEFAULT)
}

impl Checker<'_> {
    /// The uid of a user.
    #[cfg(feature = "servers")]
    pub(in crate::config) fn user(&mut self, key: &str, user: &Spanned<String>) -> Option<u32> {
        number_of(AccountKind::User, user.get_ref())
            .map_err(|what| self.report(&user.span(), key, what))
            .ok()
    }

    /// Advises against an unprivileged port of this machine if nothing proves the identity of the server: any
    /// local user could listen on it while the server is down.
    pub(in crate::config) fn warn_of_port(
        &mut self,
        span: &Range<usize>,
        key: &str,
        port: Option<u16>,
    ) {
        let Some(port) = port.filter(|port| *port >= first_free_port()) else {
            return;
        };
        let message = format!(
            "any user of this machine can listen on port {port} while the server is down, and answer \
             in its place: use its Unix socket, or TLS with a certificate that is checked"
        );
        self.advise(span, key, message);
    }
}
