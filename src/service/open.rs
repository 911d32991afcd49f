//! Opens the stores of a configuration.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Service;
use super::probe::Probes;
use crate::auth::{Masters, RefusalTime, Source};
use crate::config::{Config, KeyPositions, StoreConfig, UsersConfig};
use crate::sys::Lifetime;
use crate::sys::problem::{Fault, Problem};
use crate::sys::trusted_file::ObservedFiles;
use crate::users::UserStore;
use crate::users::accept::AcceptStore;
use crate::users::bound::StoreLimit;
use crate::users::cache::Cache;
use crate::users::file::domains::{DomainFiles, DomainSettings, first_of};
use crate::users::file::{self, FileContents, FileStore, MAX_PROBLEMS, UsersFile, and_more};

/// The result of opening the stores.
#[derive(Default)]
pub struct Opened {
    /// The stores that could be opened.
    pub sources: Vec<Source>,
    /// The users that may log in as other users.
    pub masters: Option<Masters>,
    /// Why other stores could not be opened.
    pub problems: Vec<Problem>,
    /// Warnings.
    pub warnings: Vec<Problem>,
    /// The password files among the stores, including that of the masters.
    pub files: Vec<Arc<UsersFile>>,
    /// The folders with a file for each domain.
    pub domain_files: Vec<Arc<DomainFiles>>,
    /// The password files that were read, with or without success.
    pub watched: ObservedFiles,
}

/// How long a start and a reload wait for databases to check their queries; the users of the other
/// stores wait as long. A slower database is asked again at each login, like one that is down.
const PATIENCE: Duration = Duration::from_secs(1);

/// Opens every store of the configuration. A database that is down is opened too: it is asked again
/// at each login.
pub fn open(config: &Config, lifetime: Lifetime) -> Opened {
    open_after(config, lifetime, None)
}

/// Opens the stores at a reload. A store of `before` with unchanged settings is kept, with its
/// connections, its caches and its circuit breaker.
pub fn open_after(config: &Config, lifetime: Lifetime, before: Option<&Service>) -> Opened {
    let mut opened = Opened::default();
    let mut opening = Opening {
        config,
        lifetime,
        before,
        probes: Probes::default(),
        opened: &mut opened,
    };
    opening.sources();
    opening.masters();
    let probes = opening.probes;
    opened.problems.extend(probes.problems(PATIENCE));
    opened.report_remarks(config);
    if takes_logins_without_password(config) {
        opened.warn_of_unlike(config);
    }
    opened
}

impl Opened {
    /// Warns about values of stores that have no effect.
    fn report_remarks(&mut self, config: &Config) {
        for source in &self.sources {
            let position = config.users.get(source.table);
            let remarks = source.store.remarks().into_iter();
            self.warnings.extend(remarks.map(|remark| Problem {
                file: config.path.clone(),
                position: position.map(|users| users.positions.whole),
                key: Some("users".to_owned()),
                message: format!("store {}: {remark}", source.name),
            }));
        }
    }

    /// Warns about stores that do not report which login they found.
    fn warn_of_unlike(&mut self, config: &Config) {
        for source in &self.sources {
            let Some(lack) = source.store.lacks_likeness() else {
                continue;
            };
            let position = config.users.get(source.table);
            self.warnings.push(Problem {
                file: config.path.clone(),
                position: position.map(|users| users.positions.whole),
                key: Some("users".to_owned()),
                message: format!(
                    "store {}: {lack}: its users cannot log in without a password (certificates, \
                     tokens, masters), and no mail comes in for them",
                    source.name
                ),
            });
        }
    }
}

/// Opens the stores and collects the result.
struct Opening<'a> {
    config: &'a Config,
    lifetime: Lifetime,
    before: Option<&'a Service>,
    probes: Probes,
    opened: &'a mut Opened,
}

/// Sends a real question to every store, each within `patience`; returns the problems, at the
/// position of the store in the configuration. A store with a problem of its address or credentials
/// in `said` is skipped: it would fail for the same reason.
pub fn try_all(
    config: &Config,
    sources: &[Source],
    said: &[Problem],
    patience: Duration,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for source in sources {
        let users = config.users.get(source.table);
        if users.is_some_and(|users| {
            said.iter()
                .any(|problem| users.positions.concerns_connection(problem))
        }) {
            continue;
        }
        let faults = source.store.test(Instant::now() + patience);
        let position = config
            .users
            .get(source.table)
            .map(|users| users.positions.whole);
        problems.extend(faults.into_iter().map(|message| Problem {
            file: config.path.clone(),
            position,
            key: Some("users".to_owned()),
            message: format!("store {}: {message}", source.name),
        }));
    }
    problems
}

impl<'a> Opening<'a> {
    fn sources(&mut self) {
        for (table, users) in self.config.users.iter().enumerate() {
            let (store, bound, cache) = match self.reusable_source(users) {
                Some(reusable_source) => (
                    Arc::clone(&reusable_source.store),
                    reusable_source.bound.clone(),
                    reusable_source.cache.clone(),
                ),
                None => match self.store(users) {
                    Some(store) => (store, self.bound(users), cache(&users.store)),
                    None => continue,
                },
            };
            let domains = users.domains.as_ref().map(|domains| {
                let bytes = |domain: &String| domain.clone().into_bytes().into_boxed_slice();
                domains.iter().map(bytes).collect()
            });
            let before = self.before.map(|before| before.gate().chain.sources());
            let counts = Source::kept_counts(
                &users.name,
                &self.opened.sources,
                before.unwrap_or_default(),
            );
            self.opened.sources.push(Source {
                table,
                name: users.name.clone(),
                store,
                bound,
                cache,
                domains,
                wrong: users.wrong,
                trouble: users.trouble,
                refusal_time: RefusalTime::default(),
                counts,
                app_passwords: users.store.has_app_passwords(),
            });
        }
    }

    fn masters(&mut self) {
        let Some(master) = &self.config.master else {
            return;
        };
        let users = self.file(&master.settings, "master.path", master.position);
        self.opened.masters = users.map(|users| Masters {
            separator: master.separator.clone(),
            users,
        });
    }

    /// The source of the earlier service whose store has the same settings, including the content
    /// of certificate files.
    fn reusable_source(&self, users: &UsersConfig) -> Option<&'a Source> {
        if matches!(users.store, StoreConfig::File(_) | StoreConfig::Domains(_)) {
            return None;
        }
        // A database that is no longer trusted is opened again, which reports why.
        #[cfg(feature = "servers")]
        if let StoreConfig::Sql(settings) = &users.store
            && let crate::users::sql::Kind::Sqlite(path) = &settings.kind
            && crate::sys::trusted_file::database::locate(path).is_err()
        {
            return None;
        }
        let before = self.before?;
        let config = before.config();
        let most = |config: &Config, users: &UsersConfig| config.max_questions(users.max_questions);
        let same = |old: &UsersConfig| {
            old.store == users.store
                && old.name == users.name
                && most(config, old) == most(self.config, users)
        };
        let table = config.users.iter().position(same)?;
        let mut sources = before.gate().chain.sources().iter();
        sources.find(|source| source.table == table)
    }

    /// The circuit breaker of a store that asks another server.
    fn bound(&self, users: &UsersConfig) -> Option<Arc<StoreLimit>> {
        let most = self.config.max_questions(users.max_questions);
        let bounded = match &users.store {
            StoreConfig::Accept | StoreConfig::File(_) | StoreConfig::Domains(_) => false,
            #[cfg(feature = "servers")]
            StoreConfig::Sql(_) => true,
            #[cfg(feature = "servers")]
            StoreConfig::Ldap(_) => true,
            #[cfg(feature = "servers")]
            StoreConfig::Server(_) | StoreConfig::Http(_) => true,
        };
        bounded.then(|| Arc::new(StoreLimit::new(&users.name, most)))
    }

    fn store(&mut self, users: &UsersConfig) -> Option<Arc<dyn UserStore>> {
        #[cfg(feature = "servers")]
        let lifetime = self.lifetime;
        let opened: Result<Arc<dyn UserStore>, Vec<Fault>> = match &users.store {
            StoreConfig::Accept => Ok(Arc::new(AcceptStore)),
            StoreConfig::File(settings) => {
                let store = self.file(settings, "users.path", users.positions.of("path"))?;
                if let Some(current) = store.current() {
                    let unknown = unknown_hosts(self.config, settings, &current);
                    self.opened.warnings.extend(unknown);
                }
                Ok(store)
            }
            StoreConfig::Domains(settings) => Ok(self.domain_files(settings, users)?),
            #[cfg(feature = "servers")]
            StoreConfig::Sql(settings) => {
                let store = Arc::new(crate::users::sql::SqlStore::new(settings, lifetime));
                if lifetime == Lifetime::Server {
                    let asked = Arc::clone(&store);
                    self.probes.start(self.config, users, move || asked.probe());
                }
                Ok(store)
            }
            #[cfg(feature = "servers")]
            StoreConfig::Ldap(settings) => {
                crate::users::ldap::LdapStore::open(settings, lifetime).map(shared)
            }
            #[cfg(feature = "servers")]
            StoreConfig::Server(settings) => {
                crate::users::server::ServerStore::open(settings, lifetime).map(shared)
            }
            #[cfg(feature = "servers")]
            StoreConfig::Http(settings) => {
                crate::users::http::HttpStore::open(settings, lifetime).map(shared)
            }
        };
        opened
            .map_err(|faults| {
                let problems = faults.into_iter();
                let problems =
                    problems.map(|fault| fault.problem(&self.config.path, &users.positions));
                self.opened.problems.extend(problems);
            })
            .ok()
    }

    fn domain_files(
        &mut self,
        settings: &DomainSettings,
        users: &UsersConfig,
    ) -> Option<Arc<DomainFiles>> {
        let before = self.before.map_or(&[][..], Service::domain_files);
        let mut known = before.iter().chain(&self.opened.domain_files);
        if let Some(reusable_source) = known.find(|files| files.settings() == settings) {
            let reusable_source = Arc::clone(reusable_source);
            self.opened.domain_files.push(Arc::clone(&reusable_source));
            return Some(reusable_source);
        }
        match DomainFiles::open(settings, self.lifetime) {
            Ok(files) => {
                let mut unknown = Vec::new();
                for (_, file) in files.all() {
                    if let Some(current) = file.current() {
                        unknown.extend(unknown_hosts(self.config, file.settings(), &current));
                    }
                }
                let folder = settings.pattern.whole();
                let warnings = &mut self.opened.warnings;
                warnings.extend_from_slice(files.broken());
                warnings.extend_from_slice(files.warnings());
                warnings.extend(first_of(unknown, folder));
                let files = Arc::new(files);
                self.opened.domain_files.push(Arc::clone(&files));
                Some(files)
            }
            Err(problem) => {
                let position = users.positions.of("path");
                let problem = named_in(&self.config.path, "users.path", position, problem);
                self.opened.problems.push(problem);
                None
            }
        }
    }

    fn file(
        &mut self,
        settings: &file::Settings,
        key: &str,
        position: (usize, usize),
    ) -> Option<Arc<UsersFile>> {
        let before = self.before.map_or(&[][..], Service::users_files);
        let opened = self.opened.files.iter();
        let mut known = before.iter().chain(opened);
        if let Some(reusable_source) = known.find(|file| file.settings() == settings) {
            let reusable_source = Arc::clone(reusable_source);
            self.opened.files.push(Arc::clone(&reusable_source));
            return Some(reusable_source);
        }
        let reading = FileContents::of(settings, self.lifetime);
        self.opened.watched.extend_from_slice(&reading.files);
        let files = reading.files.clone();
        let unfinished = reading.has_unfinished_users(settings);
        let store = match reading.whole() {
            Ok(store) if !store.has_users() && unfinished => {
                Err(Problem::new(&settings.path, file::NO_USER).into())
            }
            read => read,
        };
        match store {
            Ok(store) => {
                self.opened.warnings.extend_from_slice(store.warnings());
                let file = Arc::new(UsersFile::new(settings, store, files));
                self.opened.files.push(Arc::clone(&file));
                Some(file)
            }
            Err(problems) => {
                let named = |problem| named_in(&self.config.path, key, position, problem);
                let problems = problems.into_iter().map(named);
                self.opened.problems.extend(problems);
                None
            }
        }
    }
}

impl Fault {
    /// The same, at the position of the store in the configuration.
    pub(super) fn problem(self, config: &Path, positions: &KeyPositions) -> Problem {
        Problem {
            file: config.to_owned(),
            position: Some(positions.of(self.key)),
            key: Some(format!("users.{}", self.key)),
            message: self.message,
        }
    }
}

/// Whether users are looked up without a password.
fn takes_logins_without_password(config: &Config) -> bool {
    #[cfg(feature = "servers")]
    let tokens = config.oauth.is_some();
    #[cfg(not(feature = "servers"))]
    let tokens = false;
    let inbound = config.inbound.as_ref();
    tokens
        || config.external.is_some()
        || config.master.is_some()
        || inbound.is_some_and(|inbound| inbound.asks_stores())
}

/// A store, shared by all threads.
#[cfg(feature = "servers")]
fn shared<S: UserStore + 'static>(store: S) -> Arc<dyn UserStore> {
    Arc::new(store)
}

/// The cache of a store that checks passwords itself, if the configuration asks for one.
fn cache(store: &StoreConfig) -> Option<Arc<Cache>> {
    let lifetime = match store {
        StoreConfig::Accept | StoreConfig::File(_) | StoreConfig::Domains(_) => Duration::ZERO,
        #[cfg(feature = "servers")]
        StoreConfig::Sql(_) => Duration::ZERO,
        #[cfg(feature = "servers")]
        StoreConfig::Ldap(settings) => settings.cache,
        #[cfg(feature = "servers")]
        StoreConfig::Server(settings) => settings.cache,
        #[cfg(feature = "servers")]
        StoreConfig::Http(settings) => settings.cache,
    };
    (!lifetime.is_zero()).then(|| Arc::new(Cache::new(lifetime)))
}

/// The hosts of users that have no known address, up to a maximum.
pub fn unknown_hosts(
    config: &Config,
    settings: &file::Settings,
    store: &FileStore,
) -> Vec<Problem> {
    let unknown = |(host, _): &(&String, &usize)| config.routes.declared(host).is_none();
    let mut names: Vec<_> = store.host_names().iter().filter(unknown).collect();
    names.sort_by_key(|(_, line)| **line);
    let more = names.len().saturating_sub(MAX_PROBLEMS);
    let problem = |(host, line): (&String, &usize)| Problem {
        file: settings.path.clone(),
        position: Some((*line, 1)),
        key: None,
        message: format!(
            "host={host} is neither in [hosts] nor an address: its users get the temporary failure"
        ),
    };
    let names = names.into_iter().take(MAX_PROBLEMS);
    let mut problems: Vec<Problem> = names.map(problem).collect();
    problems.extend(and_more(&settings.path, more));
    problems
}

/// A problem with a whole file is reported at the position that names the file.
fn named_in(config: &Path, key: &str, position: (usize, usize), problem: Problem) -> Problem {
    if problem.position.is_some() {
        return problem;
    }
    Problem {
        file: config.to_owned(),
        position: Some(position),
        key: Some(key.to_owned()),
        message: format!("{}: {}", problem.file.display(), problem.message),
    }
}
