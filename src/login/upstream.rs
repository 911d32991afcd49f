//! The address and port of a mail server, as nginx accepts them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;

/// A mail server that nginx can connect to. nginx accepts addresses only (`ngx_parse_addr` in
/// ngx_inet.c), so names are resolved first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upstream {
    address: IpAddr,
    port: NonZeroU16,
}

impl Upstream {
    /// `None` for an address that nginx cannot connect to: unspecified (all of 0.0.0.0/8),
    /// multicast, broadcast (nginx reads 255.255.255.255 as "no address"), link-local IPv6 (nginx
    /// has no zones), and IPv4-compatible IPv6. An IPv4-mapped address becomes the IPv4 address.
    pub fn new(address: IpAddr, port: NonZeroU16) -> Option<Self> {
        let address = address.to_canonical();
        let usable = match address {
            IpAddr::V4(v4) => {
                v4.octets()[0] != 0 && !v4.is_multicast() && v4 != Ipv4Addr::BROADCAST
            }
            IpAddr::V6(v6) => {
                let compatible = v6.segments().starts_with(&[0; 6]) && !v6.is_loopback();
                !(compatible || v6.is_multicast() || v6.is_unicast_link_local())
            }
        };
        usable.then_some(Self { address, port })
    }

    /// The address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The port.
    pub fn port(&self) -> NonZeroU16 {
        self.port
    }
}

/// `192.0.2.1:143`, `[2001:db8::1]:143`: for messages. The headers have the address without
/// brackets.
impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::net::SocketAddr::new(self.address, self.port.get()).fmt(f)
    }
}
