//! Names, addresses and ports, with a DNS of our own.

use std::collections::HashMap;
use std::io;
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::login::{Login, Protocol};
use crate::nginx::refusal::Trouble;

mod lookups;
mod pools;
mod waiting;

/// What a lookup gets.
#[derive(Clone, Copy)]
enum Reply {
    Address(&'static str),
    Addresses(&'static [&'static str]),
    Failure,
    /// Nothing, for as long as the test runs.
    Silence,
}

#[derive(Clone)]
struct Dns(Arc<(Mutex<HashMap<&'static str, Reply>>, AtomicUsize)>);

impl Dns {
    fn new(replies: &[(&'static str, Reply)]) -> Self {
        let replies = replies.iter().copied().collect();
        Self(Arc::new((Mutex::new(replies), AtomicUsize::new(0))))
    }

    fn set(&self, name: &'static str, reply: Reply) {
        self.0.0.lock().unwrap().insert(name, reply);
    }

    fn lookups(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }

    /// What asks it.
    fn asked(&self) -> Resolver {
        self.asked_with(TIMING.pause)
    }

    /// The same, with another pause after a failure.
    fn asked_with(&self, pause: Duration) -> Resolver {
        let dns = self.clone();
        Resolver::of_test(pause, move |name| dns.resolve(name))
    }

    fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let reply = self.0.0.lock().unwrap().get(name).copied();
        self.0.1.fetch_add(1, Ordering::SeqCst);
        match reply {
            Some(Reply::Address(address)) => Ok(vec![address.parse().unwrap()]),
            Some(Reply::Addresses(all)) => {
                Ok(all.iter().map(|address| address.parse().unwrap()).collect())
            }
            Some(Reply::Silence) => loop {
                thread::park();
            },
            Some(Reply::Failure) | None => Err(io::Error::other("no such name")),
        }
    }
}

fn port(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

fn ports(imap: u16, pop3: u16, smtp: u16) -> Ports {
    Ports {
        imap: port(imap),
        pop3: port(pop3),
        smtp: port(smtp),
    }
}

fn host(name: &str, target: &str, ports: Ports) -> Host {
    let target = Target::parse(target).unwrap();
    let key = format!("hosts.{name}");
    Host {
        name: name.into(),
        servers: vec![Server::only(target, Some((7, 8)), key)],
        state: State::Serving,
        ports,
        master: None,
    }
}

/// All users have the host `one`, those of example.org the host `two`.
fn table(one: &str, two: &str, ttl: Duration) -> Table {
    let default = ports(143, 110, 25);
    let hosts = vec![
        host("two", two, ports(1143, 1110, 1025)),
        host("one", one, default),
    ];
    let mut table = Table::new(hosts, default, ttl);
    let (one, two) = (table.declared("one"), table.declared("two"));
    table.route_default(one.unwrap());
    table.route_domain("example.org", two.unwrap()).unwrap();
    table
}

const NEVER: Duration = Duration::from_secs(3600);

/// How patient the routes are with DNS.
#[derive(Clone, Copy)]
struct Timing {
    max_wait: Duration,
    pause: Duration,
}

const TIMING: Timing = Timing {
    max_wait: Duration::from_secs(20),
    pause: NEVER,
};

fn start(table: Table, dns: &Dns, timing: Timing) -> Routes {
    Routes::start(table, dns.asked_with(timing.pause), None, timing.max_wait)
}

fn lazy(table: Table, dns: &Dns, timing: Timing) -> Routes {
    Routes::idle(table, dns.asked_with(timing.pause), timing.max_wait)
}

/// A query without values of the store, with enough time.
fn query(login: &Login) -> Query<'_> {
    Query {
        login,
        protocol: Protocol::Imap,
        host: None,
        port: None,
        deadline: Instant::now() + TIMING.max_wait,
    }
}

/// The same for a user whose host the store knows.
fn query_of<'a>(login: &'a Login, host: &'a str) -> Query<'a> {
    Query {
        host: Some(host),
        ..query(login)
    }
}

fn chosen(routes: &Routes, login: &str) -> Result<String, Trouble> {
    let login = Login::new(login.into()).unwrap();
    let chosen = routes.choose(&query(&login))?;
    Ok(format!(
        "{} {} {}",
        chosen.host, chosen.rule, chosen.upstream
    ))
}

/// Waits for what another thread will do.
fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "it never happened");
        thread::yield_now();
    }
}

#[test]
fn the_account_takes_precedence_over_routes_and_ports() {
    let dns = Dns::new(&[]);
    let routes = lazy(table("192.0.2.1", "192.0.2.2", NEVER), &dns, TIMING);
    let protocols = [Protocol::Imap, Protocol::Pop3, Protocol::Smtp];
    for (login, host, own_port, expected) in [
        ("alice", None, None, "one default 192.0.2.1:143 110 25"),
        (
            "a@example.org",
            None,
            None,
            "two domain 192.0.2.2:1143 1110 1025",
        ),
        ("alice", None, Some(99), "one default 192.0.2.1:99 99 99"),
        (
            "alice",
            Some("two"),
            None,
            "two user 192.0.2.2:1143 1110 1025",
        ),
        (
            "a@example.org",
            Some("one"),
            Some(9),
            "one user 192.0.2.1:9 9 9",
        ),
        (
            "alice",
            Some("192.0.2.9"),
            None,
            "192.0.2.9 user 192.0.2.9:143 110 25",
        ),
        ("alice", Some("::1"), Some(9), "::1 user [::1]:9 9 9"),
    ] {
        let login = Login::new(login.into()).unwrap();
        let all = protocols.map(|protocol| {
            let asked = Query {
                protocol,
                host,
                port: own_port.map(port),
                ..query(&login)
            };
            routes.choose(&asked).unwrap()
        });
        let found = format!(
            "{} {} {} {} {}",
            all[0].host,
            all[0].rule,
            all[0].upstream,
            all[1].upstream.port(),
            all[2].upstream.port()
        );
        assert_eq!(found, expected);
    }
    assert_eq!(dns.lookups(), 0);
}

#[test]
fn a_store_cannot_name_an_address_outside_the_allowed_networks() {
    let routes = lazy(
        table("192.0.2.1", "192.0.2.2", NEVER),
        &Dns::new(&[]),
        TIMING,
    );
    for (host, why) in [
        ("three", "three: neither a host of [hosts] nor an address"),
        ("", ": neither a host of [hosts] nor an address"),
        ("ONE", "ONE: neither a host of [hosts] nor an address"),
        ("0.0.0.0", "0.0.0.0: not the address of a mail server"),
        (
            "::ffff:0.0.0.0",
            "::ffff:0.0.0.0: not the address of a mail server",
        ),
        (
            "255.255.255.255",
            "255.255.255.255: not the address of a mail server",
        ),
        ("fe80::1", "fe80::1: not the address of a mail server"),
        (
            "192.0.2.1\nAuth-Port: 1",
            "192.0.2.1\nAuth-Port: 1: neither a host of [hosts] nor an address",
        ),
    ] {
        let login = Login::new(b"alice".to_vec()).unwrap();
        let chosen = routes.choose(&query_of(&login, host));
        assert_eq!(chosen.err(), Some(Trouble::UnknownHost(why.into())));
    }
}

/// This applies to addresses of a store, of the configuration, and of DNS.
#[test]
fn mail_servers_are_in_the_allowed_networks_only() {
    let dns = Dns::new(&[
        ("one.test", Reply::Address("198.51.100.1")),
        ("two.test", Reply::Addresses(&["198.51.100.2", "192.0.2.2"])),
    ]);
    let networks = vec![crate::login::Network::parse("192.0.2.0/24").unwrap()];
    let allowed = AllowedNetworks::new(Some(networks));
    let mut table = table("one.test", "two.test", NEVER);
    let before = start(table.clone(), &dns, TIMING);
    assert!(chosen(&before, "alice").is_ok());
    table.allowed = allowed;
    let after = Routes::start(table.clone(), dns.asked(), Some(&before), TIMING.max_wait);
    for routes in [after, lazy(table, &dns, TIMING)] {
        let outside = "198.51.100.1 is not in routes.allowed-networks";
        let trouble = Trouble::Host(format!("one.test: {outside}"));
        assert_eq!(chosen(&routes, "alice"), Err(trouble));
        let second = "two domain 192.0.2.2:1143";
        assert_eq!(chosen(&routes, "a@example.org").unwrap(), second);
        let problems = routes.unresolved(Path::new("auth.toml"));
        let place = "auth.toml:7:8: hosts.one: cannot resolve one.test";
        assert_eq!(problems[0].to_string(), format!("{place}: {outside}"));
        for (host, expected) in [
            ("192.0.2.9", Ok("192.0.2.9 user 192.0.2.9:143")),
            (
                "::ffff:192.0.2.9",
                Ok("::ffff:192.0.2.9 user 192.0.2.9:143"),
            ),
            (
                "198.51.100.9",
                Err("198.51.100.9 is not in routes.allowed-networks"),
            ),
            (
                "64:ff9b::192.0.2.9",
                Err("64:ff9b::c000:209 is not in routes.allowed-networks"),
            ),
        ] {
            let login = Login::new(b"alice".to_vec()).unwrap();
            let chosen = routes.choose(&query_of(&login, host));
            let chosen =
                chosen.map(|chosen| format!("{} {} {}", chosen.host, chosen.rule, chosen.upstream));
            let expected = expected
                .map(str::to_owned)
                .map_err(|why| Trouble::UnknownHost(why.to_owned()));
            assert_eq!(chosen, expected);
        }
    }
}

#[test]
fn the_first_address_that_nginx_can_use_is_chosen() {
    for (addresses, expected) in [
        (&["192.0.2.1", "192.0.2.2"][..], "192.0.2.1"),
        (&["0.0.0.0", "192.0.2.2"], "192.0.2.2"),
        (
            &["fe80::1", "::ffff:0.0.0.0", "2001:db8::2"],
            "[2001:db8::2]",
        ),
        (&["::ffff:192.0.2.3"], "192.0.2.3"),
    ] {
        let dns = Dns::new(&[("one.test", Reply::Addresses(addresses))]);
        let routes = lazy(table("one.test", "192.0.2.2", NEVER), &dns, TIMING);
        let expected = format!("one default {expected}:143");
        assert_eq!(chosen(&routes, "alice").unwrap(), expected);
    }
    let dns = Dns::new(&[(
        "one.test",
        Reply::Addresses(&["fe80::1", "255.255.255.255"]),
    )]);
    let routes = lazy(table("one.test", "192.0.2.2", NEVER), &dns, TIMING);
    let why = "one.test: fe80::1 is not the address of a mail server";
    assert_eq!(chosen(&routes, "alice"), Err(Trouble::Host(why.into())));
}

#[test]
fn no_route_is_a_temporary_failure() {
    let table = Table::new(Vec::new(), ports(143, 110, 25), NEVER);
    let routes = lazy(table, &Dns::new(&[]), TIMING);
    assert_eq!(chosen(&routes, "alice"), Err(Trouble::NoRoute));
}
