//! The end of the program by a signal, idle and busy, and a start without output.

use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::process::wait_until;
use crate::support::soak::load;
use crate::support::soak::load::{ACCEPTED, Caller};
use crate::support::soak::victim::{Start, USERS, with_file};
use crate::support::temp_dir::TempDir;

const SLACK: Duration = Duration::from_secs(2);

#[test]
fn idle_it_ends_at_once() {
    let mut slowest = Duration::ZERO;
    let mut count = 0;
    for signal in [Signal::TERM, Signal::INT, Signal::USR1] {
        for _ in 0..crate::support::soak::sizes().kills {
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
    crate::support::soak::report(
        "ends by a signal while idle",
        count,
        0,
        format_args!("after {:.0} ms at the most", slowest.as_secs_f64() * 1e3),
    );
    assert!(slowest < SLACK, "{slowest:?}");
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
