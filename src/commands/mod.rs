//! The subcommands for administrators, one file each. `serve` and answering requests are elsewhere.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::commands::cli::{Command, Section};
use crate::config::{Secrets, Which};
use crate::service::Service;
use crate::sys::Lifetime;
use crate::sys::problem::Problem;
use crate::sys::trusted_file;

mod check;
pub mod cli;
mod config;
mod docs;
mod hash;
mod manual_of_keys;
mod password;
mod probe;
mod rights;
mod route;
mod snippet;
mod status;
mod terminal;
mod test;
mod throttle;
mod user;

use password::{Console, PasswordPrompt};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Success.
    Done,
    /// `test`: the login is not accepted; `route`: it has no mail server; `status`: something needs
    /// attention.
    Refused,
    /// The configuration, or a file or server that it names, cannot be used.
    BrokenConfig,
    /// The arguments do not fit together.
    BadCommandLine,
    /// `probe`: the URL could not be asked; `status`: the server could not.
    NotAsked,
    /// `probe`: a temporary failure.
    Temporary,
    /// `probe`: nginx cannot use the answer.
    UnusableAnswer,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Refused => 1,
            Outcome::BrokenConfig => EX_CONFIG,
            Outcome::BadCommandLine => BAD_COMMAND_LINE,
            Outcome::NotAsked => EX_UNAVAILABLE,
            Outcome::Temporary => EX_TEMPFAIL,
            Outcome::UnusableAnswer => EX_PROTOCOL,
        })
    }
}

/// "Something was found in an unconfigured or misconfigured state" (sysexits.h).
pub const EX_CONFIG: u8 = 78;

/// "A service is unavailable" (sysexits.h).
const EX_UNAVAILABLE: u8 = 69;
/// "Temporary failure, indicating something that is not really an error" (sysexits.h).
const EX_TEMPFAIL: u8 = 75;
/// "The remote system returned something that was not possible" (sysexits.h).
const EX_PROTOCOL: u8 = 76;
/// What clap ends with.
const BAD_COMMAND_LINE: u8 = 2;

/// Why a command failed.
#[derive(Debug)]
pub enum CommandError {
    /// The result could not be written.
    Write(io::Error),
    /// No password could be read.
    ReadPassword(io::Error),
    /// The input cannot be used; the text says why.
    Input(String),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(_) => f.write_str("cannot write the result"),
            Self::ReadPassword(_) => f.write_str("cannot read a password"),
            Self::Input(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for CommandError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Write(error) | Self::ReadPassword(error) => Some(error),
            Self::Input(_) => None,
        }
    }
}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

/// Runs a command with the configuration file at `config`; `None` for [`Command::Serve`], which is
/// handled elsewhere.
pub fn run(command: &Command, config: &Path) -> Option<Result<Outcome, CommandError>> {
    // Without root `check` compares owners and modes instead.
    let compares = matches!(command, Command::Check { .. }) && !rights::is_root();
    if let Some(user) = command.user().filter(|_| !compares)
        && let Err(why) = rights::take(user)
    {
        return Some(Err(CommandError::Input(why)));
    }
    trusted_file::path::look_for_a_service();
    // Not locked: the threads that resolve names write to the log.
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let mut console = match command {
        Command::Probe(_) => Console::of_lines(probe::MAX_SECRET_BYTES),
        _ => Console::default(),
    };
    let result = run_with(command, config, &mut console, &mut out, &mut err)?;
    let result = result.and_then(|outcome| {
        if matches!(command, Command::Check { .. }) && outcome == Outcome::Done {
            rights::hint(command.user(), &mut err)?;
        }
        out.flush()?;
        Ok(outcome)
    });
    Some(match result {
        // A reader that stops early, such as `head`, is not an error.
        Err(CommandError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(Outcome::Done)
        }
        result => result,
    })
}

fn run_with(
    command: &Command,
    config: &Path,
    ask: &mut impl PasswordPrompt,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Option<Result<Outcome, CommandError>> {
    Some(match command {
        Command::Serve { .. } => return None,
        Command::Check {
            offline,
            base,
            json,
            rights,
        } => {
            let options = check::Options {
                offline: *offline,
                base: base.as_deref(),
                json: *json,
                user: rights.user.as_deref(),
            };
            check::check(config, &options, out, err)
        }
        Command::Test {
            login,
            protocol,
            client_ip,
            ..
        } => {
            let attempt = test::Attempt {
                login,
                protocol: (*protocol).into(),
                client: *client_ip,
            };
            test::test(config, &attempt, ask, out, err)
        }
        Command::Route {
            login,
            protocol,
            client_ip,
            ..
        } => {
            let attempt = test::Attempt {
                login,
                protocol: (*protocol).into(),
                client: *client_ip,
            };
            route::route(config, &attempt, out, err)
        }
        Command::Config {
            changed,
            with_secrets,
        } => {
            let which = match changed {
                true => Which::Changed,
                false => Which::All,
            };
            let secrets = match with_secrets {
                true => Secrets::Printed,
                false => Secrets::Hidden,
            };
            config::config(config, which, secrets, out, err)
        }
        Command::Snippet(arguments) => snippet::snippet(config, arguments, out, err),
        Command::Probe(arguments) => probe::probe(config, arguments, ask, out, err),
        Command::Hash { list: true, .. } => hash::list(out),
        Command::Hash {
            verify: Some(file),
            login,
            ..
        } => hash::verify(file, login.as_deref(), ask, out, err),
        Command::Hash { options, login, .. } => hash::hash(options, login.as_deref(), ask, out),
        Command::User { command, which } => user::user(config, which, command, ask, out, err),
        Command::Throttle { command, .. } => throttle::throttle(config, command, out, err),
        Command::Status {
            socket,
            json,
            full,
            timeout,
        } => {
            let ask = status::Ask {
                socket: socket.as_ref(),
                json: *json,
                full: *full,
                timeout: *timeout,
            };
            status::status(config, &ask, out, err)
        }
        Command::Man {
            section: Section::Commands,
        } => docs::man(out),
        Command::Man {
            section: Section::Keys,
        } => manual_of_keys::print(out),
        Command::Completions { shell } => docs::completions(*shell, out),
    })
}

/// The service for one login, with its warnings printed; `None`, with its problems printed, if the
/// configuration cannot be used.
fn open(config: &Path, err: &mut impl Write) -> io::Result<Option<Service>> {
    match Service::open(config, Lifetime::OneRequest, None, &mut Vec::new()) {
        Ok(service) => {
            warn(service.warnings(), err)?;
            Ok(Some(service.without_throttle()))
        }
        Err(problems) => {
            print_problems(&problems, err)?;
            Ok(None)
        }
    }
}

/// Prints problems, one a line.
fn print_problems(problems: &[Problem], err: &mut impl Write) -> io::Result<()> {
    problems
        .iter()
        .try_for_each(|problem| writeln!(err, "{problem}"))
}

/// Prints warnings, marked so that they do not look like problems.
fn warn(warnings: &[Problem], err: &mut impl Write) -> io::Result<()> {
    warnings
        .iter()
        .try_for_each(|warning| writeln!(err, "warning: {warning}"))
}

#[cfg(test)]
mod tests;
