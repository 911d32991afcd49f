//! `check`: reports whether `serve` could start, all its problems and warnings, and the users of each store.

use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::{CommandError, Outcome, print_problems, warn};
use crate::service::{Inspection, Service};
use crate::sys::problem::Problem;
use crate::users::file::Tally;

mod access;

/// What is checked, and how it is told.
pub(super) struct Options<'a> {
    /// Nothing is asked but files.
    pub(super) offline: bool,
    /// Where the configuration will be.
    pub(super) base: Option<&'a Path>,
    pub(super) json: bool,
    /// The user that must be able to read everything.
    pub(super) user: Option<&'a str>,
}

/// Loads everything that `serve` loads, and resolves all names. Problems and warnings go to `err`; as JSON, everything
/// goes to `out`.
pub(super) fn check(
    config: &Path,
    options: &Options<'_>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Outcome, CommandError> {
    let mut looked = match options.offline || options.base.is_some() {
        true => Service::inspect_offline(config, options.base),
        false => Service::inspect(config),
    };
    if let Some(user) = options.user {
        let denied = access::denied(user, config, options.base).map_err(CommandError::Input)?;
        looked.problems.extend(denied);
    }
    let outcome = match looked.problems.is_empty() {
        true => Outcome::Done,
        false => Outcome::BrokenConfig,
    };
    if options.json {
        writeln!(out, "{:#}", as_json(&looked))?;
        return Ok(outcome);
    }
    warn(&looked.warnings, err)?;
    print_problems(&looked.problems, err)?;
    for found in &looked.found {
        writeln!(out, "{found}")?;
    }
    for (name, tally) in &looked.stores {
        writeln!(out, "{}", summary(name, tally.as_ref()))?;
    }
    if outcome == Outcome::Done {
        writeln!(out, "{}: ok", config.display())?;
    }
    Ok(outcome)
}

/// `file: 3 users, of which 2 can never log in (an unknown scheme: 1, disabled by nologin: 1)`.
fn summary(name: &str, tally: Option<&Tally>) -> String {
    let Some(Tally { users, never }) = tally else {
        return format!("{name}: its users are not counted");
    };
    let total: usize = never.values().sum();
    let word = if *users == 1 { "user" } else { "users" };
    if total == 0 {
        return format!("{name}: {users} {word}");
    }
    let reasons = never.iter().map(|(why, number)| format!("{why}: {number}"));
    let reasons = reasons.collect::<Vec<_>>().join(", ");
    format!("{name}: {users} {word}, of which {total} can never log in ({reasons})")
}

fn as_json(looked: &Inspection) -> Value {
    let finding = |severity: &'static str| {
        move |problem: &Problem| {
            json!({
                "severity": severity,
                "file": problem.file.display().to_string(),
                "line": problem.position.map(|(line, _)| line),
                "column": problem.position.map(|(_, column)| column),
                "key": problem.key,
                "text": problem.message,
            })
        }
    };
    let errors = looked.problems.iter().map(finding("error"));
    let warnings = looked.warnings.iter().map(finding("warning"));
    let stores = looked.stores.iter().map(|(name, tally)| {
        json!({
            "name": name,
            "users": tally.as_ref().map(|tally| tally.users),
            "never": tally.as_ref().map(|tally| &tally.never),
        })
    });
    json!({
        "ok": looked.problems.is_empty(),
        "findings": errors.chain(warnings).collect::<Vec<_>>(),
        "stores": stores.collect::<Vec<_>>(),
    })
}
