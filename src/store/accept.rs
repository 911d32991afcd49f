//! The store that accepts every login with every password, as the original script does.

use super::{Account, StoreError, UserStore};
use crate::request::Login;
use crate::secret::Proof;

/// Knows every login and takes every password: the mail server itself must check.
#[derive(Debug)]
pub struct AcceptStore;

impl UserStore for AcceptStore {
    fn find(&self, _login: &Login) -> Result<Option<Account>, StoreError> {
        Ok(Some(Account::default()))
    }

    fn verify(&self, _account: &Account, _proof: &Proof) -> Result<bool, StoreError> {
        Ok(true)
    }
}
