//! `hash`: makes a line for the password file.

use std::io::Write;

use super::password::{PasswordPrompt, ask_new};
use super::{CommandError, Outcome};
use crate::login::Login;
use crate::secret::{Scheme, Secret};

/// Asks for a password and prints its hash, after its login if there is one.
pub(super) fn hash(
    scheme: Scheme,
    login: Option<&str>,
    ask: &mut impl PasswordPrompt,
    out: &mut impl Write,
) -> Result<Outcome, CommandError> {
    if let Some(login) = login {
        let usable = Login::new(login.as_bytes().to_vec()).is_ok()
            && !login.is_empty()
            && !login.contains(':')
            && !login.starts_with('#');
        if !usable {
            let why = format!("{login:?} cannot be a login of a password file");
            return Err(CommandError::Input(why));
        }
    }
    let password = ask_new(ask)?;
    let hash =
        Secret::hash(scheme, &password).map_err(|error| CommandError::Input(error.to_string()))?;
    match login {
        Some(login) => writeln!(out, "{login}:{hash}")?,
        None => writeln!(out, "{hash}")?,
    }
    Ok(Outcome::Done)
}
