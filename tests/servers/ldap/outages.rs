//! Servers that are not there yet, die, hang, and come back.

use std::net::Ipv4Addr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::process::wait_until;
use crate::support::program::{ACCEPTED, Program, REFUSED, TEMPORARY, with_store};
use crate::support::scripted_directory::{Act, Fake, bound};
use crate::support::slapd::{Mode, Slapd};

/// Longer than a `timeout` of one second, by what a busy machine may need.
const LIMIT: Duration = Duration::from_millis(1500);

#[test]
fn it_is_used_again_without_a_restart_whatever_happened() {
    let slapd = Slapd::stopped(Ipv4Addr::LOCALHOST);
    // All files first: a program whose files change loads them, and begins anew.
    let keys = Mode::ALL.map(|mode| (mode, slapd.keys(mode) + "timeout = 1\n"));
    let programs = keys.map(|(mode, keys)| (mode, Program::serve(&with_store(&keys))));
    let all_say = |wanted: &str| {
        for (mode, program) in &programs {
            let answer = program.ask_within(LIMIT, b"alice", b"right");
            assert_eq!(answer, wanted, "{mode:?}\n{}", program.log());
        }
    };
    // Down at the start.
    all_say(TEMPORARY);
    all_say(TEMPORARY);
    slapd.start();
    all_say(ACCEPTED);
    // Stopped in the middle of everything.
    slapd.signal(Signal::STOP);
    all_say(TEMPORARY);
    all_say(TEMPORARY);
    slapd.signal(Signal::CONT);
    all_say(ACCEPTED);
    // Restarted between two questions: the kept connections are gone.
    slapd.stop();
    slapd.start();
    all_say(ACCEPTED);
    // Killed.
    slapd.signal(Signal::KILL);
    slapd.stop();
    all_say(TEMPORARY);
    slapd.start();
    all_say(ACCEPTED);
    for (mode, program) in &programs {
        assert_eq!(program.ask(b"alice", b"wrong"), REFUSED);
        let log = program.log();
        let told = |what: &str| log.lines().filter(|line| line.contains(what)).count();
        // Down, hanging, killed: told when it began and when it ended, not with each login.
        assert_eq!(told("answers again"), 3, "{mode:?}\n{log}");
        let changes = |line: &&str| line.contains(" WARN ") && !line.contains(" cause=");
        assert_eq!(log.lines().filter(changes).count(), 6, "{mode:?}\n{log}");
    }
}

#[test]
fn it_hangs_while_it_is_asked() {
    let slapd = Slapd::started();
    let program = Program::serve(&with_store(
        &(slapd.keys(Mode::SearchBind) + "timeout = 1\n"),
    ));
    thread::scope(|scope| {
        let asking: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let start = Instant::now();
                    let mut answers = Vec::new();
                    while start.elapsed() < Duration::from_secs(2) {
                        answers.push(program.ask_within(LIMIT, b"alice", b"right"));
                    }
                    answers
                })
            })
            .collect();
        slapd.signal(Signal::STOP);
        for answers in asking {
            let answers = answers.join().unwrap();
            assert!(answers.contains(&TEMPORARY.to_owned()), "{answers:?}");
            for answer in answers {
                assert!(answer == TEMPORARY || answer == ACCEPTED, "{answer}");
            }
        }
        slapd.signal(Signal::CONT);
    });
    // One that has hung is asked once a second.
    wait_until("it to be asked again", || {
        program.ask(b"alice", b"right") == ACCEPTED
    });
}

#[test]
fn of_several_servers_one_that_answers_is_enough() {
    let one = Slapd::stopped(Ipv4Addr::new(127, 0, 0, 3));
    let two = Slapd::started();
    for mode in Mode::ALL {
        let keys = two.keys_at(mode, &[one.url(), two.url()]) + "timeout = 2\n";
        let program = Program::serve(&with_store(&keys));
        for _ in 0..3 {
            assert_eq!(program.ask(b"alice", b"right"), ACCEPTED, "{mode:?}");
        }
        let log = program.log();
        assert_eq!(log.matches(&one.url()).count(), 1, "{log}");
    }
    one.start();
    let keys = two.keys_at(Mode::SearchBind, &[one.url(), two.url()]) + "timeout = 2\n";
    let program = Program::serve(&with_store(&keys));
    assert_eq!(program.ask(b"alice", b"right"), ACCEPTED);
    // The first hangs: one login waits for its share of the time, and no other.
    one.signal(Signal::STOP);
    assert_eq!(
        program.ask_within(Duration::from_millis(2500), b"alice", b"right"),
        ACCEPTED
    );
    for _ in 0..5 {
        let soon = Duration::from_millis(900);
        assert_eq!(program.ask_within(soon, b"alice", b"right"), ACCEPTED);
    }
    // The second goes too, and the first is back.
    one.signal(Signal::CONT);
    two.stop();
    assert_eq!(
        program.ask(b"alice", b"right"),
        ACCEPTED,
        "{}",
        program.log()
    );
}

fn two_connections(fake: &Fake) -> String {
    format!(
        "store = \"ldap\"\nurls = [\"{}\"]\nauth = \"bind\"\nuser-dn = \"uid={{login}},o=x\"\n\
         connections = 2\n",
        fake.url()
    )
}

/// More logins at once than there may be connections: the others wait for their turn.
#[test]
fn no_more_are_asked_about_at_once_than_there_may_be() {
    let asked = Arc::new((Mutex::new((0, 0)), Condvar::new()));
    let counted = Arc::clone(&asked);
    let fake = Fake::answering(move |request| {
        let (counts, changed) = &*counted;
        let mut counts = counts.lock().unwrap();
        counts.0 += 1;
        counts.1 = counts.1.max(counts.0);
        changed.notify_all();
        // Until there have been two at once; then for a moment in which a third could come.
        counts = changed.wait_while(counts, |counts| counts.1 < 2).unwrap();
        let moment = Duration::from_millis(20);
        let (mut counts, _) = changed
            .wait_timeout_while(counts, moment, |counts| counts.1 < 3)
            .unwrap();
        counts.0 -= 1;
        Act::Send(bound(request.id, 0, ""))
    });
    let program = Program::serve(&with_store(&two_connections(&fake)));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(program.ask(b"alice", b"x"), ACCEPTED));
        }
    });
    assert_eq!(asked.0.lock().unwrap().1, 2);
}

/// The same at a server that does not answer: who waits for a turn waits no longer than others.
#[test]
fn a_request_without_a_connection_in_time_fails_in_time() {
    let fake = Fake::answering(|_| Act::Silence);
    let keys = two_connections(&fake) + "timeout = 1\n";
    let program = Program::serve(&with_store(&keys));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                assert_eq!(program.ask_within(LIMIT, b"alice", b"x"), TEMPORARY);
            });
        }
    });
}
