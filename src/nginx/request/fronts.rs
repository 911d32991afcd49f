//! Who may ask: the web servers and nginx itself, by what they show and where they ask from.

use std::net::IpAddr;

use super::headers::{Header, address};
use crate::front::params::{Params, Peer};
use crate::login::Network;
use crate::nginx::refusal::Refusal;
use crate::secret::SharedKey;

/// The header that holds the key where no other is configured.
pub const KEY_HEADER: &str = "X-Auth-Key";

/// Headers that web servers act on, add to, or do not pass on to programs. Apache keeps
/// Authorization and Proxy-Authorization to itself (`ap_add_common_vars` in util_script.c) and
/// drops Proxy (CVE-2016-5387).
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

/// What the names of nginx's own headers begin with, and those that proxies write.
const NGINX_HAS: &[&str] = &["auth-", "client-", "proxy-"];
const PROXIES_HAVE: &[&str] = &["x-forwarded-"];

/// The header that holds the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHeader {
    /// The CGI variable that it becomes (RFC 3875, 4.1.18).
    variable: Vec<u8>,
}

impl KeyHeader {
    /// Checks the name; the error says which rule it breaks.
    pub fn new(name: &str) -> Result<Self, &'static str> {
        let begins = |starts: &[&str]| {
            let lower = name.to_ascii_lowercase();
            starts.iter().any(|start| lower.starts_with(start))
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if name.is_empty() || !name.bytes().all(plain) {
            // Of other characters, and of "_" above all, Apache makes no variable.
            return Err("is no name for a header: letters, digits and hyphens");
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
        Ok(Self { variable })
    }
}

/// [`KEY_HEADER`].
impl Default for KeyHeader {
    fn default() -> Self {
        Self {
            variable: b"HTTP_X_AUTH_KEY".to_vec(),
        }
    }
}

/// What every request must show.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Where it stands.
    pub header: KeyHeader,
    /// Any of these; while a key is changed, the old one too. At least one.
    pub keys: Vec<SharedKey>,
}

/// Where requests may come from.
///
/// Each way to get here has one thing that whoever asks cannot make up, and that is compared: the
/// address of a TCP connection; the right to write to a Unix socket that we serve; and what the
/// web server that started us says about who asked it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedFronts {
    /// The addresses of fronts.
    pub networks: Vec<Network>,
    /// Whether that is anybody who may write to a Unix socket that we serve.
    pub unix: bool,
}

impl AllowedFronts {
    fn have(&self, address: IpAddr) -> bool {
        self.networks
            .iter()
            .any(|network| network.contains(address))
    }
}

/// Who may ask. By default everybody, and nobody is believed.
#[derive(Clone, Debug, Default)]
pub struct Fronts {
    /// `None`: no key is asked for.
    pub keys: Option<Keys>,
    /// `None`: requests may come from anywhere.
    pub places: Option<AllowedFronts>,
}

impl Fronts {
    /// Whether everybody may ask who reaches us.
    pub fn are_anybody(&self) -> bool {
        self.keys.is_none() && self.places.is_none()
    }

    /// Whether this is one of the keys; false where none is asked for.
    pub fn know_key(&self, offered: &[u8]) -> bool {
        let keys = self.keys.as_ref();
        keys.is_some_and(|keys| SharedKey::any_matches(&keys.keys, offered))
    }

    /// Whether a connection of this peer is to be served at all. What comes from the web server
    /// that started us must be looked at before that can be said.
    pub fn may_connect(&self, peer: Peer) -> bool {
        match (&self.places, peer) {
            (None, _) | (_, Peer::WebServer) => true,
            (Some(places), Peer::Tcp(address)) => places.have(address),
            (Some(places), Peer::Unix) => places.unix,
        }
    }

    /// Whether the request comes from where it may and shows the key, as far as either is asked
    /// for. Then it is nginx's, unless [`Fronts::are_anybody`], and what it says of its client can
    /// be believed.
    pub(super) fn admit(&self, params: &Params<'_>, peer: Peer) -> Result<(), Refusal> {
        let from_there = match (&self.places, peer) {
            (Some(places), Peer::WebServer) => {
                asker(params).is_some_and(|address| places.have(address))
            }
            // Asked again: the connection may be older than the configuration.
            _ => self.may_connect(peer),
        };
        if !from_there {
            return Err(Refusal::WrongFront);
        }
        let Some(keys) = &self.keys else {
            return Ok(());
        };
        // Two headers can become the same variable; then nobody can tell which is which.
        match only(params, &keys.header.variable) {
            Some(offered) if self.know_key(offered) => Ok(()),
            _ => Err(Refusal::WrongKey),
        }
    }

    /// The address to be named for a request that is not admitted: one that whoever asked cannot
    /// have made up.
    pub fn stranger(&self, params: &Params<'_>, peer: Peer) -> Option<IpAddr> {
        let listed = |address| {
            self.places
                .as_ref()
                .is_some_and(|places| places.have(address))
        };
        match peer {
            Peer::Tcp(address) if !listed(address) => Some(address),
            // A front that may connect is believed, as is a web server on a Unix socket.
            Peer::Tcp(_) | Peer::Unix | Peer::WebServer => asker(params),
        }
    }
}

/// Who asked the web server, as that says: `REMOTE_ADDR` (RFC 3875, 4.1.8).
fn asker(params: &Params<'_>) -> Option<IpAddr> {
    address(only(params, b"REMOTE_ADDR")?)
}

/// The value of a variable that came exactly once.
fn only<'a>(params: &Params<'a>, variable: &[u8]) -> Option<&'a [u8]> {
    let mut values = params.iter().filter(|(name, _)| *name == variable);
    let (_, value) = values.next()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests;
