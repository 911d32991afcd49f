//! Masters: users that may log in as another user with a password of their own.

use std::sync::Arc;

use crate::login::Login;
use crate::login::rules::LoginRules;
use crate::nginx::refusal::{Refusal, Trouble};
use crate::secret::Proof;
use crate::sys::steps::TimedStep;
use crate::users::file::UsersFile;
use crate::users::{Passwords, Question, UserStore as _};

use super::chain::Chain;
use super::switches::{Networks, refused};

/// The masters, and how a master names the other user: `alice*support`.
pub struct Masters {
    /// The separator between the user's login and the master's; not empty.
    pub separator: Vec<u8>,
    /// The password file of the masters.
    pub users: Arc<UsersFile>,
}

impl Masters {
    /// Splits a login at the last separator; `None` if there is none in it. The master's part is
    /// [spelt](LoginRules::spelt) as it is compared, the user's part as it was typed.
    pub(super) fn split(&self, login: &Login, rules: &LoginRules) -> Option<(Login, Login)> {
        let bytes = login.as_bytes();
        let length = self.separator.len();
        let at = bytes
            .windows(length)
            .rposition(|window| window == self.separator)?;
        let (user, rest) = bytes.split_at_checked(at)?;
        let master = rest.get(length..)?;
        // The parts of a login are valid logins.
        let part = |bytes: &[u8]| Login::new(bytes.to_vec()).ok();
        Some((part(user)?, part(&rules.spelt(master))?))
    }

    /// The login for the mail server.
    pub(super) fn join(&self, user: &[u8], master: &Login) -> Vec<u8> {
        [user, &self.separator, master.as_bytes()].concat()
    }

    /// Checks that the master's password is right and may be used from this network.
    pub(super) fn authenticate(
        &self,
        master: &Login,
        asked: &Question<'_>,
        proof: &Proof,
        chain: &Chain,
    ) -> Result<(), Refusal> {
        let asked = Question {
            login: master,
            ..*asked
        };
        let found = asked
            .time(TimedStep::Masters, || self.users.find(&asked))
            .map_err(|error| Trouble::Store(format!("master: {error}")))?;
        let account = found.unwrap_or_default();
        let Passwords::Stored(credentials) = &account.passwords else {
            return Err(Refusal::NoPassword);
        };
        let mut right = false;
        for credential in credentials {
            right |= chain.check_proof(&credential.secret, &asked, proof)?;
        }
        if credentials.is_empty() {
            let decoy = self.users.decoy_for(master);
            std::hint::black_box(chain.check_proof(&decoy, &asked, proof)?);
        }
        if !right {
            Err(match account.unusable_password {
                Some(what) => Refusal::UnusablePassword(format!("master: {what}")),
                None => Refusal::WrongPassword,
            })
        } else if let Some(what) = account.unusable {
            Err(Refusal::UnusableEntry(format!("master: {what}")))
        } else {
            refused(&account, &asked, Networks::OfUser).map_or(Ok(()), Err)
        }
    }
}
