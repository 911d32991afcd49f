//! `user list` and `user show`.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::which::{Candidates, is_missing, problem, text};
use super::{app, shown};
use crate::commands::{CommandError, Outcome};
use crate::secret::Scheme;
use crate::sys::problem::Problem;
use crate::users::file::Settings;
use crate::users::file::app_edit::App;
use crate::users::file::entries::{Entry, entries};

/// Lists the users of all files.
pub(super) fn list(
    files: &Candidates,
    as_json: bool,
    out: &mut impl Write,
) -> Result<Outcome, CommandError> {
    let mut heads = !as_json;
    for settings in files.files()? {
        must_exist(&settings.path)?;
        let apps = app::Numbers::of(&settings)?;
        let text = text(&settings.path)?;
        entries(&text, &settings.logins, &settings.rules(), None, |entry| {
            if as_json {
                return writeln!(
                    out,
                    "{}",
                    as_value(&settings, &entry, apps.of_login(&entry.login))
                );
            }
            if std::mem::take(&mut heads) {
                writeln!(out, "LOGIN\tSTATE\tSCHEME\tAPPS\tFIELDS\tPROBLEM")?;
            }
            row(&entry, apps.of_login(&entry.login), out)
        })?;
    }
    Ok(Outcome::Done)
}

/// Shows one user.
pub(super) fn show(
    files: &Candidates,
    login: &OsStr,
    as_json: bool,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Outcome, CommandError> {
    let refused =
        |why: String| CommandError::Input(format!("\"{}\": {why}", shown(login.as_bytes())));
    let found = files.of(login.as_bytes()).map_err(refused)?;
    let settings = &found.settings;
    must_exist(&settings.path)?;
    let mut all = Vec::new();
    let text = text(&settings.path)?;
    entries(
        &text,
        &settings.logins,
        &settings.rules(),
        Some(&found.login),
        |entry| {
            all.push(entry);
            Ok::<(), io::Error>(())
        },
    )?;
    if all.is_empty() {
        writeln!(
            err,
            "{}: there is no such user in {}",
            shown(login.as_bytes()),
            settings.path.display()
        )?;
        return Ok(Outcome::Refused);
    }
    let apps = app::apps(settings, &found.login)?;
    for entry in &all {
        if as_json {
            let mut value = as_value(settings, entry, apps.len());
            value["app_passwords"] = apps.iter().map(app::as_value).collect();
            writeln!(out, "{value}")?;
        } else {
            page(settings, entry, &apps, out)?;
        }
    }
    Ok(Outcome::Done)
}

fn must_exist(path: &Path) -> Result<(), CommandError> {
    match is_missing(path) {
        true => Err(problem(Problem::new(path, "does not exist"))),
        false => Ok(()),
    }
}

/// One line, with tabs between the columns; an absent value is `-`.
fn row(entry: &Entry, apps: usize, out: &mut impl Write) -> io::Result<()> {
    let or_none = |text: String| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text
        }
    };
    writeln!(
        out,
        "{}\t{}\t{}\t{apps}\t{}\t{}",
        shown(&entry.login),
        entry.state.name(),
        entry.scheme.map_or("-", Scheme::name),
        or_none(fields(entry).join(" ")),
        entry.problem.as_deref().unwrap_or("-"),
    )
}

fn fields(entry: &Entry) -> Vec<String> {
    let escaped = |field: &String| field.escape_debug().to_string();
    entry.fields.iter().map(escaped).collect()
}

/// Some lines, each with a name.
fn page(settings: &Settings, entry: &Entry, apps: &[App], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "login: {}", shown(&entry.login))?;
    writeln!(out, "file: {}:{}", settings.path.display(), entry.line)?;
    writeln!(out, "state: {}", entry.state.name())?;
    if let Some(problem) = &entry.problem {
        writeln!(out, "problem: {problem}")?;
    }
    if let Some(scheme) = entry.scheme {
        let weak = if scheme.is_weak() { " (weak)" } else { "" };
        writeln!(out, "scheme: {scheme}{weak}")?;
    }
    for field in fields(entry) {
        writeln!(out, "field: {field}")?;
    }
    for each in apps {
        write!(out, "app password: ")?;
        app::row(each, out)?;
    }
    Ok(())
}

fn as_value(settings: &Settings, entry: &Entry, apps: usize) -> Value {
    json!({
        "login": String::from_utf8_lossy(&entry.login),
        "file": settings.path.to_string_lossy(),
        "line": entry.line,
        "state": entry.state.name(),
        "scheme": entry.scheme.map(Scheme::name),
        "weak": entry.scheme.is_some_and(Scheme::is_weak),
        "fields": entry.fields,
        "problem": entry.problem,
        "apps": apps,
    })
}
