//! The accesses that a configuration needs, and whether the sandbox of this process allows them.

use std::path::PathBuf;

use crate::config::{Config, Use};
use crate::sys::problem::Problem;
use crate::sys::sandbox::{Mode, Need, Sandbox, Unavailable, What};

/// Puts this process into the sandbox that `config` asks for. `own_files` are the sockets that it
/// removes at its end. Call it before the process has further threads.
pub fn enter(config: &Config, own_files: Vec<PathBuf>) -> Result<Option<Sandbox>, Unavailable> {
    let remove = own_files.into_iter().map(|file| Need {
        what: What::Remove(file),
        place: None,
        key: None,
    });
    let needs: Vec<_> = needs(config).into_iter().chain(remove).collect();
    Sandbox::start(config.sandbox, &needs)
}

/// The accesses that a configuration needs and this sandbox denies; none without a sandbox.
pub(super) fn denied(sandbox: Option<&Sandbox>, config: &Config) -> Vec<Problem> {
    let mut problems = sandbox.map_or_else(Vec::new, |sandbox| {
        sandbox.denied(&config.path, needs(config))
    });
    if config.sandbox == Mode::Required && !sandbox.is_some_and(Sandbox::is_whole) {
        problems.push(Problem {
            file: config.path.clone(),
            place: None,
            key: Some("process.sandbox".to_owned()),
            message: "is \"required\", and this process has none: restart the program".to_owned(),
        });
    }
    problems
}

/// The files and folders that a configuration names.
fn needs(config: &Config) -> Vec<Need> {
    let own = Need {
        what: What::Read(config.path.clone()),
        place: None,
        key: None,
    };
    let named = config.named.iter().map(|named| Need {
        what: match named.usage {
            Use::Read => What::Read(named.path.clone()),
            Use::Write => What::Write(named.path.clone()),
        },
        place: Some(named.place),
        key: Some(named.key.clone()),
    });
    [own].into_iter().chain(named).collect()
}
