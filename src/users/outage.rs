//! Whether a server that a store asks is out of order, told when that changes.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use super::StoreError;

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

/// The state of one server. A login that it cannot answer has its own line in the log; this adds
/// one when the trouble starts and one when it is over, however many logins come meanwhile.
#[derive(Debug, Default)]
pub(super) struct Outage(AtomicBool);

impl Outage {
    /// Takes in how one question went.
    pub(super) fn note<T>(&self, server: &dyn fmt::Display, result: &Result<T, Trouble>) {
        let failing = matches!(result, Err(Trouble::Server(_)));
        if self.0.swap(failing, Ordering::Relaxed) == failing {
            return;
        }
        match result {
            Err(trouble @ Trouble::Server(_)) => log::warn!("{server} cannot be asked: {trouble}"),
            Ok(_) | Err(_) => log::warn!("{server} can be asked again"),
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
            outage.note(&"it", &result);
            outage.0.load(Ordering::Relaxed)
        };
        assert!(!failing(Err(Trouble::Login("mailbox in use".into()))));
        assert!(failing(Err(Trouble::Server("refused".into()))));
        assert!(!failing(Err(Trouble::Login("mailbox in use".into()))));
        assert!(failing(Err(Trouble::Server("refused".into()))));
        assert!(!failing(Err(Trouble::Unanswered("slow to say no".into()))));
        assert!(!failing(Ok(false)));
    }
}
