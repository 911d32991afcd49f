//! `hash`: makes a line for the password file, checks a password against one, lists the schemes.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::path::Path;

use zeroize::Zeroizing;

use super::cli::HashOptions;
use super::password::{PasswordPrompt, ask as ask_password, ask_new};
use super::{CommandError, Outcome};
use crate::secret::{AcceptedHashes, MAX_HASH_MS, Proof, Recipe, Scheme, Secret, WeakSchemes};
use crate::users::file::edit::unwritable;

/// The maximum length of a line with a stored password.
const MAX_LINE_BYTES: u64 = 8192;
/// The maximum number of lines of a password file that are searched for a login.
const MAX_LINES: usize = 50_000_000;

/// Asks for a password and prints its hash, after its login if there is one.
pub(super) fn hash(
    options: &HashOptions,
    login: Option<&str>,
    ask: &mut impl PasswordPrompt,
    out: &mut impl Write,
) -> Result<Outcome, CommandError> {
    if let Some(login) = login
        && let Some(why) = unwritable(login.as_bytes())
    {
        let why = format!("{login:?} cannot be a login of a password file: {why}");
        return Err(CommandError::Input(why));
    }
    let scheme = options.scheme.unwrap_or(Scheme::Argon2id);
    let bad = |error: &dyn ToString| CommandError::Input(error.to_string());
    let recipe = Recipe::new(scheme, options.costs()).map_err(|why| bad(&why))?;
    let password = ask_new(ask)?;
    let hash = Secret::hash(recipe, &password).map_err(|why| bad(&why))?;
    match login {
        Some(login) => writeln!(out, "{login}:{hash}")?,
        None => writeln!(out, "{hash}")?,
    }
    Ok(Outcome::Done)
}

/// Lists the schemes, with tabs between the columns.
pub(super) fn list(out: &mut impl Write) -> Result<Outcome, CommandError> {
    writeln!(out, "SCHEME\tSTRENGTH\tNEW HASHES")?;
    for scheme in Scheme::ALL {
        let strength = if scheme.is_weak() { "weak" } else { "-" };
        let made = match Scheme::MADE.contains(&scheme) {
            false => "no".to_owned(),
            true => match Recipe::from(scheme).to_string() {
                costs if costs.is_empty() => "yes".to_owned(),
                costs => format!("yes, {costs}"),
            },
        };
        writeln!(out, "{scheme}\t{strength}\t{made}")?;
    }
    Ok(Outcome::Done)
}

/// Asks for a password and compares it with the stored one.
pub(super) fn verify(
    file: &Path,
    login: Option<&str>,
    ask: &mut impl PasswordPrompt,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Outcome, CommandError> {
    let line = match file == Path::new("-") {
        true => ask
            .ask("Stored password: ")
            .map_err(CommandError::ReadPassword)?,
        false => line_of(file, login)?,
    };
    let stored = match (login, line.iter().position(|byte| *byte == b':')) {
        (Some(_), Some(colon)) => {
            let rest = &line[colon + 1..];
            rest.split(|byte| *byte == b':').next().unwrap_or_default()
        }
        _ => &line,
    };
    let accepted = AcceptedHashes {
        weak: WeakSchemes::Allowed,
        max_ms: u32::MAX,
    };
    let secret = match Secret::parse(stored, accepted) {
        Ok(Some(secret)) => secret,
        Ok(None) => {
            writeln!(out, "locked: no password matches")?;
            return Ok(Outcome::Refused);
        }
        Err(why) => return Err(CommandError::Input(why.to_string())),
    };
    let scheme = secret.scheme();
    if scheme.is_weak() {
        writeln!(err, "note: the scheme {scheme} is weak")?;
    }
    if secret.takes_ms() > MAX_HASH_MS {
        let ms = secret.takes_ms();
        writeln!(
            err,
            "note: a check takes about {ms} ms, more than max-hash-ms allows by default"
        )?;
    }
    let password = ask_password(ask, "Password: ")?;
    match secret.check(&Proof::Password(password)) {
        Ok(true) => {
            writeln!(out, "matches ({scheme})")?;
            Ok(Outcome::Done)
        }
        Ok(false) => {
            writeln!(out, "does not match ({scheme})")?;
            Ok(Outcome::Refused)
        }
        Err(_) => Err(CommandError::Input(
            "there is not enough memory for the hash".to_owned(),
        )),
    }
}

/// The line of a login, or the first line without one.
fn line_of(file: &Path, login: Option<&str>) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    let failed = |why: &dyn ToString| {
        CommandError::Input(format!("{}: {}", file.display(), why.to_string()))
    };
    let mut reader = BufReader::new(File::open(file).map_err(|error| failed(&error))?);
    for _ in 0..MAX_LINES {
        let mut line = Zeroizing::new(Vec::new());
        let mut taken = (&mut reader).take(MAX_LINE_BYTES);
        let read = taken
            .read_until(b'\n', &mut line)
            .map_err(|error| failed(&error))?;
        if read == 0 {
            break;
        }
        while line
            .last()
            .is_some_and(|last| matches!(last, b'\n' | b'\r'))
        {
            line.pop();
        }
        let is_its = |login: &str| {
            line.strip_prefix(login.as_bytes())
                .is_some_and(|rest| rest.starts_with(b":"))
        };
        if login.is_none_or(is_its) {
            return Ok(line);
        }
    }
    Err(match login {
        Some(login) => failed(&format!("there is no line of {login:?}")),
        None => failed(&"is empty"),
    })
}
