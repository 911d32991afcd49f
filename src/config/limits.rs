//! `[limits]`: limits of the program's work.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::checker::Checker;
use super::source::unplaced;
use crate::secret::MAX_HASH_MS;

/// `[limits]`: limits of the program's work.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Limits {
    /// The maximum number of password hashes computed at the same time, at most 1024. Default: 0, the number
    /// of cores.
    pub(super) max_hashes: Spanned<i64>,
    /// Milliseconds that the hash of one password may take, estimated from its parameters; 1 to 10000.
    /// Default: 500.
    pub(super) max_hash_ms: Spanned<i64>,
    /// A folder that makes all processes of this machine share one limit of hashes. Default: each process has
    /// its own limit.
    pub(super) hash_locks: Option<Spanned<String>>,
    /// The number of logins whose right password is cached, as a keyed digest in memory, so that it is not
    /// hashed again; at most 10000000. Default: 100000; 0: no cache.
    pub(super) remembered_logins: Spanned<i64>,
    /// Seconds that a decision may take, 1 to 30. Default: 5.
    pub(super) deadline: Spanned<i64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_hashes: unplaced(0),
            max_hash_ms: unplaced(MAX_HASH_MS.into()),
            hash_locks: None,
            remembered_logins: unplaced(100_000),
            deadline: unplaced(5),
        }
    }
}

/// `[limits]`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    /// The maximum number of password hashes computed at the same time. `None`: the number of cores; only a
    /// server process reads that number, because this takes too long for a CGI request.
    pub max_hashes: Option<NonZeroUsize>,
    /// The maximum work for the hash of one password, in milliseconds.
    pub max_hash_ms: u32,
    /// The folder through which all processes of this machine share one limit of hashes, with its line and
    /// column in the configuration.
    pub hash_locks: Option<(PathBuf, (usize, usize))>,
    /// The number of logins whose right password is cached.
    pub remembered_logins: usize,
    /// How long a decision may take.
    pub deadline: Duration,
}

impl LimitsConfig {
    /// The maximum number of password hashes computed at the same time.
    pub fn max_hashes(&self) -> NonZeroUsize {
        self.max_hashes
            .unwrap_or_else(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }
}

impl Checker<'_> {
    pub(super) fn limits(&mut self, limits: &Limits) -> LimitsConfig {
        let max_hashes = self.number("limits.max-hashes", &limits.max_hashes, 0..=1024);
        let remembered = &limits.remembered_logins;
        let deadline = self.number("limits.deadline", &limits.deadline, 1..=30);
        let hash_locks = limits.hash_locks.as_ref().and_then(|folder| {
            let position = self.source.position(folder.span().start);
            Some((self.folder("limits.hash-locks", Some(folder))?, position))
        });
        LimitsConfig {
            max_hashes: NonZeroUsize::new(max_hashes),
            max_hash_ms: self.number("limits.max-hash-ms", &limits.max_hash_ms, 1..=10_000),
            hash_locks,
            remembered_logins: self.number("limits.remembered-logins", remembered, 0..=10_000_000),
            deadline: Duration::from_secs(deadline),
        }
    }
}
