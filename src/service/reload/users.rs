//! Reloads a password file while a server runs.

use std::sync::Arc;

use super::loader::{LoadLog, Loader, Outcome};
use super::{Inner, KEPT};
use crate::service::lifecycle::users_in_words;
use crate::service::open::unknown_hosts;
use crate::sys::Lifetime;
use crate::sys::problem::Problem;
use crate::users::file::{FileContents, FileStore, UsersFile};

/// The text in the log about app passwords that are not used. The new ones may be meant to lock a
/// user out, but so may the new users, which do not wait for them.
const APPS_KEPT: &str = "the previous app passwords stay in force, the users are loaded";

/// The text in the log about a file of which no version could be loaded yet.
const NOTHING: &str = "its logins get the temporary failure";

/// The loader of one password file.
pub(super) struct UsersLoader {
    pub(super) file: Arc<UsersFile>,
    pub(super) loader: Loader,
}

impl UsersLoader {
    pub(super) fn new(file: &Arc<UsersFile>) -> Self {
        Self {
            loader: Loader::new(file.settings().path.clone(), file.opened().to_vec()),
            file: Arc::clone(file),
        }
    }
}

impl Inner {
    /// Makes a new version of a password file current, if the file changed and is valid and
    /// complete.
    pub(super) fn look_at_users(&self, users: &UsersLoader) {
        let mut warnings = Vec::new();
        let news = self.load_users(users, &mut warnings);
        warnings.iter().for_each(|warning| log::warn!("{warning}"));
        if let Some(news) = news {
            news.log();
        }
    }

    /// The same without logging: returns the news, and the messages about its lines.
    pub(super) fn load_users(
        &self,
        users: &UsersLoader,
        warnings: &mut Vec<Problem>,
    ) -> Option<LoadLog> {
        let run = users.loader.enter()?;
        if !run.is_due() {
            return None;
        }
        let settings = users.file.settings();
        let mut reading = FileContents::of(settings, Lifetime::Server);
        let read = reading.files.iter();
        let read = read.filter_map(|(path, version)| Some((&**path, version.as_ref()?)));
        if !run.is_wanted() || !run.match_last_check(read) {
            return None;
        }
        reading.unfinished = run.still_unfinished(reading.unfinished);
        run.watch(std::mem::take(&mut reading.files));
        let current = users.file.current();
        let kept = current.as_ref().map_or(NOTHING, |_| KEPT);
        if reading.has_unfinished_users(settings) {
            return Some(run.news(Outcome::Unfinished(reading.unfinished), kept));
        }
        let mut store = match reading.users {
            Ok(store) => store,
            Err(mut problems) => {
                problems.extend(reading.apps);
                return Some(run.news(Outcome::Failed(problems), kept));
            }
        };
        let whole = reading.apps.is_empty() && reading.unfinished.is_empty();
        if let Some(current) = current.as_ref().filter(|_| !whole) {
            store = store.with_app_passwords_of(current);
        }
        // App passwords that stay broken cause them to be loaded again each time.
        let same = |current: &Arc<FileStore>| current.warnings() == store.warnings();
        if whole || !current.as_ref().is_some_and(same) {
            let service = self.current();
            let config = service.as_ref().map(|service| service.config());
            warnings.extend_from_slice(store.warnings());
            let unknown = config.map(|config| unknown_hosts(config, settings, &store));
            warnings.extend(unknown.into_iter().flatten());
        }
        let mut loaded = users_in_words(store.users());
        if let Some(current) = &current {
            loaded += &format!(", {} before", current.users());
        }
        users.file.replace(store);
        let outcome = match reading.apps {
            _ if whole => Outcome::Loaded(loaded),
            problems if problems.is_empty() => Outcome::Unfinished(reading.unfinished),
            problems => Outcome::Failed(problems),
        };
        Some(run.news(outcome, APPS_KEPT))
    }
}
