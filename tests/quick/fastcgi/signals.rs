//! What signals do.

use rustix::process::Signal;

use crate::support::fastcgi::{Answer, Client, request};
use crate::support::toy::{Toy, wait_until};

const ENDING: [Signal; 3] = [Signal::TERM, Signal::INT, Signal::USR1];

#[test]
fn an_idle_server_ends_at_once_and_takes_its_socket_along() {
    for signal in ENDING {
        let mut toy = Toy::listening("unix:SOCKET").start();
        let mut kept = toy.connect();
        kept.send(&request(1, true, &[("USER", "alice")]));
        assert_eq!(kept.answer(), Answer::ok("alice"));
        let mut silent = toy.connect();
        toy.signal(signal);
        assert_eq!(toy.exit().code(), Some(0));
        assert_eq!(kept.rest(), b"");
        assert_eq!(silent.rest(), b"");
        assert!(!std::path::Path::new(toy.path()).exists());
    }
}

#[test]
fn requests_in_hand_and_in_the_backlog_are_finished() {
    for signal in ENDING {
        let mut toy = Toy::listening("127.0.0.1:0").start();
        let go = toy.file("go");
        let mut busy: Vec<Client> = (0..3).map(|_| toy.connect()).collect();
        for client in &mut busy {
            client.send(&request(1, true, &[("USER", "bob"), ("WAIT_FOR", &go)]));
        }
        let mut idle = toy.connect();
        idle.send(&request(1, true, &[("USER", "alice")]));
        assert_eq!(idle.answer(), Answer::ok("alice"));
        toy.signal(signal);
        // The idle connection ends when the server has seen the signal.
        assert_eq!(idle.rest(), b"");
        let mut late = toy.connect();
        late.send(&request(1, false, &[("USER", "alice")]));
        assert_eq!(late.answer(), Answer::ok("alice"));
        std::fs::write(&go, "").unwrap();
        for client in &mut busy {
            assert_eq!(client.answer(), Answer::ok("bob"));
            assert_eq!(client.rest(), b"");
        }
        assert_eq!(toy.exit().code(), Some(0));
    }
}

#[test]
fn a_server_that_cannot_finish_ends_nevertheless() {
    let mut toy = Toy::listening("unix:SOCKET").start();
    let mut busy = toy.connect();
    let never = toy.file("never");
    busy.send(&request(1, false, &[("WAIT_FOR", &never)]));
    let mut half = toy.connect();
    half.send(&request(1, false, &[("USER", "alice")])[..20]);
    toy.signal(Signal::TERM);
    assert_eq!(half.answer(), Answer("TooSlow".to_owned()));
    assert_eq!(toy.exit().code(), Some(0));
}

#[test]
fn sighup_reloads_and_sigpipe_is_nothing() {
    let toy = Toy::listening("unix:SOCKET").start();
    toy.signal(Signal::HUP);
    toy.signal(Signal::PIPE);
    wait_until("it has reloaded", || {
        let mut client = toy.connect();
        client.send(&request(1, false, &[("RELOADS", "")]));
        client.answer() == Answer::ok("1")
    });
}
