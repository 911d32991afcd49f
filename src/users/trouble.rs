//! Why a server that a store asks could not say.

use std::fmt;

use super::StoreError;
use crate::sys::outage::Outage;

/// Why a server could not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It could not be asked, whoever it is about.
    Server(String),
    /// It cannot say anything about this login with this password.
    Login(String),
    /// It answers, but has left login and password without an answer.
    Unanswered(String),
}

impl Trouble {
    /// The same for whoever asked `server`.
    pub(super) fn of(self, server: &dyn fmt::Display) -> StoreError {
        let what = format!("{server}: {self}");
        match self {
            Self::Server(_) => StoreError::Unavailable(what),
            Self::Login(_) => StoreError::Unusable(what),
            Self::Unanswered(_) => StoreError::Unanswered(what),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(what) | Self::Login(what) | Self::Unanswered(what) => f.write_str(what),
        }
    }
}

/// Takes in how one question went. A login that the server cannot answer has its own line in the log; this
/// adds one when the trouble begins and one when it ends, however many logins come meanwhile.
pub(super) fn note<T>(outage: &Outage, server: &dyn fmt::Display, result: &Result<T, Trouble>) {
    match result {
        Err(trouble @ Trouble::Server(_)) => {
            if outage.begins() {
                log::warn!("{server} cannot be asked: {trouble}");
            }
        }
        Ok(_) | Err(Trouble::Login(_) | Trouble::Unanswered(_)) => {
            if outage.ends() {
                log::warn!("{server} can be asked again");
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
        let failing = |result: Result<bool, Trouble>| {
            note(&outage, &"it", &result);
            let failing = !outage.begins();
            if !failing {
                let _as_before = outage.ends();
            }
            failing
        };
        assert!(!failing(Err(Trouble::Login("mailbox in use".into()))));
        assert!(failing(Err(Trouble::Server("refused".into()))));
        assert!(!failing(Err(Trouble::Login("mailbox in use".into()))));
        assert!(failing(Err(Trouble::Server("refused".into()))));
        assert!(!failing(Err(Trouble::Unanswered("slow to say no".into()))));
        assert!(!failing(Ok(false)));
    }
}
