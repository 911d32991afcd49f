//! `user add`, `passwd`, `lock`, `unlock` and `delete`.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use super::batch::{Lines, One, users};
use super::new_password::Stored;
use super::plan::Plan;
use super::shown;
use super::which::{Candidates, Found, is_missing, problem, text};
use crate::commands::cli::ChangeCommand;
use crate::commands::password::PasswordPrompt;
use crate::commands::{CommandError, Outcome};
use crate::secret::Password;
use crate::sys::changed_file::{self, Manner, Missing};
use crate::sys::problem::Problem;
use crate::users::file::app_edit;
use crate::users::file::edit::{Action, Done, Edit, Refused, apply};
use crate::users::file::{MAX_USERS_FILE_BYTES, Settings};

/// How long a command waits for another one that changes the same file.
const PATIENCE: Duration = Duration::from_secs(10);
/// The maximum number of refused lines of a batch that are printed.
const MAX_REFUSED: usize = 20;

/// How the commands change files.
pub(super) fn manner(missing: Missing) -> Manner {
    Manner {
        max_bytes: MAX_USERS_FILE_BYTES,
        patience: PATIENCE,
        missing,
    }
}

/// Changes users.
pub(super) fn change(
    files: &Candidates,
    command: &ChangeCommand,
    ask: &mut impl PasswordPrompt,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Outcome, CommandError> {
    let plan = Plan::of(command)?;
    let lines = match &plan.maker {
        Some(maker) if maker.asks() => Lines::Password,
        Some(_) | None => Lines::Alone,
    };
    let users = users(plan.who, lines, ask)?;
    let (settings, mut edits) = edits(files, &users, &plan, err)?;
    let path = &settings.path;
    // First without the passwords: nobody types one for nothing.
    let known = apply(&text(path)?, &settings.logins, &settings.rules(), &edits);
    known.map_err(|refused| explain(&users, refused, err))?;
    if matches!(plan.action, Action::Delete) {
        remove_apps(&settings, &edits)?;
    }
    let made = fill(&plan, &users, &mut edits, ask, err)?;
    let missing = match plan.adds() {
        true => Missing::Create,
        false => Missing::Fail,
    };
    let changed = changed_file::change(path, manner(missing), |text| {
        apply(text, &settings.logins, &settings.rules(), &edits).map_err(Failed::Refused)
    });
    let changed = changed.map_err(|failed| match failed {
        Failed::File(why) => problem(why),
        Failed::Refused(refused) => explain(&users, refused, err),
    })?;
    if changed.created {
        writeln!(
            err,
            "note: {} did not exist and was created",
            path.display()
        )?;
    }
    for (user, done) in users.iter().zip(&changed.value) {
        report(user, plan.verb, *done, path, err)?;
    }
    for (user, password) in users.iter().zip(made) {
        if let Some(password) = password {
            tell(user, &password, out)?;
        }
    }
    Ok(Outcome::Done)
}

/// Why a file was not changed.
enum Failed {
    File(Problem),
    Refused(Vec<(usize, Refused)>),
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self::File(problem)
    }
}

/// The edits of all users, which must be in one file.
fn edits(
    files: &Candidates,
    users: &[One],
    plan: &Plan<'_>,
    err: &mut impl Write,
) -> Result<(Settings, Vec<Edit>), CommandError> {
    let mut settings: Option<Settings> = None;
    let (mut edits, mut refused) = (Vec::new(), Vec::new());
    for (number, user) in users.iter().enumerate() {
        let found = match files.of(&user.login) {
            Ok(found) => found,
            Err(why) => {
                refused.push((number, why));
                continue;
            }
        };
        let first = settings.get_or_insert_with(|| found.settings.clone());
        if first.path != found.settings.path {
            let other = found.settings.path.display();
            refused.push((
                number,
                format!("is in another file, {other}: a batch changes one file"),
            ));
            continue;
        }
        if let (Some(why), true) = (&found.unreachable, plan.adds()) {
            refused.push((number, why.clone()));
            continue;
        }
        note_login(user, &found, err)?;
        edits.push(Edit {
            login: found.login,
            action: plan.action.clone(),
        });
    }
    match settings {
        Some(settings) if refused.is_empty() => Ok((settings, edits)),
        Some(_) | None => Err(explain(users, refused, err)),
    }
}

/// Tells that the login is another one in the file.
fn note_login(user: &One, found: &Found, err: &mut impl Write) -> io::Result<()> {
    if user.login == found.login {
        return Ok(());
    }
    let (typed, login) = (shown(&user.login), shown(&found.login));
    writeln!(err, "note: [logins] make \"{login}\" of \"{typed}\"")
}

/// Puts the stored passwords into the edits; returns the passwords that were made here.
fn fill(
    plan: &Plan<'_>,
    users: &[One],
    edits: &mut [Edit],
    ask: &mut impl PasswordPrompt,
    err: &mut impl Write,
) -> Result<Vec<Option<Password>>, CommandError> {
    let Some(maker) = &plan.maker else {
        return Ok(Vec::new());
    };
    let (mut passwords, mut refused) = (Vec::new(), Vec::new());
    for (number, (user, edit)) in users.iter().zip(edits).enumerate() {
        let Stored { field, made } = match &user.password {
            Some(typed) => match maker.read(typed) {
                Ok(stored) => stored,
                Err(why) => {
                    refused.push((number, why));
                    continue;
                }
            },
            None => maker.ask(ask)?,
        };
        match &mut edit.action {
            Action::Add { stored, .. } | Action::Password(stored) => *stored = field,
            Action::Lock(_) | Action::Unlock | Action::Delete => {}
        }
        passwords.push(made);
    }
    match refused.is_empty() {
        true => Ok(passwords),
        false => Err(explain(users, refused, err)),
    }
}

/// Removes the app passwords of users who are deleted, before the users: a later user of the same login must
/// not inherit them.
fn remove_apps(settings: &Settings, edits: &[Edit]) -> Result<(), CommandError> {
    let Some(path) = settings.app_passwords.as_deref() else {
        return Ok(());
    };
    if is_missing(path) {
        return Ok(());
    }
    changed_file::change(path, manner(Missing::Fail), |text| {
        let mut text = Zeroizing::new(text.to_vec());
        for edit in edits {
            (text, _) = app_edit::remove(&text, &settings.logins, &edit.login, None);
        }
        Ok((text, ()))
    })
    .map(|_| ())
    .map_err(problem)
}

/// Prints why lines of a batch were refused; the result says it of the user of the command line.
fn explain(
    users: &[One],
    refused: Vec<(usize, impl ToString)>,
    err: &mut impl Write,
) -> CommandError {
    let more = refused.len().saturating_sub(MAX_REFUSED);
    for (number, why) in refused.into_iter().take(MAX_REFUSED) {
        let user = &users[number];
        let (login, why) = (shown(&user.login), why.to_string());
        match user.line {
            None => return CommandError::Input(format!("\"{login}\": {why}")),
            Some(line) => {
                if let Err(error) = writeln!(err, "line {line}: \"{login}\": {why}") {
                    return error.into();
                }
            }
        }
    }
    CommandError::Input(match more {
        0 => "nothing was changed".to_owned(),
        more => format!("{more} more lines of this kind; nothing was changed"),
    })
}

/// Says what was done.
fn report(user: &One, verb: &str, done: Done, path: &Path, err: &mut impl Write) -> io::Result<()> {
    let (login, path) = (shown(&user.login), path.display());
    match done {
        Done::AsAsked => writeln!(err, "{login}: {verb} ({path})"),
        Done::StaysLocked => writeln!(
            err,
            "{login}: {verb}, and stays locked: user unlock ({path})"
        ),
        Done::Already => writeln!(err, "{login}: is already {verb} ({path})"),
        Done::NoPassword => writeln!(
            err,
            "{login}: {verb}, and has no password: user passwd ({path})"
        ),
        Done::Removed(lines) => writeln!(err, "{login}: {verb}, from {lines} lines ({path})"),
    }
}

/// Prints a password that was made here.
fn tell(user: &One, password: &Password, out: &mut impl Write) -> io::Result<()> {
    if user.line.is_some() {
        out.write_all(&user.login)?;
        out.write_all(b":")?;
    }
    out.write_all(password.reveal())?;
    out.write_all(b"\n")
}
