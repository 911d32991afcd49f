//! The keys under which failures are counted: network, login, or both together.

use std::fmt;

use crate::login::Network;
use crate::sys::logger::quoted;

/// A key under which failures are counted. Logins are in lower case, because some stores ignore case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// All logins from one network.
    Network(Network),
    /// One login, from anywhere.
    Login(Vec<u8>),
    /// One login from one network.
    Pair(Network, Vec<u8>),
}

impl Key {
    /// The network in it.
    pub fn network(&self) -> Option<Network> {
        match self {
            Self::Network(network) | Self::Pair(network, _) => Some(*network),
            Self::Login(_) => None,
        }
    }

    /// The login in it.
    pub fn login(&self) -> Option<&[u8]> {
        match self {
            Self::Login(login) | Self::Pair(_, login) => Some(login),
            Self::Network(_) => None,
        }
    }
}

/// `network=192.0.2.7/32 login="alice"`, or one of the two.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(network) = self.network() {
            write!(f, "network={network}")?;
        }
        if let (Some(_), Some(_)) = (self.network(), self.login()) {
            f.write_str(" ")?;
        }
        if let Some(login) = self.login() {
            write!(f, "login={}", quoted(login))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_stays_in_its_quotes() {
        let network = Network::parse("192.0.2.7").unwrap();
        let pair = Key::Pair(network, b"x\" network=192.0.2.1\n".to_vec());
        assert_eq!(
            pair.to_string(),
            r#"network=192.0.2.7/32 login="x\" network=192.0.2.1\n""#
        );
    }
}
