//! What is counted, from one attempt to the next.

use super::*;

/// Otherwise a client could have any network refused, or choose another one for each guess.
#[test]
fn an_untrusted_address_has_no_network() {
    let throttle = throttle(&settings());
    for vouched_for in [false, true] {
        let client = Client {
            vouched_for,
            ..client("192.0.2.1")
        };
        let attempt = throttle.begin_attempt(&client, b" Alice\t", &proof("x"), soon());
        let attempt = attempt.unwrap().unwrap();
        attempt.failed(&proof("x"), Duration::ZERO).unwrap();
        let expected: &[&str] = match vouched_for {
            false => &["login=\"alice\" 1"],
            true => &[
                "login=\"alice\" 1",
                "network=192.0.2.0/24 1",
                "network=192.0.2.0/24 login=\"alice\" 1",
            ],
        };
        assert_eq!(counts(&throttle), expected, "{vouched_for}");
    }
}

#[test]
fn the_same_wrong_password_counts_once_and_others_each() {
    let throttle = throttle(&settings());
    assert_eq!(fail(&throttle, "192.0.2.1", "alice", "one"), 0);
    assert_eq!(fail(&throttle, "192.0.2.1", "alice", "one"), 0);
    let once = [
        "login=\"alice\" 1",
        "network=192.0.2.0/24 1",
        "network=192.0.2.0/24 login=\"alice\" 1",
    ];
    assert_eq!(counts(&throttle), once);
    // From elsewhere: the login has had it already.
    assert_eq!(fail(&throttle, "198.51.100.1", "alice", "one"), 0);
    assert_eq!(fail(&throttle, "192.0.2.1", "alice", "two"), 5);
    // Of another login: it is another password.
    assert_eq!(fail(&throttle, "192.0.2.1", "bob", "one"), 7);
    let all = [
        "login=\"alice\" 2",
        "login=\"bob\" 1",
        "network=192.0.2.0/24 3",
        "network=192.0.2.0/24 login=\"alice\" 2",
        "network=192.0.2.0/24 login=\"bob\" 1",
        "network=198.51.100.0/24 1",
        "network=198.51.100.0/24 login=\"alice\" 1",
    ];
    assert_eq!(counts(&throttle), all);
    // A digest does not show whether it is the same password. nginx does not delay it.
    for _ in 0..2 {
        let attempt = throttle.begin_attempt(&client("203.0.113.1"), b"carol", &digest(), soon());
        let counted = attempt.unwrap().unwrap().failed(&digest(), Duration::ZERO);
        assert_eq!(counted.unwrap().wait, None);
    }
    assert!(counts(&throttle).contains(&"login=\"carol\" 2".to_owned()));
    let waiting = Settings {
        wait_after_digests: true,
        free: 0,
        ..settings()
    };
    let throttle = self::throttle(&waiting);
    let attempt = throttle.begin_attempt(&client("203.0.113.1"), b"carol", &digest(), soon());
    let counted = attempt.unwrap().unwrap().failed(&digest(), Duration::ZERO);
    assert_eq!(counted.unwrap().wait, NonZeroU32::new(5));
}

/// Wrong passwords from a network where the user has logged in: usually the user's own devices.
#[test]
fn failures_from_an_exempt_network_count_there_alone() {
    let throttle = throttle(&settings());
    assert_eq!(fail(&throttle, "192.0.2.1", "alice", "one"), 0);
    succeed(&throttle, "192.0.2.1", "alice");
    // What came before from there is made good for, and what came from there by others is not.
    let exempt = |failures: &str| {
        [
            "login=\"alice\" 1".to_owned(),
            "network=192.0.2.0/24 1".to_owned(),
            format!("network=192.0.2.0/24 login=\"alice\" {failures}"),
        ]
    };
    assert_eq!(counts(&throttle), exempt("0 exempt"));
    for number in 1..=99 {
        let password = format!("guess {number}");
        assert_eq!(fail(&throttle, "192.0.2.1", "alice", &password), 0);
    }
    assert_eq!(counts(&throttle), exempt("99 exempt"));
    let last = attempt(&throttle, "192.0.2.1", "alice", "right");
    assert!(last.is_exempt());
    assert_eq!(last.refused(), None);
    // A later success does not make good for them: there would be no end of guessing.
    succeed(&throttle, "192.0.2.1", "alice");
    assert_eq!(counts(&throttle), exempt("99 exempt"));
    assert_eq!(fail(&throttle, "192.0.2.1", "alice", "guess 100"), 7);
    assert_eq!(counts(&throttle), exempt("100"));
    let next = attempt(&throttle, "192.0.2.1", "alice", "right");
    assert!(!next.is_exempt());
    assert_eq!(
        next.refused(),
        Some(Refusal::Throttled("this login from there"))
    );
}

/// It is renewed after half of its time, or half an hour, and not at every login.
#[test]
fn an_exemption_is_renewed_in_time() {
    let day = HOUR * 24;
    for (exempt, since, renewed) in [
        (day, 0, false),
        (day, 1799, false),
        (day, 1800, true),
        (HOUR, 1799, false),
        (HOUR, 1800, true),
        (HOUR / 6, 299, false),
        (HOUR / 6, 300, true),
    ] {
        let mut settings = settings();
        settings.spans.exempt = exempt;
        let (throttle, faults) = sharing(&settings);
        succeed(&throttle, "192.0.2.1", "alice");
        assert_eq!(faults.changes.load(SeqCst), 1);
        let mut attempt = attempt(&throttle, "192.0.2.1", "alice", "right");
        attempt.now += since;
        assert_eq!(attempt.succeeded(&proof("right")), Ok(()));
        let changes = faults.changes.load(SeqCst) - 1;
        assert_eq!(changes, usize::from(renewed), "{exempt:?} {since}");
    }
}

/// If the network is unknown, only the bound of the login can have been reached by other attempts.
#[test]
fn without_a_network_a_success_asks_for_the_bound_of_the_login_alone() {
    for (refuse_login, changes) in [(None, 0), (Some(2), 1)] {
        let settings = Settings {
            refuse_login,
            ..settings()
        };
        let (throttle, faults) = sharing(&settings);
        let unknown = Client::default();
        let attempt = |password: &str| {
            let attempt = throttle.begin_attempt(&unknown, b"alice", &proof(password), soon());
            attempt.unwrap().unwrap()
        };
        assert_eq!(attempt("right").succeeded(&proof("right")), Ok(()));
        assert_eq!(faults.changes.load(SeqCst), changes);
        let late = attempt("right");
        for wrong in ["one", "two"] {
            let counted = attempt(wrong)
                .failed(&proof(wrong), Duration::ZERO)
                .unwrap();
            assert_eq!(counted.too_late, None);
        }
        let why = Refusal::Throttled("the login");
        let expected = match refuse_login {
            None => Ok(()),
            Some(_) => Err((why, NonZeroU32::new(5))),
        };
        assert_eq!(late.succeeded(&proof("right")), expected);
    }
}

/// What is owed is time that the answer takes, too.
#[test]
fn the_time_of_a_wrong_password_is_noted() {
    let throttle = throttle(&settings());
    let attempt = attempt(&throttle, "192.0.2.1", "alice", "x");
    attempt.failed(&proof("x"), HOUR).unwrap();
    for (key, record) in throttle.list(soon()).unwrap() {
        let took = Duration::from_micros(record.took.into());
        assert!((HOUR..HOUR + HOUR / 60).contains(&took), "{key} {took:?}");
    }
}

/// Of guesses made at once, one that is right and comes too late looks like the others.
#[test]
fn a_right_password_that_comes_too_late_is_told_to_wait_like_a_wrong_one() {
    let settings = Settings {
        free: 0,
        waits: vec![7],
        ..settings()
    };
    let throttle = throttle(&settings);
    let attempt = |password| attempt(&throttle, "192.0.2.1", "alice", password);
    let (first, second, late) = (attempt("wrong"), attempt("right"), attempt("other"));
    assert_eq!((first.refused(), second.refused()), (None, None));
    let counted = first.failed(&proof("wrong"), Duration::ZERO).unwrap();
    let why = Refusal::Throttled("this login from there");
    let wait = NonZeroU32::new(7);
    assert_eq!((counted.wait, counted.too_late), (wait, None));
    let counted = late.failed(&proof("other"), Duration::ZERO).unwrap();
    assert_eq!((counted.wait, counted.too_late), (wait, Some(why.clone())));
    assert_eq!(second.succeeded(&proof("right")), Err((why, wait)));
    assert_eq!(
        attempt("right").delay_of_refusal(&proof("right")).wait,
        wait
    );
}
