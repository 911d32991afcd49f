//! One connection to a server, and one operation on it at a time.

use std::fmt;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use super::ber::{Malformed, message_length};
use super::code::Code;
use super::message::{self, Entry, LdapResult, Response, Search};
use super::url::{Scheme, Url};
use crate::net::{Endpoint, Names, Stream, Trust};

/// The time-out of an unbind.
const GOODBYE: Duration = Duration::from_millis(20);

/// The settings of connections.
pub(super) struct Access {
    pub(super) names: Names,
    pub(super) trust: Trust,
    pub(super) starttls: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum LdapError {
    /// The server has closed the connection. A kept connection may just have been idle too long.
    Closed,
    /// The deadline has passed.
    TimedOut,
    /// The deadline passed after the server had received a user's password.
    Unanswered,
    /// The server is unreachable, or TLS fails.
    Io(io::Error),
    /// The trusted certificates of this program are unusable.
    Trust(String),
    /// The server sent an invalid or unexpected message.
    Protocol(&'static str),
    /// The server refused the operation.
    Refused(&'static str, LdapResult),
    /// The server refused the account that searches. The flag says whether this is new; if not, the server
    /// may not have been asked again.
    BindDn { why: String, news: bool },
}

impl fmt::Display for LdapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the server closed the connection"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Unanswered => f.write_str("no answer to the bind in time"),
            Self::Io(error) => error.fmt(f),
            Self::Trust(what) => f.write_str(what),
            Self::Protocol(what) => write!(f, "the answer is not valid LDAP: {what}"),
            Self::Refused(what, outcome) => write!(f, "{what}: {outcome}"),
            Self::BindDn { why, .. } => write!(f, "bind-dn is refused: {why}"),
        }
    }
}

impl From<io::Error> for LdapError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::TimedOut => Self::TimedOut,
            ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

impl From<Malformed> for LdapError {
    fn from(Malformed(what): Malformed) -> Self {
        Self::Protocol(what)
    }
}

/// The result of a search.
pub(super) struct SearchResult {
    pub(super) entries: Vec<Entry>,
    pub(super) outcome: LdapResult,
}

/// A connection. After a failed operation it cannot be used again.
pub(super) struct Connection {
    stream: Stream,
    /// The number of the last message.
    number: u32,
}

impl Connection {
    /// Connects, with TLS where it is asked for, by `deadline`.
    pub(super) fn open(url: &Url, access: &Access, deadline: Instant) -> Result<Self, LdapError> {
        let stream = Stream::connect(&url.endpoint, &access.names, deadline)?;
        let mut connection = Self { stream, number: 0 };
        let tls = match url.scheme {
            Scheme::Ldaps => true,
            Scheme::Ldap => access.starttls,
            Scheme::Ldapi => false,
        };
        if let Endpoint::Tcp { host, .. } = &url.endpoint
            && tls
        {
            if url.scheme == Scheme::Ldap {
                connection.start_tls()?;
            }
            let config = access.trust.config().map_err(LdapError::Trust)?;
            connection.stream.start_tls(&config, host)?;
        }
        Ok(connection)
    }

    /// Sets the deadline of the following operations.
    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        self.stream.set_deadline(deadline);
    }

    /// Whether a kept connection is usable, as far as can be told without sending anything.
    pub(super) fn is_usable(&mut self) -> bool {
        self.stream.is_quiet()
    }

    /// Sends the request for StartTLS.
    fn start_tls(&mut self) -> Result<(), LdapError> {
        let id = self.next_number();
        self.stream.send(&message::start_tls(id))?;
        match self.receive()? {
            Response::Extended(outcome) if outcome.code == Code::SUCCESS => Ok(()),
            Response::Extended(outcome) => Err(LdapError::Refused("StartTLS is refused", outcome)),
            _ => Err(OTHER_QUESTION),
        }
    }

    /// Binds with a password, which must not be empty: an empty password always succeeds, for every name (RFC
    /// 4513, 5.1.2).
    pub(super) fn bind(&mut self, name: &[u8], password: &[u8]) -> Result<LdapResult, LdapError> {
        debug_assert!(!name.is_empty() && !password.is_empty());
        let id = self.next_number();
        self.stream.send(&message::bind(id, name, password))?;
        match self.receive()? {
            Response::Bind(outcome) => present(outcome.without(password)),
            _ => Err(OTHER_QUESTION),
        }
    }

    /// Searches. Referrals are not followed.
    pub(super) fn search(&mut self, asked: &Search<'_>) -> Result<SearchResult, LdapError> {
        let id = self.next_number();
        self.stream.send(&message::search(id, asked))?;
        let mut entries = Vec::new();
        loop {
            match self.receive()? {
                Response::Entry(entry) if entries.len() < asked.size_limit as usize => {
                    entries.push(entry);
                }
                Response::Entry(_) => {
                    return Err(LdapError::Protocol(
                        "there are more entries than were asked for",
                    ));
                }
                Response::Reference => {}
                Response::SearchDone(outcome) => {
                    let outcome = present(outcome)?;
                    return Ok(SearchResult { entries, outcome });
                }
                _ => return Err(OTHER_QUESTION),
            }
        }
    }

    /// Compares a value with the values of an attribute.
    pub(super) fn compare(
        &mut self,
        dn: &[u8],
        attribute: &str,
        value: &[u8],
    ) -> Result<LdapResult, LdapError> {
        let id = self.next_number();
        self.stream
            .send(&message::compare(id, dn, attribute, value))?;
        match self.receive()? {
            Response::Compare(outcome) => present(outcome),
            _ => Err(OTHER_QUESTION),
        }
    }

    fn next_number(&mut self) -> u32 {
        // Number 0 is reserved for the server (RFC 4511, 4.1.1.1).
        self.number = match self.number {
            0x7fff_ffff => 1,
            number => number + 1,
        };
        self.number
    }

    fn receive(&mut self) -> Result<Response, LdapError> {
        let length = loop {
            let received = self.stream.received();
            match message_length(received)? {
                Some(length) if length <= received.len() => break length,
                _ => {}
            }
            if self.stream.receive()? == 0 {
                return Err(LdapError::Closed);
            }
        };
        let whole = self.stream.received().get(..length).unwrap_or_default();
        let (number, response) = message::read(whole)?;
        self.stream.take(length);
        match number {
            number if number == self.number => Ok(response),
            // A "notice of disconnection" (RFC 4511, 4.4.1), or another message that needs no action.
            0 => Err(LdapError::Closed),
            _ => Err(OTHER_QUESTION),
        }
    }
}

const OTHER_QUESTION: LdapError = LdapError::Protocol("unexpected response type");

/// A result code that means that the server cannot serve now is a failure of the server, not of the question.
fn present(outcome: LdapResult) -> Result<LdapResult, LdapError> {
    match outcome.code {
        Code::BUSY | Code::UNAVAILABLE => Err(LdapError::Refused(
            "the server is busy or \
            unavailable",
            outcome,
        )),
        _ => Ok(outcome),
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let id = self.next_number();
        self.stream.set_deadline(Instant::now() + GOODBYE);
        // It does not matter whether the unbind arrives.
        let _sent = self.stream.send(&message::unbind(id));
    }
}
