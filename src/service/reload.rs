//! The current service of a running server, and its reload.
//!
//! mod_fcgid sends no signal when a file changes, so each request checks the files, at most once a
//! second. A broken version is reported once, and the previous one stays in use.
//!
//! Each unit that is loaded as a whole has a `Loader`: the configuration with its keys and
//! certificates, and each password file with its app passwords. No loader waits for another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::StatusConfig;
use crate::front::pace::SendTime;
use crate::front::params::{Params, Peer};
use crate::front::{Application, Load, NoRequest};
use crate::nginx::answer::Messages;
use crate::nginx::refusal::{Refusal, Trouble};
use crate::nginx::request::Outline;
use crate::service::{Service, cause_of, refuse, status};
use crate::sys::problem::Problem;
use crate::sys::sandbox::Sandbox;
use crate::sys::trusted_file::ObservedFiles;
use crate::sys::trusted_file::fingerprint;
use crate::users::file::domains::DomainFiles;

mod domains;
mod folders;
mod freshness;
mod loader;
mod manager;
mod standing;
mod users;

use domains::FolderLoader;
use loader::{LoadRun, Loader, Outcome};
use manager::Manager;
use users::UsersLoader;

/// How long the files count as unchanged after a check.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The same while a file has just changed.
const LOOK_SOON: Duration = Duration::from_millis(50);

/// How long a request waits for the first configuration that loads: as long as a decision may take.
const FIRST_LOAD: Duration = Duration::from_secs(5);

/// How long the request that found a change waits for the new version: its user may have been
/// removed hours ago.
const LOAD: Duration = Duration::from_secs(1);

/// How long a signal is handled: longer than the time for a file that keeps changing. The next
/// request loads the rest.
const SIGNAL: Duration = Duration::from_secs(8);

/// The text in the log about a version that is not used.
const KEPT: &str = "the previous version stays in force";

/// The current service, if there is one, with the state for reloading it.
pub struct ReloadingService(Arc<Inner>);

struct Inner {
    path: PathBuf,
    sandbox: Option<Sandbox>,
    /// The load of the server, once it has started.
    load: OnceLock<Arc<Load>>,
    /// `[status]` of a configuration that could not be loaded; used while there is no other.
    status: Mutex<StatusConfig>,
    /// `None` until a configuration has been loaded: every login gets the temporary failure.
    current: RwLock<Option<Arc<Service>>>,
    looked: Mutex<Instant>,
    /// Whether to check again soon.
    soon: AtomicBool,
    configuration: Loader,
    /// The loaders of the current service's password files.
    users: Mutex<Vec<Arc<UsersLoader>>>,
    /// The loaders of the folders with a file for each domain.
    folders: Mutex<Vec<Arc<FolderLoader>>>,
    manager: Manager,
    started: Instant,
    /// The number of answers.
    answered: AtomicU64,
}

impl ReloadingService {
    /// Loads the configuration at `path`, in the sandbox that this process is in.
    pub fn open(path: &Path, sandbox: Option<Sandbox>) -> Result<Self, Vec<Problem>> {
        let inner = Inner::empty(path, sandbox);
        match inner.open_now() {
            Some(Outcome::Failed(problems)) => Err(problems),
            Some(Outcome::Loaded(_) | Outcome::Unfinished(_)) | None => Ok(Self(Arc::new(inner))),
        }
    }

    /// Loads the configuration at `path` in the sandbox of this process. If that fails, it logs
    /// why, answers with the temporary failure and tries again. For a process that a web server
    /// starts: if it ended instead, mod_fcgid would soon stop starting it.
    pub fn open_anyway(path: &Path, sandbox: Option<Sandbox>) -> Self {
        let inner = Inner::empty(path, sandbox);
        inner.configuration.ask();
        inner.load_configuration();
        Self(Arc::new(inner))
    }

    /// The current service.
    pub fn current(&self) -> Option<Arc<Service>> {
        self.0.current()
    }

    /// Checks the files, at most once a second, and loads those that changed. Databases, DNS and
    /// slow disks can make that slow, so all other requests use the current version, and only this
    /// one waits, with a time-out.
    fn check_files(&self) {
        if !self.0.is_time_to_look() {
            return;
        }
        let patience = self.current().map_or(FIRST_LOAD, |_| LOAD);
        let _in_time_or_not = self.spawn_check().recv_timeout(patience);
    }

    /// Checks the files and loads those that changed, in a separate thread: a file system that
    /// hangs blocks only that thread. The channel closes when it is done.
    fn spawn_check(&self) -> Receiver<()> {
        let (done, over) = channel();
        let inner = Arc::clone(&self.0);
        let started = thread::Builder::new()
            .name("reload".to_owned())
            .spawn(move || {
                inner.check_files_unwinding();
                drop(done);
            });
        if started.is_err() {
            self.0.check_files_unwinding();
        }
        over
    }
}

impl Inner {
    fn empty(path: &Path, sandbox: Option<Sandbox>) -> Self {
        status::start();
        Self {
            path: path.to_path_buf(),
            sandbox,
            load: OnceLock::new(),
            status: Mutex::default(),
            current: RwLock::new(None),
            looked: Mutex::new(Instant::now()),
            soon: AtomicBool::new(false),
            configuration: Loader::new(path.to_path_buf(), Vec::new()),
            users: Mutex::default(),
            folders: Mutex::default(),
            manager: Manager::default(),
            started: Instant::now(),
            answered: AtomicU64::new(0),
        }
    }

    fn current(&self) -> Option<Arc<Service>> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn users(&self) -> MutexGuard<'_, Vec<Arc<UsersLoader>>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folders(&self) -> MutexGuard<'_, Vec<Arc<FolderLoader>>> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a loader has work soon or is working.
    fn is_busy(&self) -> bool {
        let (users, folders) = (self.users().clone(), self.folders().clone());
        self.configuration.is_busy()
            || users.iter().any(|users| users.loader.is_busy())
            || folders.iter().any(|folder| folder.is_busy())
    }

    fn is_time_to_look(&self) -> bool {
        let mut looked = match self.looked.try_lock() {
            Ok(looked) => looked,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        let pause = match self.soon.load(Ordering::Relaxed) {
            true => LOOK_SOON,
            false => LOOK_AGAIN,
        };
        let due = looked.elapsed() >= pause;
        if due {
            *looked = Instant::now();
        }
        due
    }

    fn check_files_unwinding(&self) {
        let check_files = || {
            // Users first: a removed user must not stay accepted while a database is slow.
            let users = self.users().clone();
            users.iter().for_each(|users| self.look_at_users(users));
            let folders = self.folders().clone();
            folders.iter().for_each(|folder| self.load_domains(folder));
            self.load_configuration();
        };
        if catch_unwind(AssertUnwindSafe(check_files)).is_err() {
            log::error!("this is a bug: checking for changed files panicked");
        }
        self.soon.store(self.is_busy(), Ordering::Relaxed);
        self.tell_manager();
    }

    /// Loads everything for the first time.
    fn open_now(&self) -> Option<Outcome> {
        self.configuration.ask();
        match self.configuration.enter() {
            Some(run) if run.is_due() => self.load(&run),
            Some(_) | None => None,
        }
    }

    fn load_configuration(&self) {
        let Some(run) = self.configuration.enter() else {
            return;
        };
        if !run.is_due() {
            return;
        }
        let Some(outcome) = self.load(&run) else {
            return;
        };
        let nothing = "every login gets the temporary failure";
        run.report(outcome, self.current().map_or(nothing, |_| KEPT));
    }

    /// Makes a new service the current one, if it is valid and its files are complete.
    fn load(&self, run: &LoadRun<'_>) -> Option<Outcome> {
        let before = self.current();
        // A failed load may not know all its files: those of the current version are the ones that
        // are likely to be repaired.
        let before_files = before.iter().flat_map(|before| &before.config().files);
        let known: ObservedFiles = before_files
            .map(|(path, _)| (path.clone(), fingerprint(path).ok()))
            .collect();
        let (mut files, mut unfinished) = (ObservedFiles::new(), Vec::new());
        let opened = Service::open_in(
            self.sandbox.as_ref(),
            &self.path,
            before.as_deref(),
            &mut files,
            &mut unfinished,
        );
        if !run.is_wanted() {
            return None;
        }
        // If there is no current service, the new one is used as it is.
        if before.is_some() {
            unfinished = run.still_unfinished(unfinished);
            if !unfinished.is_empty() {
                run.watch(files);
                return Some(Outcome::Unfinished(unfinished));
            }
        }
        match opened {
            Ok(service) => {
                let read = service.config().files.iter();
                if !run.match_last_check(read.map(|(path, version)| (&**path, version))) {
                    return None;
                }
                service.config().log.apply();
                for warning in service.warnings() {
                    log::warn!("{warning}");
                }
                run.watch(files);
                let changes = before.map(|before| service.changes_since(&before));
                self.put_in_force(service);
                Some(Outcome::Loaded(changes.unwrap_or_default()))
            }
            Err(problems) => {
                if before.is_none() {
                    self.keep_status();
                }
                files.extend(known);
                run.watch(files);
                Some(Outcome::Failed(problems))
            }
        }
    }

    fn put_in_force(&self, service: Service) {
        let service = Arc::new(service);
        self.manager.note_load();
        let mut loaders = self.users();
        let mut new: Vec<Arc<UsersLoader>> = Vec::new();
        for file in service.users_files() {
            let is_its = |users: &&Arc<UsersLoader>| Arc::ptr_eq(&users.file, file);
            if new.iter().any(|users| is_its(&users)) {
                continue;
            }
            let kept = loaders.iter().find(is_its).cloned();
            new.push(kept.unwrap_or_else(|| Arc::new(UsersLoader::new(file))));
        }
        *loaders = new;
        drop(loaders);
        let mut loaders = self.folders();
        let folder = |store: &Arc<DomainFiles>| {
            let is_its = |folder: &&Arc<FolderLoader>| Arc::ptr_eq(&folder.store, store);
            let kept = loaders.iter().find(is_its).cloned();
            kept.unwrap_or_else(|| Arc::new(FolderLoader::new(store)))
        };
        let new = service.domain_files().iter().map(folder).collect();
        *loaders = new;
        drop(loaders);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let old = current.replace(service);
        drop(current);
        // Closing its connections may take a moment, so no lock is held.
        drop(old);
    }

    fn refuse(&self, why: Refusal, outline: &Outline<'_>, out: &mut Vec<u8>) {
        let service = self.current();
        let default = Messages::default();
        let messages = service
            .as_ref()
            .map_or(&default, |service| &service.config().messages);
        let _at_once = refuse(why, outline, messages, Instant::now(), out);
    }
}

impl Application for ReloadingService {
    fn attach(&self, load: Arc<Load>) {
        let _only_once = self.0.load.set(load);
    }

    fn admits(&self, peer: Peer) -> bool {
        let admitted = || {
            let service = self.current();
            service.is_none_or(|service| service.config().fronts.may_connect(peer))
        };
        if admitted() {
            return true;
        }
        // If every connection is refused, no request triggers a check of the files.
        self.check_files();
        admitted()
    }

    fn respond(&self, peer: Peer, params: &Params<'_>, out: &mut Vec<u8>) -> SendTime {
        self.check_files();
        let service = self.current();
        if self.0.shows_status(service.as_deref(), peer, params, out) {
            return SendTime::AtOnce;
        }
        self.0.answered.fetch_add(1, Ordering::Relaxed);
        match service {
            Some(service) => service.respond(peer, params, out),
            None => {
                let why = Refusal::Temporary(Trouble::NoConfiguration);
                self.0.refuse(why, &Outline::of(params), out);
                SendTime::AtOnce
            }
        }
    }

    fn respond_without_request(&self, why: NoRequest, out: &mut Vec<u8>) {
        self.0.answered.fetch_add(1, Ordering::Relaxed);
        self.0
            .refuse(cause_of(why), &Outline::of(&Params::bounded(0)), out);
    }

    /// Returns when everything that changed is loaded, except for work that would delay the next
    /// reload.
    fn reload(&self) {
        let _ready_at_the_end = self.0.reloading();
        self.0.configuration.ask();
        let users = self.0.users().clone();
        users
            .iter()
            .for_each(|users| users.loader.ask_if_in_trouble());
        let folders = self.0.folders().clone();
        folders.iter().for_each(|folder| folder.ask_if_in_trouble());
        let started = Instant::now();
        loop {
            let _in_time_or_not = self.spawn_check().recv_timeout(LOAD);
            if !self.0.is_busy() || started.elapsed() >= SIGNAL {
                return;
            }
            thread::sleep(LOOK_SOON);
        }
    }

    fn started(&self) {
        self.0.started();
    }

    fn stopping(&self, signal: &str) {
        self.0.stopping(signal);
    }

    fn stopped(&self, signal: &str) {
        self.0.stopped(signal);
    }
}

/// Answers every login with the temporary failure: for a process that a web server starts and that
/// cannot work.
pub struct TemporaryFailureOnly;

impl Application for TemporaryFailureOnly {
    fn respond(&self, _: Peer, params: &Params<'_>, out: &mut Vec<u8>) -> SendTime {
        if status::is_of_a_browser(params) {
            status::unavailable(out);
            return SendTime::AtOnce;
        }
        unusable(&Outline::of(params), out);
        SendTime::AtOnce
    }

    fn respond_without_request(&self, _: NoRequest, out: &mut Vec<u8>) {
        unusable(&Outline::of(&Params::bounded(0)), out);
    }
}

fn unusable(outline: &Outline<'_>, out: &mut Vec<u8>) {
    let why = Refusal::Temporary(Trouble::NoConfiguration);
    let _at_once = refuse(why, outline, &Messages::default(), Instant::now(), out);
}
