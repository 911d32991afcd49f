//! CGI meta-variables of one request, whichever transport brought them, and who handed them over.

use std::fmt;
use std::net::IpAddr;

/// The name-value pairs of one request: the process environment under CGI, the PARAMS stream
/// under FastCGI (FastCGI 1.0, 6.2).
///
/// Names and values are bytes as they came: nothing outside promises UTF-8. A name may come
/// twice; who reads the pairs decides what that means. There are never more pairs than the bound
/// that was given.
pub struct Params<'a> {
    pairs: Vec<(&'a [u8], &'a [u8])>,
    bound: usize,
}

/// More pairs came than the bound allows.
#[derive(Debug, PartialEq, Eq)]
pub struct TooManyPairs;

impl fmt::Display for TooManyPairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many variables in one request")
    }
}

impl std::error::Error for TooManyPairs {}

impl<'a> Params<'a> {
    /// An empty set that takes at most `bound` pairs.
    pub fn bounded(bound: usize) -> Self {
        // A request of nginx through Apache brings about 40 variables.
        Self {
            pairs: Vec::with_capacity(bound.min(64)),
            bound,
        }
    }

    /// Adds a pair; an error once the bound is reached.
    pub fn push(&mut self, name: &'a [u8], value: &'a [u8]) -> Result<(), TooManyPairs> {
        if self.pairs.len() >= self.bound {
            return Err(TooManyPairs);
        }
        self.pairs.push((name, value));
        Ok(())
    }

    /// All pairs, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + '_ {
        self.pairs.iter().copied()
    }
}

/// Shows the names only: a value may be a password.
impl fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self
            .pairs
            .iter()
            .map(|(name, _)| String::from_utf8_lossy(name));
        f.debug_list().entries(names).finish()
    }
}

/// Who handed a request over, as far as that is known without believing anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A program that connected over TCP from this address. IPv4 in the form of IPv6 is IPv4.
    Tcp(IpAddr),
    /// A program that may write to a Unix socket that we made, or systemd for us.
    Unix,
    /// The web server that started us: under CGI, or with a Unix socket of its own on descriptor 0.
    /// Who asked it stands in `REMOTE_ADDR` (RFC 3875, 4.1.8).
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
