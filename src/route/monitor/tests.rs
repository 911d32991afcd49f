//! What is learnt from probes, and who waits for them.

use super::*;
use crate::route::ProbeKind;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};

const INTERVAL: Duration = Duration::from_secs(10);

fn dead(why: &str) -> Result<(), ProbeFailure> {
    Err(ProbeFailure::Dead(why.to_owned()))
}

#[test]
fn the_known_state_after_each_probe() {
    let now = Instant::now();
    let mut monitored = Monitored::new(now);
    let alive = Health::Alive;
    let is_dead = |why: &str| Health::Dead(why.into());
    // The result of the probe, the known state after it, the logged change, and whether the next
    // probe is due at once.
    for (result, health, change, at_once) in [
        (
            Err(ProbeFailure::NotProbed("EMFILE".into())),
            Health::Unknown,
            None,
            false,
        ),
        // No earlier probe has succeeded.
        (
            dead("a"),
            is_dead("a"),
            Some(HealthChange::Dead("a".into())),
            false,
        ),
        (dead("b"), is_dead("b"), None, false),
        (
            Err(ProbeFailure::NotProbed("EMFILE".into())),
            is_dead("b"),
            None,
            false,
        ),
        (Ok(()), alive.clone(), Some(HealthChange::AliveAgain), false),
        (Ok(()), alive.clone(), None, false),
        (dead("c"), alive.clone(), None, true),
        (Ok(()), alive.clone(), None, false),
        (dead("d"), alive.clone(), None, true),
        (
            Err(ProbeFailure::NotProbed("EMFILE".into())),
            alive.clone(),
            None,
            false,
        ),
        (
            dead("e"),
            is_dead("e"),
            Some(HealthChange::Dead("e".into())),
            false,
        ),
        (Ok(()), alive.clone(), Some(HealthChange::AliveAgain), false),
    ] {
        let what = format!("{result:?}");
        assert_eq!(monitored.learn(result, now, INTERVAL), change, "{what}");
        assert_eq!(monitored.health, health, "{what}");
        assert_eq!(monitored.due == now, at_once, "{what}");
    }
    let mut new = Monitored::new(now);
    assert_eq!(
        new.learn(Ok(()), now, INTERVAL),
        None,
        "no news is good news"
    );
}

#[test]
fn one_probe_at_a_time_for_a_machine_and_the_longest_due_first() {
    let now = Instant::now();
    let target = |last: u8, protocol| {
        let address = IpAddr::from([192, 0, 2, last]);
        ProbeTarget::new(address, NonZeroU16::MIN, protocol)
    };
    let (one, two) = (target(1, Protocol::Imap), target(1, Protocol::Smtp));
    let three = target(2, Protocol::Imap);
    let mut state = MonitorState::default();
    let due = |seconds| Monitored {
        due: now + Duration::from_secs(seconds),
        ..Monitored::new(now)
    };
    state.all.insert(one, due(2));
    state.all.insert(two, due(1));
    state.all.insert(three, due(3));
    let at = |seconds| now + Duration::from_secs(seconds);
    assert_eq!(state.next_due(now), None);
    assert_eq!(state.next_time(now, INTERVAL), Duration::from_secs(1));
    assert_eq!(state.next_due(at(9)), Some(two));
    state.busy.insert(two.address.ip());
    assert_eq!(state.next_due(at(9)), Some(three));
    assert_eq!(state.next_due(at(2)), None);
    assert_eq!(state.next_time(at(2), INTERVAL), Duration::from_secs(1));
    state.forget(now + FORGET_AFTER);
    assert!(state.all.is_empty());
    assert_eq!(state.next_time(now, INTERVAL), INTERVAL);
}

/// A server that greets, and counts its connections.
fn greeter(last: u8) -> (ProbeTarget, Arc<AtomicUsize>, TcpListener) {
    let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let (greeted, accepting) = (Arc::clone(&count), listener.try_clone().unwrap());
    thread::spawn(move || {
        for stream in accepting.incoming() {
            let _ = stream.and_then(|mut stream| stream.write_all(b"* OK\r\n"));
            greeted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let port = NonZeroU16::new(address.port()).unwrap();
    (
        ProbeTarget::new(address.ip(), port, Protocol::Imap),
        count,
        listener,
    )
}

fn probes(interval: Duration) -> Probes {
    Probes {
        kind: ProbeKind::Greeting,
        interval,
        timeout: Duration::from_secs(10),
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn wait_until(condition: impl Fn() -> bool) {
    let deadline = soon();
    while !condition() {
        assert!(Instant::now() < deadline, "it never happened");
        thread::yield_now();
    }
}

#[test]
fn the_first_request_waits_and_nothing_else_is_probed() {
    let (server, count, _listener) = greeter(41);
    let monitor = HealthMonitor::new(probes(Duration::from_secs(3600)));
    assert_eq!(monitor.health(&server, soon()), Health::Unknown);
    monitor.add([server]);
    assert_eq!(monitor.health(&server, soon()), Health::Alive);
    monitor.add([server]);
    assert_eq!(monitor.health(&server, Instant::now()), Health::Alive);
    // The greeter counts after it has greeted.
    wait_until(|| count.load(Ordering::SeqCst) > 0);
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[test]
fn the_first_request_waits_no_longer_than_its_limit() {
    let silent = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 42), 0)).unwrap();
    let port = NonZeroU16::new(silent.local_addr().unwrap().port()).unwrap();
    let address = silent.local_addr().unwrap().ip();
    let server = ProbeTarget::new(address, port, Protocol::Imap);
    let monitor = HealthMonitor::new(probes(Duration::from_secs(3600)));
    monitor.add([server]);
    let started = Instant::now();
    let until = started + Duration::from_millis(50);
    assert_eq!(monitor.health(&server, until), Health::Unknown);
    assert!(started.elapsed() >= Duration::from_millis(50));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_dropped_monitor_stops_probing_and_its_successor_has_the_known_states() {
    let (server, count, _listener) = greeter(43);
    let (other, other_count, _other_listener) = greeter(44);
    let old = HealthMonitor::new(probes(Duration::from_millis(1)));
    old.add([server, other]);
    wait_until(|| count.load(Ordering::SeqCst) > 3 && other_count.load(Ordering::SeqCst) > 3);
    let shared = Arc::downgrade(&old.0);
    let new = HealthMonitor::new(probes(Duration::from_secs(3600)));
    new.take_over(&old, |address| address == server.address.ip());
    assert_eq!(new.health(&server, Instant::now()), Health::Alive);
    assert_eq!(new.health(&other, Instant::now()), Health::Unknown);
    drop(old);
    // All threads have let go of it.
    wait_until(|| shared.strong_count() == 0);
}

#[test]
fn ports_of_single_users_cannot_fill_the_memory() {
    let monitor = HealthMonitor::new(Probes::OFF);
    let address = IpAddr::from([127, 0, 0, 1]);
    let ports = (1..=u16::MAX).filter_map(NonZeroU16::new);
    monitor.add(ports.map(|port| ProbeTarget::new(address, port, Protocol::Imap)));
    assert_eq!(monitor.0.lock().all.len(), MAX_MONITORED);
}
