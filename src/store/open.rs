//! The stores of a configuration, opened.

use std::path::Path;
use std::time::{Duration, Instant};

use super::UserStore;
use super::accept::AcceptStore;
#[cfg(any(feature = "sql", feature = "ldap", feature = "remote"))]
use super::bounded::Bounded;
use super::file::{self, AppPasswords, FileStore};
use crate::config::{Config, StoreConfig, UsersConfig};
use crate::files::{Secrecy, fingerprint, read_trusted};
use crate::gate::{Masters, Source};
use crate::problem::Problem;
use crate::service::Watched;

/// The most bytes of a password file: ten million users with long hashes.
const MAX_USERS_FILE_BYTES: u64 = 2 << 30;

/// How long the process will use what it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// For one request (CGI): look up no more than that needs.
    OneRequest,
    /// For as long as the server runs: index files and resolve names beforehand.
    Server,
}

/// What keeps a store from being opened: a key of its `[[users]]`, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key whose value is at fault: `query`.
    pub key: &'static str,
    /// What is wrong, in words, without any secret.
    pub message: String,
}

/// What opening the stores comes to.
#[derive(Default)]
pub struct Opened {
    /// Those that could be opened.
    pub sources: Vec<Source>,
    /// Who may log in as somebody else.
    pub masters: Option<Masters>,
    /// Why others could not.
    pub problems: Vec<Problem>,
    /// What is worth a look.
    pub warnings: Vec<Problem>,
    /// The files that they are made of.
    pub watched: Watched,
}

/// Opens every store of the configuration. A database that is down is opened all the same: it is
/// asked again at each login.
pub fn open(config: &Config, lifetime: Lifetime) -> Opened {
    let mut opened = Opened::default();
    for (table, users) in config.users.iter().enumerate() {
        let Some(store) = opened.store(config, users, lifetime) else {
            continue;
        };
        let domains = users.domains.as_ref().map(|domains| {
            let bytes = |domain: &String| domain.clone().into_bytes().into_boxed_slice();
            domains.iter().map(bytes).collect()
        });
        opened.sources.push(Source {
            table,
            name: users.name.clone(),
            store,
            domains,
            wrong: users.wrong,
            trouble: users.trouble,
        });
    }
    if let Some(master) = &config.master {
        let store = opened.file(
            config,
            &master.settings,
            lifetime,
            "master.path",
            master.place,
        );
        opened.masters = store.map(|users| Masters {
            separator: master.separator.clone(),
            users,
        });
    }
    opened
}

/// Tries every store for real, each within `patience`; what is to be mended, where the
/// configuration has that store.
pub fn try_all(config: &Config, sources: &[Source], patience: Duration) -> Vec<Problem> {
    let mut problems = Vec::new();
    for source in sources {
        let faults = source.store.test(Instant::now() + patience);
        let place = config
            .users
            .get(source.table)
            .map(|users| users.places.whole);
        problems.extend(faults.into_iter().map(|message| Problem {
            file: config.path.clone(),
            place,
            key: Some("users".to_owned()),
            message: format!("store {}: {message}", source.name),
        }));
    }
    problems
}

impl Opened {
    fn store(
        &mut self,
        config: &Config,
        users: &UsersConfig,
        lifetime: Lifetime,
    ) -> Option<Box<dyn UserStore>> {
        let opened: Result<Box<dyn UserStore>, Vec<Fault>> = match &users.store {
            StoreConfig::Accept => Ok(Box::new(AcceptStore)),
            StoreConfig::File(settings) => {
                let place = users.places.of("path");
                let store = self.file(config, settings, lifetime, "users.path", place)?;
                self.warnings
                    .extend(unknown_hosts(config, settings, &store));
                Ok(Box::new(store))
            }
            #[cfg(feature = "sql")]
            StoreConfig::Sql(settings) => bounded(
                super::sql::SqlStore::open(settings, lifetime),
                config,
                users,
            )
            .map(boxed),
            #[cfg(feature = "ldap")]
            StoreConfig::Ldap(settings) => {
                let opened = super::ldap::LdapStore::open(settings, lifetime);
                bounded(opened, config, users).map(|store| cached(store, settings.cache))
            }
            #[cfg(feature = "remote")]
            StoreConfig::Server(settings) => {
                let opened = super::server::ServerStore::open(settings, lifetime);
                bounded(opened, config, users).map(|store| cached(store, settings.cache))
            }
            #[cfg(feature = "remote")]
            StoreConfig::Http(settings) => {
                let opened = super::http::HttpStore::open(settings, lifetime);
                bounded(opened, config, users).map(|store| cached(store, settings.cache))
            }
        };
        opened
            .map_err(|faults| {
                let problems = faults.into_iter().map(|fault| Problem {
                    file: config.path.clone(),
                    place: Some(users.places.of(fault.key)),
                    key: Some(format!("users.{}", fault.key)),
                    message: fault.message,
                });
                self.problems.extend(problems);
            })
            .ok()
    }

    fn file(
        &mut self,
        config: &Config,
        settings: &file::Settings,
        lifetime: Lifetime,
        key: &str,
        place: (usize, usize),
    ) -> Option<FileStore> {
        for path in std::iter::once(&settings.path).chain(&settings.app_passwords) {
            self.watched.push((path.clone(), fingerprint(path).ok()));
        }
        let read = |path: &Path, warnings: &mut Vec<Problem>| {
            let read = read_trusted(path, MAX_USERS_FILE_BYTES, Secrecy::Secret)?;
            warnings.extend(read.warning);
            Ok::<_, Problem>(read.bytes)
        };
        let open = |warnings: &mut Vec<Problem>| {
            let bytes = read(&settings.path, warnings)?;
            let store = match lifetime {
                Lifetime::OneRequest => FileStore::lazy(bytes, settings),
                Lifetime::Server => FileStore::load(bytes, settings),
            }?;
            let Some(path) = &settings.app_passwords else {
                return Ok(store);
            };
            let (bytes, weak) = (read(path, warnings)?, settings.weak());
            let apps = match lifetime {
                Lifetime::OneRequest => AppPasswords::lazy(bytes, path.clone(), weak),
                Lifetime::Server => AppPasswords::load(bytes, path.clone(), weak),
            }?;
            warnings.extend_from_slice(apps.warnings());
            Ok(store.with_app_passwords(apps))
        };
        let result: Result<FileStore, Vec<Problem>> = open(&mut self.warnings);
        match result {
            Ok(store) => {
                self.warnings.extend_from_slice(store.warnings());
                Some(store)
            }
            Err(problems) => {
                let problems = problems
                    .into_iter()
                    .map(|problem| named_in(&config.path, key, place, problem));
                self.problems.extend(problems);
                None
            }
        }
    }
}

/// A store that many logins cannot wait for at once.
#[cfg(any(feature = "sql", feature = "ldap", feature = "remote"))]
fn bounded<S: UserStore>(
    opened: Result<S, Vec<Fault>>,
    config: &Config,
    users: &UsersConfig,
) -> Result<Bounded<S>, Vec<Fault>> {
    let most = config.max_questions(users.max_questions);
    opened.map(|store| Bounded::new(store, &users.name, most))
}

/// A store whose yes is remembered for so long: no question then, so nothing that is bounded.
#[cfg(any(feature = "ldap", feature = "remote"))]
fn cached<S: UserStore + 'static>(store: S, lifetime: Duration) -> Box<dyn UserStore> {
    match lifetime.is_zero() {
        true => Box::new(store),
        false => Box::new(super::cached::Cached::new(store, lifetime)),
    }
}

#[cfg(feature = "sql")]
fn boxed(store: impl UserStore + 'static) -> Box<dyn UserStore> {
    Box::new(store)
}

/// The hosts that users have and nobody knows the address of.
fn unknown_hosts(
    config: &Config,
    settings: &file::Settings,
    store: &FileStore,
) -> impl Iterator<Item = Problem> {
    let unknown = |(host, _): &(&String, &usize)| config.routes.declared(host).is_none();
    let names = store.host_names().iter().filter(unknown);
    names.map(|(host, line)| Problem {
        file: settings.path.clone(),
        place: Some((*line, 1)),
        key: None,
        message: format!(
            "host={host} is neither in [hosts] nor an address: its users get the temporary failure"
        ),
    })
}

/// A problem with a file as a whole stands where the configuration names the file.
fn named_in(config: &Path, key: &str, place: (usize, usize), problem: Problem) -> Problem {
    if problem.place.is_some() {
        return problem;
    }
    Problem {
        file: config.to_owned(),
        place: Some(place),
        key: Some(key.to_owned()),
        message: format!("{}: {}", problem.file.display(), problem.message),
    }
}
