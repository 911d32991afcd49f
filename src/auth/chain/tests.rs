//! Chains of stores that give the answers of the test.

mod alike;
mod broken;
mod order;
mod passwords;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::prove::limit_violated;
use super::*;
use crate::login::Network;
use crate::login::Protocol;
use crate::nginx::request::Session;
use crate::secret::{ChallengeResponse, Secret, WeakSchemes};
use crate::users::{Credential, Decoy, PasswordCheck};

/// The answer of a store.
#[derive(Clone)]
enum Says {
    Unknown,
    Cannot,
    Stored(&'static [&'static str]),
    /// Asked itself, it knows this one password.
    Asks(&'static str),
    Anything,
}

struct Fake(Says, Arc<AtomicUsize>);

impl UserStore for Fake {
    fn find(&self, _: &Question<'_>) -> Result<Option<Account>, StoreError> {
        let passwords = match &self.0 {
            Says::Unknown => return Ok(None),
            Says::Cannot => return Err(StoreError::Unavailable("it is down".to_owned())),
            Says::Stored(texts) => {
                Passwords::Stored(texts.iter().map(|text| secret(text).into()).collect())
            }
            Says::Asks(_) => Passwords::AskStore,
            Says::Anything => Passwords::Any,
        };
        Ok(Some(Account {
            passwords,
            likeness: Likeness::Same,
            ..Account::default()
        }))
    }

    fn verify(
        &self,
        _: &Question<'_>,
        account: &mut Account,
        password: &Password,
    ) -> Result<PasswordCheck, StoreError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        account.host = Some("filled-in".to_owned());
        match &self.0 {
            Says::Asks(right) if password.reveal() == right.as_bytes() => Ok(PasswordCheck::Right),
            Says::Asks(_) => Ok(PasswordCheck::Wrong),
            _ => panic!("asked without need"),
        }
    }
}

fn secret(text: &str) -> Secret {
    Secret::parse(text.as_bytes(), WeakSchemes::Allowed)
        .unwrap()
        .unwrap()
}

fn source(says: Says, wrong: Then, trouble: Then) -> Source {
    Source {
        table: 0,
        name: "fake".to_owned(),
        store: Arc::new(Fake(says, Arc::default())),
        bound: None,
        cache: None,
        domains: None,
        wrong,
        trouble,
        refusal_time: RefusalTime::default(),
        counts: Arc::default(),
        app_passwords: false,
    }
}

fn chain(mut sources: Vec<Source>) -> Chain {
    for (table, source) in sources.iter_mut().enumerate() {
        source.table = table;
    }
    Chain::new(sources, MachineSemaphore::new(NonZeroUsize::MIN), 10)
}

fn question(login: &Login) -> Question<'_> {
    Question {
        login,
        protocol: Protocol::Imap,
        client: Some([192, 0, 2, 7].into()),
        session: Session::default(),
        network: None,
        deadline: Instant::now() + Duration::from_secs(5),
        steps: None,
    }
}

fn proof(text: &str) -> Proof {
    Proof::Password(Password::new(text.into()).unwrap())
}

fn ask(chain: &Chain, login: &str, password: &str) -> Result<Proven, Refusal> {
    let login = Login::new(login.into()).unwrap();
    let asked = chain.authenticate(&question(&login), &proof(password), &mut |_| {});
    asked.map_err(|denied| denied.why)
}

fn down() -> Refusal {
    Refusal::Temporary(Trouble::Store("fake: it is down".to_owned()))
}

/// How many passwords a user has does not show in the time of a no.
#[test]
fn refusals_of_a_store_with_app_passwords_leave_as_late_as_those_of_other_users() {
    let login = Login::new(b"alice".to_vec()).unwrap();
    let delay = |source: Source| {
        let chain = chain(vec![source]);
        let started = Instant::now();
        let asked = chain.authenticate(&question(&login), &proof("guess"), &mut |_| {});
        let delay = asked.map_err(|denied| denied.delay).err().unwrap();
        (delay, started.elapsed() + delay)
    };
    let of = |says: &Says| source(says.clone(), Then::Stop, Then::Stop);
    for says in [
        Says::Stored(&["{PLAIN}a", "{PLAIN}b", "{PLAIN}c"]),
        Says::Stored(&["{PLAIN}a"]),
        Says::Stored(&[]),
        Says::Unknown,
    ] {
        assert_eq!(delay(of(&says)).0, Duration::ZERO);
        let source = Source {
            app_passwords: true,
            ..of(&says)
        };
        assert!(delay(source).1 >= Duration::from_millis(100));
    }
}

/// Every pair of outcomes with every pair of actions of the first store.
#[test]
fn what_follows_each_outcome() {
    use Says::{Asks, Cannot, Stored, Unknown};
    use Then::{Next, Stop};
    let (right, wrong) = (Stored(&["{PLAIN}pw"]), Stored(&["{PLAIN}other"]));
    for (first, wrong_then, trouble_then, second, expected) in [
        (Unknown, Stop, Stop, right.clone(), Ok(())),
        (Unknown, Stop, Stop, Unknown, Err(Refusal::UnknownUser)),
        (
            Unknown,
            Stop,
            Stop,
            wrong.clone(),
            Err(Refusal::WrongPassword),
        ),
        (Unknown, Stop, Stop, Cannot, Err(down())),
        (right.clone(), Stop, Stop, Cannot, Ok(())),
        (
            wrong.clone(),
            Stop,
            Stop,
            right.clone(),
            Err(Refusal::WrongPassword),
        ),
        (wrong.clone(), Next, Stop, right.clone(), Ok(())),
        (
            wrong.clone(),
            Next,
            Stop,
            Unknown,
            Err(Refusal::WrongPassword),
        ),
        (wrong.clone(), Next, Stop, Cannot, Err(down())),
        (
            Asks("other"),
            Stop,
            Stop,
            right.clone(),
            Err(Refusal::WrongPassword),
        ),
        (Asks("other"), Next, Stop, right.clone(), Ok(())),
        (
            Stored(&[]),
            Stop,
            Stop,
            right.clone(),
            Err(Refusal::NoPassword),
        ),
        (Stored(&[]), Next, Stop, right.clone(), Ok(())),
        (Cannot, Stop, Stop, right.clone(), Err(down())),
        (Cannot, Next, Stop, right.clone(), Err(down())),
        (Cannot, Stop, Next, right.clone(), Ok(())),
        // It might have accepted the login.
        (Cannot, Stop, Next, Unknown, Err(down())),
        (Cannot, Stop, Next, wrong.clone(), Err(down())),
    ] {
        let chain = chain(vec![
            source(first, wrong_then, trouble_then),
            source(second, Stop, Stop),
        ]);
        assert_eq!(ask(&chain, "alice", "pw").map(drop), expected);
    }
    let nobody_knows = chain(vec![
        source(Cannot, Stop, Next),
        source(wrong, Next, Next),
        source(Unknown, Stop, Stop),
    ]);
    assert_eq!(ask(&nobody_knows, "alice", "pw").map(drop), Err(down()));
}

/// Who is switched off in one store, or brings a password that is no longer good there, does not
/// get in by the next.
#[test]
fn a_user_not_permitted_here_is_accepted_by_no_other_store() {
    struct Off(Credential);
    impl UserStore for Off {
        fn find(&self, _: &Question<'_>) -> Result<Option<Account>, StoreError> {
            Ok(Some(Account {
                passwords: Passwords::Stored(vec![self.0.clone()]),
                disabled: self.0.expires.is_none(),
                ..Account::default()
            }))
        }
    }
    let off = Credential::from(secret("{PLAIN}other"));
    let mut over = Credential::from(secret("{PLAIN}pw"));
    over.expires = Some(UNIX_EPOCH);
    for (credential, why) in [
        (off, Refusal::WrongPassword),
        (over, Refusal::PasswordExpired),
    ] {
        let mut first = source(Says::Unknown, Then::Next, Then::Next);
        first.store = Arc::new(Off(credential));
        let second = source(Says::Asks("pw"), Then::Stop, Then::Stop);
        let chain = chain(vec![first, second]);
        assert_eq!(ask(&chain, "a", "pw").map(drop), Err(why));
    }
}

/// Certificates and tokens prove a login; the stores decide whether it exists.
#[test]
fn a_store_that_needs_the_password_is_not_asked_without_one() {
    struct Anybody;
    impl UserStore for Anybody {
        fn find(&self, _: &Question<'_>) -> Result<Option<Account>, StoreError> {
            Ok(Some(Account {
                passwords: Passwords::AskStore,
                ..Account::default()
            }))
        }
        fn knows_users(&self) -> bool {
            false
        }
    }
    let login = Login::new(b"a".to_vec()).unwrap();
    let mut first = source(Says::Unknown, Then::Stop, Then::Stop);
    first.store = Arc::new(Anybody);
    let alone = chain(vec![first]);
    let asked = question(&login);
    let unknown = alone.look_up(&asked, &mut |_| {}).map(drop);
    assert_eq!(unknown, Err(Refusal::UnknownUser));
    assert!(alone.presume(&asked, &mut |_| {}).is_ok());
    let mut first = source(Says::Unknown, Then::Stop, Then::Stop);
    first.store = Arc::new(Anybody);
    let second = source(Says::Stored(&["{PLAIN}x"]), Then::Stop, Then::Stop);
    let both = chain(vec![first, second]);
    let account = both.look_up(&asked, &mut |_| {}).unwrap();
    assert_eq!(account.source, Some(1));
}

/// A store that treats two logins as the same may have found another user, and one that does not return
/// the login may have too.
#[test]
fn without_a_password_a_store_must_have_found_exactly_the_login() {
    use Likeness::{Other, Same, Unsaid};

    struct Finds(Likeness);
    impl UserStore for Finds {
        fn find(&self, _: &Question<'_>) -> Result<Option<Account>, StoreError> {
            Ok(Some(Account {
                likeness: self.0,
                ..Account::default()
            }))
        }
    }
    let login = Login::new(b"a".to_vec()).unwrap();
    let not = |likeness| Err(Refusal::LoginNotProven(likeness));
    for (stores, expected) in [
        (vec![Same], Ok(Some(0))),
        (vec![Other], not(Other)),
        (vec![Unsaid], not(Unsaid)),
        (vec![Other, Same], Ok(Some(0))),
        (vec![Other, Other], not(Other)),
        (vec![Other, Unsaid], not(Unsaid)),
        (vec![Unsaid, Other], not(Unsaid)),
        // It may be the user that the first store does not permit to log in.
        (vec![Unsaid, Same], not(Unsaid)),
        (vec![Same, Unsaid], Ok(Some(0))),
    ] {
        let sources = stores.iter().map(|likeness| {
            let mut finds = source(Says::Unknown, Then::Stop, Then::Stop);
            finds.store = Arc::new(Finds(*likeness));
            finds
        });
        let chain = chain(sources.collect());
        let found = chain.look_up(&question(&login), &mut |_| {});
        let found = found.map(|account| account.source.map(|_| 0));
        assert_eq!(found, expected, "{stores:?}");
    }
    // That a store could not say comes before.
    let mut finds = source(Says::Unknown, Then::Stop, Then::Stop);
    finds.store = Arc::new(Finds(Unsaid));
    let down = source(Says::Cannot, Then::Stop, Then::Stop);
    let found = chain(vec![finds, down]).look_up(&question(&login), &mut |_| {});
    assert!(matches!(found, Err(Refusal::Temporary(_))), "{found:?}");
}

/// A decoy is made from the hash of a user; the time must not reveal that its password is remembered.
#[test]
fn a_decoy_is_always_hashed() {
    let text = Secret::hash(
        crate::secret::Scheme::Sha256Crypt,
        &Password::new(b"pw".to_vec()).unwrap(),
    );
    let stored: &'static [&'static str] = vec![&*text.unwrap().leak()].leak();
    let chain = chain(vec![source(Says::Stored(stored), Then::Stop, Then::Stop)]);
    assert!(ask(&chain, "a", "pw").is_ok());
    let login = Login::new(b"a".to_vec()).unwrap();
    let _taken = chain.turn(&question(&login)).unwrap();
    let hurried = Question {
        deadline: Instant::now() + Duration::from_millis(5),
        ..question(&login)
    };
    assert_eq!(
        chain.check_proof(&secret(stored[0]), &hurried, &proof("pw")),
        Ok(true)
    );
    let decoy = secret(stored[0]).into_decoy();
    let hashed = chain.check_proof(&decoy, &hurried, &proof("pw"));
    assert_eq!(hashed, Err(Trouble::Busy));
}

#[test]
fn a_store_is_asked_about_its_domains_only() {
    let mut first = source(Says::Stored(&["{PLAIN}one"]), Then::Stop, Then::Stop);
    let domains = [&b"example.org"[..], b"*.example.net", b""];
    first.domains = Some(domains.map(Into::into).to_vec());
    let second = source(Says::Stored(&["{PLAIN}two"]), Then::Stop, Then::Stop);
    let chain = chain(vec![first, second]);
    for (login, password) in [
        ("a@example.org", "one"),
        ("a@below.example.net", "one"),
        ("a@example.net", "two"),
        ("a", "one"),
        ("a@", "one"),
        ("a@sub.example.org", "two"),
        ("example.org@b", "two"),
        ("a@example.org@b", "two"),
    ] {
        assert!(ask(&chain, login, password).is_ok(), "{login}");
    }
}

#[test]
fn an_empty_password_is_never_asked_about() {
    let asked = Arc::new(AtomicUsize::new(0));
    let mut one = source(Says::Unknown, Then::Stop, Then::Stop);
    one.store = Arc::new(Fake(Says::Asks(""), Arc::clone(&asked)));
    let chain = chain(vec![one]);
    assert_eq!(ask(&chain, "a", "").map(drop), Err(Refusal::WrongPassword));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    assert_eq!(ask(&chain, "a", "x").map(drop), Err(Refusal::WrongPassword));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn a_store_that_is_asked_fills_in_the_account() {
    let chain = chain(vec![source(Says::Asks("pw"), Then::Stop, Then::Stop)]);
    let proven = ask(&chain, "a", "pw").unwrap();
    assert_eq!(proven.account.host.as_deref(), Some("filled-in"));
}
