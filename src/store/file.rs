//! The password file.

use std::path::PathBuf;

/// One password file as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The file.
    pub path: PathBuf,
    /// Whether hashes that are fast to guess are taken too.
    pub allow_weak_schemes: bool,
}
