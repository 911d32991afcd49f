//! The server store.

use super::open::{Fault, Lifetime};
use super::{Account, Question, StoreError, UserStore};

/// As configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {}

/// The store.
pub struct ServerStore {}

impl ServerStore {
    /// Opens it.
    pub fn open(_settings: &Settings, _lifetime: Lifetime) -> Result<Self, Vec<Fault>> {
        Ok(Self {})
    }
}

impl UserStore for ServerStore {
    fn find(&self, _asked: &Question<'_>) -> Result<Option<Account>, StoreError> {
        Ok(None)
    }
}
