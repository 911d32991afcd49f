//! Asks a database: with kept connections, deadlines, and one retry after a stale connection.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use super::row::Row;
use super::statement::Statement;
use super::{Kind, Settings};
use crate::net::own_login::OwnLogin;
use crate::net::pool::Pool;
use crate::sys::Lifetime;
use crate::sys::outage::Outage;
use crate::users::placeholder::Values;

/// The minimum time that a question needs.
const LEAST: Duration = Duration::from_millis(10);

/// The maximum length of a driver's message: the log line of a login has room for 254 characters of it.
const MAX_MESSAGE: usize = 160;

/// Why a database did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The database refuses the statement, or stopped it; the connection may be usable.
    Refused(String),
    /// The connection is missing or lost.
    Disconnected(String),
    /// The deadline has passed.
    TimedOut(String),
    /// The database refuses this program: its user, its password, or its address.
    Denied(String),
}

impl Failure {
    /// A refusal with the database's message, on one line and shortened.
    pub(super) fn refused(message: impl fmt::Display) -> Self {
        Self::Refused(one_line(message))
    }

    /// A refusal of this program, with the database's message.
    pub(super) fn denied(message: impl fmt::Display) -> Self {
        Self::Denied(one_line(message))
    }

    /// A broken connection, with the driver's message.
    pub(super) fn disconnected(message: impl fmt::Display) -> Self {
        Self::Disconnected(one_line(message))
    }
}

impl Failure {
    /// The database finds another number of values to bind than there are placeholders.
    pub(super) fn misplaced() -> Self {
        let what = "not all of its placeholders are values there: write them without quotes and outside of \
                    comments, and no parameters of the database's own";
        Self::Refused(what.to_owned())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(what) => write!(f, "the database refuses the statement: {what}"),
            Self::Disconnected(what) => write!(f, "there is no connection: {what}"),
            Self::Denied(what) => write!(
                f,
                "the database refuses the login of this program: \
                {what}"
            ),
            Self::TimedOut(what) => f.write_str(what),
        }
    }
}

fn one_line(message: impl fmt::Display) -> String {
    let message = message.to_string();
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    message.chars().take(MAX_MESSAGE).map(clean).collect()
}

/// The result rows.
pub(super) enum Rows {
    /// All rows.
    All(Vec<Row>),
    /// There are more rows than requested.
    TooMany,
}

/// A driver for one kind of database.
pub(super) trait Driver: Send + Sync {
    /// A connection, which keeps its prepared statements.
    type Connection: Send;

    /// Connects.
    fn connect(&self, deadline: Instant) -> Result<Self::Connection, Failure>;

    /// Whether an idle connection can be used again.
    fn is_current(&self, _connection: &Self::Connection) -> bool {
        true
    }

    /// Runs a statement. After [`Rows::TooMany`], and after any failure but [`Failure::Refused`], the
    /// connection is closed.
    fn query(
        &self,
        connection: &mut Self::Connection,
        statement: &Statement,
        values: Values<'_>,
        most: usize,
        deadline: Instant,
    ) -> Result<Rows, Failure>;

    /// Prepares a statement and returns the names of its columns.
    fn columns(
        &self,
        connection: &mut Self::Connection,
        statement: &Statement,
        deadline: Instant,
    ) -> Result<Vec<String>, Failure>;
}

/// A database with its connections, independent of its kind.
pub(super) trait Database: Send + Sync {
    /// Runs a statement and returns at most `most` rows.
    fn query(
        &self,
        statement: &Statement,
        values: Values<'_>,
        most: usize,
        deadline: Instant,
    ) -> Result<Rows, Failure>;

    /// Prepares each statement on a new connection and returns the names of its columns.
    fn columns(
        &self,
        statements: &[&Statement],
        deadline: Instant,
    ) -> Result<Vec<Result<Vec<String>, Failure>>, Failure>;
}

/// How long an idle connection is kept: well below the five minutes after which firewalls and address
/// translators drop it without notice.
const MAX_IDLE: Duration = Duration::from_secs(120);

/// A driver and its pool.
pub(super) struct Pooled<D: Driver> {
    /// Its name in the log.
    name: String,
    driver: D,
    pool: Pool<D::Connection>,
    connect_timeout: Duration,
    lifetime: Lifetime,
    outage: Outage,
    /// The account of this program at the server; a file has none.
    own: Option<OwnLogin>,
}

impl<D: Driver> Pooled<D> {
    pub(super) fn new(driver: D, settings: &Settings, lifetime: Lifetime) -> Self {
        let own = match &settings.kind {
            Kind::Sqlite(_) => None,
            Kind::Postgres(server) | Kind::Mysql(server) => {
                let password = server.password.as_ref().map_or("", |it| it.reveal());
                let user = server.user.as_bytes();
                Some(OwnLogin::new(&settings.kind, user, password.as_bytes()))
            }
        };
        let connections = NonZeroUsize::new(settings.connections).unwrap_or(NonZeroUsize::MIN);
        Self {
            name: settings.kind.to_string(),
            driver,
            pool: Pool::new(connections, MAX_IDLE),
            connect_timeout: settings.connect_timeout,
            lifetime,
            outage: Outage::default(),
            own,
        }
    }

    fn connect(&self, deadline: Instant) -> Result<D::Connection, Failure> {
        let bound = Instant::now() + self.connect_timeout;
        let attempt = self.own.as_ref().map(OwnLogin::attempt).transpose();
        let attempt = attempt.map_err(|closed| Failure::Denied(closed.to_string()))?;
        let connected = self.driver.connect(deadline.min(bound));
        match (attempt, connected) {
            (Some(attempt), Err(Failure::Denied(why))) => {
                attempt.refused(why.as_str());
                let when = "it is retried in a minute, or when the password changes";
                Err(Failure::Denied(format!("{why}; {when}")))
            }
            (Some(attempt), Ok(connection)) => {
                attempt.accepted();
                Ok(connection)
            }
            (_, connected) => connected,
        }
    }

    fn try_query(
        &self,
        statement: &Statement,
        values: Values<'_>,
        most: usize,
        deadline: Instant,
    ) -> Result<Rows, Failure> {
        let Some((mut seat, waiting)) = self.pool.take(deadline) else {
            return Err(Failure::TimedOut(
                "all connections to the database were in use".to_owned(),
            ));
        };
        // A question whose time is over before it starts says nothing about the database.
        if deadline.saturating_duration_since(Instant::now()) < LEAST {
            if let Some(connection) = waiting {
                seat.keep(connection);
            }
            return Err(Failure::TimedOut(
                "the time-out ended before the question was sent".to_owned(),
            ));
        }
        let waiting = waiting.filter(|connection| self.driver.is_current(connection));
        if let Some(mut connection) = waiting {
            let driver = &self.driver;
            match driver.query(&mut connection, statement, values, most, deadline) {
                Ok(rows) => {
                    if let Rows::All(_) = rows {
                        seat.keep(connection);
                    }
                    return Ok(rows);
                }
                Err(Failure::TimedOut(what)) => {
                    self.pool.forget();
                    return Err(Failure::TimedOut(what));
                }
                // The server has restarted, or the tables have changed: a new connection is needed.
                Err(Failure::Disconnected(_)) => self.pool.forget(),
                Err(Failure::Refused(_) | Failure::Denied(_)) => {}
            }
        }
        let mut connection = self.connect(deadline)?;
        seat.renew();
        let driver = &self.driver;
        let rows = driver.query(&mut connection, statement, values, most, deadline);
        // After too many rows, the rest are still on the connection.
        if let Ok(Rows::All(_)) | Err(Failure::Refused(_)) = rows {
            seat.keep(connection);
        }
        rows
    }

    /// Logs once that the database is unreachable, and once that it answers again. Each login has its own log
    /// line, so a process for one request needs no more. The failure of a single statement is not logged
    /// here: logins could flood the log.
    fn note<T>(&self, result: &Result<T, Failure>) {
        if self.lifetime == Lifetime::OneRequest {
            return;
        }
        match result {
            Ok(_) => {
                if self.outage.ends() {
                    log::info!("{} answers again", self.name);
                }
            }
            Err(failure @ (Failure::Disconnected(_) | Failure::Denied(_))) => {
                if self.outage.begins() {
                    log::error!("{}: {failure}", self.name);
                }
            }
            Err(Failure::TimedOut(_) | Failure::Refused(_)) => {}
        }
    }
}

impl<D: Driver> Database for Pooled<D> {
    fn query(
        &self,
        statement: &Statement,
        values: Values<'_>,
        most: usize,
        deadline: Instant,
    ) -> Result<Rows, Failure> {
        let result = self.try_query(statement, values, most, deadline);
        self.note(&result);
        result
    }

    fn columns(
        &self,
        statements: &[&Statement],
        deadline: Instant,
    ) -> Result<Vec<Result<Vec<String>, Failure>>, Failure> {
        let Some((mut seat, _)) = self.pool.take(deadline) else {
            return Err(Failure::TimedOut(
                "all connections to the database were in use".to_owned(),
            ));
        };
        let mut connection = self.connect(deadline)?;
        seat.renew();
        let mut columns = Vec::new();
        for statement in statements {
            let found = self.driver.columns(&mut connection, statement, deadline);
            match found {
                Err(
                    failure
                    @ (Failure::Disconnected(_) | Failure::TimedOut(_) | Failure::Denied(_)),
                ) => {
                    return Err(failure);
                }
                found => columns.push(found),
            }
        }
        if columns.iter().all(Result::is_ok) {
            seat.keep(connection);
        }
        Ok(columns)
    }
}
