//! What all stores that ask somebody else have in common: a bound on how many logins wait there.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use super::{Account, Checked, Decoy, Question, StoreError, UserStore};
use crate::secret::Password;
use crate::sys::circuit_breaker::Bulkhead;

/// A store that cannot hold the others up: questions beyond the bound are not put to it, nor are
/// those for which there is no time left.
pub struct Bounded<S> {
    store: Arc<S>,
    bulkhead: Bulkhead,
}

impl<S: UserStore> Bounded<S> {
    /// At most `most` questions at once; the log calls the store `name`.
    pub fn new(store: S, name: &str, most: NonZeroUsize) -> Self {
        Self {
            store: Arc::new(store),
            bulkhead: Bulkhead::new(format!("store {name}"), most),
        }
    }

    /// The store itself, for a question that no login waits for.
    #[cfg(feature = "sql")]
    pub fn store(&self) -> &Arc<S> {
        &self.store
    }

    fn ask<T>(
        &self,
        asked: &Question<'_>,
        question: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if Instant::now() >= asked.deadline {
            let what = "there was no time left to ask";
            return Err(StoreError::Unavailable(what.to_owned()));
        }
        let asking = self
            .bulkhead
            .enter(asked.claim())
            .map_err(|closed| StoreError::Unavailable(closed.to_string()))?;
        let result = question();
        match &result {
            // One that has answered what came before the password does not hang, however slow it is
            // about that: whoever sends wrong ones would keep all others out.
            Ok(_) | Err(StoreError::Unusable(_) | StoreError::Unanswered(_)) => asking.answered(),
            Err(StoreError::Unavailable(_)) => asking.unanswered(),
        }
        result
    }
}

impl<S: UserStore> UserStore for Bounded<S> {
    fn find(&self, asked: &Question<'_>) -> Result<Option<Account>, StoreError> {
        // One that tells nothing without a password asks nobody here.
        if !self.store.knows_users() {
            return self.store.find(asked);
        }
        self.ask(asked, || self.store.find(asked))
    }

    fn verify(
        &self,
        asked: &Question<'_>,
        account: &mut Account,
        password: &Password,
    ) -> Result<Checked, StoreError> {
        self.ask(asked, || self.store.verify(asked, account, password))
    }

    fn knows_users(&self) -> bool {
        self.store.knows_users()
    }

    fn lacks_likeness(&self) -> Option<String> {
        self.store.lacks_likeness()
    }

    fn remarks(&self) -> Vec<String> {
        self.store.remarks()
    }

    fn unasked(&self) -> Option<String> {
        self.store.unasked()
    }

    fn decoy(&self, asked: &Question<'_>) -> Decoy {
        self.store.decoy(asked)
    }

    fn spend_time(&self, asked: &Question<'_>) {
        self.store.spend_time(asked);
    }

    fn host_field(&self) -> String {
        self.store.host_field()
    }

    fn test(&self, deadline: Instant) -> Vec<String> {
        self.store.test(deadline)
    }
}
