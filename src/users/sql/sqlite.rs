//! The driver for SQLite: a file, opened read-only.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::limits::Limit;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::database::{Driver, Failure, Rows};
use super::row::{Row, Value};
use super::statement::Statement;
use crate::net::QUESTION_BYTES;
use crate::sys::trusted_file::path::{ActingAsService, TrustedPath};
use crate::sys::trusted_file::{Identity, database, identify};
use crate::users::placeholder::Values;

/// The number of steps of SQLite's virtual machine between two checks of the clock: about 0.1 ms.
const STEPS: std::ffi::c_int = 1000;

/// The limits of a query (sqlite.org/limits.html): the writer of the table is not trusted with this program's
/// memory. The length is that of a value and of a row.
const LIMITS: [(Limit, std::ffi::c_int); 3] = [
    (Limit::SQLITE_LIMIT_LENGTH, 1024 * 1024),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
];

/// How long a connection waits for a lock before it retries.
const LOCK_PAUSE: Duration = Duration::from_millis(2);

/// A database file.
pub(super) struct Sqlite {
    path: PathBuf,
    /// The start of the connections' clocks.
    start: Instant,
}

/// An open file, and its identity.
pub(super) struct Opened {
    connection: Connection,
    place: TrustedPath,
    identity: Identity,
    /// The end of the running statement, in milliseconds from the start.
    until: Arc<AtomicU64>,
}

impl Sqlite {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            start: Instant::now(),
        }
    }

    fn millis(&self, instant: Instant) -> u64 {
        let span = instant.saturating_duration_since(self.start);
        // Rounded up, so that no statement ends too early.
        u64::try_from(span.as_millis())
            .unwrap_or(u64::MAX)
            .saturating_add(1)
    }

    fn failure(&self, error: &rusqlite::Error, until: &AtomicU64) -> Failure {
        let late = self.millis(Instant::now()) > until.load(Ordering::Relaxed);
        let code = error.sqlite_error_code();
        match code {
            Some(ErrorCode::OperationInterrupted) if late => {
                Failure::TimedOut("the statement took too long".to_owned())
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Failure::TimedOut(
                format!("{} is locked by another program", self.path.display()),
            ),
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::NotADatabase
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::SystemIoFailure
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly,
            ) => Failure::disconnected(format_args!("{}: {error}", self.path.display())),
            _ => Failure::refused(error),
        }
    }
}

/// SQLite creates the `-shm` file beside a database, and as root changes its owner. So if root opens the
/// database of a service, this runs with the rights of the service's user.
fn act(place: &TrustedPath) -> Result<ActingAsService, Failure> {
    let failed = |error| {
        Failure::disconnected(format_args!(
            "{}: cannot work with the rights of its owner: {error}",
            place.path.display()
        ))
    };
    place.act().map_err(failed)
}

impl Driver for Sqlite {
    type Connection = Opened;

    fn connect(&self, _deadline: Instant) -> Result<Opened, Failure> {
        let located = database::locate(&self.path).map_err(Failure::disconnected)?;
        let unreadable = |error| {
            Failure::disconnected(format_args!(
                "{}: cannot be read: {error}",
                self.path.display()
            ))
        };
        let identity = identify(&self.path).map_err(unreadable)?;
        let until = Arc::new(AtomicU64::new(0));
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let failure = |error| self.failure(&error, &until);
        let acting = act(&located)?;
        let mut connection = Connection::open_with_flags(&located.path, flags).map_err(failure)?;
        drop(acting);
        for (limit, most) in LIMITS {
            connection.set_limit(limit, most).map_err(failure)?;
        }
        let start = self.start;
        let clock = until.clone();
        let is_over = move || {
            let passed = start.elapsed().as_millis();
            passed >= u128::from(clock.load(Ordering::Relaxed))
        };
        let wait = is_over.clone();
        connection
            .progress_handler(STEPS, Some(is_over))
            .map_err(failure)?;
        connection
            .busy_handler(Some(move |_| {
                std::thread::sleep(LOCK_PAUSE);
                !wait()
            }))
            .map_err(failure)?;
        // The opened file is the one that was checked.
        if identify(&self.path).ok() != Some(identity) {
            return Err(Failure::disconnected(format_args!(
                "{}: is being replaced at the moment",
                self.path.display()
            )));
        }
        Ok(Opened {
            connection,
            place: located,
            identity,
            until,
        })
    }

    /// `false` if another file has replaced it.
    fn is_current(&self, opened: &Opened) -> bool {
        identify(&self.path).is_ok_and(|identity| identity == opened.identity)
    }

    fn query(
        &self,
        opened: &mut Opened,
        statement: &Statement,
        values: Values<'_>,
        most: usize,
        deadline: Instant,
    ) -> Result<Rows, Failure> {
        let _acting = act(&opened.place)?;
        let Opened {
            connection, until, ..
        } = opened;
        until.store(self.millis(deadline), Ordering::Relaxed);
        let failure = |error| self.failure(&error, until);
        let mut prepared = connection.prepare_cached(&statement.sql).map_err(failure)?;
        if !statement.has(prepared.parameter_count()) {
            return Err(Failure::misplaced());
        }
        match read(&mut prepared, statement, values, most) {
            Ok(Some(rows)) => Ok(rows),
            Ok(None) => Err(Failure::refused(format_args!(
                "its rows have more than {QUESTION_BYTES} bytes"
            ))),
            Err(error) => Err(failure(error)),
        }
    }

    fn columns(
        &self,
        opened: &mut Opened,
        statement: &Statement,
        deadline: Instant,
    ) -> Result<Vec<String>, Failure> {
        let _acting = act(&opened.place)?;
        opened.until.store(self.millis(deadline), Ordering::Relaxed);
        let prepared = opened
            .connection
            .prepare(&statement.sql)
            .map_err(|error| self.failure(&error, &opened.until))?;
        if !statement.has(prepared.parameter_count()) {
            return Err(Failure::misplaced());
        }
        if !prepared.readonly() {
            return Err(Failure::refused("it writes, and the file is only read"));
        }
        let names = prepared.column_names();
        Ok(names.into_iter().map(str::to_owned).collect())
    }
}

/// `None` if the rows have too many bytes.
fn read(
    prepared: &mut rusqlite::Statement<'_>,
    statement: &Statement,
    values: Values<'_>,
    most: usize,
) -> rusqlite::Result<Option<Rows>> {
    for (index, placeholder) in statement.placeholders.iter().enumerate() {
        let value = values.of(*placeholder);
        prepared.raw_bind_parameter(index + 1, bound(value.as_deref()))?;
    }
    let mut rows = prepared.raw_query();
    let mut all = Vec::new();
    let mut left = QUESTION_BYTES;
    while let Some(row) = rows.next()? {
        if all.len() == most {
            return Ok(Some(Rows::TooMany));
        }
        // Only after the first step, which prepares the statement again if the tables have changed.
        let names = row.as_ref().column_names();
        let mut values = Vec::with_capacity(names.len());
        for (index, name) in names.into_iter().enumerate() {
            let raw = row.get_ref(index)?;
            let bytes = match raw {
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
                ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => 0,
            };
            let Some(rest) = left.checked_sub(bytes.saturating_add(name.len())) else {
                return Ok(None);
            };
            left = rest;
            values.push((name.to_owned(), value(raw)));
        }
        all.push(Row(values));
    }
    Ok(Some(Rows::All(all)))
}

/// Text if it is UTF-8, else a blob, which only equals a blob.
fn bound(value: Option<&[u8]>) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match value {
        None => ValueRef::Null,
        Some(bytes) if str::from_utf8(bytes).is_ok() => ValueRef::Text(bytes),
        Some(bytes) => ValueRef::Blob(bytes),
    })
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Value::bytes(bytes),
    }
}
