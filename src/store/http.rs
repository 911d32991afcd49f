//! The http store.

use super::open::{Fault, Lifetime};
use super::{Account, Question, StoreError, UserStore};

/// As configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {}

/// The store.
pub struct HttpStore {}

impl HttpStore {
    /// Opens it.
    pub fn open(_settings: &Settings, _lifetime: Lifetime) -> Result<Self, Vec<Fault>> {
        Ok(Self {})
    }
}

impl UserStore for HttpStore {
    fn find(&self, _asked: &Question<'_>) -> Result<Option<Account>, StoreError> {
        Ok(None)
    }
}
