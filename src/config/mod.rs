//! The configuration: parses and checks it. Each table of the TOML file has a source file here.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::auth::Retry;
use crate::auth::{certificate, incoming_mail};
use crate::front::fcgi;
use crate::front::fcgi::listener::SocketRights;
use crate::login::rules::LoginRules;
use crate::nginx::answer::Messages;
use crate::nginx::request::Fronts;
use crate::route::Table;
use crate::sys::accounts::{AccountKind, number_of};
use crate::sys::problem::Problem;
use crate::sys::sandbox;
use crate::sys::trusted_file::{Fingerprint, Secrecy, read_trusted};
use crate::users::file::{LineLogins, NO_LINE_FEED, is_unfinished};

mod advice;
mod answers;
mod checker;
mod effective;
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
mod ports;
mod positions;
mod probes;
mod process;
mod reading;
mod routes;
mod source;
mod status;
mod syntax;
mod tables;
mod throttle;
mod unreadable;
mod users;

pub use effective::{Effective, FULL_EXAMPLE, Secrets, Which, effective};
pub use fastcgi::SocketConfig;
pub use limits::LimitsConfig;
pub use location::{CONFIG_VARIABLE, ConfigFile, DEFAULT_CONFIG, NamedBy};
pub use log::LogConfig;
pub use master::MasterConfig;
#[cfg(feature = "servers")]
pub use oauth::OAuthConfig;
pub use positions::KeyPositions;
use source::Source;
pub use status::StatusConfig;
pub use tables::Tables;
pub use throttle::ThrottleConfig;
pub use users::{StoreConfig, UsersConfig};

/// The maximum size of a configuration file in bytes: room for about ten thousand routes.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The maximum size of a file with a secret in bytes.
pub const MAX_KEY_FILE_BYTES: u64 = 64 * 1024;

/// The consequence for a host name without a dot that `[hosts]` does not have.
pub(crate) const DNS_IS_ASKED: &str = ", so it is looked up in DNS";

/// A checked configuration. Only its own files have been opened.
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// Which requests are answered.
    pub fronts: Fronts,
    /// The user stores, in the order in which they are asked. There is at least one.
    pub users: Vec<UsersConfig>,
    /// How a login is changed before a store is asked.
    pub logins: LoginRules,
    /// The users who may log in as other users.
    pub master: Option<MasterConfig>,
    /// Clients that log in with a certificate.
    pub external: Option<certificate::Settings>,
    /// Mail from other servers.
    pub inbound: Option<incoming_mail::Settings>,
    /// Bearer tokens.
    #[cfg(feature = "servers")]
    pub oauth: Option<OAuthConfig>,
    /// Which mail server each login goes to.
    pub routes: Table,
    /// The texts for mail clients.
    pub messages: Messages,
    /// Whether a client may retry on its connection.
    pub retry: Option<Retry>,
    /// The limits of password guessing.
    pub throttle: Option<ThrottleConfig>,
    /// The status page.
    pub status: StatusConfig,
    /// The log.
    pub log: LogConfig,
    /// The limits of the FastCGI server.
    pub fastcgi: fcgi::Limits,
    /// The owner and the mode of Unix sockets that the program creates.
    pub socket: SocketConfig,
    /// The limits of the program's work.
    pub limits: LimitsConfig,
    /// Whether a server process enters the sandbox after its start.
    pub sandbox: sandbox::Mode,
    /// Every file and folder that the configuration names, even if it is unusable.
    pub named: Vec<NamedFile>,
    /// Every file that was read, with its version.
    pub files: Vec<(PathBuf, Fingerprint)>,
    /// Those files whose last line has no line feed, so that they may be incomplete.
    pub unfinished: Vec<PathBuf>,
    /// Warnings: settings that work but may be wrong or insecure.
    pub warnings: Vec<Problem>,
    /// Possible improvements on this machine; `check` reports them, `serve` does not.
    pub advice: Vec<Problem>,
    /// The tables of the file, to compare it with a later version.
    pub tables: Tables,
    /// Whether the file itself contains a secret: only then is it a problem if other users can read it.
    pub holds_secret: bool,
}

/// A file or folder that the configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// The file or folder.
    pub path: PathBuf,
    /// Its use.
    pub usage: FileUse,
    /// Its line and column in the configuration.
    pub position: (usize, usize),
    /// The key.
    pub key: String,
}

/// The use of a file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileUse {
    /// The program reads the file.
    Read,
    /// The program creates and writes files in the folder.
    Write,
}

impl Config {
    /// Reads and checks the file at `path`, and the secret files that it names. The error has all problems in
    /// the order of their positions, at least one.
    pub fn load(path: &Path) -> Result<Self, Vec<Problem>> {
        let (config, problems) = Self::salvage(path).map_err(|problem| vec![problem])?;
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(problems)
        }
    }

    /// The same, but returns the valid part of the file beside its problems. If there are problems, the
    /// result must only be used to find further ones in the named files and servers.
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

    /// Checks the content of the file at `path`. Reads only the secret files that it names.
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
            // The text is valid up to there, so this cannot fail.
            let text = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
            let mut problem = Problem::new(path, "is not UTF-8");
            problem.position = Some(Source::new(path, text).position(text.len()));
            problem
        })?;
        let mut problems = Vec::new();
        let source = Source::new(path, text);
        let read = source.read(&mut problems);
        let (mut config, problems) = reading::check(&source, read, problems);
        config.set_login_rules_of_files();
        Ok((config, problems))
    }

    /// A password file is asked for logins after `[logins]`.
    fn set_login_rules_of_files(&mut self) {
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

    /// The maximum number of logins that wait at the same time for one store, or for the introspection of
    /// tokens: the configured number, else an equal share of all connections. One more share remains free, so
    /// that other requests are answered even if all stores hang.
    pub fn max_questions(&self, written: Option<NonZeroUsize>) -> NonZeroUsize {
        let stores = self
            .users
            .iter()
            .filter(|users| users.store.asks_a_server());
        let shares = stores.count() + usize::from(self.introspects()) + 1;
        let share = NonZeroUsize::new(self.fastcgi.connections / shares);
        written.or(share).unwrap_or(NonZeroUsize::MIN)
    }

    #[cfg(feature = "servers")]
    fn introspects(&self) -> bool {
        let service = |oauth: &OAuthConfig| oauth.settings.introspection.is_some();
        self.oauth.as_ref().is_some_and(service)
    }

    #[cfg(not(feature = "servers"))]
    fn introspects(&self) -> bool {
        false
    }

    /// The rights of the Unix sockets that the program creates, with the numbers of their owner and group.
    /// Must be called at the start: the sandbox prevents looking up users.
    pub fn socket_rights(&self) -> Result<SocketRights, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut number = |kind, key: &str, named: &Option<(String, (usize, usize))>| {
            let (name, position) = named.as_ref()?;
            number_of(kind, name)
                .map_err(|message| {
                    problems.push(Problem {
                        file: self.path.clone(),
                        position: Some(*position),
                        key: Some(key.to_owned()),
                        message,
                    });
                })
                .ok()
        };
        let rights = SocketRights {
            mode: self.socket.mode,
            owner: number(
                AccountKind::User,
                "fastcgi.socket-owner",
                &self.socket.owner,
            ),
            group: number(
                AccountKind::Group,
                "fastcgi.socket-group",
                &self.socket.group,
            ),
        };
        match problems.is_empty() {
            true => Ok(rights),
            false => Err(problems),
        }
    }
}

#[cfg(test)]
mod tests;
