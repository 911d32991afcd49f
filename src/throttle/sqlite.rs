//! Counts in an SQLite file, for all processes of a machine, however short they live.

use std::fs::{self, OpenOptions};
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior};
use rustix::process::geteuid;
use zeroize::Zeroizing;

use super::key::Key;
use super::record::{Record, Spans};
use super::state::{Change, MAX_KEYS, State, TagKey, Unchanged, new_tag_key, now};
use crate::sandbox;
use crate::turnstile::Turnstile;

/// What the file holds; `PRAGMA user_version` says so.
const VERSION: i64 = 1;

/// One row for each key, and one with what wrong passwords are digested with.
const TABLES: &str = "
    CREATE TABLE record (
        key BLOB PRIMARY KEY, record BLOB NOT NULL, exempt INTEGER NOT NULL, until INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE tag_key (key BLOB NOT NULL);
    PRAGMA user_version = 1;
";

/// One change in so many looks for records that are over.
const TIDY_EVERY: u32 = 256;

/// Counts in a file. It is made when it is needed, readable for nobody else.
///
/// SQLite's locks order the processes; one that is killed leaves no lock behind, and what it had
/// not finished is undone by the next (SQLite's rollback journal).
pub(super) struct Sqlite {
    path: PathBuf,
    spans: Spans,
    /// One thread at a time. A disk that hangs must not hold the others: they wait for a turn by
    /// their deadline only.
    turns: Turnstile,
    opened: Mutex<Option<Opened>>,
}

/// An open file, and which one it is.
struct Opened {
    connection: Connection,
    /// Device and inode.
    identity: (u64, u64),
}

impl Sqlite {
    pub(super) fn new(path: PathBuf, spans: Spans) -> Self {
        Self {
            path,
            spans,
            turns: Turnstile::new(NonZeroUsize::MIN),
            opened: Mutex::default(),
        }
    }

    /// Works on the file, which is opened if it is not, or if another is in its place.
    fn with<T>(
        &self,
        deadline: Instant,
        work: impl FnOnce(&mut Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, String> {
        let named = |what: &dyn std::fmt::Display| format!("{}: {what}", self.path.display());
        let _turn = self
            .turns
            .enter(deadline)
            .ok_or_else(|| named(&"it takes too long"))?;
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let left = deadline.saturating_duration_since(Instant::now());
        let kept = opened.take().filter(|opened| {
            identify(&self.path).is_ok_and(|identity| identity == opened.identity)
        });
        let mut current = match kept {
            Some(kept) => kept,
            None => self.open(left)?,
        };
        let result = current
            .connection
            .busy_timeout(left)
            .and_then(|()| work(&mut current.connection))
            .map_err(|error| named(&error))?;
        *opened = Some(current);
        Ok(result)
    }

    fn open(&self, timeout: Duration) -> Result<Opened, String> {
        let named = |error: rusqlite::Error| format!("{}: {error}", self.path.display());
        create(&self.path).map_err(|error| {
            format!("{}: {error}{}", self.path.display(), sandbox::hint(&error))
        })?;
        let identity =
            identify(&self.path).map_err(|what| format!("{}: {what}", self.path.display()))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&self.path, flags).map_err(named)?;
        connection.busy_timeout(timeout).map_err(named)?;
        // A sandbox has no folder for temporary files.
        connection
            .pragma_update(None, "temp_store", "MEMORY")
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
                    // Another process may have been faster.
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
                    return Err(format!("{}: is another database", self.path.display()));
                }
            }
            other => {
                let path = self.path.display();
                return Err(format!("{path}: is of version {other}, not {VERSION}"));
            }
        }
        Ok(Opened {
            connection,
            identity,
        })
    }

    fn tidy(&self, change: &Transaction<'_>, now: u64) -> Result<(), rusqlite::Error> {
        // What would go on for longer than anything was noted before the clock was set back.
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

/// Makes the file if there is none, readable for nobody else. One that root makes belongs to the
/// owner of the folder, so that `check` does not shut the program out.
fn create(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let file = match options.write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    };
    if let (true, Some(folder)) = (geteuid().is_root(), path.parent()) {
        let owner = fs::metadata(folder)?;
        fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

/// Which file it is. It must be one that nobody else writes; the error says why it is not.
fn identify(path: &Path) -> Result<(u64, u64), String> {
    let file = fs::symlink_metadata(path).map_err(|error| error.to_string())?;
    let ours = geteuid();
    // Where everybody may make files, somebody may have made this one to be taken for ours.
    let planted = || {
        let folder = path.parent().and_then(|folder| fs::metadata(folder).ok());
        folder.is_some_and(|folder| folder.mode() & 0o002 != 0 && folder.uid() != file.uid())
    };
    if !file.is_file() {
        Err("is not a regular file".to_owned())
    } else if ours.is_root() && file.uid() != 0 && planted() {
        Err(format!(
            "belongs to user {}, and everybody may make files in its folder",
            file.uid()
        ))
    } else if !ours.is_root() && file.uid() != ours.as_raw() {
        Err(format!(
            "belongs to user {}, not to the one we run as",
            file.uid()
        ))
    } else if file.mode() & 0o022 != 0 {
        Err("may be written by others: chmod go-w".to_owned())
    } else {
        Ok((file.dev(), file.ino()))
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The record of a key; one that cannot be read counts as none.
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
    fn read(&self, keys: &[Key], deadline: Instant) -> Result<Vec<Record>, String> {
        let now = now();
        self.with(deadline, |connection| {
            // All as of one moment.
            let look = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
            let read = |key| {
                let mut record = fetch(&look, key)?;
                record.settle(now, self.spans);
                Ok(record)
            };
            keys.iter().map(read).collect()
        })
    }

    fn change(
        &self,
        keys: &[Key],
        change: &mut Change<'_>,
        deadline: Instant,
    ) -> Result<Vec<Record>, Unchanged> {
        let now = now();
        let changed = self.with(deadline, |connection| {
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
        });
        Ok(changed?)
    }

    fn now(&self) -> u64 {
        now()
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
    }

    fn list(&self, deadline: Instant) -> Result<Vec<(Key, Record)>, String> {
        let now = now();
        let bound = i64::try_from(MAX_KEYS).unwrap_or(i64::MAX);
        self.with(deadline, |connection| {
            let mut all = connection
                .prepare("SELECT key, record FROM record ORDER BY until DESC LIMIT ?1")?;
            let rows = all.query_map([bound], |row| {
                Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?))
            })?;
            let mut list = Vec::new();
            for row in rows {
                let (key, record) = row?;
                if let (Some(key), Some(mut record)) = (Key::decode(&key), Record::decode(&record))
                {
                    record.settle(now, self.spans);
                    list.push((key, record));
                }
            }
            Ok(list)
        })
    }

    fn forget(&self, keys: &[Key], deadline: Instant) -> Result<(), String> {
        self.with(deadline, |connection| {
            let writing = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for key in keys {
                keep(&writing, key, &Record::default(), self.spans)?;
            }
            writing.commit()
        })
    }
}
