//! The program at work: one version of the configuration with all that it opened, its answers to requests,
//! and its reload.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::auth::{Chain, Gate};
use crate::config::Config;
use crate::net::dns::Resolver;
use crate::route::Routes;
use crate::service::open::open_after;
use crate::sys::Lifetime;
use crate::sys::problem::Problem;
use crate::sys::sandbox::Sandbox;
use crate::sys::semaphore::machine::MachineSemaphore;
use crate::sys::trusted_file::{Watched, fingerprint};
use crate::users::file::UsersFile;
use crate::users::file::domains::DomainFiles;

mod answer;
mod decision;
mod inspect;
pub mod methods;
pub mod needs;
mod one_request;
pub mod open;
mod parts;
mod probe;
pub mod reload;

use answer::cause_of;
pub use answer::{Decided, refuse};
pub use decision::Decision;
pub use inspect::Inspection;
pub use one_request::OneRequest;
use parts::{throttle, unread, whole};

/// The configuration and what it opened; it never changes. A reload makes a new one.
pub struct Service {
    config: Config,
    gate: Gate,
    files: Vec<Arc<UsersFile>>,
    domain_files: Vec<Arc<DomainFiles>>,
    warnings: Vec<Problem>,
}

impl Service {
    /// Loads the configuration and opens all that it names. Every problem of the load is in the
    /// error; every file that matters is in `watched` either way.
    ///
    /// `before` is the service that this one replaces: what has not changed is kept, and host names
    /// that cannot be looked up at the moment keep the address that they have there.
    pub fn open(
        path: &Path,
        lifetime: Lifetime,
        before: Option<&Self>,
        watched: &mut Watched,
    ) -> Result<Self, Vec<Problem>> {
        let anything = |_: &Config| Vec::new();
        let unfinished = &mut Vec::new();
        whole(Self::assemble(
            path, lifetime, before, watched, unfinished, anything,
        ))
    }

    /// The same for a server, in the sandbox that it is in. What the sandbox rules out is a problem,
    /// and then nothing else is opened.
    ///
    /// Of the configuration and the files with secrets that it names, `unfinished` has those whose
    /// last line has no line feed, so that it may be half.
    pub fn open_in(
        sandbox: Option<&Sandbox>,
        path: &Path,
        before: Option<&Self>,
        watched: &mut Watched,
        unfinished: &mut Vec<PathBuf>,
    ) -> Result<Self, Vec<Problem>> {
        let possible = |config: &Config| needs::denied(sandbox, config);
        whole(Self::assemble(
            path,
            Lifetime::Server,
            before,
            watched,
            unfinished,
            possible,
        ))
    }

    /// Makes what can be made. With any problem, the result is not one to answer with: a store
    /// may be missing in it, or a key. `impossible` tells what need not be tried at all.
    fn assemble(
        path: &Path,
        lifetime: Lifetime,
        before: Option<&Self>,
        watched: &mut Watched,
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
            // One of them may be why: what could not be read is watched too.
            watched.extend(unread(&config));
        }
        let impossible = impossible(&config);
        if !impossible.is_empty() {
            // That such a file cannot be read is said already, and better.
            problems.retain(|problem| impossible.iter().all(|other| other.key != problem.key));
            problems.extend(impossible);
            return (None, problems);
        }
        let opened = open_after(&config, lifetime, before);
        watched.extend(opened.watched);
        problems.extend(parts::unsaid(opened.problems, &problems));
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
            Some((folder, place)) => {
                MachineSemaphore::shared(config.limits.max_hashes(), folder).unwrap_or_else(
                    |error| {
                        // Logins go on: it bounds work, and keeps nobody out.
                        warnings.push(Problem {
                            file: config.path.clone(),
                            place: Some(*place),
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
            throttle: throttle(&config, lifetime, before),
            deadline: config.limits.deadline,
        };
        let service = Self {
            warnings,
            files: opened.files,
            domain_files: opened.domain_files,
            ..Self::new(config, gate)
        };
        (Some(service), problems)
    }

    /// A service made of parts that are at hand.
    pub fn new(config: Config, gate: Gate) -> Self {
        Self {
            config,
            gate,
            files: Vec::new(),
            domain_files: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The decision's parts.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The password files, each of which can be replaced by another version of it.
    pub fn users_files(&self) -> &[Arc<UsersFile>] {
        &self.files
    }

    /// The folders with a password file for each domain.
    pub fn domain_files(&self) -> &[Arc<DomainFiles>] {
        &self.domain_files
    }

    /// What an administrator should look at, though it works.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The same service, but wrong passwords count for nothing: an administrator tries something.
    pub fn without_throttle(mut self) -> Self {
        self.gate.throttle = None;
        self
    }

    /// The hosts that have no address at the moment.
    pub fn unresolved(&self) -> Vec<Problem> {
        self.gate.routes.unresolved(&self.config.path)
    }
}
