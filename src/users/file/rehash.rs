//! `rehash`: after a login with the right password, a weaker hash is replaced by a stronger one.
//!
//! It is done in a thread of its own, by one login at a time: a login neither waits for it nor fails by it. The line
//! changes only if it still has the password field that was compared, so of two processes one does it, and a
//! change of the administrator is never undone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::edit::replace_stored;
use super::{MAX_USERS_FILE_BYTES, Settings};
use crate::login::Login;
use crate::login::printable::Printable;
use crate::secret::{Password, Recipe, Scheme, Secret};
use crate::sys::changed_file::{self, Manner, Missing};
use crate::sys::outage::Outage;
use crate::sys::problem::Problem;
use crate::sys::trusted_file::{Secrecy, read_trusted};

/// How long it waits for the lock of the file.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(60);

/// Whether a thread of this process is storing a password.
static BUSY: AtomicBool = AtomicBool::new(false);

/// Which passwords are stored again, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rehash {
    /// How.
    pub recipe: Recipe,
    /// The estimated milliseconds of a check of a new hash.
    pub takes_ms: u32,
    /// Also those that a method other than `plain` needs.
    pub all: bool,
}

impl Rehash {
    /// Whether a stored password is weaker than a new one would be.
    fn improves(&self, stored: &Secret) -> bool {
        let needed = match stored.scheme() {
            // `cram-md5` and `apop` here, SCRAM in Dovecot.
            Scheme::Plain
            | Scheme::CramMd5
            | Scheme::ScramSha1
            | Scheme::ScramSha256
            | Scheme::ScramSha512 => true,
            _ => false,
        };
        let weaker = stored.scheme().is_weak() || stored.takes_ms() < self.takes_ms;
        weaker && (self.all || !needed) && !stored.is_decoy()
    }
}

/// What a file notes about it.
#[derive(Default)]
pub(super) struct Rehashing {
    outage: Outage,
    not_before: Mutex<Option<Instant>>,
}

/// Stores a password again, if that makes it stronger, and if no other thread does so at the moment: then the
/// next login does it.
pub(super) fn start(
    noted: &Arc<Rehashing>,
    settings: &Settings,
    login: &Login,
    stored: &Secret,
    password: &Password,
) {
    let Some(rehash) = settings.rehash.filter(|rehash| rehash.improves(stored)) else {
        return;
    };
    if noted.waits() || BUSY.swap(true, Ordering::Acquire) {
        return;
    }
    let job = Job {
        noted: Arc::clone(noted),
        settings: settings.clone(),
        recipe: rehash.recipe,
        login: login.clone(),
        stored: Zeroizing::new(stored.stored().to_vec()),
        password: password.clone(),
    };
    let started = thread::Builder::new()
        .name("rehash".to_owned())
        .spawn(move || job.run());
    if started.is_err() {
        BUSY.store(false, Ordering::Release);
    }
}

struct Job {
    noted: Arc<Rehashing>,
    settings: Settings,
    recipe: Recipe,
    login: Login,
    stored: Zeroizing<Vec<u8>>,
    password: Password,
}

/// Why nothing was stored.
enum Failed {
    /// The file cannot be changed.
    File(Problem),
    /// The line has another password field by now, or the scheme does not take the password.
    Superseded,
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self::File(problem)
    }
}

/// Lets the next thread start, also after a panic.
struct Turn;

impl Drop for Turn {
    fn drop(&mut self) {
        BUSY.store(false, Ordering::Release);
    }
}

impl Job {
    fn run(&self) {
        let _turn = Turn;
        let path = self.settings.path.display();
        match self.store() {
            Ok(()) => {
                if self.noted.outage.ends() {
                    log::info!("{path}: passwords can be stored again");
                }
                let login = Printable(self.login.as_bytes());
                let scheme = self.recipe.scheme();
                log::info!(
                    "{path}: the password of \"{login}\" is stored as {scheme} now (rehash)"
                );
            }
            Err(Failed::Superseded) => {}
            Err(Failed::File(why)) => {
                self.noted.pause();
                if self.noted.outage.begins() {
                    log::warn!("{why}; weaker hashes stay (rehash)");
                }
            }
        }
    }

    fn store(&self) -> Result<(), Failed> {
        let manner = Manner {
            max_bytes: MAX_USERS_FILE_BYTES,
            patience: PATIENCE,
            missing: Missing::Fail,
        };
        let path = &self.settings.path;
        // A hash takes long, and the lock must be short.
        let read = read_trusted(path, MAX_USERS_FILE_BYTES, Secrecy::Secret)?;
        let any = Zeroizing::new("*".to_owned());
        self.replaced(&Zeroizing::new(read.bytes), &any)?;
        let hash = Secret::hash(self.recipe, &self.password);
        let hash = Zeroizing::new(hash.map_err(|_| Failed::Superseded)?);
        let changed = changed_file::change(path, manner, |text| {
            self.replaced(text, &hash).map(|text| (text, ()))
        });
        changed.map(|_| ())
    }

    /// The text with the new password field.
    fn replaced(&self, text: &[u8], new: &Zeroizing<String>) -> Result<Zeroizing<Vec<u8>>, Failed> {
        let login = self.login.as_bytes();
        let replaced = replace_stored(text, &self.settings, login, &self.stored, new);
        replaced.ok_or(Failed::Superseded)
    }
}

impl Rehashing {
    fn waits(&self) -> bool {
        let not_before = self.not_before.lock();
        let not_before = *not_before.unwrap_or_else(PoisonError::into_inner);
        not_before.is_some_and(|time| Instant::now() < time)
    }

    fn pause(&self) {
        let mut not_before = self
            .not_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *not_before = Some(Instant::now() + PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::WeakSchemes;

    #[test]
    fn weaker_and_cheaper_hashes_are_replaced_and_those_of_other_methods_stay() {
        let recipe = Recipe::from(Scheme::Argon2id);
        let rehash = |all| Rehash {
            recipe,
            takes_ms: recipe.takes_ms().unwrap(),
            all,
        };
        let password = Password::new(b"pw".to_vec()).unwrap();
        let argon2id = Secret::hash(Scheme::Argon2id, &password).unwrap();
        let cheaper = argon2id.replace("m=19456", "m=1024");
        let ssha512 = Secret::hash(Scheme::Ssha512, &password).unwrap();
        let scram = Secret::hash(Scheme::ScramSha256, &password).unwrap();
        let scram = scram.replace("200000,", "4096,");
        for (stored, replaced, all) in [
            (argon2id.as_str(), false, false),
            (&cheaper, true, true),
            (&ssha512, true, true),
            (&scram, false, true),
            ("{PLAIN}pw", false, true),
            ("$1$12345678$0JA35UXRQMWa4Hfq5/.1o.", true, true),
            (
                "$2y$10$a.jeRxVGQgDt0epawchVhu6zSNs3liGOfq3fWFcm.7wBZ1I3GW//.",
                false,
                false,
            ),
            (
                "$2y$04$a.jeRxVGQgDt0epawchVhu6zSNs3liGOfq3fWFcm.7wBZ1I3GW//.",
                true,
                true,
            ),
        ] {
            let secret = Secret::parse(stored.as_bytes(), WeakSchemes::Allowed);
            let secret = secret.unwrap().unwrap();
            assert_eq!(rehash(false).improves(&secret), replaced, "{stored}");
            assert_eq!(rehash(true).improves(&secret), all, "{stored}");
        }
    }
}
