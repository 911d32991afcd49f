//! Which attempts count as guesses, and for which login.

use super::*;
use crate::throttle::{CountingMode, Settings, Spans, StateLocation};

fn throttled(gate: Gate) -> Gate {
    let hour = Duration::from_secs(3600);
    let settings = Settings {
        place: StateLocation::Memory,
        go_on: true,
        timeout: Duration::from_millis(300),
        free: 0,
        waits: vec![5],
        refuse_network: None,
        refuse_login: None,
        spans: Spans {
            window: hour,
            exempt: hour,
        },
        ipv4_prefix: 32,
        ipv6_prefix: 64,
        always_allow: Vec::new(),
        wait_after_digests: true,
    };
    Gate {
        throttle: Some(Throttle::open(&settings, CountingMode::Server, None)),
        ..gate
    }
}

/// Who is counted, sorted.
fn counted(gate: &Gate) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(5);
    let list = gate.throttle.as_ref().unwrap().list(deadline).unwrap();
    let mut list: Vec<_> = list
        .iter()
        .filter_map(|(key, record)| {
            let login = key.login().filter(|_| key.network().is_some())?;
            let exempt = if record.succeeded == 0 { "" } else { " exempt" };
            let login = String::from_utf8_lossy(login);
            Some(format!("{login} {}{exempt}", record.failures))
        })
        .collect();
    list.sort();
    list
}

fn digest() -> Proof {
    Proof::Apop(ChallengeResponse::new(b"<1.2@x>", &[b'0'; 32]).unwrap())
}

#[test]
fn guesses_count_and_untried_passwords_do_not() {
    let hashed = || account(vec![credential("{SHA}GpHWL3ymc5liWkNopqtdSjuqYHM=")]);
    let off = || Account {
        disabled: true,
        ..clear("pw")
    };
    let users = || {
        vec![
            ("alice", clear("pw")),
            ("hashed", hashed()),
            ("off", off()),
            ("locked", account(Vec::new())),
        ]
    };
    let pw = |text: &str| Proof::Password(password(text));
    let down = Trouble::Store("users: it is down".to_owned());
    for (login, proof, why, wait, expected) in [
        ("alice", pw("x"), Refusal::WrongPassword, 5, Some("alice 1")),
        (
            "alice",
            digest(),
            Refusal::WrongPassword,
            5,
            Some("alice 1"),
        ),
        ("eve", pw("x"), Refusal::UnknownUser, 5, Some("eve 1")),
        ("off", pw("pw"), Refusal::Disabled(None), 5, Some("off 1")),
        ("locked", pw("x"), Refusal::NoPassword, 5, Some("locked 1")),
        ("hashed", digest(), Refusal::DigestNotPossible, 0, None),
        ("down", pw("x"), down.into(), 0, None),
    ] {
        let gate = throttled(gate(users(), None));
        let request = request(login, proof);
        let denial = gate
            .admit(&AuthRequest::LogIn(request), &mut |_| {})
            .err()
            .unwrap();
        assert_eq!(denial.why, why, "{login}");
        assert_eq!(denial.wait.map_or(0, NonZeroU32::get), wait, "{login}");
        assert_eq!(counted(&gate), Vec::from_iter(expected), "{login}");
    }
    let gate = throttled(gate(users(), None));
    assert!(sent(&gate, &plain("alice", "pw")).is_ok());
    assert_eq!(counted(&gate), ["alice 0 exempt"]);
}

#[test]
fn after_too_many_no_store_is_asked() {
    let (gate, asked) = counting(vec![("alice", clear("pw"))], None);
    let gate = throttled(gate);
    assert_eq!(
        sent(&gate, &plain("alice", "x")),
        Err(Refusal::WrongPassword)
    );
    assert_eq!(asked.load(SeqCst), 1);
    let denial = gate
        .admit(&AuthRequest::LogIn(plain("alice", "pw")), &mut |_| {})
        .err()
        .unwrap();
    let why = Refusal::Throttled("this login from there");
    assert_eq!((denial.why, denial.wait), (why, NonZeroU32::new(5)));
    assert!(denial.earliest.is_some());
    assert_eq!(asked.load(SeqCst), 1);
}

/// The password that could be guessed is the master's, for every user.
#[test]
fn guesses_at_a_master_count_for_the_master() {
    let masters = masters::masters("*");
    let users = vec![("bob", clear("own")), ("rob", clear("own"))];
    let gate = throttled(Gate {
        masters: Some(masters),
        ..gate(users, None)
    });
    assert_eq!(
        sent(&gate, &plain("bob*boss", "x")),
        Err(Refusal::WrongPassword)
    );
    assert_eq!(counted(&gate), ["*boss 1"]);
    for (typed, counts_for) in [("bob*boss", "*boss"), ("rob*boss", "*boss"), ("bob", "bob")] {
        let typed = Login::new(typed.into()).unwrap();
        let login = gate.counted_login(&typed).unwrap();
        assert_eq!(login, counts_for.as_bytes());
    }
    let why = Refusal::Throttled("this login from there");
    assert_eq!(sent(&gate, &plain("rob*boss", "m4ster")), Err(why));
    assert_eq!(sent(&gate, &plain("bob", "own")), says("192.0.2.1:143 - -"));
}

/// Clients that have logged in from there with a password may try a digest first each time.
#[test]
fn an_incomparable_digest_is_no_guess_from_an_exempt_network() {
    let hashed = account(vec![credential("{SHA}GpHWL3ymc5liWkNopqtdSjuqYHM=")]);
    let gate = throttled(gate(vec![("alice", hashed)], None));
    assert!(sent(&gate, &plain("alice", "pw")).is_ok());
    for _ in 0..2 {
        let refused = sent(&gate, &request("alice", digest()));
        assert_eq!(refused, Err(Refusal::DigestNotPossible));
    }
    assert_eq!(counted(&gate), ["alice 0 exempt"]);
}

/// A refusal of a store that checks passwords itself is delayed as long as others.
#[test]
fn refusals_are_delayed_with_counts_and_without() {
    struct Asks;
    impl UserStore for Asks {
        fn find(&self, _: &Question<'_>) -> Result<Option<Account>, StoreError> {
            Ok(Some(Account {
                passwords: Passwords::AskStore,
                ..Account::default()
            }))
        }
        fn verify(
            &self,
            _: &Question<'_>,
            _: &mut Account,
            _: &Password,
        ) -> Result<crate::users::PasswordCheck, StoreError> {
            Ok(crate::users::PasswordCheck::Wrong)
        }
    }
    let asking = || {
        let source = Source {
            bound: None,
            cache: None,
            table: 0,
            name: "asks".to_owned(),
            store: Arc::new(Asks),
            domains: None,
            wrong: Then::Stop,
            trouble: Then::Stop,
            refusal_time: RefusalTime::default(),
            counts: Arc::default(),
            app_passwords: false,
        };
        let chain = Chain::new(vec![source], MachineSemaphore::new(NonZeroUsize::MIN), 10);
        Gate {
            chain,
            ..gate(Vec::new(), None)
        }
    };
    for gate in [asking(), throttled(asking())] {
        let started = Instant::now();
        let denial = gate
            .admit(&AuthRequest::LogIn(plain("alice", "x")), &mut |_| {})
            .err()
            .unwrap();
        assert_eq!(denial.why, Refusal::WrongPassword);
        let earliest = denial.earliest.unwrap();
        assert!(earliest >= started + Duration::from_millis(100));
    }
}
