//! The end of the program by a signal while it is busy.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::soak::load::{Caller, TEMPORARY};
use crate::support::soak::victim::{Start, USERS};

/// mod_fcgid kills after 8 seconds.
const BUSY: Duration = Duration::from_secs(7);
const SLACK: Duration = Duration::from_secs(2);

/// The request in hand waits for a store that never answers: it gets its answer, and then it is
/// over.
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
        // A request for the limits of the server (FCGI_GET_VALUES) is answered at once.
        let start = Instant::now();
        let mut stream = UnixStream::connect(&socket).unwrap();
        let values = b"\x01\x09\0\0\0\x10\0\0\x0e\0FCGI_MAX_CONNS";
        stream.write_all(values).unwrap();
        let mut header = [0; 8];
        stream.read_exact(&mut header).unwrap();
        assert_eq!(header[..2], [1, 10], "GET_VALUES_RESULT");
        assert!(start.elapsed() < SLACK, "{:?}", start.elapsed());
        drop(stream);
        let start = Instant::now();
        victim.signal(Signal::TERM);
        for busy in busy {
            assert_eq!(busy.join().unwrap().unwrap(), TEMPORARY);
        }
        assert_eq!(victim.wait().code(), Some(0));
        start.elapsed()
    });
    crate::support::soak::report(
        "ends by a signal while 20 requests wait for a store",
        20,
        0,
        format_args!("after {:.1} s", took.as_secs_f64()),
    );
    assert!(took < BUSY + SLACK, "{took:?}");
}
