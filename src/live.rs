//! The service that is in force while a server runs, and its reload.
//!
//! mod_fcgid sends no signal when a file has changed, so the files are looked at as requests come,
//! at most once a second. A broken version is reported once and the one before stays in force.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError, RwLock, TryLockError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::answer::Messages;
use crate::fcgi::{Application, NoRequest};
use crate::files::{Fingerprint, fingerprint};
use crate::params::{Params, Peer};
use crate::problem::Problem;
use crate::refusal::{Refusal, Trouble};
use crate::request::Outline;
use crate::sandbox::Sandbox;
use crate::service::{Service, Watched, refuse};

/// How long the files are taken to be unchanged after a look.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long a file must have been left alone before it is loaded: one that is written in place is
/// half a file for a moment, and half a file can look whole.
const SETTLED: Duration = Duration::from_millis(300);

/// How long after a failed load it is tried again though no file seems to have changed: what it
/// lacks may be a file that it never got to.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// How long a request waits for the first configuration that can be loaded: as long as a decision
/// may take.
const FIRST_LOAD: Duration = Duration::from_secs(5);

/// How long the request that has seen a change waits for the new version: its user may have been
/// taken out hours ago.
const LOAD: Duration = Duration::from_secs(1);

/// The service in force, if there is one, and what is needed to renew it.
pub struct Live(Arc<Inner>);

struct Inner {
    path: PathBuf,
    sandbox: Option<Sandbox>,
    /// `None` as long as no configuration could be loaded: every login gets the temporary failure.
    current: RwLock<Option<Arc<Service>>>,
    watch: Mutex<Watch>,
}

/// The files as they were at the last load, good or bad.
struct Watch {
    files: Watched,
    looked: Instant,
    loaded: Instant,
    problems: Vec<Problem>,
}

impl Watch {
    /// The files that are not what they were, as they are now; `None` for one that is gone.
    fn changed(&self) -> Vec<Option<Fingerprint>> {
        let now = |(path, seen): &(PathBuf, Option<Fingerprint>)| {
            let now = fingerprint(path).ok();
            (now != *seen).then_some(now)
        };
        self.files.iter().filter_map(now).collect()
    }
}

impl Live {
    /// Loads the configuration at `path`, in the sandbox that this process is in.
    pub fn open(path: &Path, sandbox: Option<Sandbox>) -> Result<Self, Vec<Problem>> {
        let inner = Inner::empty(path, sandbox);
        let mut watch = inner.lock_watch();
        inner.load(&mut watch);
        let problems = std::mem::take(&mut watch.problems);
        drop(watch);
        if problems.is_empty() {
            Ok(Self(Arc::new(inner)))
        } else {
            Err(problems)
        }
    }

    /// Loads the configuration at `path`; if that fails, logs why, answers the temporary failure
    /// and looks again, in the sandbox that this process is in. For a process that a web server starts: were it to end instead,
    /// mod_fcgid would soon stop starting it.
    pub fn open_anyway(path: &Path, sandbox: Option<Sandbox>) -> Self {
        let inner = Inner::empty(path, sandbox);
        inner.load_and_report(&mut inner.lock_watch());
        Self(Arc::new(inner))
    }

    /// The service in force.
    pub fn current(&self) -> Option<Arc<Service>> {
        self.0.current()
    }

    fn look_safely(&self) {
        if catch_unwind(AssertUnwindSafe(|| self.look())).is_err() {
            log::error!("looking for changed files failed by a bug");
        }
    }

    /// Loads again if a file has changed, at most once a second. That may take as long as databases,
    /// DNS and slow disks do, so all requests meanwhile get the service that is still in force, and
    /// only this one waits, but not for ever.
    fn look(&self) {
        if !self.0.is_outdated() {
            return;
        }
        let load = |inner: &Inner| inner.load_and_report(&mut inner.lock_watch());
        let inner = Arc::clone(&self.0);
        let (done, loaded) = channel();
        let started = thread::Builder::new()
            .name("reload".to_owned())
            .spawn(move || {
                load(&inner);
                let _nobody_waits_any_more = done.send(());
            });
        if started.is_err() {
            load(&self.0);
        } else {
            let patience = self.current().map_or(FIRST_LOAD, |_| LOAD);
            let _in_time_or_not = loaded.recv_timeout(patience);
        }
    }
}

impl Inner {
    fn empty(path: &Path, sandbox: Option<Sandbox>) -> Self {
        let now = Instant::now();
        let watch = Watch {
            files: Vec::new(),
            looked: now,
            loaded: now,
            problems: Vec::new(),
        };
        Self {
            path: path.to_path_buf(),
            sandbox,
            current: RwLock::new(None),
            watch: Mutex::new(watch),
        }
    }

    fn current(&self) -> Option<Arc<Service>> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Looks at the files, at most once a second, and not while they are being loaded.
    fn is_outdated(&self) -> bool {
        let mut watch = match self.watch.try_lock() {
            Ok(watch) => watch,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        if watch.looked.elapsed() < LOOK_AGAIN {
            return false;
        }
        let changed = watch.changed();
        let now = SystemTime::now();
        if changed
            .iter()
            .flatten()
            .any(|file| file.is_fresh(now, SETTLED))
        {
            return false;
        }
        watch.looked = Instant::now();
        let overdue = !watch.problems.is_empty() && watch.loaded.elapsed() >= TRY_AGAIN;
        !changed.is_empty() || overdue
    }

    fn load_and_report(&self, watch: &mut Watch) {
        let before = std::mem::take(&mut watch.problems);
        self.load(watch);
        if watch.problems.is_empty() {
            log::info!("{}: loaded", self.path.display());
        } else if watch.problems != before {
            let kept = self.current().map_or(
                "every login gets the temporary failure",
                |_| "the version before stays in force",
            );
            for problem in &watch.problems {
                log::error!("{problem}; {kept}");
            }
        }
    }

    /// Puts a new service in force, or leaves `watch.problems`.
    fn load(&self, watch: &mut Watch) {
        let mut files = Watched::new();
        let before = self.current();
        // A load that fails may not tell which files it would need: those of the version in force
        // are the ones that are likely to come right again.
        let before_files = before.iter().flat_map(|before| &before.config().files);
        let known: Watched = before_files
            .map(|(path, _)| (path.clone(), fingerprint(path).ok()))
            .collect();
        let opened = Service::open_in(
            self.sandbox.as_ref(),
            &self.path,
            before.as_deref(),
            &mut files,
        );
        watch.loaded = Instant::now();
        watch.looked = watch.loaded;
        match opened {
            Ok(service) => {
                crate::journal::set_level(service.config().log_level);
                for warning in service.warnings() {
                    log::warn!("{warning}");
                }
                let service = Some(Arc::new(service));
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = service;
                watch.problems.clear();
            }
            Err(problems) => {
                watch.problems = problems;
                files.extend(known);
            }
        }
        watch.files = files;
    }

    fn lock_watch(&self) -> std::sync::MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse(&self, why: Refusal, outline: &Outline<'_>, out: &mut Vec<u8>) {
        let service = self.current();
        let default = Messages::default();
        let messages = service
            .as_ref()
            .map_or(&default, |service| &service.config().messages);
        refuse(why, outline, messages, Instant::now(), out);
    }
}

impl Application for Live {
    fn admits(&self, peer: Peer) -> bool {
        let admitted = || {
            let service = self.current();
            service.is_none_or(|service| service.config().fronts.may_connect(peer))
        };
        if admitted() {
            return true;
        }
        // Where all are turned away no request comes that would have the files looked at.
        self.look_safely();
        admitted()
    }

    fn respond(&self, peer: Peer, params: &Params<'_>, out: &mut Vec<u8>) {
        self.look_safely();
        match self.current() {
            Some(service) => service.respond(peer, params, out).wait(),
            None => {
                let why = Refusal::Temporary(Trouble::NoConfiguration);
                self.0.refuse(why, &Outline::of(params), out);
            }
        }
    }

    fn respond_without_request(&self, why: NoRequest, out: &mut Vec<u8>) {
        let why = match why {
            NoRequest::Aborted | NoRequest::TooSlow => Trouble::Aborted.into(),
            NoRequest::Overloaded => Trouble::Overloaded.into(),
            NoRequest::TooLarge => Refusal::TooLarge,
            NoRequest::Malformed => Refusal::Malformed,
        };
        self.0.refuse(why, &Outline::of(&Params::bounded(0)), out);
    }

    fn reload(&self) {
        let mut watch = self.0.lock_watch();
        // Whoever asks wants to hear of the problems again.
        watch.problems.clear();
        self.0.load_and_report(&mut watch);
    }
}

/// Answers every login with the temporary failure: for a process that a web server starts, and
/// that cannot be made to work.
pub struct Unusable;

impl Application for Unusable {
    fn respond(&self, _: Peer, params: &Params<'_>, out: &mut Vec<u8>) {
        unusable(&Outline::of(params), out);
    }

    fn respond_without_request(&self, _: NoRequest, out: &mut Vec<u8>) {
        unusable(&Outline::of(&Params::bounded(0)), out);
    }

    fn reload(&self) {}
}

fn unusable(outline: &Outline<'_>, out: &mut Vec<u8>) {
    let why = Refusal::Temporary(Trouble::NoConfiguration);
    refuse(why, outline, &Messages::default(), Instant::now(), out);
}
