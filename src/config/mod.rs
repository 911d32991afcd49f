//! The configuration, read and checked. Each table of the TOML file has one file here.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use ::log::LevelFilter;
use zeroize::Zeroizing;

use crate::auth::Retry;
use crate::auth::{certificate, incoming_mail};
use crate::front::fcgi;
use crate::front::fcgi::listener::SocketRights;
use crate::login::rules::LoginRules;
use crate::nginx::answer::Messages;
use crate::nginx::request::Fronts;
use crate::route::Table;
use crate::sys::accounts::{Kind, number_of};
use crate::sys::problem::Problem;
use crate::sys::sandbox;
use crate::sys::trusted_file::{Fingerprint, Secrecy, read_trusted};
use crate::users::file::{LineLogins, NO_LINE_FEED, is_unfinished};

mod advice;
mod answers;
mod checker;
mod external;
mod fastcgi;
mod file;
mod hosts;
mod inbound;
mod keys;
mod limits;
mod location;
mod log;
mod logins;
mod master;
mod messages;
mod moves;
mod nginx;
mod oauth;
mod places;
mod ports;
mod probes;
mod process;
mod routes;
mod source;
mod syntax;
mod throttle;
mod users;

pub use fastcgi::SocketConfig;
pub use limits::LimitsConfig;
pub use location::{CONFIG_VARIABLE, ConfigFile, DEFAULT_CONFIG, NamedBy};
pub use master::MasterConfig;
#[cfg(feature = "oauth")]
pub use oauth::OAuthConfig;
pub use places::Places;
use source::Source;
pub use throttle::ThrottleConfig;
pub use users::{StoreConfig, UsersConfig};

/// The most bytes of a configuration file: room for some ten thousand routes.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The most bytes of a file with a secret in it.
pub const MAX_KEY_FILE_BYTES: u64 = 64 * 1024;

/// What follows for a host without a dot that `[hosts]` does not have.
pub(crate) const DNS_IS_ASKED: &str = ", so DNS is asked for it";

/// A checked configuration. Only the files that it consists of have been opened.
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// Which requests are answered.
    pub fronts: Fronts,
    /// Where users come from, in the order in which they are asked. There is at least one.
    pub users: Vec<UsersConfig>,
    /// How a login is changed before a store is asked.
    pub logins: LoginRules,
    /// The users who may log in as other users.
    pub master: Option<MasterConfig>,
    /// Clients that show a certificate.
    pub external: Option<certificate::Settings>,
    /// Mail from other servers.
    pub inbound: Option<incoming_mail::Settings>,
    /// Bearer tokens.
    #[cfg(feature = "oauth")]
    pub oauth: Option<OAuthConfig>,
    /// Which mail server each login goes to.
    pub routes: Table,
    /// What mail clients get to see.
    pub messages: Messages,
    /// Whether a client may try again on its connection.
    pub retry: Option<Retry>,
    /// The limits of guessing.
    pub throttle: Option<ThrottleConfig>,
    /// What is logged.
    pub log_level: LevelFilter,
    /// Bounds of the FastCGI server.
    pub fastcgi: fcgi::Limits,
    /// The owner and the mode of Unix sockets that the program makes.
    pub socket: SocketConfig,
    /// Bounds of the work.
    pub limits: LimitsConfig,
    /// Whether a server shuts itself in once it has started.
    pub sandbox: sandbox::Mode,
    /// Every file and folder that it names, also what cannot be used.
    pub named: Vec<Named>,
    /// Every file that was read, in the version that was.
    pub files: Vec<(PathBuf, Fingerprint)>,
    /// Those of them whose last line has no line feed, so that it may be half.
    pub unfinished: Vec<PathBuf>,
    /// What works, but is worth a look.
    pub warnings: Vec<Problem>,
    /// What could be done better on this machine; `check` says it, `serve` does not.
    pub advice: Vec<Problem>,
    /// Whether a secret stands in the file itself: that everybody may read it is worth a word only
    /// then.
    pub holds_secret: bool,
}

/// A file or folder that the configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The file or folder.
    pub path: PathBuf,
    /// What is done with it.
    pub usage: Use,
    /// Line and column at which it is named.
    pub place: (usize, usize),
    /// The key.
    pub key: String,
}

/// What is done with a file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The file is read.
    Read,
    /// Files are made and written in the folder.
    Write,
}

impl Config {
    /// Reads and checks the file at `path`, and the files that it names keys in. The error has
    /// all problems in the order of their places, at least one.
    pub fn load(path: &Path) -> Result<Self, Vec<Problem>> {
        let (config, problems) = Self::salvage(path).map_err(|problem| vec![problem])?;
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(problems)
        }
    }

    /// The same, but what could be made of the file comes beside its problems. If there are any,
    /// that is not for work: only to look for more of them in what it names.
    pub(crate) fn salvage(path: &Path) -> Result<(Self, Vec<Problem>), Problem> {
        let trusted = read_trusted(path, MAX_FILE_BYTES, Secrecy::Secret)?;
        let text = Zeroizing::new(trusted.bytes);
        let (mut config, problems) = Self::check(path, &text)?;
        if is_unfinished(&text) {
            config.unfinished.insert(0, path.to_owned());
            config.warnings.push(Problem::new(path, NO_LINE_FEED));
        }
        config
            .files
            .insert(0, (path.to_owned(), trusted.fingerprint));
        let holds_secret = config.holds_secret;
        config
            .warnings
            .extend(trusted.exposure.filter(|_| holds_secret));
        config.warnings.extend(trusted.service);
        Ok((config, problems))
    }

    /// Checks the content of the file at `path`. Reads no file but those that it names keys in.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, Vec<Problem>> {
        let (config, problems) = Self::check(path, bytes).map_err(|problem| vec![problem])?;
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(problems)
        }
    }

    fn check(path: &Path, bytes: &[u8]) -> Result<(Self, Vec<Problem>), Problem> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            // Valid up to there, so this cannot fail.
            let text = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
            let mut problem = Problem::new(path, "is not UTF-8");
            problem.place = Some(Source::new(path, text).place(text.len()));
            problem
        })?;
        let mut problems = Vec::new();
        let source = Source::new(path, text);
        let read = source.read(&mut problems);
        let (mut config, problems) = checker::check(&source, read, problems);
        config.tell_files_of_logins();
        Ok((config, problems))
    }

    /// Password files are asked for what `[logins]` makes of a login.
    fn tell_files_of_logins(&mut self) {
        let logins = LineLogins::under(&self.logins);
        for users in &mut self.users {
            match &mut users.store {
                StoreConfig::File(settings) => settings.logins = logins.clone(),
                StoreConfig::Domains(settings) => settings.each.logins = logins.clone(),
                _ => {}
            }
        }
        if let Some(master) = &mut self.master {
            master.settings.logins = LineLogins::under(&self.logins.of_masters());
        }
    }

    /// How many logins may wait at the same time for one store, or for the service that knows about
    /// tokens: as many as are written there, else an even share of all connections. One share more
    /// is left over, so that with all of them hanging, others are still answered.
    pub fn max_questions(&self, written: Option<NonZeroUsize>) -> NonZeroUsize {
        let stores = self
            .users
            .iter()
            .filter(|users| users.store.asks_a_server());
        let shares = stores.count() + usize::from(self.introspects()) + 1;
        let share = NonZeroUsize::new(self.fastcgi.connections / shares);
        written.or(share).unwrap_or(NonZeroUsize::MIN)
    }

    #[cfg(feature = "oauth")]
    fn introspects(&self) -> bool {
        let service = |oauth: &OAuthConfig| oauth.settings.introspection.is_some();
        self.oauth.as_ref().is_some_and(service)
    }

    #[cfg(not(feature = "oauth"))]
    fn introspects(&self) -> bool {
        false
    }

    /// The rights of Unix sockets that we make, with the numbers of their owner and group. To be
    /// asked for at the start: in the sandbox nobody is looked up any more.
    pub fn socket_rights(&self) -> Result<SocketRights, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut number = |kind, key: &str, named: &Option<(String, (usize, usize))>| {
            let (name, place) = named.as_ref()?;
            number_of(kind, name)
                .map_err(|message| {
                    problems.push(Problem {
                        file: self.path.clone(),
                        place: Some(*place),
                        key: Some(key.to_owned()),
                        message,
                    });
                })
                .ok()
        };
        let rights = SocketRights {
            mode: self.socket.mode,
            owner: number(Kind::User, "fastcgi.socket-owner", &self.socket.owner),
            group: number(Kind::Group, "fastcgi.socket-group", &self.socket.group),
        };
        match problems.is_empty() {
            true => Ok(rights),
            false => Err(problems),
        }
    }
}

#[cfg(test)]
mod tests;
