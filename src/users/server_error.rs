//! Trouble with a server that a store asks.

use std::fmt;

use super::StoreError;
use crate::sys::outage::Outage;

/// Why a server could not decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ServerError {
    /// The server could not be asked, whatever the login.
    Server(String),
    /// The server cannot decide about this login with this password.
    Login(String),
    /// The server works, but did not answer login and password.
    Unanswered(String),
}

impl ServerError {
    /// The trouble of `server` as a [`StoreError`].
    pub(super) fn of(self, server: &dyn fmt::Display) -> StoreError {
        let what = format!("{server}: {self}");
        match self {
            Self::Server(_) => StoreError::Unavailable(what),
            Self::Login(_) => StoreError::Unusable(what),
            Self::Unanswered(_) => StoreError::Unanswered(what),
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(what) | Self::Login(what) | Self::Unanswered(what) => f.write_str(what),
        }
    }
}

/// Records the result of one question. A login that the server cannot answer has its own log line; this
/// function logs once when the trouble begins and once when it ends, however many logins follow.
pub(super) fn note<T>(outage: &Outage, server: &dyn fmt::Display, result: &Result<T, ServerError>) {
    match result {
        Err(trouble @ ServerError::Server(_)) => {
            if outage.begins() {
                log::warn!("{server} is unavailable: {trouble}");
            }
        }
        Ok(_) | Err(ServerError::Login(_) | ServerError::Unanswered(_)) => {
            if outage.ends() {
                log::warn!("{server} is available again");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trouble_with_the_server_itself_is_an_outage() {
        let outage = Outage::default();
        let failing = |result: Result<bool, ServerError>| {
            note(&outage, &"it", &result);
            let failing = !outage.begins();
            if !failing {
                let _as_before = outage.ends();
            }
            failing
        };
        assert!(!failing(Err(ServerError::Login("mailbox in use".into()))));
        assert!(failing(Err(ServerError::Server("refused".into()))));
        assert!(!failing(Err(ServerError::Login("mailbox in use".into()))));
        assert!(failing(Err(ServerError::Server("refused".into()))));
        assert!(!failing(Err(ServerError::Unanswered(
            "slow to say no".into()
        ))));
        assert!(!failing(Ok(false)));
    }
}
