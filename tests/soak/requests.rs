//! Requests without end: none fails, and the program stays as small as it was.

use std::thread;
use std::time::Instant;

use crate::support::soak::load;
use crate::support::soak::victim::{Start, USERS, Usage, Victim, with_file};

/// Half of the clients keep their connections.
const CLIENTS: u64 = 8;

/// What the allocator and the kernel round to: so much is no growth.
const GRAIN_KB: u64 = 256;

fn serve(victim: &Victim, requests: u64) -> u64 {
    let socket = victim.socket();
    thread::scope(|scope| {
        let running: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let socket = &socket;
                scope.spawn(move || load::run(socket, requests / CLIENTS, number % 2 == 0))
            })
            .collect();
        running
            .into_iter()
            .map(|client| client.join().unwrap())
            .sum()
    })
}

/// So that nothing is counted as growth that comes with the first requests of each kind.
fn warm(victim: &Victim) -> Usage {
    assert_eq!(serve(victim, 20_000), 0);
    victim.usage()
}

#[test]
fn millions_of_requests_leave_it_as_it_was() {
    let requests = crate::support::soak::sizes().requests;
    let null = std::fs::File::options()
        .write(true)
        .open("/dev/null")
        .unwrap();
    let victim = Start::new(&with_file(""), USERS)
        .logging_to(null)
        .listening();
    let before = warm(&victim);
    let start = Instant::now();
    let failed = serve(&victim, requests);
    let took = start.elapsed().as_secs_f64();
    let after = victim.calms_down_to(before);
    crate::support::soak::report(
        "requests, half of them over kept connections",
        requests,
        failed,
        format_args!(
            "{:.0} a second; resident {} kB, then {} kB; descriptors {}, then {}; threads {}, \
             then {}",
            requests as f64 / took,
            before.rss,
            after.rss,
            before.files,
            after.files,
            before.threads,
            after.threads
        ),
    );
    assert_eq!(failed, 0);
    let bound = before.rss + before.rss / 20 + GRAIN_KB;
    assert!(after.rss <= bound, "{before:?} {after:?}");
}

#[test]
fn ten_thousand_requests_over_one_connection() {
    const REQUESTS: u64 = 10_000;
    let victim = Start::new(&with_file("[log]\nlevel = \"warn\"\n"), USERS).listening();
    let before = warm(&victim);
    let failed = load::run(&victim.socket(), REQUESTS, true);
    let after = victim.calms_down_to(before);
    crate::support::soak::report(
        "requests over one connection",
        REQUESTS,
        failed,
        format_args!("resident {} kB, then {} kB", before.rss, after.rss),
    );
    assert_eq!(failed, 0);
    assert!(after.rss <= before.rss + 1024, "{before:?} {after:?}");
}
