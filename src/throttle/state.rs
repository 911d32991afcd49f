//! Where the counts are, for one process or for many.

use std::time::Instant;

use zeroize::Zeroizing;

use super::key::Key;
use super::record::Record;
use crate::secret::keyed_digest;

/// The most keys that are remembered. One takes some 150 bytes, one with the longest login 600.
pub(super) const MAX_KEYS: usize = 50_000;

/// What wrong passwords are digested with.
pub(super) type TagKey = Zeroizing<[u8; 32]>;

/// What changes records; they come in the order of their keys. It may be called again if others
/// changed them meanwhile.
pub(super) type Change<'a> = dyn FnMut(&mut [Record], u64) + 'a;

/// Why nothing was changed.
#[derive(Debug)]
pub(super) enum ChangeError {
    /// It failed; why, in words, without any secret.
    Failed(String),
    /// Others changed the same records, or held them, all the time.
    #[cfg(feature = "servers")]
    Contended,
}

impl ChangeError {
    /// In words.
    pub(super) fn message(self) -> String {
        match self {
            Self::Failed(what) => what,
            #[cfg(feature = "servers")]
            Self::Contended => "other processes changed the same counts at each attempt".to_owned(),
        }
    }
}

impl From<String> for ChangeError {
    fn from(what: String) -> Self {
        Self::Failed(what)
    }
}

/// The counts. Every call ends by its deadline; the error says what is wrong, in words, without any
/// secret.
pub(super) trait State: Send + Sync {
    /// The records of the keys, in their order, without what is over, and the time by the clock that
    /// they have.
    fn read(&self, keys: &[Key], deadline: Instant) -> Result<(Vec<Record>, u64), ChangeError>;

    /// Changes the records of the keys, all at once; they come back as they are then.
    fn change(
        &self,
        keys: &[Key],
        change: &mut Change<'_>,
        deadline: Instant,
    ) -> Result<Vec<Record>, ChangeError>;

    /// What all who share the counts digest wrong passwords with.
    fn tag_key(&self, deadline: Instant) -> Result<TagKey, String>;

    /// Tries whether all of this can be done, without a change to any count.
    fn test(&self, deadline: Instant) -> Result<(), String> {
        self.tag_key(deadline)?;
        match self.change(&[], &mut |_, _| {}, deadline) {
            Err(ChangeError::Failed(what)) => Err(what),
            #[cfg(feature = "servers")]
            Err(ChangeError::Contended) => Ok(()),
            Ok(_) => Ok(()),
        }
    }

    /// All that is remembered, in no order; no more than [`MAX_KEYS`].
    fn list(&self, deadline: Instant) -> Result<Vec<(Key, Record)>, String>;

    /// Reads all records of counts in memory, without a copy of them, and with the time of their clock.
    /// A record that is added or removed meanwhile can be missed, or move others so that they are missed or
    /// read twice. Other counts have none.
    fn each(&self, _look: &mut dyn FnMut(&Key, &Record, u64)) {}

    /// Forgets these keys.
    fn forget(&self, keys: &[Key], deadline: Instant) -> Result<(), String>;
}

/// Seconds since 1970: one clock for all processes of a machine.
pub(super) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// A new one.
pub(super) fn new_tag_key() -> Result<TagKey, String> {
    let key = keyed_digest::Key::random().ok_or("cannot get random bytes from the kernel")?;
    Ok(Zeroizing::new(*key.bytes()))
}

/// How long the process lives that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountingMode {
    /// As long as a server, which can count on its own meanwhile.
    Server,
    /// For one request: what it counts on its own is lost. So it waits for its turn as long as the
    /// request may take.
    OneRequest,
    /// It only looks: it makes no counts, and leaves what is damaged to others.
    ReadOnly,
}
