//! Finds and remembers the server that keeps the counts, and keeps connections to it.

use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ::redis::{Cmd, FromRedisValue, Value, cmd, from_redis_value};

use super::connection::Connection;
use super::failure::{Failure, RequestError};
use super::settings::{Kind, RedisAccount, Settings};
use crate::net::own_login::OwnLogin;
use crate::net::{Endpoint, Names, Trust};

/// The maximum number of kept connections.
const KEPT: usize = 8;

/// How often sentinels or nodes are asked whether the server still keeps the counts. A server that returns
/// after a network failure accepts commands until it learns that it was replaced: counts written to it in
/// between are lost.
const CONFIRMED: Duration = Duration::from_secs(1);

/// The servers of a configuration.
pub(super) struct Servers {
    pub(super) settings: Settings,
    names: Names,
    trust: Trust,
    own: OwnLogin,
    own_at_sentinels: OwnLogin,
    current: Mutex<Current>,
    /// A connection to a sentinel, or to a node that holds other keys; both know the server.
    ask_confirming_server: Mutex<Option<Connection>>,
    /// The index of the sentinel that answered last.
    pub(super) preferred: AtomicUsize,
}

/// The server that keeps the counts, as far as it is known.
#[derive(Default)]
struct Current {
    /// Its endpoint; `None`: not known yet, or the only configured one.
    server: Option<Endpoint>,
    /// When sentinels or nodes are asked again whether it still keeps the counts.
    confirm_at: Option<Instant>,
    /// Idle connections to it.
    idle: Vec<Connection>,
}

impl Servers {
    pub(super) fn new(settings: &Settings) -> Self {
        let own = |place: String, account: &RedisAccount| {
            let user = account.user.as_deref().unwrap_or_default().as_bytes();
            let password = account.password.as_deref();
            OwnLogin::new(&place, user, password.map_or(&[], Vec::as_slice))
        };
        Self {
            names: Names::system(),
            trust: Trust::new(settings.ca_file.clone()),
            own: own(settings.to_string(), &settings.account),
            own_at_sentinels: own(
                format!("sentinels of {settings}"),
                &settings.sentinel_account,
            ),
            current: Mutex::default(),
            ask_confirming_server: Mutex::default(),
            preferred: AtomicUsize::new(0),
            settings: settings.clone(),
        }
    }

    /// Sends a command to the server that keeps the counts, and reads its reply. If a connection fails, the
    /// command may be sent twice. This is safe for all our commands: a change only applies if the old values
    /// are unchanged.
    pub(super) fn ask<T: FromRedisValue>(
        &self,
        command: &Cmd,
        deadline: Instant,
    ) -> Result<T, String> {
        let reply = self.reply(command, deadline);
        let reply = reply.map_err(|failure| failure.explained(&self.settings))?;
        from_redis_value(reply).map_err(|_| self.unexpected_type())
    }

    /// The message for a reply of an unexpected type.
    pub(super) fn unexpected_type(&self) -> String {
        format!(
            "{}: the server sent a reply of an unexpected type",
            self.settings
        )
    }

    fn reply(&self, command: &Cmd, deadline: Instant) -> Result<Value, Failure> {
        self.confirm(deadline);
        let several = self.settings.kind != Kind::Single;
        if let Some(mut kept) = self.kept() {
            // With several servers, another one may keep the counts by now: finding it takes time.
            let until = if several {
                share(deadline, 2)
            } else {
                deadline
            };
            if let Ok(value) = kept.ask(command, until) {
                self.keep(kept);
                return Ok(value);
            }
            if several {
                lock(&self.current).idle.clear();
            }
        }
        match &self.settings.kind {
            Kind::Single => self.ask_only_server(command, deadline),
            Kind::Sentinels(service) => self.ask_primary(service, command, deadline),
            Kind::Cluster => self.ask_owner(command, deadline),
        }
    }

    fn ask_only_server(&self, command: &Cmd, deadline: Instant) -> Result<Value, Failure> {
        let endpoint = self
            .settings
            .endpoints
            .first()
            .ok_or(RequestError::NoServer)?;
        let mut connection = self.open(endpoint, deadline)?;
        let value = connection.ask(command, deadline);
        let value = value.map_err(|error| RequestError::from(error).at(endpoint))?;
        self.keep(connection);
        Ok(value)
    }

    /// A connection to a server that may keep the counts.
    pub(super) fn open(&self, endpoint: &Endpoint, until: Instant) -> Result<Connection, Failure> {
        let settings = &self.settings;
        let open = || -> Result<Connection, RequestError> {
            let mut connection = self.connect(endpoint, until)?;
            connection.log_in(&settings.account, &self.own, until)?;
            if settings.database != 0 {
                connection.ask::<()>(cmd("SELECT").arg(settings.database), until)?;
            }
            Ok(connection)
        };
        open().map_err(|problem| problem.at(endpoint))
    }

    /// The answer of a sentinel, or of a node that holds other keys, over a kept connection.
    pub(super) fn ask_confirming_server<T>(
        &self,
        endpoint: &Endpoint,
        until: Instant,
        ask: impl FnOnce(&mut Connection) -> Result<T, RequestError>,
    ) -> Result<T, Failure> {
        let kept = lock(&self.ask_confirming_server).take_if(|kept| kept.endpoint == *endpoint);
        let mut connection = match kept.and_then(|mut kept| kept.is_quiet().then_some(kept)) {
            Some(kept) => kept,
            None if self.settings.kind == Kind::Cluster => self.open(endpoint, until)?,
            None => self
                .open_sentinel(endpoint, until)
                .map_err(|problem| problem.at_sentinel(endpoint))?,
        };
        let answer = ask(&mut connection).map_err(|problem| problem.at_sentinel(endpoint))?;
        *lock(&self.ask_confirming_server) = Some(connection);
        Ok(answer)
    }

    fn open_sentinel(
        &self,
        endpoint: &Endpoint,
        until: Instant,
    ) -> Result<Connection, RequestError> {
        let mut connection = self.connect(endpoint, until)?;
        let account = &self.settings.sentinel_account;
        connection.log_in(account, &self.own_at_sentinels, until)?;
        Ok(connection)
    }

    /// All connections to Redis are made here.
    fn connect(&self, endpoint: &Endpoint, until: Instant) -> Result<Connection, RequestError> {
        let trust = self.settings.tls.then_some(&self.trust);
        Ok(Connection::open(endpoint, &self.names, trust, until)?)
    }

    /// The server that keeps the counts, if it is known.
    pub(super) fn known(&self) -> Option<Endpoint> {
        lock(&self.current).server.clone()
    }

    /// Asks sentinels or nodes, about once a second, whether the known server still keeps the counts. If none
    /// of them answers, the known server remains in use.
    fn confirm(&self, deadline: Instant) {
        let known = {
            let mut current = lock(&self.current);
            let now = Instant::now();
            if current.confirm_at.is_some_and(|at| now < at) {
                return;
            }
            current.confirm_at = Some(now + CONFIRMED);
            match &current.server {
                Some(known) => known.clone(),
                None => return,
            }
        };
        let named = match &self.settings.kind {
            Kind::Single => None,
            Kind::Sentinels(service) => self.primary_of_sentinels(service, deadline),
            Kind::Cluster => self.owner_by_nodes(&known, deadline),
        };
        if let Some(named) = named {
            self.settle_on(&named);
        }
    }

    /// Remembers a server as the one that keeps the counts. Closes connections to any other.
    pub(super) fn settle_on(&self, endpoint: &Endpoint) {
        let mut current = lock(&self.current);
        current.confirm_at = Some(Instant::now() + CONFIRMED);
        if current.server.as_ref() != Some(endpoint) {
            current.server = Some(endpoint.clone());
            current.idle.clear();
        }
    }

    /// A usable kept connection.
    fn kept(&self) -> Option<Connection> {
        let pop = || lock(&self.current).idle.pop();
        std::iter::from_fn(pop).find_map(|mut kept| kept.is_quiet().then_some(kept))
    }

    /// Keeps a connection if its server still keeps the counts.
    pub(super) fn keep(&self, connection: Connection) {
        let mut current = lock(&self.current);
        let server = current.server.as_ref();
        let is_current = server.is_none_or(|server| *server == connection.endpoint);
        if is_current && current.idle.len() < KEPT {
            current.idle.push(connection);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The end of the first of `parts` equal shares of the remaining time.
pub(super) fn share(deadline: Instant, parts: usize) -> Instant {
    let now = Instant::now();
    let parts = u32::try_from(parts).unwrap_or(u32::MAX).max(1);
    now + deadline.saturating_duration_since(now) / parts
}
