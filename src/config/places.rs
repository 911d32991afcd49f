//! The places of a table's keys in the file.

use std::collections::BTreeMap;

use crate::sys::problem::Problem;

/// Lines and columns, from 1, of a table and its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The table as a whole.
    pub whole: (usize, usize),
    /// The places of the values of its keys.
    pub keys: BTreeMap<&'static str, (usize, usize)>,
}

impl Places {
    /// The place of a key's value; that of the table if the key is missing.
    pub fn of(&self, key: &str) -> (usize, usize) {
        self.keys.get(key).copied().unwrap_or(self.whole)
    }

    /// Whether a problem concerns a key that defines the server of a store or the question to it: its
    /// address, its credentials or its statements.
    pub(crate) fn reach(&self, problem: &Problem) -> bool {
        const REACH: [&str; 8] = [
            "app-passwords-query",
            "ca-file",
            "password-file",
            "query",
            "server-public-key-file",
            "socket-user",
            "tls",
            "url",
        ];
        let at =
            |key: &&str| problem.place.is_some() && self.keys.get(*key).copied() == problem.place;
        REACH.iter().any(at)
    }
}
