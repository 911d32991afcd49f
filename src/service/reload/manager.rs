//! What the log and the service manager get to know about the state of a running server.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use jiff::Timestamp;
use log::Level;

use super::{Inner, ReloadingService};
use crate::service::lifecycle::{Started, Stopped};
use crate::sys::logger;
use crate::sys::notify::Notify;

/// The service manager, and what it was told.
#[derive(Default)]
pub(super) struct Manager {
    notify: OnceLock<Notify>,
    /// The names of the sockets that web servers connect to.
    sockets: OnceLock<Vec<String>>,
    told: Mutex<String>,
    /// When the configuration that is in force was loaded.
    loaded: Mutex<Option<Timestamp>>,
}

impl Manager {
    /// A configuration takes effect now.
    pub(super) fn note_load(&self) {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        *loaded = Some(Timestamp::now());
    }

    fn loaded(&self) -> Option<Timestamp> {
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReloadingService {
    /// Names the sockets that this service will be served on, and the service manager that is told
    /// when its state changes.
    pub fn announce(&self, sockets: Vec<String>, notify: Notify) {
        let _first = self.0.manager.sockets.set(sockets);
        let _first = self.0.manager.notify.set(notify);
    }
}

/// A reload that a signal asked for. Its end is told to the service manager on drop, also after a
/// bug: systemd would wait for it.
pub(super) struct Reloading<'a>(&'a Inner);

impl Drop for Reloading<'_> {
    fn drop(&mut self) {
        if let Some(notify) = self.0.manager.notify.get() {
            let status = self.0.status();
            notify.ready(&status);
            *self.0.told() = status;
        }
    }
}

impl Inner {
    fn told(&self) -> MutexGuard<'_, String> {
        let told = self.manager.told.lock();
        told.unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn started(self: &Arc<Self>) {
        let service = self.current();
        let started = Started {
            config: &self.path,
            sockets: self.manager.sockets.get().map_or(&[], Vec::as_slice),
            sandbox: self.sandbox.as_ref(),
            service: service.as_deref(),
        };
        logger::event(Level::Info, &started);
        let Some(notify) = self.manager.notify.get() else {
            return;
        };
        let status = self.status();
        notify.ready(&status);
        *self.told() = status;
        let watched = Arc::clone(self);
        // It must be possible to read the current version: each login does.
        if let Err(error) = notify.keep_alive(move || drop(watched.current())) {
            log::error!("cannot start the thread for the watchdog: {error}");
        }
    }

    pub(super) fn reloading(&self) -> Reloading<'_> {
        if let Some(notify) = self.manager.notify.get() {
            notify.reloading("Loading changed files");
        }
        Reloading(self)
    }

    pub(super) fn stopping(&self, signal: &str) {
        if let Some(notify) = self.manager.notify.get() {
            notify.stopping(&format!(
                "Ending after {signal}: answering the last requests"
            ));
        }
    }

    pub(super) fn stopped(&self, signal: &str) {
        let stopped = Stopped {
            signal,
            requests: self.answered.load(Ordering::Relaxed),
            uptime: self.started.elapsed(),
        };
        logger::event(Level::Info, &stopped);
    }

    /// Tells the service manager the state, if it has changed.
    pub(super) fn tell_manager(&self) {
        let Some(notify) = self.manager.notify.get() else {
            return;
        };
        let status = self.status();
        let mut told = self.told();
        if *told != status {
            notify.status(&status);
            *told = status;
        }
    }

    /// The state in one sentence.
    fn status(&self) -> String {
        let Some(loaded) = self.manager.loaded() else {
            return "No usable configuration, every login gets the temporary failure: see the log"
                .to_owned();
        };
        let mut status = format!("Answering; configuration of {loaded:.0}");
        if self.configuration.has_failed() {
            status += &format!(
                "; {} has changed and cannot be used, the previous version stays in force: see the log",
                self.path.display()
            );
        }
        let users = self.users().clone();
        let failed = users
            .iter()
            .filter(|users| users.loader.has_failed())
            .count();
        let folders = self.folders().clone();
        let failed = failed + folders.iter().map(|folder| folder.failed()).sum::<usize>();
        if failed > 0 {
            status += &format!("; password files that cannot be loaded: {failed}, see the log");
        }
        status
    }
}
