//! Answers that are held back.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::fastcgi::{Answer, Client, request};
use crate::support::toy::{Toy, wait_until};

fn held(name: &str, millis: &str, keep: bool) -> Vec<u8> {
    request(1, keep, &[("USER", name), ("HOLD_MS", millis)])
}

#[test]
fn a_held_answer_keeps_no_connection_of_others_waiting_and_goes_on_afterwards() {
    const HOLD: Duration = Duration::from_millis(1500);
    let toy = Toy::listening("unix:SOCKET").connections(12).start();
    let start = Instant::now();
    let hold = |number: usize| {
        let mut client = toy.connect();
        client.send(&held("alice", "1500", number.is_multiple_of(2)));
        client
    };
    let mut waiting: Vec<Client> = (0..20).map(hold).collect();
    for keep in [true, false].repeat(10) {
        let mut other = toy.connect();
        other.send(&request(1, keep, &[("USER", "bob")]));
        assert_eq!(other.answer(), Answer::ok("bob"));
    }
    assert!(start.elapsed() < HOLD, "{:?}", start.elapsed());
    let threads = toy.usage().threads;
    assert!(threads < 20, "{threads}");
    for (number, client) in waiting.iter_mut().enumerate() {
        assert_eq!(client.answer(), Answer::ok("alice"));
        assert!(start.elapsed() >= HOLD);
        if number % 2 == 1 {
            assert_eq!(client.rest(), b"");
        }
    }
    let last = waiting.get_mut(18).unwrap();
    last.send(&held("carol", "1", true));
    assert_eq!(last.answer(), Answer::ok("carol"));
    last.send(&request(1, true, &[("USER", "bob")]));
    assert_eq!(last.answer(), Answer::ok("bob"));
}

#[test]
fn requests_behind_a_held_answer_are_answered_after_it() {
    let toy = Toy::listening("127.0.0.1:0").start();
    let mut client = toy.connect();
    let mut both = held("alice", "50", true);
    both.extend(held("bob", "50", true));
    both.extend(request(1, false, &[("USER", "carol")]));
    client.send(&both);
    for name in ["alice", "bob", "carol"] {
        assert_eq!(client.answer(), Answer::ok(name));
    }
    assert_eq!(client.rest(), b"");
}

#[test]
fn a_client_that_goes_leaves_nothing_behind() {
    let toy = Toy::listening("unix:SOCKET").start();
    let files = toy.usage().files;
    for keep in [true, false].repeat(20) {
        let mut client = toy.connect();
        client.send(&held("alice", "50", keep));
    }
    wait_until("they are closed", || toy.usage().files == files);
    let mut client = toy.connect();
    client.send(&held("alice", "1", false));
    assert_eq!(client.answer(), Answer::ok("alice"));
}

#[test]
fn too_many_leave_at_once_and_a_server_that_stops_holds_none() {
    let mut toy = Toy::listening("unix:SOCKET").start();
    let hold = |number: usize| {
        let (hour, made) = ("3600000", toy.file(&number.to_string()));
        let params = [("USER", "alice"), ("HOLD_MS", hour), ("MAKE", &made)];
        let mut client = toy.connect();
        client.send(&request(1, true, &params));
        wait_until("it is decided", || std::path::Path::new(&made).exists());
        client
    };
    let mut waiting: Vec<Client> = (0..256).map(hold).collect();
    wait_until("they are held", || toy.sleeps());
    let mut more = toy.connect();
    more.send(&held("bob", "3600000", true));
    assert_eq!(more.answer(), Answer::ok("bob"));
    assert_eq!(more.rest(), b"");
    toy.signal(Signal::TERM);
    for client in &mut waiting {
        assert_eq!(client.answer(), Answer::ok("alice"));
        assert_eq!(client.rest(), b"");
    }
    assert_eq!(toy.exit().code(), Some(0));
}
