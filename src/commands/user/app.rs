//! `user app`: the app passwords of a user.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::change::manner;
use super::new_password::{Maker, NO_PASSWORD, Stored};
use super::shown;
use super::which::{Candidates, Found, problem, text};
use crate::commands::cli::NewPassword;
use crate::commands::password::PasswordPrompt;
use crate::commands::{CommandError, Outcome};
use crate::secret::Scheme;
use crate::sys::changed_file::{self, Missing};
use crate::sys::problem::Problem;
use crate::users::file::Settings;
use crate::users::file::app_edit::{self, App, NewApp, Refused};
use crate::users::file::entries::entries;

/// The scheme of an app password that is made here: it has 120 random bits, and each wrong password is
/// compared with all app passwords of the user.
const FAST: Scheme = Scheme::Ssha512;

/// Adds an app password.
#[expect(
    clippy::too_many_arguments,
    reason = "each is an option of the command line"
)]
pub(super) fn add(
    files: &Candidates,
    login: &OsStr,
    label: &str,
    options: &NewPassword,
    limits: [(&str, &Option<String>); 3],
    ask: &mut impl PasswordPrompt,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Outcome, CommandError> {
    let (found, path) = place(files, login)?;
    let (settings, rules) = (&found.settings, found.settings.rules());
    let refused = |why: &dyn ToString| {
        CommandError::Input(format!(
            "\"{}\": {}",
            shown(login.as_bytes()),
            why.to_string()
        ))
    };
    let maker = Maker::new(options, Some(FAST))?;
    let mut is_user = false;
    entries(
        &text(&settings.path)?,
        &settings.logins,
        &rules,
        Some(&found.login),
        |_| {
            is_user = true;
            Ok::<(), CommandError>(())
        },
    )?;
    if !is_user {
        let path = settings.path.display();
        return Err(refused(&format!("there is no such user in {path}")));
    }
    let mut new = NewApp {
        label: label.to_owned(),
        stored: Zeroizing::new(NO_PASSWORD.to_owned()),
        limits: given(limits)?,
    };
    // First without the password: nobody types one for nothing.
    app_edit::add(&text(&path)?, &settings.logins, &rules, &found.login, &new)
        .map_err(|why| refused(&why))?;
    let Stored { field, made } = maker.ask(ask)?;
    new.stored = field;
    let changed = changed_file::change(&path, manner(Missing::Create), |text| {
        let text = app_edit::add(text, &settings.logins, &rules, &found.login, &new);
        text.map(|text| (text, ())).map_err(Failed::Refused)
    });
    let changed = changed.map_err(|failed| match failed {
        Failed::File(why) => problem(why),
        Failed::Refused(why) => refused(&why),
    })?;
    if changed.created {
        writeln!(
            err,
            "note: {} did not exist and was created",
            path.display()
        )?;
    }
    let login = shown(login.as_bytes());
    writeln!(
        err,
        "{login}: app password {label:?} added ({})",
        path.display()
    )?;
    if let Some(password) = made {
        out.write_all(password.reveal())?;
        writeln!(out)?;
    }
    Ok(Outcome::Done)
}

/// Removes an app password, or all of them.
pub(super) fn revoke(
    files: &Candidates,
    login: &OsStr,
    label: Option<&str>,
    err: &mut impl Write,
) -> Result<Outcome, CommandError> {
    let (found, path) = place(files, login)?;
    let login = shown(login.as_bytes());
    let changed = changed_file::change(&path, manner(Missing::Fail), |text| {
        let logins = &found.settings.logins;
        Ok(app_edit::remove(text, logins, &found.login, label))
    });
    match changed.map_err(problem)?.value {
        0 => {
            let what = match label {
                Some(label) => format!("app password {label:?}"),
                None => "app passwords".to_owned(),
            };
            writeln!(err, "{login}: has no {what} ({})", path.display())?;
            Ok(Outcome::Refused)
        }
        number => {
            writeln!(
                err,
                "{login}: app passwords revoked: {number} ({})",
                path.display()
            )?;
            Ok(Outcome::Done)
        }
    }
}

/// Lists the app passwords of a user.
pub(super) fn list(
    files: &Candidates,
    login: &OsStr,
    as_json: bool,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Outcome, CommandError> {
    let (found, path) = place(files, login)?;
    let apps = apps(&found.settings, &found.login)?;
    if apps.is_empty() {
        let login = shown(login.as_bytes());
        writeln!(err, "{login}: has no app passwords ({})", path.display())?;
    }
    if !as_json && !apps.is_empty() {
        writeln!(out, "LABEL\tSCHEME\tSTATE\tLIMITS")?;
    }
    for app in &apps {
        match as_json {
            true => writeln!(out, "{}", as_value(app))?,
            false => row(app, out)?,
        }
    }
    Ok(Outcome::Done)
}

/// One line, with tabs between the columns.
pub(super) fn row(app: &App, out: &mut impl Write) -> io::Result<()> {
    let state = match (&app.problem, app.expired) {
        (Some(problem), _) => problem,
        (None, true) => "expired",
        (None, false) => "active",
    };
    let limits = match app.limits.is_empty() {
        true => "-".to_owned(),
        false => app.limits.join(" ").escape_debug().to_string(),
    };
    let label = app.label.escape_debug();
    writeln!(
        out,
        "{label}\t{}\t{state}\t{limits}",
        app.scheme.map_or("-", Scheme::name)
    )
}

/// The same as JSON.
pub(super) fn as_value(app: &App) -> Value {
    json!({
        "label": app.label,
        "line": app.line,
        "scheme": app.scheme.map(Scheme::name),
        "limits": app.limits,
        "expired": app.expired,
        "problem": app.problem,
    })
}

/// The app passwords of a login.
pub(super) fn apps(settings: &Settings, login: &[u8]) -> Result<Vec<App>, CommandError> {
    let Some(path) = &settings.app_passwords else {
        return Ok(Vec::new());
    };
    let text = text(path)?;
    Ok(app_edit::of(
        &text,
        &settings.logins,
        &settings.rules(),
        login,
    ))
}

/// How many app passwords each login has.
pub(super) struct Numbers(HashMap<Vec<u8>, usize>);

impl Numbers {
    pub(super) fn of(settings: &Settings) -> Result<Self, CommandError> {
        let mut numbers = HashMap::new();
        if let Some(path) = &settings.app_passwords {
            for login in app_edit::logins(&text(path)?, &settings.logins) {
                *numbers.entry(login).or_default() += 1;
            }
        }
        Ok(Self(numbers))
    }

    pub(super) fn of_login(&self, login: &[u8]) -> usize {
        self.0.get(login).copied().unwrap_or_default()
    }
}

/// The login, and its file of app passwords.
fn place(files: &Candidates, login: &OsStr) -> Result<(Found, PathBuf), CommandError> {
    let refused =
        |why: String| CommandError::Input(format!("\"{}\": {why}", shown(login.as_bytes())));
    let found = files.of(login.as_bytes()).map_err(refused)?;
    match found.settings.app_passwords.clone() {
        Some(path) => Ok((found, path)),
        None => Err(refused(format!(
            "{} has no file of app passwords: set app-passwords-path in [[users]], or use \
             --app-file",
            found.settings.path.display()
        ))),
    }
}

/// The limits that were given, as extra fields.
fn given(limits: [(&str, &Option<String>); 3]) -> Result<Vec<String>, CommandError> {
    let given = limits
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_ref()?)));
    given
        .map(
            |(name, value)| match value.contains(|c: char| c.is_whitespace() || c.is_control()) {
                true => Err(CommandError::Input(format!(
                    "{name} {value:?}: holds a blank"
                ))),
                false => Ok(format!("{name}={value}")),
            },
        )
        .collect()
}

/// Why a file was not changed.
enum Failed {
    File(Problem),
    Refused(Refused),
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self::File(problem)
    }
}
