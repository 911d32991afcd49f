//! What the stores that ask a server have in common.

use std::time::Duration;

use toml::Spanned;

use super::Checker;
use crate::config::file;
use crate::net::tls::CaFile;

impl Checker<'_> {
    /// For connecting, for the whole question, and for remembering.
    pub(super) fn times(&mut self, users: &file::Users) -> [Duration; 3] {
        let mut seconds = |key, value: &Option<Spanned<i64>>, default, range| {
            let value = value.as_ref();
            let seconds = value.map_or(default, |value| self.number(key, value, range));
            Duration::from_secs(seconds)
        };
        [
            seconds("users.connect-timeout", &users.connect_timeout, 2, 1..=60),
            seconds("users.timeout", &users.timeout, 4, 1..=60),
            seconds("users.cache", &users.cache, 0, 0..=3600),
        ]
    }

    /// Certificates, if there is something to check.
    pub(super) fn ca_file(&mut self, users: &file::Users, encrypted: bool) -> Option<CaFile> {
        const KEY: &str = "users.ca-file";
        let file = users.ca_file.as_ref()?;
        if !encrypted {
            let message = "is of no use: the connection is not encrypted";
            self.warn(&file.span(), KEY, message);
        }
        self.authorities(KEY, file)
    }
}
