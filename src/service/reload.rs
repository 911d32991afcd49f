//! The service that is in force while a server runs, and its reload.
//!
//! mod_fcgid sends no signal when a file has changed, so the files are looked at as requests come,
//! at most once a second. A broken version is reported once and the one before stays in force.
//!
//! What is loaded as one has a `Lane`: the configuration with the keys and certificates that it
//! names, and each password file with its app passwords. A lane waits for no other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use crate::front::pace::Departure;
use crate::front::params::{Params, Peer};
use crate::front::{Application, NoRequest};
use crate::nginx::answer::Messages;
use crate::nginx::refusal::{Refusal, Trouble};
use crate::nginx::request::Outline;
use crate::service::{Service, cause_of, refuse};
use crate::sys::problem::Problem;
use crate::sys::sandbox::Sandbox;
use crate::sys::trusted_file::Watched;
use crate::sys::trusted_file::fingerprint;
use crate::users::file::domains::DomainFiles;

mod domains;
mod folders;
mod freshness;
mod lane;
mod users;

use domains::FolderLane;
use lane::{Lane, Outcome, Turn};
use users::UsersLane;

/// How long the files are taken to be unchanged after a look.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The same while a file has changed just now.
const LOOK_SOON: Duration = Duration::from_millis(50);

/// How long a request waits for the first configuration that can be loaded: as long as a decision
/// may take.
const FIRST_LOAD: Duration = Duration::from_secs(5);

/// How long the request that has seen a change waits for the new version: its user may have been
/// taken out hours ago.
const LOAD: Duration = Duration::from_secs(1);

/// How long a signal is seen to: longer than a file that changes all the time is waited for. What
/// is not loaded then is a matter of the next request.
const SIGNAL: Duration = Duration::from_secs(8);

/// What is said of a version that does not come into force.
const KEPT: &str = "the version before stays in force";

/// The service in force, if there is one, and what is needed to renew it.
pub struct Live(Arc<Inner>);

struct Inner {
    path: PathBuf,
    sandbox: Option<Sandbox>,
    /// `None` as long as no configuration could be loaded: every login gets the temporary failure.
    current: RwLock<Option<Arc<Service>>>,
    looked: Mutex<Instant>,
    /// Whether to look again before long.
    soon: AtomicBool,
    configuration: Lane,
    /// Those of the password files of the service in force.
    users: Mutex<Vec<Arc<UsersLane>>>,
    /// Those of the folders with a file for each domain.
    folders: Mutex<Vec<Arc<FolderLane>>>,
}

impl Live {
    /// Loads the configuration at `path`, in the sandbox that this process is in.
    pub fn open(path: &Path, sandbox: Option<Sandbox>) -> Result<Self, Vec<Problem>> {
        let inner = Inner::empty(path, sandbox);
        match inner.open_now() {
            Some(Outcome::Failed(problems)) => Err(problems),
            Some(Outcome::Loaded | Outcome::Unfinished(_)) | None => Ok(Self(Arc::new(inner))),
        }
    }

    /// Loads the configuration at `path`; if that fails, logs why, answers the temporary failure
    /// and looks again, in the sandbox that this process is in. For a process that a web server
    /// starts: were it to end instead, mod_fcgid would soon stop starting it.
    pub fn open_anyway(path: &Path, sandbox: Option<Sandbox>) -> Self {
        let inner = Inner::empty(path, sandbox);
        inner.configuration.ask();
        inner.load_configuration();
        Self(Arc::new(inner))
    }

    /// The service in force.
    pub fn current(&self) -> Option<Arc<Service>> {
        self.0.current()
    }

    /// Looks at the files, at most once a second, and loads those that have changed. That may take
    /// as long as databases, DNS and slow disks do, so all requests meanwhile get what is still in
    /// force, and only this one waits, but not for ever.
    fn look(&self) {
        if !self.0.is_time_to_look() {
            return;
        }
        let patience = self.current().map_or(FIRST_LOAD, |_| LOAD);
        let _in_time_or_not = self.round().recv_timeout(patience);
    }

    /// Looks at the files and loads those that have changed, in a thread of its own: a file system
    /// that hangs keeps only that. The other end is gone when it is done.
    fn round(&self) -> Receiver<()> {
        let (done, over) = channel();
        let inner = Arc::clone(&self.0);
        let started = thread::Builder::new()
            .name("reload".to_owned())
            .spawn(move || {
                inner.look_safely();
                drop(done);
            });
        if started.is_err() {
            self.0.look_safely();
        }
        over
    }
}

impl Inner {
    fn empty(path: &Path, sandbox: Option<Sandbox>) -> Self {
        Self {
            path: path.to_path_buf(),
            sandbox,
            current: RwLock::new(None),
            looked: Mutex::new(Instant::now()),
            soon: AtomicBool::new(false),
            configuration: Lane::new(path.to_path_buf(), Vec::new()),
            users: Mutex::default(),
            folders: Mutex::default(),
        }
    }

    fn current(&self) -> Option<Arc<Service>> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn users(&self) -> MutexGuard<'_, Vec<Arc<UsersLane>>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folders(&self) -> MutexGuard<'_, Vec<Arc<FolderLane>>> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a lane has something to do soon, or is doing it.
    fn is_busy(&self) -> bool {
        let (users, folders) = (self.users().clone(), self.folders().clone());
        self.configuration.is_busy()
            || users.iter().any(|users| users.lane.is_busy())
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

    fn look_safely(&self) {
        let look = || {
            // Users first: a removed user must not stay in while a database is slow.
            let users = self.users().clone();
            users.iter().for_each(|users| self.look_at_users(users));
            let folders = self.folders().clone();
            folders.iter().for_each(|folder| self.load_domains(folder));
            self.load_configuration();
        };
        if catch_unwind(AssertUnwindSafe(look)).is_err() {
            log::error!("looking for changed files failed by a bug");
        }
        self.soon.store(self.is_busy(), Ordering::Relaxed);
    }

    /// Loads everything for the first time.
    fn open_now(&self) -> Option<Outcome> {
        self.configuration.ask();
        match self.configuration.enter() {
            Some(turn) if turn.is_due() => self.load(&turn),
            Some(_) | None => None,
        }
    }

    fn load_configuration(&self) {
        let Some(turn) = self.configuration.enter() else {
            return;
        };
        if !turn.is_due() {
            return;
        }
        let Some(outcome) = self.load(&turn) else {
            return;
        };
        let nothing = "every login gets the temporary failure";
        turn.report(outcome, self.current().map_or(nothing, |_| KEPT));
    }

    /// Puts a new service in force, if it is good and its files are whole.
    /// `None` if another turn does that meanwhile.
    fn load(&self, turn: &Turn<'_>) -> Option<Outcome> {
        let before = self.current();
        // A load that fails may not tell which files it would need: those of the version in force
        // are the ones that are likely to come right again.
        let before_files = before.iter().flat_map(|before| &before.config().files);
        let known: Watched = before_files
            .map(|(path, _)| (path.clone(), fingerprint(path).ok()))
            .collect();
        let (mut files, mut unfinished) = (Watched::new(), Vec::new());
        let opened = Service::open_in(
            self.sandbox.as_ref(),
            &self.path,
            before.as_deref(),
            &mut files,
            &mut unfinished,
        );
        if !turn.is_wanted() {
            return None;
        }
        // Where there is nothing that could stay in force, it is taken as it is.
        if before.is_some() {
            unfinished = turn.still_unfinished(unfinished);
            if !unfinished.is_empty() {
                turn.watch(files);
                return Some(Outcome::Unfinished(unfinished));
            }
        }
        match opened {
            Ok(service) => {
                let read = service.config().files.iter();
                if !turn.were_seen(read.map(|(path, version)| (&**path, version))) {
                    return None;
                }
                crate::sys::logger::set_level(service.config().log_level);
                for warning in service.warnings() {
                    log::warn!("{warning}");
                }
                turn.watch(files);
                self.put_in_force(service);
                Some(Outcome::Loaded)
            }
            Err(problems) => {
                files.extend(known);
                turn.watch(files);
                Some(Outcome::Failed(problems))
            }
        }
    }

    fn put_in_force(&self, service: Service) {
        let service = Arc::new(service);
        let mut lanes = self.users();
        let mut new: Vec<Arc<UsersLane>> = Vec::new();
        for file in service.users_files() {
            let is_its = |users: &&Arc<UsersLane>| Arc::ptr_eq(&users.file, file);
            if new.iter().any(|users| is_its(&users)) {
                continue;
            }
            let kept = lanes.iter().find(is_its).cloned();
            new.push(kept.unwrap_or_else(|| Arc::new(UsersLane::new(file))));
        }
        *lanes = new;
        drop(lanes);
        let mut lanes = self.folders();
        let folder = |store: &Arc<DomainFiles>| {
            let is_its = |folder: &&Arc<FolderLane>| Arc::ptr_eq(&folder.store, store);
            let kept = lanes.iter().find(is_its).cloned();
            kept.unwrap_or_else(|| Arc::new(FolderLane::new(store)))
        };
        let new = service.domain_files().iter().map(folder).collect();
        *lanes = new;
        drop(lanes);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let old = current.replace(service);
        drop(current);
        // To close what it had open may take a moment, in which nobody should wait.
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
        self.look();
        admitted()
    }

    fn respond(&self, peer: Peer, params: &Params<'_>, out: &mut Vec<u8>) -> Departure {
        self.look();
        match self.current() {
            Some(service) => service.respond(peer, params, out),
            None => {
                let why = Refusal::Temporary(Trouble::NoConfiguration);
                self.0.refuse(why, &Outline::of(params), out);
                Departure::AtOnce
            }
        }
    }

    fn respond_without_request(&self, why: NoRequest, out: &mut Vec<u8>) {
        self.0
            .refuse(cause_of(why), &Outline::of(&Params::bounded(0)), out);
    }

    /// Returns when all that has changed is loaded, but for what would hold the next reload up.
    fn reload(&self) {
        self.0.configuration.ask();
        let users = self.0.users().clone();
        users
            .iter()
            .for_each(|users| users.lane.ask_if_in_trouble());
        let folders = self.0.folders().clone();
        folders.iter().for_each(|folder| folder.ask_if_in_trouble());
        let started = Instant::now();
        loop {
            let _in_time_or_not = self.round().recv_timeout(LOAD);
            if !self.0.is_busy() || started.elapsed() >= SIGNAL {
                return;
            }
            thread::sleep(LOOK_SOON);
        }
    }
}

/// Answers every login with the temporary failure: for a process that a web server starts, and
/// that cannot be made to work.
pub struct Unusable;

impl Application for Unusable {
    fn respond(&self, _: Peer, params: &Params<'_>, out: &mut Vec<u8>) -> Departure {
        unusable(&Outline::of(params), out);
        Departure::AtOnce
    }

    fn respond_without_request(&self, _: NoRequest, out: &mut Vec<u8>) {
        unusable(&Outline::of(&Params::bounded(0)), out);
    }
}

fn unusable(outline: &Outline<'_>, out: &mut Vec<u8>) {
    let why = Refusal::Temporary(Trouble::NoConfiguration);
    let _at_once = refuse(why, outline, &Messages::default(), Instant::now(), out);
}
