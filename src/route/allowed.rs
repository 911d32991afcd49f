//! The networks that mail servers may be in.

use std::net::IpAddr;
use std::num::NonZeroU16;

use crate::login::Network;
use crate::login::Upstream;

/// The networks that mail servers may be in: `[routes] allowed-networks`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedNetworks(Option<Vec<Network>>);

impl AllowedNetworks {
    /// Only these networks; `None`: everywhere.
    pub fn new(networks: Option<Vec<Network>>) -> Self {
        Self(networks)
    }

    /// Whether a mail server may have this address; the error says what is wrong with it.
    pub fn check(&self, address: IpAddr) -> Result<(), String> {
        let Some(upstream) = Upstream::new(address, NonZeroU16::MIN) else {
            return Err(format!("{address} is not the address of a mail server"));
        };
        let lies_in = |network: &Network| network.contains(upstream.address());
        match &self.0 {
            Some(networks) if !networks.iter().any(lies_in) => {
                Err(format!("{address} is not in routes.allowed-networks"))
            }
            _ => Ok(()),
        }
    }

    /// The allowed ones of several addresses, at least one; the error is about the first address.
    pub(super) fn among(&self, addresses: &[IpAddr]) -> Result<Vec<IpAddr>, String> {
        let mut wrong = None;
        let mut allowed = Vec::new();
        for address in addresses {
            match self.check(*address) {
                Ok(()) => allowed.push(*address),
                Err(why) => wrong = wrong.or(Some(why)),
            }
        }
        match allowed.is_empty() {
            true => Err(wrong.unwrap_or_else(|| "it has no address".to_owned())),
            false => Ok(allowed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// What nginx cannot connect to, or takes for none (ngx_inet.c).
    #[test]
    fn an_address_that_nginx_cannot_use_is_no_mail_server() {
        let anywhere = AllowedNetworks::default();
        for good in [
            "192.0.2.1",
            "127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:192.0.2.1",
            "::1",
            "2001:db8::1",
            "fd00::1",
            "64:ff9b::192.0.2.1",
            "240.0.0.1",
        ] {
            assert_eq!(anywhere.check(address(good)), Ok(()), "{good}");
        }
        for bad in [
            "0.0.0.0",
            "0.0.0.1",
            "255.255.255.255",
            "224.0.0.1",
            "239.255.255.255",
            "::ffff:0.0.0.0",
            "::ffff:0.1.2.3",
            "::ffff:255.255.255.255",
            "::ffff:224.0.0.1",
            "::",
            "::2",
            "::192.0.2.1",
            "ff02::1",
            "ff0e::1",
            "fe80::1",
            "febf::1",
        ] {
            let bad = address(bad);
            let why = format!("{bad} is not the address of a mail server");
            assert_eq!(anywhere.check(bad), Err(why));
        }
    }

    #[test]
    fn only_in_the_networks_if_there_are() {
        let network = |text| Network::parse(text).unwrap();
        let ours = AllowedNetworks::new(Some(vec![
            network("192.0.2.0/24"),
            network("2001:db8::/32"),
        ]));
        for (text, inside) in [
            ("192.0.2.255", true),
            ("::ffff:192.0.2.1", true),
            ("2001:db8:1::1", true),
            ("192.0.3.1", false),
            ("::ffff:192.0.3.1", false),
            ("127.0.0.1", false),
            ("::1", false),
            // These lead through a translator or a tunnel.
            ("64:ff9b::192.0.2.1", false),
            ("2002:c000:201::1", false),
        ] {
            let address = address(text);
            let outside = format!("{address} is not in routes.allowed-networks");
            let expected = if inside { Ok(()) } else { Err(outside) };
            assert_eq!(ours.check(address), expected);
        }
        let nowhere = AllowedNetworks::new(Some(Vec::new()));
        assert!(nowhere.check(address("192.0.2.1")).is_err());

        let [zero, far, near] = ["0.0.0.0", "198.51.100.1", "192.0.2.1"].map(address);
        assert_eq!(ours.among(&[zero, far, near]), Ok(vec![near]));
        let why = "0.0.0.0 is not the address of a mail server".to_owned();
        assert_eq!(ours.among(&[zero, far]), Err(why));
        assert_eq!(ours.among(&[]), Err("it has no address".to_owned()));
    }
}
