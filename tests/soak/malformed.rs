//! Connections that break the protocol or break off, beside good ones.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

use crate::support::process::free_port;
use crate::support::random::Random;
use crate::support::soak::load;
use crate::support::soak::load::{ACCEPTED, Caller, question};
use crate::support::soak::victim::{Start, USERS, Usage, Victim, with_file};

/// The peers that break the protocol at the same time.
const CLIENTS: u64 = 8;

/// Memory that may stay with the allocator.
const GROWTH_KB: u64 = 8 * 1024;

/// The most that a flood sends before it gives up: more than the program may take.
const FLOOD: usize = 1 << 20;

/// A record of this type for request 1.
fn record(kind: u8, content: &[u8], padding: u8) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    let header = [1, kind, 0, 1, high, low, padding, 0];
    [&header[..], content, &vec![0; usize::from(padding)]].concat()
}

const BEGIN: u8 = 1;
const ABORT: u8 = 2;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;

fn begin(role: u8, flags: u8) -> Vec<u8> {
    record(BEGIN, &[0, role, flags, 0, 0, 0, 0, 0], 0)
}

/// The start of a connection that nobody should make, and what is sent again and again after it.
fn misdeed(random: &mut Random) -> (Vec<u8>, Vec<u8>) {
    let good = question("alice", "right", random.one_in(2));
    let somewhere = random.below(good.len() as u64) as usize;
    let once = |bytes: Vec<u8>| (bytes, Vec::new());
    match random.below(14) {
        // Half a header, and half of anything else.
        0 => once(good[..random.below(8) as usize].to_vec()),
        1 => once(good[..somewhere].to_vec()),
        // Another version, at the start or later.
        2 => {
            let mut bytes = good;
            let at = [0, 16][random.below(2) as usize];
            bytes[at] = random.next() as u8;
            once(bytes)
        }
        // Lengths of names and values of 2^31 - 1, alone or together.
        3 => {
            let long = [0xff; 4];
            let pair = match random.below(3) {
                0 => [&long[..], &long].concat(),
                1 => [&long[..], &[0]].concat(),
                _ => [&[0], &long[..]].concat(),
            };
            once(
                [
                    begin(1, 0),
                    record(PARAMS, &pair, 0),
                    record(PARAMS, b"", 0),
                ]
                .concat(),
            )
        }
        // Empty pairs, as many as a record holds, and no end of them.
        4 => once([begin(1, 1), record(PARAMS, &[0; 65_534], 255)].concat()),
        5 => (begin(1, 1), record(PARAMS, &[0; 4096], 0)),
        // PARAMS and STDIN without end.
        6 => (begin(1, 0), record(PARAMS, &[b'a'; 60_000], 7)),
        7 => (good, record(STDIN, &[b'a'; 60_000], 0)),
        // Taken back, anywhere.
        8 => once([&good[..somewhere], &record(ABORT, b"", 0)].concat()),
        9 => once([begin(1, 1), record(ABORT, b"", 0), good].concat()),
        // Another role, unknown types, unsolicited records.
        10 => once([begin(random.next() as u8, 1), good].concat()),
        11 => once([record(random.next() as u8, &random.bytes(600), 3), good].concat()),
        // No FastCGI at all.
        12 => once(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        _ => {
            let length = random.below(70_000) as usize;
            once(random.bytes(length))
        }
    }
}

/// Makes one such connection; in a third of all cases it ends by a reset.
fn misbehave(random: &mut Random, address: SocketAddr) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let (start, flood) = misdeed(random);
    let mut sent = start.len();
    let mut open = stream.write_all(&start).is_ok();
    while open && !flood.is_empty() && sent < FLOOD {
        open = stream.write_all(&flood).is_ok();
        sent += flood.len();
    }
    match random.below(3) {
        // Reset (socket(7), SO_LINGER).
        0 => set_socket_linger(&stream, Some(Duration::ZERO)).unwrap(),
        // Waits a moment for the reply.
        1 => {
            let mut answer = [0; 512];
            match stream.read(&mut answer).map_err(|error| error.kind()) {
                Ok(_) | Err(ErrorKind::WouldBlock | ErrorKind::ConnectionReset) => {}
                Err(other) => panic!("{other}"),
            }
        }
        _ => {
            let _gone = stream.shutdown(Shutdown::Write);
        }
    }
}

fn storm(address: SocketAddr, connections: u64) {
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let next = &next;
            scope.spawn(move || {
                let mut random = Random::seeded(client);
                while next.fetch_add(1, Ordering::Relaxed) < connections {
                    misbehave(&mut random, address);
                }
            });
        }
    });
}

#[test]
fn malformed_and_broken_connections_cost_no_good_request() {
    let connections = crate::support::soak::sizes().malformed;
    let port = free_port(Ipv4Addr::LOCALHOST);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let victim = Start::new(&with_file("[log]\nlevel = \"warn\"\n"), USERS)
        .listening_also(&[&address.to_string()]);
    // Once with all that will be there then: threads and memory of a busy server.
    storm(address, 200);
    load::beside(&victim.socket(), 8, Duration::ZERO, |_| ());
    let before = settled(&victim);
    let started = Instant::now();
    let ((), good) = load::beside(&victim.socket(), 4, Duration::from_millis(1), |_| {
        storm(address, connections);
    });
    let took = started.elapsed();
    let start = Instant::now();
    let answer = Caller::new(&victim.socket()).ask("alice", "right");
    let next = start.elapsed();
    assert_eq!(answer.unwrap(), ACCEPTED);
    // Four threads may wait at each of the two addresses, beside those for signals, for reloads (two),
    // for answers that are held back and for the log.
    let after = victim.calms_down_to(Usage {
        threads: before.threads.max(2 * 4 + 5),
        ..before
    });
    crate::support::soak::report(
        "malformed and broken connections, beside good requests",
        good.asked,
        good.failed,
        format_args!(
            "{connections} such connections in {:.1} s; slowest good answer {:.0} ms, the first \
             one after it {:.1} ms; resident {} kB, then {} kB; descriptors {}, then {}; threads \
             {}, then {}",
            took.as_secs_f64(),
            good.slowest.as_secs_f64() * 1e3,
            next.as_secs_f64() * 1e3,
            before.rss,
            after.rss,
            before.files,
            after.files,
            before.threads,
            after.threads
        ),
    );
    assert_eq!(good.failed, 0, "{:?}\n{}", good.wrong, victim.log());
    assert!(next < Duration::from_secs(2), "{next:?}");
    assert!(after.rss <= before.rss + GROWTH_KB, "{before:?} {after:?}");
    let log = victim.log();
    assert!(!log.contains("bug"), "{log}");
}

/// What it has when nothing has happened for a moment.
fn settled(victim: &Victim) -> Usage {
    let mut before = victim.usage();
    loop {
        thread::sleep(Duration::from_millis(1500));
        let now = victim.usage();
        if (now.files, now.threads) == (before.files, before.threads) {
            return now;
        }
        before = now;
    }
}
