//! The running service: one version of the configuration with everything that it opened, its
//! answers to requests, and its reload.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::auth::{Chain, Gate};
use crate::config::Config;
use crate::net::dns::Resolver;
use crate::route::Routes;
use crate::service::open::open_after;
use crate::sys::Lifetime;
use crate::sys::problem::Problem;
use crate::sys::sandbox::Sandbox;
use crate::sys::semaphore::machine::MachineSemaphore;
use crate::sys::trusted_file::{ObservedFiles, fingerprint};
use crate::users::file::UsersFile;
use crate::users::file::domains::DomainFiles;

mod answer;
mod decision;
mod inspect;
mod lifecycle;
pub mod methods;
pub mod needs;
mod one_request;
pub mod open;
mod parts;
mod probe;
pub mod reload;
mod slow;
pub mod status;
pub mod waiting;

use answer::cause_of;
pub use answer::{Decided, refuse};
pub use decision::Decision;
pub use inspect::Inspection;
pub use one_request::OneRequest;
use parts::{throttle, unread};
use status::HostCounts;

/// The configuration and everything that it opened. It never changes: a reload makes a new one.
pub struct Service {
    config: Config,
    gate: Gate,
    files: Vec<Arc<UsersFile>>,
    domain_files: Vec<Arc<DomainFiles>>,
    warnings: Vec<Problem>,
    /// When it was loaded.
    loaded: Instant,
    hosts: HostCounts,
}

impl Service {
    /// Loads the configuration and opens everything that it names. The error has every problem of
    /// the load; in both cases every file that matters is added to `watched`.
    ///
    /// `before` is the service that this one replaces: unchanged parts are kept, and host names
    /// that cannot be resolved at the moment keep their address.
    pub fn open(
        path: &Path,
        lifetime: Lifetime,
        before: Option<&Self>,
        watched: &mut ObservedFiles,
    ) -> Result<Self, Vec<Problem>> {
        let anything = |_: &Config| Vec::new();
        let unfinished = &mut Vec::new();
        without_problems(Self::assemble(
            path, lifetime, before, watched, unfinished, anything,
        ))
    }

    /// The same for a server in its sandbox. An access that the sandbox denies is a problem, and
    /// then nothing else is opened.
    ///
    /// `unfinished` receives the configuration file and the files with secrets whose last line has
    /// no line feed, so that they may be half-written.
    pub fn open_in(
        sandbox: Option<&Sandbox>,
        path: &Path,
        before: Option<&Self>,
        watched: &mut ObservedFiles,
        unfinished: &mut Vec<PathBuf>,
    ) -> Result<Self, Vec<Problem>> {
        let possible = |config: &Config| needs::denied(sandbox, config);
        without_problems(Self::assemble(
            path,
            Lifetime::Server,
            before,
            watched,
            unfinished,
            possible,
        ))
    }

    /// Opens everything that can be opened. If there is a problem, the result must not answer
    /// requests: a store or a key may be missing. `impossible` returns the accesses that the
    /// sandbox denies.
    fn assemble(
        path: &Path,
        lifetime: Lifetime,
        before: Option<&Self>,
        watched: &mut ObservedFiles,
        unfinished: &mut Vec<PathBuf>,
        impossible: impl FnOnce(&Config) -> Vec<Problem>,
    ) -> (Option<Self>, Vec<Problem>) {
        watched.push((path.to_path_buf(), fingerprint(path).ok()));
        let (config, mut problems) = match Config::salvage(path) {
            Ok(salvaged) => salvaged,
            Err(problem) => return (None, vec![problem]),
        };
        unfinished.clone_from(&config.unfinished);
        watched.extend(
            config
                .files
                .iter()
                .skip(1)
                .map(|(path, seen)| (path.clone(), Some(seen.clone()))),
        );
        if !problems.is_empty() {
            // An unreadable file may be the cause, so it is watched too.
            watched.extend(unread(&config));
        }
        let impossible = impossible(&config);
        if !impossible.is_empty() {
            // The sandbox problem already explains the unreadable file.
            problems.retain(|problem| impossible.iter().all(|other| other.key != problem.key));
            problems.extend(impossible);
            return (None, problems);
        }
        let opened = open_after(&config, lifetime, before);
        watched.extend(opened.watched);
        problems.extend(parts::unreported(opened.problems, &problems));
        let mut warnings = config.warnings.clone();
        warnings.extend(opened.warnings);
        let methods = methods::open(&config, lifetime, watched, &mut problems, &mut warnings);
        let (routes, hashes) = match lifetime {
            Lifetime::OneRequest => (
                Routes::lazy(&config.routes, Resolver::system()),
                NonZeroUsize::MIN,
            ),
            Lifetime::Server => {
                let before = before.map(|service| &service.gate.routes);
                (
                    Routes::open(&config.routes, Resolver::system(), before),
                    config.limits.max_hashes(),
                )
            }
        };
        let hashing = match &config.limits.hash_locks {
            None => MachineSemaphore::new(hashes),
            Some((folder, position)) => {
                MachineSemaphore::shared(config.limits.max_hashes(), folder).unwrap_or_else(
                    |error| {
                        // Logins continue: the semaphore only limits work.
                        warnings.push(Problem {
                            file: config.path.clone(),
                            position: Some(*position),
                            key: Some("limits.hash-locks".to_owned()),
                            message: format!("{error}; each process counts its own hashes"),
                        });
                        MachineSemaphore::new(hashes)
                    },
                )
            }
        };
        let gate = Gate {
            logins: config.logins.clone(),
            masters: opened.masters,
            methods,
            chain: Chain::new(opened.sources, hashing, config.limits.remembered_logins)
                .with_memory_of(before.map(|before| &before.gate.chain)),
            routes,
            retry: config.retry,
            throttle: throttle(
                &config,
                lifetime,
                before.and_then(|before| before.gate.throttle.as_ref()),
            ),
            deadline: config.limits.deadline,
        };
        let hosts = HostCounts::new(&gate.routes, before.map(|before| &before.hosts));
        let service = Self {
            hosts,
            warnings,
            files: opened.files,
            domain_files: opened.domain_files,
            ..Self::new(config, gate)
        };
        (Some(service), problems)
    }

    /// A service made of existing parts.
    pub fn new(config: Config, gate: Gate) -> Self {
        Self {
            config,
            files: Vec::new(),
            domain_files: Vec::new(),
            warnings: Vec::new(),
            loaded: Instant::now(),
            hosts: HostCounts::new(&gate.routes, None),
            gate,
        }
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The parts of the decision.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The password files. Each can be replaced by a new version of it.
    pub fn users_files(&self) -> &[Arc<UsersFile>] {
        &self.files
    }

    /// The folders with a password file for each domain.
    pub fn domain_files(&self) -> &[Arc<DomainFiles>] {
        &self.domain_files
    }

    /// The warnings for the administrator.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The same service without a throttle, for tests by an administrator.
    pub fn without_throttle(mut self) -> Self {
        self.gate.throttle = None;
        self
    }

    /// The hosts without an address at the moment.
    pub fn unresolved(&self) -> Vec<Problem> {
        self.gate.routes.unresolved(&self.config.path)
    }
}

/// The result, if there is no problem.
fn without_problems(
    (service, problems): (Option<Service>, Vec<Problem>),
) -> Result<Service, Vec<Problem>> {
    match service {
        Some(service) if problems.is_empty() => {
            let sources = service.gate.chain.sources().iter();
            for unasked in sources.filter_map(|source| source.store.open_problem()) {
                log::error!("{unasked}");
            }
            Ok(service)
        }
        _ => Err(problems),
    }
}
