//! The CGI meta-variables of one request, and the peer that sent them.

use std::fmt;
use std::net::IpAddr;

/// The name-value pairs of one request: the process environment under CGI, the PARAMS stream
/// under FastCGI (FastCGI 1.0, 6.2).
///
/// Names and values are the received bytes, which are not always UTF-8. A name may occur twice; the
/// reader decides what that means. The number of pairs is limited.
pub struct Params<'a> {
    pairs: Vec<(&'a [u8], &'a [u8])>,
    bound: usize,
}

/// There are more pairs than the limit.
#[derive(Debug, PartialEq, Eq)]
pub struct TooManyPairs;

impl fmt::Display for TooManyPairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many variables in one request")
    }
}

impl std::error::Error for TooManyPairs {}

impl<'a> Params<'a> {
    /// An empty set for at most `bound` pairs.
    pub fn bounded(bound: usize) -> Self {
        // A request of nginx through Apache has about 40 variables.
        Self {
            pairs: Vec::with_capacity(bound.min(64)),
            bound,
        }
    }

    /// Adds a pair; an error if the limit is reached.
    pub fn push(&mut self, name: &'a [u8], value: &'a [u8]) -> Result<(), TooManyPairs> {
        if self.pairs.len() >= self.bound {
            return Err(TooManyPairs);
        }
        self.pairs.push((name, value));
        Ok(())
    }

    /// All pairs, in the order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + '_ {
        self.pairs.iter().copied()
    }
}

/// Prints only the names: a value may be a password.
impl fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self
            .pairs
            .iter()
            .map(|(name, _)| String::from_utf8_lossy(name));
        f.debug_list().entries(names).finish()
    }
}

/// The peer that sent a request, as far as that is certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A program that connected over TCP from this address. IPv4-mapped IPv6 becomes IPv4.
    Tcp(IpAddr),
    /// A program that may write to a Unix socket of this process, or of systemd for it.
    Unix,
    /// The web server that started this process: under CGI, or with its own Unix socket on
    /// descriptor 0. The address of its client is in `REMOTE_ADDR` (RFC 3875, 4.1.8).
    WebServer,
}

/// For the log.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("a Unix socket"),
            Self::WebServer => f.write_str("the web server that started it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_holds() {
        let mut params = Params::bounded(2);
        assert_eq!(params.push(b"A", b"1"), Ok(()));
        assert_eq!(params.push(b"A", b"2"), Ok(()));
        assert_eq!(params.push(b"B", b"3"), Err(TooManyPairs));
        assert_eq!(params.iter().count(), 2);
    }

    #[test]
    fn debug_shows_no_value() {
        let mut params = Params::bounded(1);
        params.push(b"HTTP_AUTH_PASS", b"marker").unwrap();
        assert!(!format!("{params:?}").contains("marker"));
    }
}
