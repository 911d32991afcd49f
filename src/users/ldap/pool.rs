//! Keeps connections, and tries several servers in turn.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::code::Code;
use super::connection::{Access, Connection, LdapError};
use super::filter::FilledFilter;
use super::message::{Scope, Search};
use super::url::Url;
use crate::net::own_login::{OwnLogin, Unavailable};
use crate::net::pool::IdleConnections;
use crate::secret::Password;
use crate::sys::outage::Outage;
use crate::sys::semaphore::{Requester, Semaphore};
use crate::users::StoreError;
use crate::users::alive::SIGN_OF_LIFE;

/// The minimum time that a question needs.
const LEAST: Duration = Duration::from_millis(10);

/// How long an idle connection is kept. Firewalls drop idle connections, some without notice, and slapd has
/// an `idletimeout`.
const KEPT: Duration = Duration::from_secs(60);

/// How long a failed server comes after all others.
const RESTS: Duration = Duration::from_secs(3);

/// The purpose of a connection. A connection never changes its purpose: a search must not run with the rights
/// of the user who has just bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Bound as the account that searches, or anonymous.
    Search,
    /// Bound as one user after another.
    Bind,
}

/// The account that searches.
pub(super) struct Searcher {
    pub(super) dn: Vec<u8>,
    pub(super) password: Password,
    pub(super) own: OwnLogin,
}

impl Searcher {
    /// Binds, unless the server refused that a moment ago. All servers have the same data, so the account is
    /// the same at all of them.
    fn bind(&self, connection: &mut Connection, deadline: Instant) -> Result<(), LdapError> {
        let attempt = match self.own.attempt_alone(deadline) {
            Ok(attempt) => attempt,
            Err(Unavailable::TimedOut) => return Err(LdapError::TimedOut),
            Err(closed) => {
                let (why, news) = (closed.to_string(), false);
                return Err(LdapError::BindDn { why, news });
            }
        };
        let outcome = connection.bind(&self.dn, self.password.reveal())?;
        let why = match (outcome.code, outcome.policy.refusal()) {
            (Code::SUCCESS, None) => {
                attempt.accepted();
                return Ok(());
            }
            (Code::SUCCESS, Some(why)) => why.to_owned(),
            // The server refused the password, or the whole account.
            (
                Code::INVALID_CREDENTIALS
                | Code::INAPPROPRIATE_AUTHENTICATION
                | Code::CONSTRAINT_VIOLATION
                | Code::UNWILLING_TO_PERFORM,
                _,
            ) => outcome.to_string(),
            _ => return Err(LdapError::Refused("bind-dn is refused", outcome)),
        };
        attempt.refused(why.as_str());
        let news = true;
        let why = format!("{why}; it is retried in a minute, or when its password changes");
        Err(LdapError::BindDn { why, news })
    }
}

/// All servers of a store, which have the same data.
pub(super) struct Pool {
    servers: Vec<Server>,
    access: Access,
    searcher: Option<Searcher>,
    connect_timeout: Duration,
    /// Limits how many questions run at the same time.
    seats: Semaphore,
    /// The server that answered last.
    first: AtomicUsize,
}

pub(super) struct Server {
    pub(super) url: Url,
    searching: IdleConnections<Connection>,
    binding: IdleConnections<Connection>,
    /// The time of the last failure, until the server works again.
    failed: Mutex<Option<Instant>>,
    outage: Outage,
}

impl Pool {
    pub(super) fn new(
        urls: impl IntoIterator<Item = Url>,
        access: Access,
        searcher: Option<Searcher>,
        connections: NonZeroUsize,
        connect_timeout: Duration,
    ) -> Self {
        let server = |url| Server {
            url,
            searching: IdleConnections::new(connections, KEPT),
            binding: IdleConnections::new(connections, KEPT),
            failed: Mutex::default(),
            outage: Outage::default(),
        };
        Self {
            servers: urls.into_iter().map(server).collect(),
            access,
            searcher,
            connect_timeout,
            seats: Semaphore::new(connections),
            first: AtomicUsize::new(0),
        }
    }

    pub(super) fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// Asks a server by `deadline`; after a failure, asks the next one.
    ///
    /// With several servers, none can use up the time of those after it. `question` can run more than once:
    /// again on the same server if a kept connection was closed.
    ///
    /// A server that does not answer a bind but answers another request until `life` is slow about that
    /// password: it has not failed.
    pub(super) fn ask<T>(
        &self,
        role: Role,
        deadline: Instant,
        life: Instant,
        mut question: impl FnMut(&mut Connection) -> Result<T, LdapError>,
    ) -> Result<T, StoreError> {
        let Some(_seat) = self.seats.acquire(Requester::default(), deadline) else {
            let what = "all connections are in use, and none became free in time";
            return Err(StoreError::Unavailable(what.to_owned()));
        };
        // A question whose time is over before it starts says nothing about a server.
        if deadline.saturating_duration_since(Instant::now()) < LEAST {
            let what = "the time-out ended before the question was sent";
            return Err(StoreError::Unavailable(what.to_owned()));
        }
        let order = self.order();
        let mut hopeful = order.iter().filter(|(_, rests)| !rests).count();
        let mut failures = Vec::new();
        let mut unanswered = false;
        for (number, rests) in &order {
            let Some(server) = self.servers.get(*number) else {
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() && !failures.is_empty() {
                break;
            }
            let share = match rests {
                true => left,
                false => left / u32::try_from(hopeful).unwrap_or(u32::MAX).max(1),
            };
            hopeful = hopeful.saturating_sub(1);
            match self.ask_one(server, role, Instant::now() + share, &mut question) {
                Ok(answer) => {
                    server.works();
                    self.first.store(*number, Ordering::Relaxed);
                    return Ok(answer);
                }
                // The account is the same at the next server, and connections that are bound already still
                // work.
                Err(fault @ LdapError::BindDn { news: false, .. }) => {
                    failures.push(format!("{}: {fault}", server.url));
                    break;
                }
                Err(fault) => {
                    let what = format!("{}: {fault}", server.url);
                    match matches!(fault, LdapError::Unanswered) && self.is_alive(server, life) {
                        true => unanswered = true,
                        false => server.fails(&what),
                    }
                    failures.push(what);
                    if let LdapError::BindDn { .. } = fault {
                        break;
                    }
                }
            }
        }
        let what = failures.join("; ");
        Err(match unanswered {
            true => StoreError::Unanswered(what),
            false => StoreError::Unavailable(what),
        })
    }

    /// Whether a server answers at all: requests its root DSE (RFC 4512, 5.1), which any client may read. A
    /// refusal is an answer too.
    fn is_alive(&self, server: &Server, deadline: Instant) -> bool {
        let deadline = deadline.min(Instant::now() + SIGN_OF_LIFE);
        Connection::open(&server.url, &self.access, deadline).is_ok_and(|mut connection| {
            connection.set_deadline(deadline);
            let found = connection.search(&Search {
                base: b"",
                scope: Scope::Base,
                size_limit: 1,
                time_limit: 1,
                filter: &FilledFilter::present("objectClass"),
                // No attributes (RFC 4511, 4.5.1.8).
                attributes: &["1.1".to_owned()],
            });
            matches!(found, Ok(_) | Err(LdapError::Refused(..)))
        })
    }

    /// Asks the server that is most likely to answer, by `deadline`; a failure has no effect on later
    /// questions.
    pub(super) fn ask_aside<T>(
        &self,
        role: Role,
        deadline: Instant,
        mut question: impl FnMut(&mut Connection) -> Result<T, LdapError>,
    ) -> Option<T> {
        let _seat = self.seats.acquire(Requester::default(), deadline)?;
        let (number, _) = self.order().into_iter().next()?;
        let server = self.servers.get(number)?;
        self.ask_one(server, role, deadline, &mut question).ok()
    }

    /// Makes a new connection to one server, even if kept ones exist.
    pub(super) fn connect(
        &self,
        server: &Server,
        role: Role,
        deadline: Instant,
    ) -> Result<Connection, LdapError> {
        let deadline = deadline.min(Instant::now() + self.connect_timeout);
        let mut connection = Connection::open(&server.url, &self.access, deadline)?;
        if let Some(searcher) = &self.searcher
            && role == Role::Search
        {
            searcher.bind(&mut connection, deadline)?;
        }
        Ok(connection)
    }

    fn ask_one<T>(
        &self,
        server: &Server,
        role: Role,
        deadline: Instant,
        question: &mut impl FnMut(&mut Connection) -> Result<T, LdapError>,
    ) -> Result<T, LdapError> {
        let kept = server.kept(role);
        let generation = kept.generation();
        if let Some(mut connection) = server.take(role) {
            connection.set_deadline(deadline);
            match question(&mut connection) {
                Ok(answer) => {
                    kept.keep(connection, generation);
                    return Ok(answer);
                }
                // The server may have closed it long ago, and all other kept ones too.
                Err(LdapError::Closed) => server.forget(),
                Err(fault) => return Err(fault),
            }
        }
        let generation = kept.generation();
        let mut connection = self.connect(server, role, deadline)?;
        connection.set_deadline(deadline);
        let answer = question(&mut connection)?;
        kept.keep(connection, generation);
        Ok(answer)
    }

    /// The indexes of the servers, and whether each failed recently; those that did not come first.
    fn order(&self) -> Vec<(usize, bool)> {
        let first = self.first.load(Ordering::Relaxed);
        let count = self.servers.len();
        let mut order: Vec<_> = (0..count)
            .map(|step| (first + step) % count)
            .map(|number| (number, self.servers.get(number).is_some_and(Server::rests)))
            .collect();
        order.sort_by_key(|(_, rests)| *rests);
        order
    }
}

impl Server {
    fn kept(&self, role: Role) -> &IdleConnections<Connection> {
        match role {
            Role::Search => &self.searching,
            Role::Bind => &self.binding,
        }
    }

    fn take(&self, role: Role) -> Option<Connection> {
        loop {
            let mut kept = self.kept(role).take()?;
            if kept.is_usable() {
                return Some(kept);
            }
        }
    }

    /// Closes all kept connections.
    fn forget(&self) {
        self.searching.forget();
        self.binding.forget();
    }

    fn failed(&self) -> MutexGuard<'_, Option<Instant>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rests(&self) -> bool {
        self.failed().is_some_and(|when| when.elapsed() < RESTS)
    }

    fn works(&self) {
        self.failed().take();
        if self.outage.ends() {
            log::warn!("{} answers again", self.url);
        }
    }

    fn fails(&self, what: &str) {
        self.forget();
        self.failed().replace(Instant::now());
        if self.outage.begins() {
            log::warn!("{what}");
        }
    }
}
