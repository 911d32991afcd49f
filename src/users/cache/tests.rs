//! Which accepted passwords are cached, for how long, and for which logins.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::login::Login;
use crate::login::Protocol;
use crate::nginx::request::Session;
use crate::users::Passwords;

/// Accepts the right password and counts its questions.
struct Counting {
    right: Mutex<&'static [u8]>,
    trouble: Mutex<bool>,
    host: Mutex<&'static str>,
    asked: AtomicUsize,
}

impl Counting {
    fn new(right: &'static [u8]) -> Self {
        Self {
            right: Mutex::new(right),
            trouble: Mutex::new(false),
            host: Mutex::new("one"),
            asked: AtomicUsize::new(0),
        }
    }
}

impl Counting {
    fn find(&self) -> Account {
        Account {
            passwords: Passwords::AskStore,
            host: Some((*self.host.lock().unwrap()).to_owned()),
            ..Account::default()
        }
    }

    fn verify(
        &self,
        asked: &Question<'_>,
        account: &mut Account,
        password: &Password,
    ) -> Result<PasswordCheck, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if *self.trouble.lock().unwrap() {
            return Err(StoreError::Unavailable("gone".to_owned()));
        }
        account.user = Some([b"user of ", asked.login.as_bytes()].concat());
        Ok(match password.reveal() == *self.right.lock().unwrap() {
            true => PasswordCheck::Right,
            false => PasswordCheck::Wrong,
        })
    }
}

struct Asking<'a> {
    login: &'a str,
    password: &'a [u8],
    protocol: Protocol,
    client: Option<IpAddr>,
}

impl Default for Asking<'_> {
    fn default() -> Self {
        Self {
            login: "alice",
            password: b"sesame",
            protocol: Protocol::Imap,
            client: Some([192, 0, 2, 7].into()),
        }
    }
}

impl Asking<'_> {
    fn of(&self, store: &Cached) -> Result<Option<Account>, StoreError> {
        let login = Login::new(self.login.as_bytes().to_vec()).unwrap();
        let password = Password::new(self.password.to_vec()).unwrap();
        let asked = Question {
            login: &login,
            protocol: self.protocol,
            client: self.client,
            session: Session::default(),
            network: None,
            deadline: Instant::now(),
            steps: None,
        };
        let mut account = store.store.find();
        let verify = |account: &mut Account| store.store.verify(&asked, account, &password);
        let right = store
            .cache
            .verify(&asked, &mut account, &password, verify)?;
        Ok((right == PasswordCheck::Right).then_some(account))
    }
}

/// A store and its cache.
struct Cached {
    store: Counting,
    cache: Cache,
}

fn cached(right: &'static [u8]) -> Cached {
    Cached {
        store: Counting::new(right),
        cache: Cache::new(Duration::from_secs(3600)),
    }
}

fn asked(store: &Cached) -> usize {
    store.store.asked.load(Ordering::SeqCst)
}

#[test]
fn an_accepted_password_is_cached_with_its_account() {
    let store = cached(b"sesame");
    for _ in 0..3 {
        let account = Asking::default().of(&store).unwrap().unwrap();
        assert_eq!(account.user.unwrap(), b"user of alice");
    }
    assert_eq!(asked(&store), 1);
    // The store need not answer any more.
    *store.store.trouble.lock().unwrap() = true;
    assert!(Asking::default().of(&store).unwrap().is_some());
}

#[test]
fn refusals_and_errors_are_not_cached() {
    let store = cached(b"sesame");
    let wrong = Asking {
        password: b"wrong",
        ..Asking::default()
    };
    for count in 1..=3 {
        assert!(wrong.of(&store).unwrap().is_none());
        assert_eq!(asked(&store), count);
    }
    *store.store.trouble.lock().unwrap() = true;
    assert!(Asking::default().of(&store).is_err());
    *store.store.trouble.lock().unwrap() = false;
    assert!(Asking::default().of(&store).unwrap().is_some());
}

/// All users had the same key in Dovecot once (CVE-2025-30189).
#[test]
fn everything_that_the_answer_depends_on_is_told_apart() {
    let store = cached(b"sesame");
    assert!(Asking::default().of(&store).unwrap().is_some());
    let bob = Asking {
        login: "bob",
        ..Asking::default()
    };
    assert_eq!(
        bob.of(&store).unwrap().unwrap().user.unwrap(),
        b"user of bob"
    );
    let others = [
        Asking {
            protocol: Protocol::Pop3,
            ..Asking::default()
        },
        Asking {
            client: Some([192, 0, 2, 8].into()),
            ..Asking::default()
        },
        Asking {
            client: None,
            ..Asking::default()
        },
        Asking {
            login: "alices",
            password: b"esame",
            ..Asking::default()
        },
    ];
    for (number, other) in others.iter().enumerate() {
        let _either = other.of(&store).unwrap();
        assert_eq!(asked(&store), number + 3);
    }
    // And all but the last are remembered.
    let before = asked(&store);
    for known in others.iter().take(3).chain([&bob, &Asking::default()]) {
        assert!(known.of(&store).unwrap().is_some());
    }
    assert_eq!(asked(&store), before);
    // A change of the account that the look-up returns takes effect at once.
    *store.store.host.lock().unwrap() = "two";
    let account = Asking::default().of(&store).unwrap().unwrap();
    assert_eq!(account.host.unwrap(), "two");
    assert_eq!(asked(&store), before + 1);
}

#[test]
fn a_new_password_ends_the_old_one_and_a_wrong_one_does_not() {
    let store = cached(b"old");
    let with = |login, password| Asking {
        login,
        password,
        ..Asking::default()
    };
    assert!(with("alice", b"old").of(&store).unwrap().is_some());
    assert!(with("bob", b"old").of(&store).unwrap().is_some());
    *store.store.right.lock().unwrap() = b"new";
    assert!(with("alice", b"wrong").of(&store).unwrap().is_none());
    assert!(with("alice", b"old").of(&store).unwrap().is_some());
    assert!(with("alice", b"new").of(&store).unwrap().is_some());
    assert!(with("alice", b"old").of(&store).unwrap().is_none());
    // Another login is left alone.
    assert!(with("bob", b"old").of(&store).unwrap().is_some());
}

#[test]
fn an_entry_expires_however_often_it_is_used() {
    let store = cached(b"sesame");
    let start = Instant::now();
    let login = Login::new(b"alice".to_vec()).unwrap();
    let question = Question {
        login: &login,
        protocol: Protocol::Imap,
        client: None,
        session: Session::default(),
        network: None,
        deadline: start,
        steps: None,
    };
    let password = Password::new(b"sesame".to_vec()).unwrap();
    let account = Account::default();
    let digests = || store.cache.digests(&question, &account, &password).unwrap();
    let minute = Duration::from_secs(60);
    let mut entries = Entries::default();
    entries.remember(digests(), account.clone(), start, minute);
    for (after, known) in [(0, true), (30, true), (59, true), (60, false), (61, false)] {
        let now = start + Duration::from_secs(after);
        assert_eq!(entries.recall(&digests(), now).is_some(), known, "{after}");
    }
    // A new answer of the store is cached again, and expired entries are dropped.
    entries.remember(digests(), account.clone(), start + minute, minute);
    let later = start + minute + Duration::from_secs(59);
    assert!(entries.recall(&digests(), later).is_some());
    assert_eq!((entries.entries.len(), entries.order.len()), (1, 1));
}

#[test]
fn the_oldest_goes_first_and_memory_is_bounded() {
    let mut entries = Entries::default();
    let now = Instant::now();
    let digests = |number: usize| {
        let mut whole = [0; 32];
        whole[..8].copy_from_slice(&number.to_be_bytes());
        Digests {
            whole,
            login: whole,
            password: [0; 32],
        }
    };
    let hour = Duration::from_secs(3600);
    for number in 0..MAX_ENTRIES + 5 {
        // Each twice: caching a password again adds no entry.
        for _ in 0..2 {
            entries.remember(digests(number), Account::default(), now, hour);
        }
        if number > 100 && number < MAX_ENTRIES - 5 {
            continue;
        }
        assert!(entries.entries.len() <= MAX_ENTRIES);
        assert!(entries.order.len() <= MAX_ENTRIES);
    }
    assert!(entries.recall(&digests(0), now).is_none());
    assert!(entries.recall(&digests(MAX_ENTRIES + 4), now).is_some());
}

#[test]
fn no_password_is_in_the_memory() {
    let store = cached(b"marker-password");
    let asking = Asking {
        password: b"marker-password",
        ..Asking::default()
    };
    assert!(asking.of(&store).unwrap().is_some());
    let entries = store.cache.entries();
    let entry = entries.entries.values().next().unwrap();
    assert!(!format!("{:?}", entry.account).contains("marker"));
    assert_ne!(entry.login, entry.password);
}
