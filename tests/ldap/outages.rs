//! Servers that are not there yet, die, hang, and come back.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::fake::{Act, Fake};
use super::slapd::{Mode, Slapd};
use crate::program::{ACCEPTED, Program, REFUSED, TEMPORARY, with_store};

/// Longer than a `timeout` of one second, by what a busy machine may need.
const LIMIT: Duration = Duration::from_millis(1500);

#[test]
fn it_is_used_again_without_a_restart_whatever_happened() {
    let slapd = Slapd::stopped(Ipv4Addr::LOCALHOST);
    let programs = Mode::ALL.map(|mode| {
        let keys = slapd.keys(mode) + "timeout = 1\n";
        (mode, Program::serve(&with_store(&keys)))
    });
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
    assert_eq!(program.ask(b"alice", b"right"), ACCEPTED);
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
        let soon = Duration::from_millis(500);
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

/// More logins at once than there may be connections, at a server that does not answer.
#[test]
fn who_gets_no_connection_in_time_is_told_so() {
    let fake = Fake::answering(|_| Act::Silence);
    let keys = format!(
        "store = \"ldap\"\nurls = [\"{}\"]\nauth = \"bind\"\nuser-dn = \"uid={{login}},o=x\"\n\
         timeout = 1\nconnections = 2\n",
        fake.url()
    );
    let program = Program::serve(&with_store(&keys));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                assert_eq!(program.ask_within(LIMIT, b"alice", b"x"), TEMPORARY);
            });
        }
    });
    assert!(fake.connections() <= 2, "{}", fake.connections());
    assert!(
        program.log().contains("all connections are in use"),
        "{}",
        program.log()
    );
}
