//! Where the counts are stored: in one process, one machine, or a server.

use std::fmt;
#[cfg(feature = "sql")]
use std::path::PathBuf;
use std::time::Instant;

use zeroize::Zeroizing;

use super::key::Key;
use super::record::{Record, Spans};
use crate::secret::keyed_digest;

/// The maximum number of keys. A key takes about 150 bytes, one with the longest login 600.
pub(super) const MAX_KEYS: usize = 50_000;

/// The secret of the digests of wrong passwords.
pub(super) type TagKey = Zeroizing<[u8; 32]>;

/// Where the counts are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the memory of the process.
    Memory,
    /// In an SQLite file, for all processes of the machine.
    #[cfg(feature = "sql")]
    Sqlite(PathBuf),
    /// In Redis or Valkey, for all machines.
    #[cfg(feature = "redis")]
    Redis(Box<super::redis::Settings>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            #[cfg(feature = "sql")]
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            #[cfg(feature = "redis")]
            Self::Redis(settings) => settings.fmt(f),
        }
    }
}

/// Changes records, which are in the order of their keys. It may be called again after a conflict with
/// another client.
pub(super) type Change<'a> = dyn FnMut(&mut [Record], u64) + 'a;

/// Why nothing was changed.
#[derive(Debug)]
pub(super) enum Unchanged {
    /// The change failed; the text says why, without any secret.
    Failed(String),
    /// Other clients kept changing the same records, or held their lock.
    #[cfg(any(feature = "sql", feature = "redis"))]
    Contended,
}

impl Unchanged {
    /// The reason in words.
    pub(super) fn words(self) -> String {
        match self {
            Self::Failed(what) => what,
            #[cfg(any(feature = "sql", feature = "redis"))]
            Self::Contended => "others change the counts all the time".to_owned(),
        }
    }
}

impl From<String> for Unchanged {
    fn from(what: String) -> Self {
        Self::Failed(what)
    }
}

/// The counts. Every call ends by its deadline. The error is a text without any secret.
pub(super) trait State: Send + Sync {
    /// The records of the keys, in their order and without expired parts, and the time of the clock that the
    /// counts use.
    fn read(&self, keys: &[Key], deadline: Instant) -> Result<(Vec<Record>, u64), Unchanged>;

    /// Changes the records of all keys in one step; returns the changed records.
    fn change(
        &self,
        keys: &[Key],
        change: &mut Change<'_>,
        deadline: Instant,
    ) -> Result<Vec<Record>, Unchanged>;

    /// The secret that all users of the counts digest wrong passwords with.
    fn tag_key(&self, deadline: Instant) -> Result<TagKey, String>;

    /// Tests whether all of this is possible, without changing a count.
    fn test(&self, deadline: Instant) -> Result<(), String> {
        self.tag_key(deadline)?;
        match self.change(&[], &mut |_, _| {}, deadline) {
            Err(Unchanged::Failed(what)) => Err(what),
            #[cfg(any(feature = "sql", feature = "redis"))]
            Err(Unchanged::Contended) => Ok(()),
            Ok(_) => Ok(()),
        }
    }

    /// All records, in no order; at most [`MAX_KEYS`].
    fn list(&self, deadline: Instant) -> Result<Vec<(Key, Record)>, String>;

    /// Removes these keys.
    fn forget(&self, keys: &[Key], deadline: Instant) -> Result<(), String>;
}

/// Seconds since 1970: the common clock of all processes of a machine.
#[cfg(feature = "sql")]
pub(super) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// A new secret.
pub(super) fn new_tag_key() -> Result<TagKey, String> {
    let key = keyed_digest::Key::random().ok_or("the kernel gives no random bytes")?;
    Ok(Zeroizing::new(*key.bytes()))
}

/// How long the counting process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// As long as a server, which can count alone while the shared counts are unavailable.
    ForLong,
    /// For one request: its own counts are lost. So it waits for its turn as long as the request may take.
    Once,
    /// It only reads: it creates no counts and does not repair damaged ones.
    Never,
}

/// Opens the counts; connects to nothing yet.
#[cfg_attr(not(feature = "sql"), expect(unused_variables))]
pub(super) fn open(place: &Place, spans: Spans, counting: Counting) -> Box<dyn State> {
    match place {
        Place::Memory => Box::new(super::memory::Memory::new(spans)),
        #[cfg(feature = "sql")]
        Place::Sqlite(path) => Box::new(super::sqlite::Sqlite::new(path.clone(), spans, counting)),
        #[cfg(feature = "redis")]
        Place::Redis(settings) => Box::new(super::redis::Redis::new(settings, spans)),
    }
}
