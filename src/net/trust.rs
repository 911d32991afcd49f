//! The trusted certificates of connections, reloaded when the system's change.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::ClientConfig;

use crate::net::tls::{CaFile, SystemCertificates};
use crate::sys::trusted_file::{Fingerprint, fingerprint};

/// How long the files of the system count as unchanged after a check.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How soon they are read again if none of them could be read.
const TRY_AGAIN: Duration = Duration::from_secs(3);

/// How soon they are read again if some of them could not be read.
const COMPLETE: Duration = Duration::from_secs(60);

/// How long they must be unchanged before they are read again.
const SETTLED: Duration = Duration::from_millis(300);

/// The trusted certificates: those of a file of the configuration, or else those of the system.
///
/// They are loaded at first use: reading those of the system costs a CGI process more than all its
/// other work. Those of the system are read again when its files have changed. Those of the
/// configuration are part of it and change with it.
pub struct Trust {
    ca_file: Option<CaFile>,
    client: Fresh<ClientConfig>,
}

impl Trust {
    /// Trusts the certificates in the file, or else those of the system.
    pub fn new(ca_file: Option<CaFile>) -> Self {
        Self {
            ca_file,
            client: Fresh::default(),
        }
    }

    /// The settings for TLS connections; the error says which certificates cannot be used, and why.
    pub fn config(&self) -> Result<Arc<ClientConfig>, String> {
        match &self.ca_file {
            Some(file) => self.client.once(|| file.client()),
            None => self.client.of_system(SystemCertificates::client),
        }
    }
}

/// A value made from certificates. It is made again when the certificates of the system change.
struct Fresh<T>(Mutex<Option<Made<T>>>);

struct Made<T> {
    made: Arc<T>,
    /// The files that it was made from; `None` if they are not the system's, so that it does not
    /// change.
    files: Option<Files>,
}

/// The files of the system with their fingerprints when they were read.
struct Files {
    seen: Vec<(PathBuf, Option<Fingerprint>)>,
    complete: bool,
    read: Instant,
    look: Instant,
}

impl<T> Default for Fresh<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Fresh<T> {
    /// The value if it does not depend on the system.
    fn once(&self, make: impl FnOnce() -> Result<T, String>) -> Result<Arc<T>, String> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = &*kept {
            return Ok(Arc::clone(&kept.made));
        }
        Ok(Self::keep(&mut kept, make()?, None))
    }

    /// The value from the certificates of the system. Its files are checked at most once a second.
    /// While they cannot be read, the earlier value stays in use.
    fn of_system(
        &self,
        make: impl FnOnce(&SystemCertificates) -> Result<T, String>,
    ) -> Result<Arc<T>, String> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(kept) = &mut *kept
            && !kept
                .files
                .as_mut()
                .is_some_and(|files| files.are_outdated(now))
        {
            return Ok(Arc::clone(&kept.made));
        }
        match SystemCertificates::read().and_then(|system| Ok((make(&system)?, system))) {
            Ok((made, system)) => {
                let files = Files {
                    seen: system.seen,
                    complete: system.complete,
                    read: now,
                    look: now + LOOK_AGAIN,
                };
                Ok(Self::keep(&mut kept, made, Some(files)))
            }
            Err(error) => {
                let kept = kept.as_mut().ok_or_else(|| error.clone())?;
                log::warn!("{error}: the certificates that were read before stay in force");
                if let Some(files) = &mut kept.files {
                    files.look = now + TRY_AGAIN;
                }
                Ok(Arc::clone(&kept.made))
            }
        }
    }

    fn keep(kept: &mut Option<Made<T>>, made: T, files: Option<Files>) -> Arc<T> {
        let made = Arc::new(made);
        *kept = Some(Made {
            made: Arc::clone(&made),
            files,
        });
        made
    }
}

impl Files {
    /// Whether they have changed and have settled since.
    fn are_outdated(&mut self, instant: Instant) -> bool {
        if instant < self.look {
            return false;
        }
        self.look = instant + LOOK_AGAIN;
        if !self.complete && instant.duration_since(self.read) >= COMPLETE {
            return true;
        }
        let now = SystemTime::now();
        let mut changed = false;
        for (path, seen) in &self.seen {
            let found = fingerprint(path).ok();
            if found != *seen {
                if found.is_some_and(|found| found.is_fresh(now, SETTLED)) {
                    return false;
                }
                changed = true;
            }
        }
        changed
    }
}
