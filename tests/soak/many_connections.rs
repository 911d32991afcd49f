//! Many connections on which nothing, or next to nothing, happens.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::fastcgi::Client;
use crate::support::soak::load;
use crate::support::soak::load::{Finally, question};
use crate::support::soak::victim::{Start, USERS, Usage, Victim, with_file};

const CROWD: usize = 1000;

/// Connections that have had an answer and are kept.
fn kept(victim: &Victim) -> Vec<Client> {
    let question = question("alice", "right", true);
    (0..CROWD)
        .map(|_| {
            let mut client = Client::from(UnixStream::connect(victim.socket()).unwrap());
            client.send(&question);
            assert_eq!(client.answer().0, load::ACCEPTED);
            client
        })
        .collect()
}

fn new_ones_beside(victim: &Victim) -> load::Outcome {
    let lasting = crate::support::soak::sizes().lasting;
    let pause = Duration::from_millis(1);
    let ((), good) = load::beside(&victim.socket(), 4, pause, |_| thread::sleep(lasting));
    good
}

/// With the default limit of connections: idle connections are evicted.
#[test]
fn idle_connections_make_room_for_new_ones() {
    let victim = Start::new(&with_file(""), USERS).listening();
    let crowd = kept(&victim);
    let good = new_ones_beside(&victim);
    let usage = victim.usage();
    drop(crowd);
    crate::support::soak::report(
        "new connections beside 1,000 idle ones, 64 seats",
        good.asked,
        good.failed,
        format_args!(
            "slowest {:.0} ms; resident {} kB, {} descriptors, {} threads",
            good.slowest.as_secs_f64() * 1e3,
            usage.rss,
            usage.files,
            usage.threads
        ),
    );
    assert_eq!(good.failed, 0, "{:?}", good.wrong);
    assert!(usage.files < 100 && usage.threads < 100, "{usage:?}");
}

/// With seats for all of them, and descriptors beyond what select() can count.
#[test]
fn a_thousand_idle_connections_keep_their_seats_beyond_descriptor_1024() {
    let mut script = "ulimit -n 4096\n".to_owned();
    for descriptor in 10..1110 {
        // Bash has 255 for itself.
        if descriptor != 255 {
            writeln!(script, "exec {descriptor}</dev/null").unwrap();
        }
    }
    script += "exec \"$@\"";
    let config = with_file("[fastcgi]\nmax-connections = 2000\n");
    let victim = Start::new(&config, USERS)
        .under(&["bash", "-c", &script, "bash"])
        .listening();
    let mut crowd = kept(&victim);
    let good = new_ones_beside(&victim);
    let usage = victim.usage();
    let question = question("alice", "right", true);
    for client in &mut crowd {
        client.send(&question);
        assert_eq!(client.answer().0, load::ACCEPTED);
    }
    crate::support::soak::report(
        "new connections beside 1,000 idle ones, 2,000 seats",
        good.asked,
        good.failed,
        format_args!(
            "slowest {:.0} ms; resident {} kB, {} descriptors (1,099 of them opened before), {} \
             threads",
            good.slowest.as_secs_f64() * 1e3,
            usage.rss,
            usage.files,
            usage.threads
        ),
    );
    assert_eq!(good.failed, 0, "{:?}", good.wrong);
    assert!(usage.files > 2000, "{usage:?}");
}

/// A byte every 100 ms, there or back: on as many connections as there are seats.
#[test]
fn slow_peers_delay_no_other_request() {
    let victim = Start::new(&with_file("[fastcgi]\nread-timeout = 3\n"), USERS).listening();
    let before = victim.usage();
    let done = AtomicBool::new(false);
    let good = thread::scope(|scope| {
        let finished = Finally(&done);
        for number in 0..64 {
            let (victim, done) = (&victim, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    match number % 2 {
                        0 => write_slowly(victim, done),
                        _ => read_slowly(victim, done),
                    }
                }
            });
        }
        let good = new_ones_beside(&victim);
        drop(finished);
        good
    });
    victim.calms_down_to(Usage {
        threads: before.threads + 8,
        ..before
    });
    crate::support::soak::report(
        "new connections beside 64 slow ones",
        good.asked,
        good.failed,
        format_args!("slowest {:.0} ms", good.slowest.as_secs_f64() * 1e3),
    );
    assert_eq!(good.failed, 0, "{:?}\n{}", good.wrong, victim.log());
    // A request that is being decided is finished, so new connections wait only for a permit.
    assert!(good.slowest < Duration::from_secs(4), "{good:?}");
}

const SLOWLY: Duration = Duration::from_millis(100);

/// Until the program closes the connection.
fn write_slowly(victim: &Victim, done: &AtomicBool) {
    let mut stream = UnixStream::connect(victim.socket()).unwrap();
    for byte in question("alice", "right", true) {
        if done.load(Ordering::Relaxed) || stream.write_all(&[byte]).is_err() {
            return;
        }
        thread::sleep(SLOWLY);
    }
}

/// One request after the other, whose answers fill the way back.
fn read_slowly(victim: &Victim, done: &AtomicBool) {
    let mut stream = UnixStream::connect(victim.socket()).unwrap();
    stream.set_nonblocking(true).unwrap();
    let questions = question("alice", "right", true).repeat(50);
    let mut sent = 0;
    while !done.load(Ordering::Relaxed) {
        match stream.write(&questions[sent..]) {
            Ok(count) => {
                sent = (sent + count) % questions.len();
                continue;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
        match stream.read(&mut [0]) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
        thread::sleep(SLOWLY);
    }
}
