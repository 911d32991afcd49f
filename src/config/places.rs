//! Where the keys of a table are in the file.

use std::collections::BTreeMap;

use crate::sys::problem::Problem;

/// Lines and columns, from 1, of a table and its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The table as a whole.
    pub whole: (usize, usize),
    /// The values of the keys that are there.
    pub keys: BTreeMap<&'static str, (usize, usize)>,
}

impl Places {
    /// The place of a key's value; that of the table if it is not there.
    pub fn of(&self, key: &str) -> (usize, usize) {
        self.keys.get(key).copied().unwrap_or(self.whole)
    }

    /// Whether a problem is with a key that says where a store is and how it is asked: its address, its
    /// credentials or its statements.
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
