//! The common part of the network databases: a connection with the runtime that drives it.
//!
//! Threads answer logins. So each connection has its own runtime, which runs on the thread that asks, and
//! only while it asks: threads do not wait for each other, and a program without such a database starts no
//! runtime.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::Connection;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use super::database::Failure;
use super::relay::{Meter, Relay, Session};

/// The time-out of ending a connection.
const GOODBYE: Duration = Duration::from_millis(100);

/// A connection and the runtime that drives it.
pub(super) struct RunningConnection<C: Connection> {
    // Both are present until the connection is dropped.
    connection: Option<C>,
    runtime: Option<Runtime>,
    relay: Option<JoinHandle<()>>,
    meter: Arc<Meter>,
    /// Whether the server waits for a question.
    sound: bool,
}

impl<C: Connection> RunningConnection<C> {
    /// Opens a relay, then connects the driver to it.
    pub(super) fn open(
        deadline: Instant,
        relay: impl AsyncFnOnce(&Arc<Meter>) -> io::Result<Relay>,
        connect: impl AsyncFnOnce(PathBuf) -> Result<C, sqlx::Error>,
    ) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Failure::disconnected)?;
        let mut line = Self {
            connection: None,
            runtime: Some(runtime),
            relay: None,
            meter: Arc::default(),
            sound: false,
        };
        let meter = Arc::clone(&line.meter);
        let connected = line.wait(deadline, async {
            let relay = relay(&meter).await?;
            Ok((connect(relay.path).await?, relay.running))
        });
        let (connection, running) = connected.map_err(|error| match error {
            // A server that refuses this program has not received a statement.
            Failure::Refused(what) => Failure::Disconnected(what),
            Failure::TimedOut(_) => Failure::Disconnected("it did not answer in time".to_owned()),
            other @ (Failure::Disconnected(_) | Failure::Denied(_)) => other,
        })?;
        line.connection = Some(connection);
        line.relay = Some(running);
        line.sound = true;
        Ok(line)
    }

    /// The peer of a PostgreSQL connection.
    pub(super) fn session(&self) -> &Session {
        &self.meter.session
    }

    /// Runs an operation on the connection, until the deadline.
    pub(super) fn run<T>(
        &mut self,
        deadline: Instant,
        work: impl AsyncFnOnce(&mut C) -> Result<T, sqlx::Error>,
    ) -> Result<T, Failure> {
        let gone = || Failure::Disconnected("the connection is closed".to_owned());
        let mut connection = self.connection.take().ok_or_else(gone)?;
        self.sound = false;
        self.meter.renew();
        let result = self.wait(deadline, work(&mut connection));
        // A connection with an unread rest of an answer is not used again.
        self.sound = matches!(result, Ok(_) | Err(Failure::Refused(_)));
        self.connection = Some(connection);
        result
    }

    fn wait<T>(
        &self,
        deadline: Instant,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, Failure> {
        let Some(runtime) = &self.runtime else {
            return Err(Failure::Disconnected("the connection is closed".to_owned()));
        };
        let bounded = async { tokio::time::timeout_at(deadline.into(), work).await };
        // The drivers trust the server to follow the protocol.
        match catch_unwind(AssertUnwindSafe(|| runtime.block_on(bounded))) {
            Err(_) => Err(Failure::Disconnected(
                "the driver failed on the answer of the server".to_owned(),
            )),
            Ok(Err(_)) => Err(Failure::TimedOut("the statement took too long".to_owned())),
            // The driver only knows that its connection ended.
            Ok(Ok(Err(error))) => Err(match self.meter.reason() {
                Some(reason) if !matches!(error, sqlx::Error::Database(_)) => {
                    Failure::disconnected(reason)
                }
                _ => failure(&error),
            }),
            Ok(Ok(Ok(value))) => Ok(value),
        }
    }
}

impl<C: Connection> Drop for RunningConnection<C> {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        if let Some(connection) = self.connection.take() {
            // Without a regular end, MariaDB logs an aborted connection.
            if self.sound {
                let relay = self.relay.take();
                let goodbye = async {
                    tokio::time::timeout(GOODBYE, async {
                        let _ = connection.close().await;
                        // The message has been sent by then.
                        if let Some(relay) = relay {
                            let _ = relay.await;
                        }
                    })
                    .await
                };
                let _ = catch_unwind(AssertUnwindSafe(|| runtime.block_on(goodbye)));
            } else {
                let _within = runtime.enter();
                drop(connection);
            }
        }
        // A look-up of the host's name may still be running on another thread.
        runtime.shutdown_background();
    }
}

fn failure(error: &sqlx::Error) -> Failure {
    let sqlx::Error::Database(refusal) = error else {
        return match error {
            sqlx::Error::Io(error) => Failure::disconnected(error),
            sqlx::Error::Tls(error) => Failure::disconnected(format_args!("TLS: {error}")),
            other => Failure::disconnected(other),
        };
    };
    let code = refusal.code().unwrap_or_default();
    let mysql = refusal
        .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
        .map_or(0, sqlx::mysql::MySqlDatabaseError::number);
    match (&*code, mysql) {
        // PostgreSQL 15, appendix A: query_canceled, by statement_timeout; MySQL's
        // ER_QUERY_TIMEOUT; MariaDB's ER_STATEMENT_TIMEOUT.
        ("57014", _) | (_, 3024 | 1969) => {
            Failure::TimedOut("the statement took too long".to_owned())
        }
        // PostgreSQL's classes of lost connections, of too few resources and of shutdowns; MySQL's
        // and MariaDB's ER_SERVER_SHUTDOWN, ER_CONNECTION_KILLED, ER_CON_COUNT_ERROR,
        // ER_CLIENT_INTERACTION_TIMEOUT.
        ("08P01", _) if refusal.message().contains("startup parameter") => {
            let what = refusal.message();
            Failure::disconnected(format_args!(
                "{what}: name it in ignore_startup_parameters of PgBouncer"
            ))
        }
        (code, number)
            if ["08", "53", "57P"]
                .iter()
                .any(|class| code.starts_with(class))
                || matches!(number, 1053 | 1927 | 3169 | 1040 | 4031) =>
        {
            Failure::disconnected(refusal.message())
        }
        // PostgreSQL's invalid_authorization_specification and invalid_password; MySQL's and MariaDB's
        // ER_ACCESS_DENIED_ERROR, ER_ACCESS_DENIED_NO_PASSWORD_ERROR, ER_MUST_CHANGE_PASSWORD,
        // ER_MUST_CHANGE_PASSWORD_LOGIN, ER_ACCOUNT_HAS_BEEN_LOCKED, ER_USER_IS_BLOCKED,
        // ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK.
        ("28000", 0) if refusal.message().contains("client certificate") => {
            let what = refusal.message();
            Failure::denied(format_args!(
                "{what}, which is not supported: use scram-sha-256"
            ))
        }
        ("28000" | "28P01", 0) | (_, 1045 | 1698 | 1820 | 1862 | 3118 | 3955 | 4150 | 4151) => {
            Failure::denied(refusal.message())
        }
        _ => Failure::refused(refusal.message()),
    }
}
