//! The URL of a Redis server.

use std::num::NonZeroU16;

use crate::net::Endpoint;

/// The port that Redis and Valkey have by default.
pub(super) const PORT: NonZeroU16 = NonZeroU16::new(6379).unwrap();

/// What a URL says of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Where it is.
    pub endpoint: Endpoint,
    /// The number of the database.
    pub database: u32,
    /// Who we are there.
    pub user: Option<String>,
}

impl Address {
    /// Reads `redis://[user@]host[:port][/database]`, the same with `rediss` for TLS, or
    /// `redis+unix:path`. The error says what is wrong with it.
    pub fn parse(url: &str) -> Result<(Self, bool), String> {
        let of = |endpoint, database, user| Self {
            endpoint,
            database,
            user,
        };
        if let Some(path) = url
            .strip_prefix("redis+unix:")
            .filter(|path| !path.is_empty())
        {
            return Ok((of(Endpoint::Unix(path.into(), None), 0, None), false));
        }
        let (rest, tls) = match (url.strip_prefix("redis://"), url.strip_prefix("rediss://")) {
            (Some(rest), _) => (rest, false),
            (_, Some(rest)) => (rest, true),
            (None, None) => return Err("is no URL of Redis".to_owned()),
        };
        let (user, rest) = match rest.split_once('@') {
            Some((user, _)) if user.is_empty() || user.contains(':') => {
                let message = "cannot hold a password: that belongs into throttle.password-file";
                return Err(message.to_owned());
            }
            Some((user, rest)) => (Some(user.to_owned()), rest),
            None => (None, rest),
        };
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let database = match database {
            "" => 0,
            digits => digits
                .parse()
                .map_err(|_| format!("has no number of a database at its end: {digits:?}"))?,
        };
        let endpoint = Endpoint::parse(authority, PORT)?;
        Ok((of(endpoint, database, user), tls))
    }
}
