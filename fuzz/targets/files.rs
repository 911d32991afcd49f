//! What an administrator writes: the configuration, and files with passwords.

use std::path::{Path, PathBuf};

use nginx_mail_auth::config::Config;
use nginx_mail_auth::login::Login;
use nginx_mail_auth::secret::{Password, Proof, Secret, WeakSchemes};
use nginx_mail_auth::users::Account;
use nginx_mail_auth::users::file::{AppPasswords, FileStore, LineLogins, Settings};

/// The TOML: a configuration, or problems that name a place within the file.
pub(crate) fn config(data: &[u8]) {
    match Config::parse(Path::new("/nonexistent/auth.toml"), data) {
        Ok(config) => assert!(!config.users.is_empty()),
        Err(problems) => {
            assert!(!problems.is_empty());
            let lines = data.iter().filter(|byte| **byte == b'\n').count() + 1;
            for (line, column) in problems.iter().filter_map(|problem| problem.position) {
                assert!((1..=lines).contains(&line) && column >= 1);
            }
        }
    }
}

fn settings() -> Settings {
    Settings {
        path: "/nonexistent/users".into(),
        allow_weak_schemes: true,
        max_hash_ms: 500,
        app_passwords: None,
        rehash: None,
        default_scheme: None,
        logins: LineLogins::default(),
    }
}

/// A password file: searched with an index and without, it says the same of a login.
pub(crate) fn password_file(data: &[u8]) {
    let Ok(indexed) = FileStore::load(data.to_vec(), &settings()) else {
        return;
    };
    let lazy = FileStore::lazy(data.to_vec(), &settings()).expect("it has a user");
    for name in [&b"alice"[..], b"bob", b"", b"nobody"] {
        let login = Login::new(name.to_vec()).expect("a good login");
        let found = indexed.account(&login);
        if name.is_empty() {
            // Nobody has it: a line without a login is none.
            let unusable = |account: &Account| account.unusable.is_some();
            assert!(matches!(&found, Ok(account) if account.as_ref().is_none_or(unusable)));
        }
        if name == b"alice" {
            assert_eq!(format!("{found:?}"), format!("{:?}", lazy.account(&login)));
        }
        let _of_any_line = indexed.decoy_for(&login);
    }
}

/// A file of app passwords: searched with an index and without, it says the same of a login.
pub(crate) fn app_passwords(data: &[u8]) {
    let path = PathBuf::from("/nonexistent/apps");
    let (weak, logins) = (WeakSchemes::Allowed, LineLogins::default());
    let users = |apps| {
        let users = FileStore::lazy(b"alice:*\nbob:*\n".to_vec(), &settings());
        users
            .expect("it has users")
            .with_app_passwords(std::sync::Arc::new(apps))
    };
    let Ok(indexed) = AppPasswords::load(data.to_vec(), path.clone(), weak, &logins) else {
        return;
    };
    let lazy = AppPasswords::lazy(data.to_vec(), path, weak, &logins).expect("it was loaded");
    let (indexed, lazy) = (users(indexed), users(lazy));
    for name in [&b"alice"[..], b"bob"] {
        let login = Login::new(name.to_vec()).expect("a good login");
        let found = indexed.account(&login);
        assert_eq!(format!("{found:?}"), format!("{:?}", lazy.account(&login)));
    }
    let nobody = Login::new(b"nobody".to_vec()).expect("a good login");
    assert!(matches!(indexed.account(&nobody), Ok(None)));
}

/// A stored secret: read or refused, and an empty password never fits. Hashes are not computed
/// here: those within the bounds may still take a second.
pub(crate) fn secret(data: &[u8]) {
    if let Ok(Some(secret)) = Secret::parse(data, WeakSchemes::Allowed) {
        let empty = Password::new(Vec::new()).expect("no rule against it");
        assert!(!secret.matches(&Proof::Password(empty)));
        assert!(!format!("{secret:?}").contains("$"));
    }
}
