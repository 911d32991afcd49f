//! `check`: whether `serve` could start, and all that it would complain about.

use std::io::Write;
use std::path::Path;

use super::{CommandError, Outcome, complain, warn};
use crate::service::{Lifetime, Service};

/// Loads what `serve` loads and looks up all names. Problems and warnings go to `err`.
pub(super) fn check(
    config: &Path,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Outcome, CommandError> {
    let service = match Service::open(config, Lifetime::Server, None, &mut Vec::new()) {
        Ok(service) => service,
        Err(problems) => {
            complain(&problems, err)?;
            return Ok(Outcome::BrokenConfig);
        }
    };
    warn(service.warnings(), err)?;
    let unresolved = service.unresolved();
    complain(&unresolved, err)?;
    if !unresolved.is_empty() {
        return Ok(Outcome::BrokenConfig);
    }
    writeln!(out, "{}: ok", config.display())?;
    Ok(Outcome::Done)
}
