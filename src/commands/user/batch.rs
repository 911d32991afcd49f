//! The users of a command: one of the command line, or one of each line of the input.

use std::os::unix::ffi::OsStrExt as _;

use zeroize::Zeroizing;

use crate::commands::CommandError;
use crate::commands::cli::Who;
use crate::commands::password::PasswordPrompt;

/// The maximum size of a batch: a million users.
const MAX_BATCH_BYTES: u64 = 256 << 20;

/// One user of a command.
pub(super) struct One {
    /// The line of the input, from 1; `None` for the user of the command line.
    pub(super) line: Option<usize>,
    /// The login as given.
    pub(super) login: Vec<u8>,
    /// The text behind the login and a colon.
    pub(super) password: Option<Zeroizing<Vec<u8>>>,
}

/// What follows the login on a line of a batch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// A colon and a password.
    Password,
    /// Nothing.
    Alone,
}

/// The users of a command. Blank lines of the input are skipped.
pub(super) fn users(
    who: &Who,
    lines: Lines,
    ask: &mut impl PasswordPrompt,
) -> Result<Vec<One>, CommandError> {
    if let Some(login) = &who.login {
        return Ok(vec![One {
            line: None,
            login: login.as_bytes().to_vec(),
            password: None,
        }]);
    }
    let input = ask
        .all(MAX_BATCH_BYTES)
        .map_err(CommandError::ReadPassword)?;
    let mut users = Vec::new();
    for (at, line) in input.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (login, password) = match (lines, colon) {
            (Lines::Password, Some(colon)) => {
                let password = Zeroizing::new(line[colon + 1..].to_vec());
                (&line[..colon], Some(password))
            }
            (Lines::Password, None) => {
                let message = format!(
                    "line {}: no colon follows the login: write LOGIN:PASSWORD; nothing was changed",
                    at + 1
                );
                return Err(CommandError::Input(message));
            }
            (Lines::Alone, _) => (line, None),
        };
        users.push(One {
            line: Some(at + 1),
            login: login.to_vec(),
            password,
        });
    }
    match users.is_empty() {
        true => Err(CommandError::Input(
            "the input has no line with a login".to_owned(),
        )),
        false => Ok(users),
    }
}
