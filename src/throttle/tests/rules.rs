//! What follows from counts, and who is counted.

use super::*;

#[test]
fn waits_follow_the_free_failures_and_the_last_one_stays() {
    let waits = |free, waits: &[u32], failures| {
        let settings = Settings {
            free,
            waits: waits.to_vec(),
            ..settings()
        };
        settings.wait(failures)
    };
    for (failures, wait) in [
        (0, 0),
        (1, 0),
        (2, 0),
        (3, 5),
        (4, 7),
        (5, 7),
        (u32::MAX, 7),
    ] {
        assert_eq!(waits(2, &[5, 7], failures), wait, "{failures}");
    }
    assert_eq!(waits(0, &[5, 7], 0), 0);
    assert_eq!(waits(0, &[5, 7], 1), 5);
    assert_eq!(waits(0, &[], 9), 0);
    let patience = |free, waits: &[u32]| {
        let settings = Settings {
            free,
            waits: waits.to_vec(),
            ..settings()
        };
        settings.patience()
    };
    assert_eq!(patience(2, &[5, 7, 9]), 5);
    assert_eq!(patience(u32::MAX, &[5]), u32::MAX);
}

/// The bounds count from the failure that reaches them, and the narrowest one is named.
#[test]
fn an_attempt_over_a_bound_is_refused_unless_exempt() {
    let both = Settings {
        refuse_login: Some(9),
        ..settings()
    };
    let neither = Settings {
        refuse_network: None,
        ..settings()
    };
    let (both, neither) = (throttle(&both), throttle(&neither));
    let pair = Some("this login from there");
    let network = Some("the network");
    let login = Some("the login");
    // Failures of the login, of the network, of the two together; since when it is exempt.
    for (failures, succeeded, by_both, by_neither) in [
        ((0, 0, 0), 0, None, None),
        ((8, 4, 2), 0, None, None),
        ((8, 4, 3), 0, pair, pair),
        ((8, 5, 2), 0, network, None),
        ((9, 4, 2), 0, login, None),
        ((9, 5, 3), 0, pair, pair),
        ((9, 5, 2), 0, network, None),
        ((9, 5, 3), 1, None, None),
    ] {
        let seen = AttemptRecords {
            login: record(failures.0, 0, 0),
            network: Some((record(failures.1, 0, 0), record(failures.2, succeeded, 0))),
        };
        let refused = |what: Option<&'static str>| what.map(Refusal::Throttled);
        assert_eq!(both.refusal(&seen), refused(by_both), "{failures:?}");
        assert_eq!(neither.refusal(&seen), refused(by_neither), "{failures:?}");
    }
    let alone = |failures| AttemptRecords {
        login: record(failures, 0, 0),
        network: None,
    };
    assert_eq!(both.refusal(&alone(8)), None);
    assert_eq!(
        both.refusal(&alone(9)),
        Some(Refusal::Throttled("the login"))
    );
    assert_eq!(neither.refusal(&alone(u32::MAX)), None);
}

#[test]
fn the_longest_delay_of_the_three_counts_applies() {
    let throttle = throttle(&settings());
    for (login, network, pair, succeeded, wait) in [
        (0, 0, 0, 0, 0),
        (2, 0, 0, 0, 5),
        (0, 2, 0, 0, 5),
        (0, 0, 2, 0, 5),
        (3, 2, 1, 0, 7),
        (1, 3, 2, 0, 7),
        (2, 1, 3, 0, 7),
        (3, 3, 3, 1, 0),
    ] {
        let seen = AttemptRecords {
            login: record(login, 0, 0),
            network: Some((record(network, 0, 0), record(pair, succeeded, 0))),
        };
        assert_eq!(throttle.wait(&seen), wait, "{login} {network} {pair}");
    }
}

#[test]
fn administrators_see_the_consequence_of_each_key() {
    let settings = Settings {
        refuse_login: None,
        ..settings()
    };
    let throttle = throttle(&settings);
    let network = Network::parse("192.0.2.0/24").unwrap();
    let login = Key::Login(b"alice".to_vec());
    let pair = Key::Pair(network, b"alice".to_vec());
    let network = Key::Network(network);
    for (key, failures, succeeded, status) in [
        (&network, 1, 0, Status::Free),
        (&network, 2, 0, Status::Slowed(5)),
        (&network, 4, 0, Status::Slowed(7)),
        (&network, 5, 0, Status::Refused),
        (&network, 6, 0, Status::Refused),
        (&login, 1000, 0, Status::Slowed(7)),
        (&pair, 2, 0, Status::Slowed(5)),
        (&pair, 3, 0, Status::Refused),
        (&pair, 3, 1, Status::Exempt),
    ] {
        let record = record(failures, succeeded, 0);
        assert_eq!(throttle.status(key, &record), status, "{key} {failures}");
    }
}

#[test]
fn only_passwords_and_digests_are_counted() {
    let throttle = throttle(&settings());
    let token = crate::secret::Token::new(b"e30.e30.x".to_vec()).unwrap();
    let apop = Proof::Apop(ChallengeResponse::new(b"<1.2@x>", &[b'0'; 32]).unwrap());
    for (proof, counted) in [
        (proof("x"), true),
        (digest(), true),
        (apop, true),
        (Proof::External, false),
        (Proof::Token(token), false),
    ] {
        let attempt = throttle.begin_attempt(&client("192.0.2.1"), b"alice", &proof, soon());
        assert_eq!(attempt.unwrap().is_some(), counted, "{proof:?}");
    }
}

/// An exempt network does not affect the others.
#[test]
fn only_clients_of_a_network_that_is_always_allowed_are_not_counted() {
    let networks = ["198.51.100.0/24", "2001:db8::/32"];
    let settings = Settings {
        always_allow: networks.map(|text| Network::parse(text).unwrap()).to_vec(),
        ..settings()
    };
    let throttle = throttle(&settings);
    for (address, vouched_for, counted) in [
        ("192.0.2.1", true, true),
        ("198.51.101.1", true, true),
        ("2001:db9::1", true, true),
        ("198.51.100.1", true, false),
        ("2001:db8:1::1", true, false),
        // Any client could claim it.
        ("198.51.100.1", false, true),
    ] {
        let client = Client {
            vouched_for,
            ..client(address)
        };
        let attempt = throttle.begin_attempt(&client, b"alice", &proof("x"), soon());
        assert_eq!(
            attempt.unwrap().is_some(),
            counted,
            "{address} {vouched_for}"
        );
    }
}

/// A refusal without a question is to take as long as one with a question did: from there, else of
/// the login, else of the network.
#[test]
fn a_refused_attempt_takes_as_long_as_the_wrong_passwords_took() {
    let throttle = throttle(&settings());
    let second = 1_000_000;
    for (login, network, pair, own, took) in [
        (0, 0, 0, 0, Duration::ZERO),
        (2, 3, 1, 0, Duration::from_micros(1)),
        (2, 3, 0, 0, Duration::from_micros(2)),
        (0, 3, 0, 0, Duration::from_micros(3)),
        (2, 3, 1, 4, Duration::from_micros(4)),
        (2, 3, 5, 4, Duration::from_micros(5)),
        (0, 0, 2 * second, 0, Duration::from_secs(2)),
        (0, 0, 4 * second, 0, Duration::from_secs(3)),
    ] {
        let mut attempt = attempt(&throttle, "192.0.2.1", "alice", "x");
        attempt.seen = AttemptRecords {
            login: record(1, 0, login),
            network: Some((record(1, 0, network), record(1, 0, pair))),
        };
        attempt.own.login = record(1, 0, own);
        let started = attempt.started;
        let earliest = attempt.delay_of_refusal(&proof("x")).earliest;
        assert_eq!(earliest, Some(started + took));
    }
    // And no longer than the request may.
    let mut attempt = attempt(&throttle, "192.0.2.1", "alice", "x");
    attempt.seen.login = record(1, 0, 2 * second);
    attempt.deadline = attempt.started + Duration::from_secs(1);
    let deadline = attempt.deadline;
    assert_eq!(
        attempt.delay_of_refusal(&proof("x")).earliest,
        Some(deadline)
    );
}

#[test]
fn some_of_the_time_is_kept_for_counting() {
    let throttle = throttle(&settings());
    let attempt = attempt(&throttle, "192.0.2.1", "alice", "x");
    for (whole, kept) in [(10_000, 300), (600, 300), (400, 200)] {
        let stores = attempt.deadline_of_stores(Duration::from_millis(whole));
        let expected = attempt.deadline - Duration::from_millis(kept);
        assert_eq!(stores, expected, "{whole}");
    }
}
