//! Lookups that end when a test says what they find.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};

use super::*;

const SOON: Duration = Duration::from_secs(20);
const NEVER: Duration = Duration::from_secs(3600);

/// A resolver whose lookups wait for a number: of an address, 0 for none, 255 for a panic.
fn held(most: usize) -> (Resolver, Sender<u8>, Arc<AtomicUsize>) {
    let (sender, receiver) = channel::<u8>();
    let receiver = Mutex::new(receiver);
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let resolver = Resolver::new(most, move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        let number = receiver.lock().unwrap().recv();
        match number {
            Ok(0) => Ok(Vec::new()),
            Ok(255) => panic!("as wanted"),
            Ok(last) => Ok(vec![address(last)]),
            Err(_) => Err(io::Error::other("stopped")),
        }
    });
    (resolver, sender, count)
}

fn address(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

fn name(resolver: &Resolver, host: &str, purpose: Purpose) -> Arc<Name> {
    resolver.name(host, purpose, |found| match found {
        [] => Err("nothing found".to_owned()),
        found => Ok(found.to_vec()),
    })
}

fn soon() -> Instant {
    Instant::now() + SOON
}

fn wait_until(condition: impl Fn() -> bool) {
    let deadline = soon();
    while !condition() {
        assert!(Instant::now() < deadline, "it never happened");
        thread::yield_now();
    }
}

#[test]
fn one_lookup_serves_all_who_ask_for_the_name_whatever_for() {
    let (resolver, answer, count) = held(1);
    let names = [Purpose::Store, Purpose::Store, Purpose::MailServer]
        .map(|purpose| name(&resolver, "a.test", purpose));
    thread::scope(|scope| {
        let asking = names
            .each_ref()
            .map(|name| scope.spawn(|| name.addresses(soon())));
        wait_until(|| {
            let state = resolver.0.lock();
            state.lookups.values().any(|lookup| lookup.told.len() == 3)
        });
        answer.send(7).unwrap();
        for asked in asking {
            assert_eq!(asked.join().unwrap(), Ok(vec![address(7)]));
        }
    });
    assert_eq!(count.load(Ordering::SeqCst), 1);
    // It is known from now on, also to one who comes later.
    let later = name(&resolver, "a.test", Purpose::Store);
    assert_eq!(later.first(), Some(address(7)));
}

#[test]
fn lookups_are_bounded_for_each_purpose_and_one_that_ends_makes_room() {
    let (resolver, answer, count) = held(2);
    let ask = |host, purpose| {
        let name = name(&resolver, host, purpose);
        name.look_up().map(|()| name)
    };
    let first = ask("a.test", Purpose::Store).unwrap();
    let _second = ask("b.test", Purpose::Store).unwrap();
    let full = Some("2 other names are being looked up already".to_owned());
    assert_eq!(ask("c.test", Purpose::Store).err(), full);
    // Joining one takes no room, and mail servers have room of their own.
    let _joined = ask("b.test", Purpose::Store).unwrap();
    let _other = ask("d.test", Purpose::MailServer).unwrap();
    wait_until(|| count.load(Ordering::SeqCst) == 3);
    answer.send(255).unwrap();
    wait_until(|| resolver.0.lock().lookups.len() == 2);
    answer.send(1).unwrap();
    answer.send(1).unwrap();
    wait_until(|| ask("c.test", Purpose::Store).is_ok());
    drop(first);
}

#[test]
fn a_lookup_that_hangs_costs_no_more_than_the_deadline_and_one_thread() {
    let (resolver, stop, count) = held(2);
    let hangs = name(&resolver, "a.test", Purpose::Store);
    for _ in 0..3 {
        let deadline = Instant::now() + Duration::from_millis(50);
        assert_eq!(hangs.addresses(deadline), Err(LookupFailure::NoAnswer));
        assert!(Instant::now() >= deadline);
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
    drop(stop);
    let stopped = LookupFailure::Failed("stopped".to_owned());
    assert_eq!(hangs.addresses(soon()), Err(stopped.clone()));
    // For a while after that nobody asks again.
    assert_eq!(hangs.addresses(soon()), Err(stopped));
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[test]
fn a_name_in_doubt_is_looked_up_again_while_its_last_address_serves() {
    let (resolver, answer, count) = held(2);
    let name = name(&resolver, "a.test", Purpose::Store);
    answer.send(1).unwrap();
    for _ in 0..3 {
        assert_eq!(name.addresses(soon()), Ok(vec![address(1)]));
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
    name.mark_stale();
    assert_eq!(name.addresses(soon()), Ok(vec![address(1)]));
    answer.send(2).unwrap();
    wait_until(|| name.first() == Some(address(2)));
    // What finds nothing takes nothing away.
    for finds_none in [0, 255] {
        name.mark_stale();
        name.look_up().unwrap();
        answer.send(finds_none).unwrap();
        wait_until(|| name.due_in(NEVER).is_some_and(|left| left > Duration::ZERO));
        assert_eq!(name.addresses(soon()), Ok(vec![address(2)]));
    }
    assert_eq!(count.load(Ordering::SeqCst), 4);
}

/// Those of stores, too.
#[test]
fn names_in_use_are_kept_fresh_and_the_thread_ends_with_the_last() {
    let (resolver, answer, count) = held(4);
    resolver.keep_fresh(Duration::from_millis(1));
    let store = name(&resolver, "a.test", Purpose::Store);
    for last in 1..4 {
        answer.send(last).unwrap();
        wait_until(|| store.first() == Some(address(last)));
    }
    drop(store);
    drop(answer);
    wait_until(|| !resolver.0.lock().refreshing);
    let before = count.load(Ordering::SeqCst);
    assert!(before >= 3);
    wait_until(|| Arc::strong_count(&resolver.0) == 1);
}

/// Eight at a time; those that hang do not hold the others up for ever.
#[test]
fn not_all_names_are_looked_up_at_once() {
    let (resolver, answer, count) = held(32);
    let names: Vec<_> = (0..20)
        .map(|number| name(&resolver, &format!("{number}.test"), Purpose::MailServer))
        .collect();
    resolver.keep_fresh(NEVER);
    wait_until(|| count.load(Ordering::SeqCst) == 8);
    assert_eq!(resolver.0.lock().lookups.len(), 8);
    for _ in 0..20 {
        answer.send(1).unwrap();
    }
    wait_until(|| names.iter().all(|name| name.first().is_some()));
    assert_eq!(count.load(Ordering::SeqCst), 20);
}

#[test]
fn the_systems_resolver_knows_this_machine() {
    let local = name(&Resolver::system(), "localhost", Purpose::MailServer);
    let addresses = local.addresses(soon()).unwrap();
    assert!(addresses.iter().all(IpAddr::is_loopback), "{addresses:?}");
    let mut once = addresses.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), addresses.len(), "{addresses:?}");
}
