//! Finds the password file that a command means, and the login as it is in that file.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::shown;
use crate::commands::cli::WhichFile;
use crate::commands::{CommandError, print_problems};
use crate::config::{Config, StoreConfig};
use crate::secret::MAX_HASH_MS;
use crate::sys::problem::Problem;
use crate::sys::trusted_file::{Secrecy, read_trusted};
use crate::users::file::domains::DomainSettings;
use crate::users::file::edit::unwritable;
use crate::users::file::{LineLogins, MAX_USERS_FILE_BYTES, Settings};

/// The password files that a command can mean.
pub(super) struct Candidates(Vec<Candidate>);

/// One store, or one file.
struct Candidate {
    name: String,
    kind: Kind,
    /// The domains that the store is asked about; `None` for all.
    domains: Option<Vec<String>>,
    /// The separator of `[master]`, if there are masters and the file has users.
    master_separator: Option<Vec<u8>>,
}

enum Kind {
    One(Box<Settings>),
    Domains(Box<DomainSettings>),
}

/// A login in its password file.
pub(super) struct Found {
    /// The file.
    pub(super) settings: Settings,
    /// The login that the store is asked for.
    pub(super) login: Vec<u8>,
    /// Why no client can log in with it.
    pub(super) unreachable: Option<String>,
}

impl Candidates {
    /// The files that the configuration and the options name; `None`, with its problems printed, if the
    /// configuration cannot be used.
    pub(super) fn find(
        config: &Path,
        which: &WhichFile,
        err: &mut impl Write,
    ) -> Result<Option<Self>, CommandError> {
        let loaded = Config::load(config);
        if let Some(file) = &which.file {
            let named = match loaded {
                Ok(config) => named(&config, file),
                Err(problems) => {
                    if config.exists() {
                        print_problems(&problems, err)?;
                        writeln!(err, "note: [logins] do not apply to the logins in the file")?;
                    }
                    None
                }
            };
            let mut settings = named.unwrap_or_else(|| unnamed(file));
            if which.app_file.is_some() {
                settings.app_passwords.clone_from(&which.app_file);
            }
            return Ok(Some(Self(vec![Candidate {
                name: file.display().to_string(),
                kind: Kind::One(Box::new(settings)),
                domains: None,
                master_separator: None,
            }])));
        }
        let config = match loaded {
            Ok(config) => config,
            Err(problems) => {
                print_problems(&problems, err)?;
                return Ok(None);
            }
        };
        let mut all = of_config(config);
        let Some(name) = &which.store else {
            all.retain(|(_, is_master)| !is_master);
            if all.is_empty() {
                let message =
                    "no store of the configuration is a password file: name one with --file";
                return Err(CommandError::Input(message.to_owned()));
            }
            return Ok(Some(Self(all.into_iter().map(|(it, _)| it).collect())));
        };
        let all: Vec<_> = all.into_iter().map(|(it, _)| it).collect();
        let (meant, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|it| it.name == *name);
        match meant.len() {
            1 => Ok(Some(Self(meant))),
            0 => {
                let others = Self(others).names();
                let message =
                    format!("no password file is the store {name:?}; there are: {others}");
                Err(CommandError::Input(message))
            }
            _ => {
                let message = format!(
                    "several password files are the store {name:?}: give each a name of its own in \
                     [[users]], or use --file"
                );
                Err(CommandError::Input(message))
            }
        }
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.0.iter().map(|it| it.name.as_str()).collect();
        names.join(", ")
    }

    /// Every present file.
    pub(super) fn files(&self) -> Result<Vec<Settings>, CommandError> {
        let mut files = Vec::new();
        for candidate in &self.0 {
            match &candidate.kind {
                Kind::One(settings) => files.push((**settings).clone()),
                Kind::Domains(settings) => {
                    files.extend(settings.present().map_err(problem)?);
                }
            }
        }
        Ok(files)
    }

    /// The file of a login, and the login in it.
    pub(super) fn of(&self, typed: &[u8]) -> Result<Found, String> {
        if let Some(why) = unwritable(typed) {
            return Err(format!("cannot be a login of a password file: {why}"));
        }
        let meant: Vec<_> = self.0.iter().filter(|it| it.takes(typed)).collect();
        let candidate = match meant.as_slice() {
            [candidate] => candidate,
            [] if self.0.len() == 1 => {
                let store = &self.0[0].name;
                return Err(format!(
                    "the store {store} is not asked about logins of this domain (domains)"
                ));
            }
            [] => return Err("no password file is asked about logins of this domain".to_owned()),
            several => {
                let names: Vec<_> = several.iter().map(|it| it.name.as_str()).collect();
                return Err(format!(
                    "several stores are password files ({}): choose one with --store",
                    names.join(", ")
                ));
            }
        };
        let settings = match &candidate.kind {
            Kind::One(settings) => (**settings).clone(),
            Kind::Domains(settings) => settings.file_of(typed)?,
        };
        let login = settings.logins.meant(typed);
        if let Some(why) = unwritable(&login) {
            let login = shown(&login);
            return Err(format!(
                "[logins] make {login:?} of it, which cannot be a login of a password file: {why}"
            ));
        }
        let unreachable = settings.logins.unreachable(&login).or_else(|| {
            let separator = candidate.master_separator.as_deref()?;
            let found = login.windows(separator.len()).any(|part| part == separator);
            found.then(|| {
                let separator = shown(separator);
                format!(
                    "a login with \"{separator}\" is read as a user and a master ([master] separator)"
                )
            })
        });
        Ok(Found {
            settings,
            login,
            unreachable,
        })
    }
}

impl Candidate {
    /// Whether the store is asked about a login.
    fn takes(&self, typed: &[u8]) -> bool {
        let Some(domains) = &self.domains else {
            return true;
        };
        let login = match &self.kind {
            Kind::One(settings) => settings.logins.meant(typed),
            Kind::Domains(settings) => settings.each.logins.meant(typed),
        };
        let at = login.iter().rposition(|byte| *byte == b'@');
        let domain = at.map(|at| &login[at + 1..]).unwrap_or_default();
        domains.iter().any(|own| own.as_bytes() == domain)
    }
}

/// The password files of a configuration, and whether each is that of the masters.
fn of_config(config: Config) -> Vec<(Candidate, bool)> {
    let separator = config
        .master
        .as_ref()
        .map(|master| master.separator.clone());
    let users = config.users.into_iter().filter_map(|users| {
        let kind = match users.store {
            StoreConfig::File(settings) => Kind::One(Box::new(settings)),
            StoreConfig::Domains(settings) => Kind::Domains(Box::new(settings)),
            _ => return None,
        };
        Some(Candidate {
            name: users.name,
            kind,
            domains: users.domains,
            master_separator: separator.clone(),
        })
    });
    let masters = config.master.map(|master| Candidate {
        name: "master".to_owned(),
        kind: Kind::One(Box::new(master.settings)),
        domains: None,
        master_separator: None,
    });
    let users = users.map(|candidate| (candidate, false));
    users
        .chain(masters.map(|candidate| (candidate, true)))
        .collect()
}

/// The settings of a file that the configuration names.
fn named(config: &Config, file: &Path) -> Option<Settings> {
    let file = whole(file);
    let of_users = config.users.iter().find_map(|users| match &users.store {
        StoreConfig::File(settings) if whole(&settings.path) == file => Some(settings.clone()),
        StoreConfig::Domains(settings) => settings.settings_of(&file),
        _ => None,
    });
    let master = config.master.as_ref().map(|master| &master.settings);
    of_users.or_else(|| master.filter(|it| whole(&it.path) == file).cloned())
}

/// The settings of a file that no configuration names.
fn unnamed(file: &Path) -> Settings {
    Settings {
        path: file.to_owned(),
        allow_weak_schemes: false,
        max_hash_ms: MAX_HASH_MS,
        app_passwords: None,
        default_scheme: None,
        logins: LineLogins::default(),
        rehash: None,
    }
}

/// A path that can be compared.
fn whole(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The text of a password file; empty if the file does not exist.
pub(super) fn text(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, CommandError> {
    match read_trusted(path, MAX_USERS_FILE_BYTES, Secrecy::Secret) {
        Ok(read) => Ok(zeroize::Zeroizing::new(read.bytes)),
        Err(_) if is_missing(path) => Ok(zeroize::Zeroizing::default()),
        Err(why) => Err(problem(why)),
    }
}

/// Whether there is no file.
pub(super) fn is_missing(path: &Path) -> bool {
    let found = std::fs::metadata(path);
    found.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// A problem of a file, as the reason why a command failed.
pub(super) fn problem(problem: Problem) -> CommandError {
    CommandError::Input(problem.to_string())
}
