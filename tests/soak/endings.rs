//! The end of the program by a signal, idle and busy, and a start without output.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::load::{self, ACCEPTED, Caller, TEMPORARY};
use super::victim::{Start, USERS, with_file};
use crate::e2e::process::wait_until;
use crate::util::TempDir;

/// mod_fcgid kills after 8 seconds.
const BUSY: Duration = Duration::from_secs(7);
const SLACK: Duration = Duration::from_secs(2);

#[test]
fn idle_it_ends_at_once() {
    let mut slowest = Duration::ZERO;
    let mut count = 0;
    for signal in [Signal::TERM, Signal::INT, Signal::USR1] {
        for _ in 0..super::sizes().kills {
            let mut victim = Start::new(&with_file(""), USERS).listening();
            assert_eq!(load::run(&victim.socket(), 10, true), 0);
            let _silent = UnixStream::connect(victim.socket()).unwrap();
            let start = Instant::now();
            victim.signal(signal);
            assert_eq!(victim.wait().code(), Some(0));
            slowest = slowest.max(start.elapsed());
            count += 1;
        }
    }
    super::report(
        "ends by a signal while idle",
        count,
        0,
        format_args!("after {:.0} ms at the most", slowest.as_secs_f64() * 1e3),
    );
    assert!(slowest < SLACK, "{slowest:?}");
}

/// The request in hand waits for a store that never answers: it gets its answer, and then it is
/// over.
#[cfg(feature = "remote")]
#[test]
fn busy_it_finishes_what_it_has_in_hand() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = format!(
        "[[users]]\nstore = \"http\"\nurl = \"http://{}/\"\n[routes]\ndefault = \"192.0.2.1\"\n",
        silent.local_addr().unwrap()
    );
    let mut victim = Start::new(&config, USERS).listening();
    let socket = victim.socket();
    let took = thread::scope(|scope| {
        let busy: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| Caller::new(&socket).ask("alice", "right")))
            .collect();
        // They are all in hand once each of them has asked.
        for _ in 0..20 {
            std::mem::forget(silent.accept().unwrap());
        }
        let start = Instant::now();
        victim.signal(Signal::TERM);
        for busy in busy {
            assert_eq!(busy.join().unwrap().unwrap(), TEMPORARY);
        }
        assert_eq!(victim.wait().code(), Some(0));
        start.elapsed()
    });
    super::report(
        "ends by a signal while 20 requests wait for a store",
        20,
        0,
        format_args!("after {:.1} s", took.as_secs_f64()),
    );
    assert!(took < BUSY + SLACK, "{took:?}");
}

#[test]
fn without_output_it_answers() {
    for closed in [">&-", "2>&-", ">&- 2>&-"] {
        let sockets = TempDir::new();
        let socket = sockets.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let script = format!("exec \"$@\" {closed}");
        let mut victim = Start::new(&with_file(""), USERS)
            .under(&["bash", "-c", &script, "bash"])
            .inheriting(OwnedFd::from(listener));
        let mut caller = Caller::new(&socket);
        wait_until("it to answer", || {
            caller.ask("alice", "right").unwrap() == ACCEPTED
        });
        assert_eq!(load::run(&socket, 1_000, false), 0);
        assert!(victim.is_alive());
    }
}
