//! Decides which fronts (web servers, or nginx itself) may send requests, by their key and their
//! address.

use std::net::IpAddr;

use super::headers::{Header, address};
use crate::front::params::{Params, Peer};
use crate::login::Network;
use crate::nginx::refusal::Refusal;
use crate::secret::SharedKey;

/// The default header for the key.
pub const KEY_HEADER: &str = "X-Auth-Key";

/// Headers that web servers act on, add to, or do not pass on to programs. Apache does not pass on
/// Authorization and Proxy-Authorization (`ap_add_common_vars` in util_script.c), and drops Proxy
/// (CVE-2016-5387).
const NOT_OURS: &[&str] = &[
    "Authorization",
    "Connection",
    "Content-Length",
    "Content-Type",
    "Date",
    "Expect",
    "Forwarded",
    "Host",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "If-Unmodified-Since",
    "Keep-Alive",
    "Proxy",
    "Range",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "Via",
];

/// The prefixes of nginx's own headers and of headers that proxies write.
const NGINX_HAS: &[&str] = &["auth-", "client-", "proxy-"];
const PROXIES_HAVE: &[&str] = &["x-forwarded-"];

/// The header with the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHeader {
    /// The name, as configured.
    name: String,
    /// The CGI variable that it becomes (RFC 3875, 4.1.18).
    variable: Vec<u8>,
}

impl KeyHeader {
    /// The name, as configured.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Checks the name; the error says which rule it breaks.
    pub fn new(name: &str) -> Result<Self, &'static str> {
        let begins = |starts: &[&str]| {
            let lower = name.to_ascii_lowercase();
            starts.iter().any(|start| lower.starts_with(start))
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if name.is_empty() || !name.bytes().all(plain) {
            // Apache makes no variable from other characters, in particular not from "_".
            return Err("is not a header name: letters, digits and hyphens");
        }
        if name.len() > 100 {
            return Err("must be at most 100 bytes long");
        }
        if NOT_OURS
            .iter()
            .any(|other| name.eq_ignore_ascii_case(other))
            || begins(PROXIES_HAVE)
        {
            return Err("web servers act on this header, or do not pass it on: take another");
        }
        let variable = format!("HTTP_{}", name.to_ascii_uppercase().replace('-', "_")).into_bytes();
        let nginx =
            Header::from_variable(&variable).is_some_and(|header| header != Header::XAuthKey);
        if nginx || begins(NGINX_HAS) {
            return Err(
                "nginx has such headers of its own, and sends them with a login: take another",
            );
        }
        Ok(Self {
            name: name.to_owned(),
            variable,
        })
    }
}

/// [`KEY_HEADER`].
impl Default for KeyHeader {
    fn default() -> Self {
        Self {
            name: KEY_HEADER.to_owned(),
            variable: b"HTTP_X_AUTH_KEY".to_vec(),
        }
    }
}

/// The keys that every request must have one of.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The header with the key.
    pub header: KeyHeader,
    /// The accepted keys, at least one; while a key is changed, the old one too.
    pub keys: Vec<SharedKey>,
}

/// The allowed origins of requests.
///
/// For each transport, a property is compared that the sender cannot forge: the address of a TCP
/// connection; the right to write to a Unix socket of this process; and the address that the web
/// server that started this process reports for its client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedFronts {
    /// The addresses of fronts.
    pub networks: Vec<Network>,
    /// Whether every program that may write to a Unix socket of this process is allowed.
    pub unix: bool,
}

impl AllowedFronts {
    fn have(&self, address: IpAddr) -> bool {
        self.networks
            .iter()
            .any(|network| network.contains(address))
    }
}

/// Which requests are accepted. By default all are, and what they say about their client is not
/// trusted.
#[derive(Clone, Debug, Default)]
pub struct Fronts {
    /// `None`: no key is required.
    pub keys: Option<Keys>,
    /// `None`: requests may come from anywhere.
    pub allowed: Option<AllowedFronts>,
}

impl Fronts {
    /// Whether every request is accepted.
    pub fn accept_everyone(&self) -> bool {
        self.keys.is_none() && self.allowed.is_none()
    }

    /// Whether this is one of the keys; false if no key is required.
    pub fn accept_key(&self, offered: &[u8]) -> bool {
        let keys = self.keys.as_ref();
        keys.is_some_and(|keys| SharedKey::any_matches(&keys.keys, offered))
    }

    /// Whether a connection of this peer is served at all. For the web server that started this
    /// process, that is only known from the request.
    pub fn may_connect(&self, peer: Peer) -> bool {
        match (&self.allowed, peer) {
            (None, _) | (_, Peer::WebServer) => true,
            (Some(allowed), Peer::Tcp(address)) => allowed.have(address),
            (Some(allowed), Peer::Unix) => allowed.unix,
        }
    }

    /// Whether the request has an allowed origin and the key, as far as they are required. Then it
    /// is from nginx, unless [`Fronts::accept_everyone`], and its data about the client is trusted.
    pub(super) fn admit(&self, params: &Params<'_>, peer: Peer) -> Result<(), Refusal> {
        let from_there = match (&self.allowed, peer) {
            (Some(allowed), Peer::WebServer) => {
                asker(params).is_some_and(|address| allowed.have(address))
            }
            // Checked again: the connection may be older than the configuration.
            _ => self.may_connect(peer),
        };
        if !from_there {
            return Err(Refusal::WrongFront);
        }
        let Some(keys) = &self.keys else {
            return Ok(());
        };
        // Two headers can become the same variable; then it is unknown which one is nginx's.
        match only(params, &keys.header.variable) {
            Some(offered) if self.accept_key(offered) => Ok(()),
            _ => Err(Refusal::WrongKey),
        }
    }

    /// The address to log for a request that is not admitted: one that the sender cannot forge.
    pub fn stranger(&self, params: &Params<'_>, peer: Peer) -> Option<IpAddr> {
        let listed = |address| {
            self.allowed
                .as_ref()
                .is_some_and(|allowed| allowed.have(address))
        };
        match peer {
            Peer::Tcp(address) if !listed(address) => Some(address),
            // The address from a front that may connect is trusted, and that from a web server on a
            // Unix socket.
            Peer::Tcp(_) | Peer::Unix | Peer::WebServer => asker(params),
        }
    }
}

/// The client of the web server, as the web server reports it: `REMOTE_ADDR` (RFC 3875, 4.1.8).
fn asker(params: &Params<'_>) -> Option<IpAddr> {
    address(only(params, b"REMOTE_ADDR")?)
}

/// The value of a variable that occurs exactly once.
fn only<'a>(params: &Params<'a>, variable: &[u8]) -> Option<&'a [u8]> {
    let mut values = params.iter().filter(|(name, _)| *name == variable);
    let (_, value) = values.next()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests;
