//! Where logins and their secrets come from.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;

use crate::request::Login;
use crate::secret::{Proof, Secret};

pub mod accept;
pub mod file;

/// A directory of users: one `[[users]]` of the configuration.
pub trait UserStore: Send + Sync {
    /// Looks `login` up; `Ok(None)` means that the store answered and has no such user.
    fn find(&self, login: &Login) -> Result<Option<Account>, StoreError>;

    /// Checks `proof`; `Ok(false)` is a plain no. Override only where the store itself must do it.
    fn verify(&self, account: &Account, proof: &Proof) -> Result<bool, StoreError> {
        Ok(account
            .secret
            .as_ref()
            .is_some_and(|secret| secret.matches(proof)))
    }

    /// A secret that costs as much to check as that of a user of this store: the time of an
    /// unknown login is spent on it, so that it answers no sooner than a known one.
    fn decoy(&self, _login: &Login) -> Option<Secret> {
        None
    }
}

/// What a store knows of one login.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// The stored secret; `None` for a user that cannot log in with one.
    pub secret: Option<Secret>,
    /// The login that the mail server is to see in place of the one that was typed.
    pub user: Option<Vec<u8>>,
    /// The mail server of this user: a name of `[hosts]` or an address.
    pub host: Option<String>,
    /// The port on it, whatever the protocol.
    pub port: Option<NonZeroU16>,
    /// Whether the login is switched off (Dovecot's `nologin`).
    pub disabled: bool,
    /// The networks that the user may come from (Dovecot's `allow_nets`); `None` for all.
    pub allow_nets: Option<Vec<Network>>,
}

/// A network in CIDR form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        (prefix <= longest).then_some(Self { address, prefix })
    }

    /// Whether `address` lies in this network; an IPv4-mapped IPv6 address counts as IPv4.
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

/// The store could not say. It never means "wrong password".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// What is stored for this login cannot be used: an unknown or forbidden scheme, a hash that
    /// is damaged or asks for too much. The text says what and where, and holds no secret.
    Unusable(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for StoreError {}

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
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db9::1", true),
        ] {
            let parsed = Network::parse(network).unwrap();
            assert_eq!(
                parsed.contains(address.parse().unwrap()),
                inside,
                "{network} {address}"
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
