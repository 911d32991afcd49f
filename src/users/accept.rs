//! `store = "accept"`: accepts every login with every password, as the original script does.

use super::{Account, Passwords, Question, StoreError, UserStore};
use crate::login::Likeness;

/// Finds every login and accepts every password: the mail server itself must check the password.
#[derive(Debug)]
pub struct AcceptStore;

impl UserStore for AcceptStore {
    fn find(&self, _asked: &Question<'_>) -> Result<Option<Account>, StoreError> {
        Ok(Some(Account {
            passwords: Passwords::Any,
            likeness: Likeness::Same,
            ..Account::default()
        }))
    }
}
