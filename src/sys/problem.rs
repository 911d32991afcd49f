//! One problem with a file, and its position.

use std::fmt;
use std::path::PathBuf;

/// One problem with a file, and its position. It never contains a secret.
///
/// [`fmt::Display`] gives `FILE:LINE:COLUMN: KEY: MESSAGE`, without the parts that are absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Line and column, both from 1; columns count characters, in a password file bytes.
    pub position: Option<(usize, usize)>,
    /// The key, from the root of the file: `hosts.mailhost01.port`.
    pub key: Option<String>,
    /// The message.
    pub message: String,
}

impl Problem {
    /// A problem with the file as a whole.
    pub fn new(file: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            position: None,
            key: None,
            message: message.into(),
        }
    }

    /// Whether this problem is about the key of the other one, or about its plural: then that key
    /// is not reported as missing too.
    pub(crate) fn explains(&self, other: &Self) -> bool {
        self.key == other.key || self.key.as_deref().is_some_and(|key| other.is_about(key))
    }

    /// Whether its key is this one, or this one's plural.
    pub(crate) fn is_about(&self, key: &str) -> bool {
        let own = self.key.as_deref();
        own == Some(key) || own.is_some() && own == key.strip_suffix("es")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for Problem {}

/// The only problem.
impl From<Problem> for Vec<Problem> {
    fn from(problem: Problem) -> Self {
        vec![problem]
    }
}

/// Why a store cannot be opened: a key of its `[[users]]`, and the problem with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key with the wrong value: `query`.
    pub key: &'static str,
    /// The message, without any secret.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_parts_are_left_out() {
        let mut problem = Problem::new("auth.toml", "is empty");
        assert_eq!(problem.to_string(), "auth.toml: is empty");
        problem.position = Some((3, 7));
        assert_eq!(problem.to_string(), "auth.toml:3:7: is empty");
        problem.key = Some("ports.imap".into());
        assert_eq!(problem.to_string(), "auth.toml:3:7: ports.imap: is empty");
    }
}
