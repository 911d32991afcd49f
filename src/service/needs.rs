//! The accesses that a configuration needs, and whether the sandbox of this process allows them.

use std::path::PathBuf;

use crate::config::{Config, FileUse};
use crate::sys::problem::Problem;
use crate::sys::sandbox::{Access, Mode, Need, Sandbox, Unavailable};

/// Puts this process into the sandbox that `config` asks for. `own_files` are the sockets that it
/// removes at its end. Call it before the process has further threads.
pub fn enter(config: &Config, own_files: Vec<PathBuf>) -> Result<Option<Sandbox>, Unavailable> {
    let remove = own_files.into_iter().map(|file| Need {
        what: Access::Remove(file),
        position: None,
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
            position: None,
            key: Some("process.sandbox".to_owned()),
            message: "is \"required\", and this process has none: restart the program".to_owned(),
        });
    }
    problems
}

/// The files and folders that a configuration names.
fn needs(config: &Config) -> Vec<Need> {
    let own = Need {
        what: Access::Read(config.path.clone()),
        position: None,
        key: None,
    };
    let named = config.named.iter().map(|named| Need {
        what: match named.usage {
            FileUse::Read => Access::Read(named.path.clone()),
            FileUse::Write => Access::Write(named.path.clone()),
        },
        position: Some(named.position),
        key: Some(named.key.clone()),
    });
    [own].into_iter().chain(named).collect()
}
