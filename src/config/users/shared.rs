//! What the stores that ask a server have in common.

use std::time::Duration;

use toml::Spanned;

use super::Users;
use crate::config::checker::Checker;
use crate::net::tls::CaFile;

impl Checker<'_> {
    /// For connecting, for the whole question, and for remembering.
    pub(super) fn times(&mut self, users: &Users) -> [Duration; 3] {
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
    pub(super) fn ca_file(&mut self, users: &Users, encrypted: bool) -> Option<CaFile> {
        const KEY: &str = "users.ca-file";
        let file = users.ca_file.as_ref()?;
        if !encrypted {
            let message = "is of no use: the connection is not encrypted";
            self.warn(&file.span(), KEY, message);
        }
        self.authorities(KEY, file)
    }

    /// The number of the user who is to listen on the Unix socket.
    #[cfg(any(feature = "sql", feature = "ldap", feature = "remote"))]
    pub(super) fn socket_user(&mut self, users: &Users, is_unix: bool) -> Option<u32> {
        const KEY: &str = "users.socket-user";
        let user = users.socket_user.as_ref()?;
        if !is_unix {
            self.report(&user.span(), KEY, "is of use only with a Unix socket");
            return None;
        }
        self.user(KEY, user)
    }
}
