//! Counts that are kept, forgotten, or cannot be read.

use super::*;

/// Counts of a full disk or of a copy can be read and not be written. The process then counts on
/// its own, if logins are to be decided without the counts.
#[test]
fn with_read_only_counts_the_process_counts_on_its_own() {
    let (throttle, faults) = sharing(&settings());
    assert_eq!(fail(&throttle, "192.0.2.1", "alice", "one"), 0);
    succeed(&throttle, "198.51.100.1", "alice");
    let early = attempt(&throttle, "192.0.2.1", "alice", "right");
    let late = attempt(&throttle, "192.0.2.1", "alice", "right");
    faults.writing.store(true, SeqCst);
    assert_eq!(early.succeeded(&proof("right")), Ok(()));
    let shared = counts(&throttle);
    // The first is free, by the counts of the process.
    for (password, wait) in [("two", 0), ("three", 5), ("four", 7)] {
        assert_eq!(fail(&throttle, "192.0.2.1", "alice", password), wait);
    }
    assert_eq!(counts(&throttle), shared);
    let why = Refusal::Throttled("this login from there");
    let refused = attempt(&throttle, "192.0.2.1", "alice", "five");
    assert_eq!(refused.refused(), Some(why.clone()));
    let delay = refused.delay_of_refusal(&proof("five"));
    assert_eq!(delay.wait, NonZeroU32::new(7));
    // Guesses made at once are as many as those made one after the other.
    assert_eq!(
        late.succeeded(&proof("right")),
        Err((why, NonZeroU32::new(7)))
    );
    // Elsewhere nothing follows from it, and not for those who are exempt by what is shared.
    let other = attempt(&throttle, "203.0.113.1", "bob", "x");
    assert_eq!(other.refused(), None);
    for password in ["two", "three", "four", "five"] {
        assert_eq!(fail(&throttle, "198.51.100.1", "alice", password), 0);
    }
    let exempt = attempt(&throttle, "198.51.100.1", "alice", "right");
    assert_eq!(exempt.refused(), None);
    assert_eq!(exempt.delay_of_refusal(&proof("right")).wait, None);
    // Also not where the exemption is to be renewed.
    let mut exempt = attempt(&throttle, "198.51.100.1", "alice", "right");
    exempt.now += 1800;
    assert_eq!(exempt.succeeded(&proof("right")), Ok(()));
}

#[test]
fn read_only_counts_that_are_required_stop_all_decisions() {
    let settings = Settings {
        go_on: false,
        ..settings()
    };
    let (throttle, faults) = sharing(&settings);
    let visits = ["wrong", "right"].map(|password| attempt(&throttle, "192.0.2.1", "a", password));
    faults.writing.store(true, SeqCst);
    let [wrong, right] = visits;
    let trouble = Trouble::Throttle("no writing".to_owned());
    let failed = wrong.failed(&proof("wrong"), Duration::ZERO);
    assert_eq!(failed, Err(trouble));
    let pause = Trouble::Throttle("memory: could not write the counts a moment ago".to_owned());
    let succeeded = right.succeeded(&proof("right"));
    assert_eq!(succeeded, Err((pause.into(), None)));
    faults.reading.store(true, SeqCst);
    let attempt = throttle.begin_attempt(&client("192.0.2.1"), b"a", &proof("x"), soon());
    let trouble = Trouble::Throttle("no reading".to_owned());
    assert_eq!(attempt.map(drop), Err(trouble));
}

#[test]
fn unreadable_counts_are_replaced_by_those_of_the_process() {
    let (throttle, faults) = sharing(&settings());
    faults.reading.store(true, SeqCst);
    for (password, wait) in [("one", 0), ("two", 5), ("three", 7)] {
        assert_eq!(fail(&throttle, "192.0.2.1", "alice", password), wait);
    }
    assert_eq!(faults.changes.load(SeqCst), 0);
    let attempt = attempt(&throttle, "192.0.2.1", "alice", "right");
    let why = Refusal::Throttled("this login from there");
    assert_eq!(attempt.refused(), Some(why));
    assert_eq!(counts(&throttle), [""; 0]);
}

/// A request of CGI loses what it counts on its own: it waits for its turn instead.
#[cfg(feature = "servers")]
#[test]
fn a_process_of_one_request_does_not_decide_uncounted() {
    for (go_on, counting, trouble, stops) in [
        (true, CountingMode::Server, Trouble::Busy, false),
        (true, CountingMode::OneRequest, Trouble::Busy, true),
        (true, CountingMode::OneRequest, Trouble::Memory, false),
        (false, CountingMode::Server, Trouble::Memory, true),
    ] {
        let settings = Settings {
            go_on,
            ..settings()
        };
        let counts = Box::new(Memory::new(settings.spans));
        let shared = Shared::with(&settings, counting, counts);
        assert_eq!(shared.must_refuse(&trouble), stops, "{go_on} {counting:?}");
    }
}

/// After a reload. Times of other spans would mean something else.
#[test]
fn counts_outlive_a_reload_if_they_are_counted_alike() {
    let before = throttle(&settings());
    fail(&before, "192.0.2.1", "alice", "one");
    let kept = |change: fn(&mut Settings)| {
        let mut settings = settings();
        change(&mut settings);
        let after = Throttle::open(&settings, CountingMode::Server, Some(&before));
        assert_eq!(after.settings(), &settings);
        let own = after
            .counts
            .read_own_counts(&[Key::Login(b"alice".to_vec())]);
        own.unwrap()[0].failures == 1
    };
    assert!(kept(|_| {}));
    assert!(kept(|settings| settings.waits = vec![1]));
    assert!(!kept(|settings| settings.spans.window *= 2));
    assert!(!kept(|settings| settings.spans.exempt *= 2));
    #[cfg(feature = "servers")]
    assert!(!kept(
        |settings| settings.place = StateLocation::Sqlite("/nowhere/at/all".into())
    ));
}

#[test]
fn an_administrator_can_have_keys_forgotten() {
    let throttle = throttle(&settings());
    fail(&throttle, "192.0.2.1", "alice", "one");
    let login = Key::Login(b"alice".to_vec());
    throttle.forget(&[login], soon()).unwrap();
    assert_eq!(
        counts(&throttle),
        [
            "network=192.0.2.0/24 1",
            "network=192.0.2.0/24 login=\"alice\" 1",
        ]
    );
    assert_eq!(throttle.test(soon()), Ok(()));
    let (throttle, faults) = sharing(&settings());
    assert_eq!(throttle.test(soon()), Ok(()));
    faults.writing.store(true, SeqCst);
    assert_eq!(throttle.test(soon()), Err("no writing".to_owned()));
}
