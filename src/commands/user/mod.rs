//! `user`: manages the users of password files.

use std::io::Write;
use std::path::Path;

use super::password::PasswordPrompt;
use super::{CommandError, Outcome};
use crate::commands::cli::{AppCommand, UserCommand, WhichFile};

mod app;
mod batch;
mod change;
mod list;
mod new_password;
mod plan;
mod which;

use which::Candidates;

/// Runs a subcommand of `user`. Results go to `out`, what was done and notes to `err`.
pub(super) fn user(
    config: &Path,
    which: &WhichFile,
    command: &UserCommand,
    ask: &mut impl PasswordPrompt,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Outcome, CommandError> {
    let Some(files) = Candidates::find(config, which, err)? else {
        return Ok(Outcome::BrokenConfig);
    };
    match command {
        UserCommand::List { json } => list::list(&files, *json, out),
        UserCommand::Show { login, json } => list::show(&files, login, *json, out, err),
        UserCommand::App { command } => match command {
            AppCommand::List { login, json } => app::list(&files, login, *json, out, err),
            AppCommand::Add {
                login,
                label,
                password,
                protocols,
                allow_nets,
                expires,
            } => {
                let limits = [
                    ("protocols", protocols),
                    ("allow_nets", allow_nets),
                    ("expires", expires),
                ];
                app::add(&files, login, label, password, limits, ask, out, err)
            }
            AppCommand::Revoke { login, label, .. } => {
                app::revoke(&files, login, label.as_deref(), err)
            }
        },
        UserCommand::Change(command) => change::change(&files, command, ask, out, err),
    }
}

/// A login for a message. It may hold any bytes.
fn shown(login: &[u8]) -> String {
    let text = String::from_utf8_lossy(login);
    text.escape_debug().to_string()
}
