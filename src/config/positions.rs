//! The positions of a table's keys in the file.

use std::collections::BTreeMap;

use crate::sys::problem::Problem;

/// Lines and columns, from 1, of a table and its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPositions {
    /// The table as a whole.
    pub whole: (usize, usize),
    /// The positions of the values of its keys.
    pub keys: BTreeMap<&'static str, (usize, usize)>,
}

impl KeyPositions {
    /// The position of a key's value; that of the table if the key is missing.
    pub fn of(&self, key: &str) -> (usize, usize) {
        self.keys.get(key).copied().unwrap_or(self.whole)
    }

    /// Whether a problem concerns a key that defines the server of a store or the question to it: its
    /// address, its credentials or its statements.
    pub(crate) fn concerns_connection(&self, problem: &Problem) -> bool {
        const CONNECTION_KEYS: [&str; 8] = [
            "app-passwords-query",
            "ca-file",
            "password-file",
            "query",
            "server-public-key-file",
            "socket-user",
            "tls",
            "url",
        ];
        let at = |key: &&str| {
            problem.position.is_some() && self.keys.get(*key).copied() == problem.position
        };
        CONNECTION_KEYS.iter().any(at)
    }
}
