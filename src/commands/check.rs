//! `check`: reports whether `serve` could start, and all its problems and warnings.

use std::io::Write;
use std::path::Path;

use super::{CommandError, Outcome, print_problems, warn};
use crate::service::Service;

/// Loads everything that `serve` loads, and resolves all names. Problems and warnings go to `err`.
pub(super) fn check(
    config: &Path,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Outcome, CommandError> {
    let looked = Service::inspect(config);
    warn(&looked.warnings, err)?;
    print_problems(&looked.problems, err)?;
    for found in &looked.found {
        writeln!(out, "{found}")?;
    }
    if !looked.problems.is_empty() {
        return Ok(Outcome::BrokenConfig);
    }
    writeln!(out, "{}: ok", config.display())?;
    Ok(Outcome::Done)
}
