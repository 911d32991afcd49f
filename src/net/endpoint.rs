//! The address of a server: a port of a host, or a Unix socket.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;

use rustls::pki_types::ServerName;

use super::url::{self, BadHostPort, HostPort};

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A port of a host.
    Tcp {
        /// The host; its certificate must be for this name.
        host: ServerName<'static>,
        /// The port.
        port: NonZeroU16,
    },
    /// A Unix socket, and the number of the user that must listen there. Without a number, the
    /// socket must belong to a user that `peer::check` accepts.
    Unix(PathBuf, Option<u32>),
}

impl Endpoint {
    /// Parses `host`, `host:port`, `[address]` or `[address]:port`; the host is a DNS name or an
    /// address. The error says why the text is not valid.
    pub fn parse(authority: &str, default_port: NonZeroU16) -> Result<Self, String> {
        const PORT: &str = "has no port from 1 to 65535; write an IPv6 address in [brackets]";
        let host_port = HostPort::read(authority).map_err(|bad| match bad {
            BadHostPort::UnclosedBracket => "has no ] after the address",
            BadHostPort::TextAfterBracket => PORT,
        })?;
        let port = match host_port.port {
            None => default_port,
            Some(digits) => url::port(digits).ok_or(PORT)?,
        };
        let host = host_port.host;
        match ServerName::try_from(host.to_owned()) {
            Ok(name) if host_port.bracketed == host.contains(':') => {
                Ok(Self::Tcp { host: name, port })
            }
            _ => Err(format!("has no usable host: {host:?}")),
        }
    }

    /// Sets the user that must listen on a Unix socket.
    pub fn listened_by(&mut self, user: Option<u32>) {
        if let Self::Unix(_, expected) = self {
            *expected = user;
        }
    }

    /// The port on this machine that the endpoint leads to, if it does.
    pub fn local_port(&self) -> Option<u16> {
        match self {
            Self::Tcp { port, .. } if self.is_local() => Some(port.get()),
            Self::Tcp { .. } | Self::Unix(..) => None,
        }
    }

    /// Whether the connection stays on this machine.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(..) => true,
            Self::Tcp {
                host: ServerName::DnsName(name),
                ..
            } => name.as_ref().eq_ignore_ascii_case("localhost"),
            Self::Tcp { host, .. } => address_of(host).is_some_and(|ip| ip.is_loopback()),
        }
    }
}

/// The host, if it is an address; `None` for a name.
pub(super) fn address_of(host: &ServerName<'_>) -> Option<IpAddr> {
    match host {
        ServerName::IpAddress(address) => Some(IpAddr::from(*address)),
        _ => None,
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => {
                let host = host.to_str();
                match host.contains(':') {
                    true => write!(f, "[{host}]:{port}"),
                    false => write!(f, "{host}:{port}"),
                }
            }
            Self::Unix(path, _) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: NonZeroU16 = NonZeroU16::new(143).unwrap();

    #[test]
    fn endpoints() {
        for (authority, written, local) in [
            ("mail.example.org", "mail.example.org:143", false),
            ("mail.example.org:1143", "mail.example.org:1143", false),
            ("192.0.2.1:1", "192.0.2.1:1", false),
            ("[2001:db8::1]", "[2001:db8::1]:143", false),
            ("[::1]:65535", "[::1]:65535", true),
            ("127.0.0.9", "127.0.0.9:143", true),
            ("LocalHost", "LocalHost:143", true),
            ("localhost.example.org", "localhost.example.org:143", false),
        ] {
            let endpoint = Endpoint::parse(authority, PORT).unwrap();
            assert_eq!(endpoint.to_string(), written);
            assert_eq!(endpoint.is_local(), local, "{authority}");
        }
        for bad in [
            "",
            ":143",
            "mail:",
            "mail:0",
            "mail:65536",
            "mail:+1",
            "mail:imap",
            "2001:db8::1",
            "[2001:db8::1",
            "[2001:db8::1]1143",
            "[2001:db8::1]:",
            "[mail]:143",
            "[192.0.2.1]",
            "user@mail",
            "ma il",
            "10.1",
            "mail/",
        ] {
            assert!(Endpoint::parse(bad, PORT).is_err(), "{bad}");
        }
    }
}
