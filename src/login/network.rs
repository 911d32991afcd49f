//! Networks in CIDR form, for lists of clients and of mail servers.

use std::fmt;
use std::net::IpAddr;

use crate::login::embedded;

/// A network in CIDR form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads `192.0.2.0/24`, `2001:db8::/32` or a bare address.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) if prefix.bytes().all(|b| b.is_ascii_digit()) => {
                (address, Some(prefix.parse::<u8>().ok()?))
            }
            Some(_) => return None,
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(longest);
        let network = (prefix <= longest).then_some(Self { address, prefix })?;
        // `::ffff:192.0.2.0/120` is 192.0.2.0/24; with a shorter prefix it is more than IPv4.
        match (address, address.to_canonical(), prefix.checked_sub(96)) {
            (IpAddr::V6(_), address @ IpAddr::V4(_), Some(prefix)) => {
                Some(Self { address, prefix })
            }
            _ => Some(network),
        }
    }

    /// If the network was written with host bits: the network without them, 10.0.0.0/8 for
    /// 10.0.0.1/8.
    pub fn without_host_bits(&self) -> Option<Self> {
        let around = match self.address {
            IpAddr::V4(_) => Self::around(self.address, self.prefix, 128),
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix));
                let network = u128::from(address) & mask.unwrap_or(0);
                Self {
                    address: IpAddr::V6(network.into()),
                    prefix: self.prefix,
                }
            }
        };
        (around != *self).then_some(around)
    }

    /// The network that a client counts for, with the given prefix lengths in bits. An IPv6 address
    /// that contains an IPv4 address counts as that IPv4 address.
    pub fn around(address: IpAddr, ipv4_prefix: u8, ipv6_prefix: u8) -> Self {
        match embedded::counted(address) {
            IpAddr::V4(address) => {
                let prefix = ipv4_prefix.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                Self {
                    address: IpAddr::V4((u32::from(address) & mask).into()),
                    prefix,
                }
            }
            IpAddr::V6(address) => {
                let prefix = ipv6_prefix.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                Self {
                    address: IpAddr::V6((u128::from(address) & mask).into()),
                    prefix,
                }
            }
        }
    }

    /// The network that the clients of this network count for: a single address counts as the IPv4
    /// address inside it, as in [`Self::around`].
    pub fn as_counted(self) -> Self {
        match self.prefix {
            128 => Self::around(self.address, 32, 128),
            _ => self,
        }
    }

    /// Whether one of the two networks contains the other.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }

    /// Whether `address` is in this network. An IPv4-mapped IPv6 address counts as IPv4. Other IPv4
    /// addresses inside IPv6 addresses do not count: a network that gives access must be configured
    /// in the form that the front reports.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(host)) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(self.prefix))
                    .unwrap_or(0);
                u32::from(net) & mask == u32::from(host) & mask
            }
            (IpAddr::V6(net), IpAddr::V6(host)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.prefix))
                    .unwrap_or(0);
                u128::from(net) & mask == u128::from(host) & mask
            }
            _ => false,
        }
    }
}

/// `192.0.2.0/24`.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (network, address, inside) in [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("192.0.2.0/24", "::ffff:192.0.2.9", true),
            ("::ffff:192.0.2.0/120", "192.0.2.9", true),
            ("::ffff:192.0.2.0/120", "192.0.3.9", false),
            ("::ffff:192.0.2.7", "::ffff:192.0.2.7", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db9::1", true),
            // NAT64, 6to4, Teredo and IPv4-compatible addresses match only networks that are
            // written in that form.
            ("192.0.2.0/24", "64:ff9b::192.0.2.9", false),
            ("192.0.2.0/24", "64:ff9b:1::192.0.2.9", false),
            ("192.0.2.0/24", "2002:c000:209::1", false),
            ("192.0.2.0/24", "2001::3fff:fdf6", false),
            ("192.0.2.0/24", "::192.0.2.9", false),
            ("64:ff9b::192.0.2.0/120", "64:ff9b::192.0.2.9", true),
            ("64:ff9b::192.0.2.0/120", "192.0.2.9", false),
        ] {
            let parsed = Network::parse(network).unwrap();
            assert_eq!(
                parsed.contains(address.parse().unwrap()),
                inside,
                "{network} {address}"
            );
        }
        for (network, without) in [
            ("10.0.0.1/8", Some("10.0.0.0/8")),
            ("10.0.0.0/8", None),
            ("10.0.0.1", None),
            ("10.0.0.1/0", Some("0.0.0.0/0")),
            ("2001:db8::1/32", Some("2001:db8::/32")),
            ("2001:db8::1/128", None),
            ("2002:a00:1::1/48", Some("2002:a00:1::/48")),
            ("::1/0", Some("::/0")),
            ("::ffff:10.0.0.1/104", Some("10.0.0.0/8")),
        ] {
            let found = Network::parse(network).unwrap().without_host_bits();
            assert_eq!(
                found.map(|it| it.to_string()).as_deref(),
                without,
                "{network}"
            );
        }
        for bad in [
            "",
            "192.0.2.0/33",
            "192.0.2.0/",
            "192.0.2.0/+8",
            "::/129",
            "example.com",
        ] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }
}
