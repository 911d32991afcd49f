//! One thing wrong with a file, and where: what `check` prints and the log says.

use std::fmt;
use std::path::PathBuf;

/// One thing wrong with a file, and where.
///
/// [`fmt::Display`] gives `FILE:LINE:COLUMN: KEY: MESSAGE`; parts that are absent are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Line and column, from 1; columns count bytes.
    pub place: Option<(usize, usize)>,
    /// The key of the configuration that is wrong.
    pub key: Option<String>,
    /// What is wrong. It holds no secret.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        f.write_str(": ")?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}
