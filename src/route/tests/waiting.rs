//! How long a request waits for what is not known yet, and what is looked at for later ones.

use std::net::TcpListener;

use super::*;
use crate::route::monitor::ProbeTarget;

/// Two servers that take connections, on a port of their own.
fn pair(network: u8) -> (u16, Vec<TcpListener>) {
    let listen = |port, last| TcpListener::bind((address(network, last), port)).ok();
    let found = (20_000..30_000).find_map(|port| {
        let both: Option<Vec<_>> = [1, 2].map(|last| listen(port, last)).into_iter().collect();
        Some((port, both?))
    });
    found.unwrap()
}

fn address(network: u8, last: u8) -> IpAddr {
    [127, 77, network, last].into()
}

fn pool(network: u8, port: u16, probes: Probes) -> Table {
    let servers = [1, 2].map(|last| {
        let target = Target::Address(address(network, last));
        Server::only(target, None, String::new())
    });
    let pool = Host {
        servers: servers.to_vec(),
        ..host("pool", "192.0.2.1", ports(port, port, port))
    };
    let mut table = Table::new(vec![pool], ports(143, 110, 25), NEVER);
    table.probes = probes;
    table.route_default(table.declared("pool").unwrap());
    table
}

fn connecting(timeout: Duration) -> Probes {
    Probes {
        kind: ProbeKind::Connect,
        interval: NEVER,
        timeout,
    }
}

/// Only a request with a process of its own waits long for one of several servers.
#[test]
fn a_request_waits_for_a_pool_as_long_as_a_probe_and_at_most_two_seconds() {
    let short = connecting(Duration::from_millis(500));
    let long = connecting(Duration::from_secs(5));
    let off = Probes::OFF;
    let dns = Dns::new(&[]);
    let server = |probes| start(pool(20, 1, probes), &dns, TIMING);
    let ms = |milliseconds| Some(Duration::from_millis(milliseconds));
    for (routes, max_wait) in [
        (server(short), ms(600)),
        (server(long), ms(2000)),
        (server(off), ms(2000)),
        (lazy(pool(20, 1, off), &dns, TIMING), ms(2000)),
        (lazy(pool(20, 1, long), &dns, TIMING), None),
    ] {
        let login = Login::new(b"alice".to_vec()).unwrap();
        let by = |deadline| Query {
            deadline,
            ..query(&login)
        };
        let before = Instant::now();
        let deadline = before + Duration::from_secs(30);
        let until = routes.wait_until(&by(deadline));
        let after = Instant::now();
        match max_wait {
            Some(max_wait) => assert!((before + max_wait..=after + max_wait).contains(&until)),
            None => assert_eq!(until, deadline),
        }
        let soon = before + Duration::from_millis(10);
        assert_eq!(routes.wait_until(&by(soon)), soon);
    }
}

/// So that no request waits when the first one dies.
#[test]
fn all_servers_of_a_host_are_probed_once_somebody_is_sent_there() {
    let (port, _listeners) = pair(21);
    let table = pool(21, port, connecting(Duration::from_secs(10)));
    let routes = start(table, &Dns::new(&[]), TIMING);
    let Probing::Background(monitor) = &routes.probing else {
        panic!("a server probes in the background");
    };
    let servers = [1, 2].map(|last| {
        let port = NonZeroU16::new(port).unwrap();
        ProbeTarget::new(address(21, last), port, Protocol::Imap)
    });
    let now = Instant::now;
    for server in &servers {
        assert_eq!(monitor.health(server, now()), Health::Unknown);
    }
    assert!(chosen(&routes, "alice").is_ok());
    wait_until(|| {
        let alive = |server| monitor.health(server, now()) == Health::Alive;
        servers.iter().all(alive)
    });
}

/// This includes a server whose address DNS has just returned.
#[test]
fn a_server_is_probed_from_the_first_request_on() {
    let (port, mut listeners) = pair(22);
    let probes = connecting(Duration::from_secs(10));
    let dns = Dns::new(&[]);
    let port = NonZeroU16::new(port).unwrap();
    listeners.pop();
    for routes in [
        start(pool(22, port.get(), probes), &dns, TIMING),
        lazy(pool(22, port.get(), probes), &dns, TIMING),
    ] {
        let health = |last| {
            let server = ProbeTarget::new(address(22, last), port, Protocol::Imap);
            routes.health(server, Instant::now() + Duration::from_secs(20))
        };
        assert_eq!(health(1), Health::Alive);
        assert!(matches!(health(2), Health::Dead(_)));
    }
    let off = lazy(pool(22, port.get(), Probes::OFF), &dns, TIMING);
    let server = ProbeTarget::new(address(22, 2), port, Protocol::Imap);
    let until = Instant::now() + Duration::from_secs(20);
    assert_eq!(off.health(server, until), Health::Unknown);
}
