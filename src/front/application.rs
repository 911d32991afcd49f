//! What answers requests, whichever transport brought them.

use super::pace::Departure;
use super::params::{Params, Peer};

/// What a transport asks for answers. An answer is a CGI response: headers, and a blank line (RFC 3875, 6.2).
pub trait Application {
    /// Whether a connection of this peer is served; if not, it is closed without a word.
    fn admits(&self, _peer: Peer) -> bool {
        true
    }

    /// Appends the answer to a whole request that this peer has sent, and says when it may leave.
    fn respond(&self, peer: Peer, params: &Params<'_>, out: &mut Vec<u8>) -> Departure;

    /// Appends the answer where there is no whole request to hand over. A bare END_REQUEST would
    /// reach nginx as `200 OK` through mod_proxy_fcgi.
    fn respond_without_request(&self, why: NoRequest, out: &mut Vec<u8>);

    /// Looks at the configuration again (SIGHUP). One that answers a single request has nothing to do.
    fn reload(&self) {}
}

/// Why there is no whole request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRequest {
    /// The web server sent ABORT_REQUEST, or the connection was given up while a request was
    /// still arriving.
    Aborted,
    /// All connections are busy.
    Overloaded,
    /// The variables are longer, or more, than the transport takes.
    TooLarge,
    /// PARAMS is not a sequence of name-value pairs (FastCGI 1.0, 3.4).
    Malformed,
    /// The request took longer than the transport waits.
    TooSlow,
}
