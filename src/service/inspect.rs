//! Finds every problem of a configuration, for `check`.

use std::path::Path;
use std::time::Instant;

use zeroize::Zeroizing;

use super::methods::try_tokens;
use super::{Service, parts};
use crate::config::{Config, MAX_FILE_BYTES, StoreConfig, UsersConfig};
use crate::service::open::try_all;
use crate::sys::Lifetime;
use crate::sys::problem::Problem;
use crate::sys::trusted_file::{Secrecy, read_trusted};
use crate::users::file::{FileContents, Tally};

/// The result of the inspection.
#[derive(Default)]
pub struct Inspection {
    /// Problems.
    pub problems: Vec<Problem>,
    /// Warnings.
    pub warnings: Vec<Problem>,
    /// The findings, as text.
    pub found: Vec<String>,
    /// The stores, with their users as far as they can be counted.
    pub stores: Vec<(String, Option<Tally>)>,
}

impl Inspection {
    fn of_problems(problems: Vec<Problem>) -> Self {
        Self {
            problems,
            ..Self::default()
        }
    }

    /// Names the file that was read in place of the one that it will become.
    fn renamed(mut self, named: &Path, read: &Path) -> Self {
        for problem in self.problems.iter_mut().chain(&mut self.warnings) {
            if problem.file == named {
                read.clone_into(&mut problem.file);
            }
        }
        self
    }
}

impl Service {
    /// Finds all problems, also of the files that a broken configuration names, and sends a real
    /// question to every store and to the introspection service.
    pub fn inspect(path: &Path) -> Inspection {
        let anything = |_: &Config| Vec::new();
        let (watched, unfinished) = (&mut Vec::new(), &mut Vec::new());
        let (service, mut problems) =
            Self::assemble(path, Lifetime::Server, None, watched, unfinished, anything);
        let Some(service) = service else {
            return Inspection {
                problems,
                ..Inspection::default()
            };
        };
        let (config, chain) = (&service.config, &service.gate.chain);
        problems.extend(try_all(
            config,
            chain.sources(),
            &problems,
            config.limits.deadline,
        ));
        problems.extend(try_tokens(&service.gate.methods, config));
        problems.extend(service.counts_missing());
        let mut warnings = service.warnings.clone();
        // A server still serves the other domains.
        for files in &service.domain_files {
            warnings.retain(|warning| !files.broken().contains(warning));
            problems.extend_from_slice(files.broken());
        }
        let unresolved = parts::merge(service.unresolved(), &problems, &mut warnings);
        problems.extend(unresolved);
        problems.extend(config.socket_rights().err().into_iter().flatten());
        let advice = config.advice.iter().cloned();
        warnings.extend(advice);
        let files = service.domain_files.iter();
        Inspection {
            problems,
            warnings,
            found: files.map(|files| files.summary()).collect(),
            stores: service.tallies(),
        }
    }

    /// The same without connections and lookups: only the configuration and the files that it names are read. Relative
    /// paths are taken below `base`, if there is one.
    pub fn inspect_offline(path: &Path, base: Option<&Path>) -> Inspection {
        let read = match read_trusted(path, MAX_FILE_BYTES, Secrecy::Secret) {
            Ok(trusted) => Zeroizing::new(trusted.bytes),
            Err(problem) => return Inspection::of_problems(vec![problem]),
        };
        let named = match (base, path.file_name()) {
            (Some(base), Some(name)) => base.join(name),
            _ => path.to_owned(),
        };
        let config = match Config::parse(&named, &read) {
            Ok(config) => config,
            Err(problems) => return Inspection::of_problems(problems).renamed(&named, path),
        };
        let mut inspection = Inspection {
            problems: config.socket_rights().err().unwrap_or_default(),
            warnings: config
                .warnings
                .iter()
                .chain(&config.advice)
                .cloned()
                .collect(),
            ..Inspection::default()
        };
        for users in &config.users {
            let StoreConfig::File(settings) = &users.store else {
                inspection.stores.push((users.name.clone(), None));
                continue;
            };
            match FileContents::of(settings, Lifetime::Server).whole() {
                Ok(store) => {
                    inspection.warnings.extend_from_slice(store.warnings());
                    inspection
                        .stores
                        .push((users.name.clone(), Some(store.tally())));
                }
                Err(problems) => inspection.problems.extend(problems),
            }
        }
        inspection.renamed(&named, path)
    }

    /// The users of each store, where they are in files.
    fn tallies(&self) -> Vec<(String, Option<Tally>)> {
        let all = self.config.users.iter();
        all.map(|users| (users.name.clone(), self.tally(users)))
            .collect()
    }

    fn tally(&self, users: &UsersConfig) -> Option<Tally> {
        match &users.store {
            StoreConfig::File(settings) => {
                let mut files = self.files.iter();
                let file = files.find(|file| file.settings() == settings)?;
                Some(file.current()?.tally())
            }
            StoreConfig::Domains(settings) => {
                let mut folders = self.domain_files.iter();
                let folder = folders.find(|folder| folder.settings() == settings)?;
                let mut all = Tally::default();
                for (_, file) in folder.all() {
                    if let Some(store) = file.current() {
                        all.add(&store.tally());
                    }
                }
                Some(all)
            }
            _ => None,
        }
    }

    /// Why the throttle state cannot be read or changed; `None` if it can.
    fn counts_missing(&self) -> Option<Problem> {
        let deadline = Instant::now() + self.config.limits.deadline;
        let message = self.gate.throttle.as_ref()?.test(deadline).err()?;
        Some(Problem {
            file: self.config.path.clone(),
            position: self
                .config
                .throttle
                .as_ref()
                .map(|throttle| throttle.position),
            key: Some("throttle.state".to_owned()),
            message,
        })
    }
}
