//! Counts in an SQLite file, shared by all processes of a machine, including CGI processes.

use std::fs::{self, OpenOptions};
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior,
    params,
};
use zeroize::Zeroizing;

use super::key::Key;
use super::record::{Record, Spans};
use super::state::{Change, ChangeError, CountingMode, MAX_KEYS, State, TagKey, new_tag_key, now};
use crate::sys::sandbox;
use crate::sys::semaphore::{Requester, Semaphore};
use crate::sys::trusted_file::path::TrustedPath;
use crate::sys::trusted_file::{Identity, database, identify};

/// The version of the file's tables, in `PRAGMA user_version`.
const VERSION: i64 = 1;

/// One row for each key, and one with the secret of the password digests.
const TABLES: &str = "
    CREATE TABLE record (
        key BLOB PRIMARY KEY, record BLOB NOT NULL, exempt INTEGER NOT NULL, until INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE tag_key (key BLOB NOT NULL);
    PRAGMA user_version = 1;
";

/// The rows that are read at a time: less than a millisecond of work.
const PAGE: i64 = 250;

/// One change in this many removes expired records.
const TIDY_EVERY: u32 = 256;

/// Counts in a file. The program creates the file when it is needed, readable for its own user only.
///
/// SQLite's locks order the processes. A killed process leaves no lock behind, and the next process undoes
/// its unfinished change (SQLite's rollback journal). Nothing is synced to the disk. A killed process loses
/// nothing by that. After a power failure, the counts of the last seconds may be lost; syncing them would
/// make every wrong password wait for the disk several times. A file that such a failure damaged is created
/// again.
pub(super) struct Sqlite {
    path: PathBuf,
    spans: Spans,
    counting: CountingMode,
    /// One thread at a time. If the disk hangs, the other threads wait for their turn only until their
    /// deadline.
    turns: Semaphore,
    opened: Mutex<Option<Opened>>,
}

/// An open file, and its identity.
struct Opened {
    connection: Connection,
    place: TrustedPath,
    identity: Identity,
}

impl Sqlite {
    pub(super) fn new(path: PathBuf, spans: Spans, counting: CountingMode) -> Self {
        Self {
            path,
            spans,
            counting,
            turns: Semaphore::new(NonZeroUsize::MIN),
            opened: Mutex::default(),
        }
    }

    /// Works on the file; opens it first if it is not open, or if another file has its name.
    fn with<T>(
        &self,
        deadline: Instant,
        work: impl FnOnce(&mut Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, ChangeError> {
        let named = |what: &dyn std::fmt::Display| format!("{}: {what}", self.path.display());
        let _turn = self
            .turns
            .acquire(Requester::default(), deadline)
            .ok_or_else(|| named(&"no answer in time"))?;
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let left = deadline.saturating_duration_since(Instant::now());
        let kept = opened.take().filter(|opened| {
            identify(&self.path).is_ok_and(|identity| identity == opened.identity)
        });
        let mut current = match kept {
            Some(kept) => kept,
            None => self.open(left)?,
        };
        let acting = current.place.act().map_err(|error| named(&error))?;
        let result = current
            .connection
            .busy_timeout(left)
            .and_then(|()| work(&mut current.connection))
            .map_err(|error| self.fault(&error, Some(&current)))?;
        drop(acting);
        *opened = Some(current);
        Ok(result)
    }

    /// Turns an error into words. Removes a damaged file if it is still the one that was opened.
    fn fault(&self, error: &rusqlite::Error, opened: Option<&Opened>) -> ChangeError {
        let path = self.path.display();
        let code = error.sqlite_error_code();
        let busy = matches!(
            code,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
        );
        if busy && self.counting == CountingMode::OneRequest {
            return ChangeError::Contended;
        }
        if code == Some(ErrorCode::DatabaseCorrupt)
            && self.counting != CountingMode::ReadOnly
            && let Some(opened) = opened
            && identify(&self.path).ok() == Some(opened.identity)
        {
            // SQLite must not apply the rollback journal of the old file to the new one.
            let mut journal = opened.place.path.clone().into_os_string();
            journal.push("-journal");
            let removed = match fs::remove_file(journal) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => fs::remove_file(&opened.place.path),
            };
            let removed = match removed {
                Ok(()) => "the file was removed and is created again".to_owned(),
                Err(error) => format!("cannot remove the file: {error}"),
            };
            return ChangeError::Failed(format!("{path}: {error}; {removed}"));
        }
        ChangeError::Failed(format!("{path}: {error}"))
    }

    fn open(&self, timeout: Duration) -> Result<Opened, ChangeError> {
        let named = |error: rusqlite::Error| self.fault(&error, None);
        let failed =
            |error: io::Error| format!("{}: {error}{}", self.path.display(), sandbox::hint(&error));
        let located = || database::locate(&self.path).map_err(|problem| problem.to_string());
        let mut place = located()?;
        let acting = place.act().map_err(failed)?;
        if place.metadata.is_none() {
            create(&place.path).map_err(failed)?;
        }
        drop(acting);
        // Another process may have created it.
        if place.metadata.is_none() {
            place = located()?;
        }
        let identity = identify(&place.path).map_err(failed)?;
        let access = match self.counting {
            CountingMode::ReadOnly => OpenFlags::SQLITE_OPEN_READ_ONLY,
            CountingMode::Server | CountingMode::OneRequest => OpenFlags::SQLITE_OPEN_READ_WRITE,
        };
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let acting = place.act().map_err(failed)?;
        let mut connection = Connection::open_with_flags(&place.path, flags).map_err(named)?;
        connection.busy_timeout(timeout).map_err(named)?;
        // A sandbox has no folder for temporary files.
        connection
            .pragma_update(None, "temp_store", "MEMORY")
            .and_then(|()| connection.pragma_update(None, "synchronous", "OFF"))
            .map_err(named)?;
        let version = |connection: &Connection| {
            connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))
        };
        match version(&connection).map_err(named)? {
            VERSION => {}
            0 => {
                let make = |connection: &mut Connection| {
                    let change =
                        connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                    // Another process may have created the tables meanwhile.
                    if version(&change)? != 0 {
                        return Ok(true);
                    }
                    let empty = !change.query_row(
                        "SELECT EXISTS (SELECT * FROM sqlite_schema)",
                        [],
                        |row| row.get::<_, bool>(0),
                    )?;
                    if empty {
                        change.execute_batch(TABLES)?;
                        change.commit()?;
                    }
                    Ok(empty)
                };
                if !make(&mut connection).map_err(named)? {
                    let path = self.path.display();
                    return Err(format!(
                        "{path}: is the database of another program: name another \
                        file in state"
                    )
                    .into());
                }
            }
            other => {
                let path = self.path.display();
                return Err(format!("{path}: is of version {other}, not {VERSION}").into());
            }
        }
        drop(acting);
        // The opened file is the one that was checked.
        if identify(&place.path).map_err(failed)? != identity {
            return Err(format!(
                "{}: was replaced during the \
                operation",
                self.path.display()
            )
            .into());
        }
        Ok(Opened {
            connection,
            place,
            identity,
        })
    }

    /// Whether the file has no counts yet.
    fn is_to_be_made(&self) -> Result<bool, String> {
        let place = database::locate(&self.path).map_err(|problem| problem.to_string())?;
        Ok(place.metadata.is_none_or(|file| file.len() == 0))
    }

    fn tidy(&self, change: &Transaction<'_>, now: u64) -> Result<(), rusqlite::Error> {
        // Records that expire later than any new one can were written before the clock was set back.
        let end = now.saturating_add(self.spans.longest());
        change.execute(
            "DELETE FROM record WHERE until NOT BETWEEN ?1 AND ?2",
            [signed(now), signed(end)],
        )?;
        let count: i64 = change.query_row("SELECT count(*) FROM record", [], |row| row.get(0))?;
        let bound = i64::try_from(MAX_KEYS).unwrap_or(i64::MAX);
        if count > bound {
            change.execute(
                "DELETE FROM record WHERE key IN \
                 (SELECT key FROM record ORDER BY exempt, until LIMIT ?1)",
                [count - bound + bound / 10],
            )?;
        }
        Ok(())
    }
}

/// Creates the file if there is none, readable for its own user only.
fn create(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    match options.write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The record of a key; an unreadable one counts as none.
fn fetch(connection: &Connection, key: &Key) -> Result<Record, rusqlite::Error> {
    connection
        .prepare_cached("SELECT record FROM record WHERE key = ?1")?
        .query_row([key.encode()], |row| row.get::<_, Vec<u8>>(0))
        .optional()
        .map(|found| {
            let record = found.and_then(|bytes| Record::decode(&bytes));
            record.unwrap_or_default()
        })
}

fn keep(
    change: &Transaction<'_>,
    key: &Key,
    record: &Record,
    spans: Spans,
) -> Result<(), rusqlite::Error> {
    let key = key.encode();
    if record.is_empty() {
        change
            .prepare_cached("DELETE FROM record WHERE key = ?1")?
            .execute([key])?;
    } else {
        let row = (
            key,
            record.encode().into_bytes(),
            record.succeeded != 0,
            signed(record.until(spans)),
        );
        change
            .prepare_cached("INSERT OR REPLACE INTO record VALUES (?1, ?2, ?3, ?4)")?
            .execute(row)?;
    }
    Ok(())
}

impl State for Sqlite {
    fn read(&self, keys: &[Key], deadline: Instant) -> Result<(Vec<Record>, u64), ChangeError> {
        let now = now();
        if self.counting == CountingMode::ReadOnly && self.is_to_be_made()? {
            return Ok((vec![Record::default(); keys.len()], now));
        }
        let records = self.with(deadline, |connection| {
            // One transaction: all records as of the same moment.
            let look = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
            let read = |key| {
                let mut record = fetch(&look, key)?;
                record.settle(now, self.spans);
                Ok(record)
            };
            keys.iter().map(read).collect::<Result<_, _>>()
        })?;
        Ok((records, now))
    }

    fn change(
        &self,
        keys: &[Key],
        change: &mut Change<'_>,
        deadline: Instant,
    ) -> Result<Vec<Record>, ChangeError> {
        let now = now();
        self.with(deadline, |connection| {
            let writing = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut records = Vec::with_capacity(keys.len());
            for key in keys {
                let mut record = fetch(&writing, key)?;
                record.settle(now, self.spans);
                records.push(record);
            }
            change(&mut records, now);
            for (key, record) in keys.iter().zip(&records) {
                keep(&writing, key, record, self.spans)?;
            }
            let tick = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
            if tick.subsec_micros().is_multiple_of(TIDY_EVERY) {
                self.tidy(&writing, now)?;
            }
            writing.commit()?;
            Ok(records)
        })
    }

    fn tag_key(&self, deadline: Instant) -> Result<TagKey, String> {
        let fresh = new_tag_key()?;
        self.with(deadline, |connection| {
            let select = |connection: &Connection| {
                let read = |row: &rusqlite::Row<'_>| row.get::<_, [u8; 32]>(0);
                let found = connection.query_row("SELECT key FROM tag_key", [], read);
                found.optional()
            };
            if let Some(key) = select(connection)? {
                return Ok(Zeroizing::new(key));
            }
            let writing = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let key = match select(&writing)? {
                Some(key) => Zeroizing::new(key),
                None => {
                    writing.execute("INSERT INTO tag_key VALUES (?1)", [&fresh[..]])?;
                    fresh.clone()
                }
            };
            writing.commit()?;
            Ok(key)
        })
        .map_err(ChangeError::message)
    }

    /// Reads some rows at a time: a change waits until a read has ended.
    fn list(&self, deadline: Instant) -> Result<Vec<(Key, Record)>, String> {
        let now = now();
        let (mut list, mut last) = (Vec::new(), Vec::new());
        loop {
            let page = self.with(deadline, |connection| {
                let mut some = connection.prepare_cached(
                    "SELECT key, record FROM record WHERE key > ?1 ORDER BY key LIMIT ?2",
                )?;
                let rows = some.query_map(params![last, PAGE], |row| {
                    Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?))
                })?;
                rows.collect::<Result<Vec<_>, _>>()
            });
            let page = page.map_err(ChangeError::message)?;
            for (key, record) in &page {
                if let (Some(key), Some(mut record)) = (Key::decode(key), Record::decode(record)) {
                    record.settle(now, self.spans);
                    list.push((key, record));
                }
            }
            match page.into_iter().next_back() {
                Some((key, _)) if list.len() < MAX_KEYS => last = key,
                _ => return Ok(list),
            }
        }
    }

    fn forget(&self, keys: &[Key], deadline: Instant) -> Result<(), String> {
        self.with(deadline, |connection| {
            let writing = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for key in keys {
                keep(&writing, key, &Record::default(), self.spans)?;
            }
            writing.commit()
        })
        .map_err(ChangeError::message)
    }
}

#[cfg(test)]
mod tests;
