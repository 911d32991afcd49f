//! `config`: prints the configuration in force.

use std::io::Write;
use std::path::Path;

use zeroize::Zeroizing;

use super::{CommandError, Outcome, print_problems, warn};
use crate::config::{Config, MAX_FILE_BYTES, Secrets, Which, effective};
use crate::sys::problem::Problem;
use crate::sys::trusted_file::{Secrecy, read_trusted};

/// Prints the configuration with its defaults. Nothing that it names is opened but the files with keys.
pub(super) fn config(
    path: &Path,
    which: Which,
    secrets: Secrets,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Outcome, CommandError> {
    let read = match read_trusted(path, MAX_FILE_BYTES, Secrecy::Secret) {
        Ok(trusted) => Zeroizing::new(trusted.bytes),
        Err(problem) => {
            print_problems(&[problem], err)?;
            return Ok(Outcome::BrokenConfig);
        }
    };
    match Config::parse(path, &read) {
        Ok(config) => warn(&config.warnings, err)?,
        Err(problems) => {
            print_problems(&problems, err)?;
            return Ok(Outcome::BrokenConfig);
        }
    }
    let text = std::str::from_utf8(&read).unwrap_or_default();
    let effective = match effective(text, which, secrets) {
        Ok(effective) => effective,
        Err(message) => {
            print_problems(&[Problem::new(path, message)], err)?;
            return Ok(Outcome::BrokenConfig);
        }
    };
    let what = match which {
        Which::All => "with every default",
        Which::Changed => "without the keys that have their default",
    };
    writeln!(
        out,
        "# {}, {what}. Paths are relative to its folder.",
        path.display()
    )?;
    if effective.hidden > 0 {
        writeln!(
            out,
            "# Hidden secrets: {}. With them it does not load again; --with-secrets prints them.",
            effective.hidden
        )?;
    }
    writeln!(out)?;
    out.write_all(Zeroizing::new(effective.text).as_bytes())?;
    Ok(Outcome::Done)
}
