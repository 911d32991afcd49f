//! Hosts with several addresses, and moves, with mail servers of our own.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};

use super::*;

/// A port that is free on 127.0.0.1 to .4 of this network, and greeters that listen there.
struct Greeters {
    network: u8,
    port: u16,
    listeners: Vec<Option<TcpListener>>,
}

impl Greeters {
    /// Each test uses a network of its own, because servers differ by their address alone.
    fn start(network: u8, greetings: &[Option<&'static [u8]>]) -> Self {
        let (port, listeners) = (20_000..30_000)
            .find_map(|port| {
                let listen = |last| TcpListener::bind((address(network, last), port)).ok();
                let all: Option<Vec<_>> = (1..=4).map(listen).collect();
                Some((port, all?))
            })
            .unwrap();
        let listeners = listeners.into_iter().zip(greetings.iter().copied());
        let listeners = listeners.map(|(listener, greeting)| {
            let greeting = greeting?;
            let accepting = listener.try_clone().unwrap();
            thread::spawn(move || {
                for stream in accepting.incoming().flatten() {
                    let mut stream = stream;
                    let _gone = stream.write_all(greeting);
                }
            });
            Some(listener)
        });
        Self {
            network,
            port,
            listeners: listeners.collect(),
        }
    }

    fn pool(&self, servers: &[(u8, Role)]) -> Host {
        let servers = servers.iter().map(|(last, role)| {
            let target = Target::Address(address(self.network, *last).into());
            Server {
                role: *role,
                ..Server::only(target, None, String::new())
            }
        });
        Host {
            servers: servers.collect(),
            ..host("pool", "192.0.2.1", ports(self.port, self.port, self.port))
        }
    }
}

fn address(network: u8, last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 77, network, last)
}

const IMAP: Option<&[u8]> = Some(b"* OK ready\r\n");

const PROBES: Probes = Probes {
    kind: ProbeKind::Greeting,
    interval: NEVER,
    timeout: Duration::from_secs(10),
};

/// All users have the host `pool`.
fn to_pool(pool: Host, probes: Probes) -> Table {
    let mut table = Table::new(vec![pool], ports(143, 110, 25), NEVER);
    table.probes = probes;
    table.route_default(table.declared("pool").unwrap());
    table
}

/// The last part of the address of each of these logins, or `-`.
fn lasts(routes: &Routes, protocol: Protocol, logins: usize) -> Vec<String> {
    let chosen = |number: usize| {
        let login = Login::new(format!("user{number}").into_bytes()).unwrap();
        let asked = Query {
            protocol,
            ..query(&login)
        };
        match routes.choose(&asked) {
            Ok(destination) => {
                let address = destination.upstream.address().to_string();
                address.rsplit('.').next().unwrap().to_owned()
            }
            Err(_) => "-".to_owned(),
        }
    };
    (0..logins).map(chosen).collect()
}

fn by(login: &Login, deadline: Instant) -> Query<'_> {
    Query {
        deadline,
        ..query(login)
    }
}

fn both(table: &Table) -> [Routes; 2] {
    let dns = Dns::new(&[]);
    [
        lazy(table.clone(), &dns, TIMING),
        start(table.clone(), &dns, TIMING),
    ]
}

#[test]
fn dead_servers_are_left_out_in_line_and_in_the_background() {
    use Role::Main;
    let greeters = Greeters::start(1, &[IMAP, None, IMAP, Some(b"* BYE\r\n")]);
    let all = greeters.pool(&[(1, Main), (2, Main), (3, Main), (4, Main)]);
    let alive = greeters.pool(&[(1, Main), (3, Main)]);
    let without_probes = Probes {
        kind: ProbeKind::Off,
        ..PROBES
    };
    let [expected, _] = both(&to_pool(alive, without_probes));
    let expected = lasts(&expected, Protocol::Imap, 50);
    assert!(expected.contains(&"1".to_owned()) && expected.contains(&"3".to_owned()));
    for routes in both(&to_pool(all.clone(), PROBES)) {
        assert_eq!(lasts(&routes, Protocol::Imap, 50), expected);
        // What is dead for one protocol may live for another; here none does.
        assert_eq!(lasts(&routes, Protocol::Smtp, 2), ["-", "-"]);
    }
    let connect = Probes {
        kind: ProbeKind::Connect,
        ..PROBES
    };
    for routes in both(&to_pool(all.clone(), connect)) {
        let found = lasts(&routes, Protocol::Imap, 50);
        assert!(found.contains(&"4".to_owned()) && !found.contains(&"2".to_owned()));
    }
    for routes in both(&to_pool(all, without_probes)) {
        assert!(lasts(&routes, Protocol::Imap, 50).contains(&"2".to_owned()));
    }
}

#[test]
fn backups_serve_only_while_all_others_are_dead() {
    use Role::{Backup, Drained, Main};
    let greeters = Greeters::start(2, &[IMAP, None, IMAP, None]);
    for (servers, expected) in [
        (&[(1, Main), (3, Backup)][..], "1"),
        (&[(2, Main), (3, Backup)], "3"),
        (&[(2, Main), (4, Main), (3, Backup)], "3"),
        (&[(1, Drained), (3, Backup)], "3"),
        (&[(1, Drained), (2, Main)], "-"),
        (&[(1, Drained), (3, Drained)], "-"),
        (&[(2, Main), (4, Backup)], "-"),
        (&[(2, Main), (4, Backup), (3, Backup)], "3"),
    ] {
        for routes in both(&to_pool(greeters.pool(servers), PROBES)) {
            let found = lasts(&routes, Protocol::Imap, 5);
            assert_eq!(found, vec![expected; 5], "{servers:?}");
        }
    }
}

#[test]
fn the_error_names_the_state_of_each_server() {
    use Role::{Drained, Main};
    let greeters = Greeters::start(3, &[None, Some(b"* BYE\r\n"), None, None]);
    let trouble = |servers: &[(u8, Role)]| {
        let [routes, _] = both(&to_pool(greeters.pool(servers), PROBES));
        match chosen(&routes, "user0") {
            Err(Trouble::Host(what)) => what,
            other => panic!("{other:?}"),
        }
    };
    let found = trouble(&[(1, Main), (2, Main), (3, Drained)]);
    let (start, rest) = found.split_once(": ").unwrap();
    let (what, mut dead) = match rest.split_once(": ") {
        Some((what, dead)) => (what, dead.split("; ").collect::<Vec<_>>()),
        None => panic!("{rest}"),
    };
    dead.sort_unstable();
    assert_eq!((start, what), ("pool", "no address is alive"));
    assert_eq!(
        dead,
        [
            "127.77.3.1: connection refused",
            "127.77.3.2: its greeting is \"* BYE\""
        ]
    );
    for drained in [&[(1, Drained), (2, Drained)][..], &[(1, Drained)]] {
        assert_eq!(trouble(drained), "pool: all addresses are drained");
    }
}

#[test]
fn a_dead_server_is_left_and_used_again_when_alive() {
    let greeters = Greeters::start(4, &[IMAP, IMAP, None, None]);
    let pool = greeters.pool(&[(1, Role::Main), (2, Role::Main), (3, Role::Main)]);
    let probes = Probes {
        interval: Duration::from_millis(5),
        ..PROBES
    };
    let [_, routes] = both(&to_pool(pool, probes));
    let before = lasts(&routes, Protocol::Imap, 60);
    let third = TcpListener::bind((address(4, 3), greeters.port)).unwrap();
    let accepting = third.try_clone().unwrap();
    let (stop, stopped) = mpsc::channel::<()>();
    let greeter = thread::spawn(move || {
        for stream in accepting.incoming().flatten() {
            if stopped.try_recv().is_ok() {
                return;
            }
            let mut stream = stream;
            let _gone = stream.write_all(b"* OK\r\n");
        }
    });
    wait_until(|| lasts(&routes, Protocol::Imap, 60).contains(&"3".to_owned()));
    let with = lasts(&routes, Protocol::Imap, 60);
    for (before, with) in before.iter().zip(&with) {
        assert!(before == with || with == "3");
    }
    stop.send(()).unwrap();
    drop(third);
    greeter.join().unwrap();
    wait_until(|| lasts(&routes, Protocol::Imap, 60) == before);
    drop(greeters.listeners);
}

#[test]
fn replaced_routes_pass_on_the_known_states() {
    let greeters = Greeters::start(5, &[IMAP, None, None, None]);
    let pool = greeters.pool(&[(1, Role::Main), (2, Role::Main)]);
    let table = to_pool(pool, PROBES);
    let [_, old] = both(&table);
    assert_eq!(lasts(&old, Protocol::Imap, 20), vec!["1"; 20]);
    let resolver = Dns::new(&[]).asked();
    // There is no time to wait for a server.
    let mut hasty = table.clone();
    hasty.probes.timeout = Duration::ZERO;
    let new = Routes::start(hasty, resolver, Some(&old), TIMING.max_wait);
    assert_eq!(lasts(&new, Protocol::Imap, 20), vec!["1"; 20]);
}

#[test]
fn an_own_port_of_the_user_is_probed_on_its_own() {
    let greeters = Greeters::start(6, &[IMAP, IMAP, None, None]);
    let pool = Host {
        ports: ports(1, 1, 1),
        ..greeters.pool(&[(1, Role::Main), (2, Role::Main)])
    };
    for routes in both(&to_pool(pool, PROBES)) {
        assert_eq!(lasts(&routes, Protocol::Imap, 1), ["-"]);
        let login = Login::new(b"user0".to_vec()).unwrap();
        let asked = Query {
            port: NonZeroU16::new(greeters.port),
            ..query(&login)
        };
        assert!(routes.choose(&asked).is_ok());
    }
}

#[test]
fn names_in_a_pool_are_looked_up_and_unknown_ones_count_as_dead() {
    let greeters = Greeters::start(7, &[IMAP, IMAP, None, None]);
    let dns = Dns::new(&[
        ("a.test", Reply::Address("127.77.7.1")),
        ("b.test", Reply::Failure),
        ("drained.test", Reply::Silence),
    ]);
    let server = |name: &str, role| Server {
        role,
        ..Server::only(
            Target::parse(name).unwrap(),
            Some((1, 2)),
            "hosts.pool".into(),
        )
    };
    let pool = Host {
        servers: vec![
            server("a.test", Role::Main),
            server("b.test", Role::Main),
            server("drained.test", Role::Drained),
        ],
        ..greeters.pool(&[])
    };
    let table = to_pool(pool, PROBES);
    for routes in [
        lazy(table.clone(), &dns, TIMING),
        start(table.clone(), &dns, TIMING),
    ] {
        assert_eq!(lasts(&routes, Protocol::Imap, 20), vec!["1"; 20]);
        let unresolved = routes.unresolved(Path::new("auth.toml"));
        let unresolved: Vec<_> = unresolved.iter().map(Problem::to_string).collect();
        assert_eq!(
            unresolved,
            ["auth.toml:1:2: hosts.pool: cannot resolve b.test: no such name"]
        );
    }
    // A request does not wait long for a name if other servers are alive.
    dns.set("b.test", Reply::Silence);
    let started = Instant::now();
    let impatient = lazy(table, &dns, TIMING);
    for number in 0..3 {
        let login = Login::new(format!("user{number}").into_bytes()).unwrap();
        let soon = by(&login, started + Duration::from_millis(200));
        let _ = impatient.choose(&soon);
    }
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn in_line_probes_are_over_by_their_deadline() {
    // It accepts connections, and sends nothing.
    let silent = TcpListener::bind((address(8, 1), 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let greeters = Greeters {
        network: 8,
        port,
        listeners: Vec::new(),
    };
    let pool = greeters.pool(&[(1, Role::Main), (1, Role::Main), (1, Role::Backup)]);
    let routes = lazy(to_pool(pool, PROBES), &Dns::new(&[]), TIMING);
    let started = Instant::now();
    let login = Login::new(b"alice".to_vec()).unwrap();
    let soon = by(&login, started + Duration::from_millis(100));
    // What there was no time for is taken to be alive.
    let chosen = routes.choose(&soon).unwrap();
    assert_eq!(chosen.upstream.address(), address(8, 1));
    assert!(started.elapsed() >= Duration::from_millis(100));
    assert!(started.elapsed() < Duration::from_secs(5));
}

//------------ Moves ---------------------------------------------------------

/// The hosts `old`, `new` and `limbo`, and a move of all users between the first two.
fn moving(moved: u8, moving: u8) -> Table {
    let own = ports(143, 110, 25);
    let limbo = Host {
        servers: Vec::new(),
        state: State::Moving,
        ..host("limbo", "192.0.2.9", own)
    };
    let hosts = vec![
        host("old", "192.0.2.1", own),
        host("new", "192.0.2.2", own),
        limbo,
    ];
    let mut table = Table::new(hosts, own, NEVER);
    let [old, new] = ["old", "new"].map(|name| table.host(name, || (1, 1), "moves").unwrap());
    let name = "spring".into();
    table.add_moves(vec![Move {
        name,
        old,
        new,
        moved,
        moving,
    }]);
    table.route_default(table.declared("spring").unwrap());
    table
}

fn goes(table: Table, login: &str, host: Option<&str>) -> String {
    let routes = lazy(table, &Dns::new(&[]), TIMING);
    let login = Login::new(login.into()).unwrap();
    let asked = Query {
        host,
        ..query(&login)
    };
    match routes.choose(&asked) {
        Ok(to) => format!("{} {} {}", to.host, to.rule, to.upstream),
        Err(Trouble::Moving(what)) => what,
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn by_percentage() {
    // Her place is 47.80 %.
    let alice = |moved, upto| goes(moving(moved, upto), "alice@example.org", None);
    assert_eq!(alice(0, 0), "old default 192.0.2.1:143");
    assert_eq!(alice(47, 47), "old default 192.0.2.1:143");
    assert_eq!(alice(47, 48), "move spring: place 47.80 %, moving");
    assert_eq!(alice(48, 48), "new default 192.0.2.2:143");
    assert_eq!(alice(100, 100), "new default 192.0.2.2:143");
}

#[test]
fn by_what_the_store_says() {
    let alice = |host| goes(moving(47, 48), "alice@example.org", Some(host));
    assert_eq!(alice("old"), "old user 192.0.2.1:143");
    assert_eq!(alice("new"), "new user 192.0.2.2:143");
    assert_eq!(alice("limbo"), "limbo: its users are being moved");
    assert_eq!(alice("spring"), "move spring: place 47.80 %, moving");
    let bob = goes(moving(47, 48), "bob@example.org", Some("spring"));
    assert_eq!(bob, "new user 192.0.2.2:143");
}

#[test]
fn an_explanation_ends_where_the_choice_does() {
    use Role::{Backup, Drained, Main};
    let greeters = Greeters::start(9, &[IMAP, None, IMAP, None]);
    let servers = [(1, Main), (2, Main), (3, Backup), (4, Drained)];
    let routes = lazy(
        to_pool(greeters.pool(&servers), PROBES),
        &Dns::new(&[]),
        TIMING,
    );
    for number in 0..10 {
        let login = Login::new(format!("user{number}").into_bytes()).unwrap();
        let explained = routes.explain(&by(&login, Instant::now() + NEVER));
        let chosen = routes.choose(&query(&login)).unwrap();
        assert_eq!(explained.outcome.unwrap().upstream, chosen.upstream);
        let (rule, name) = explained.host.unwrap();
        assert_eq!((rule, &*name), (Rule::Default, "pool"));
        let mut seen: Vec<_> = explained
            .candidates
            .iter()
            .map(|candidate| {
                let health = candidate.health.to_string();
                (
                    candidate.written.as_str(),
                    candidate.score.is_some(),
                    health,
                )
            })
            .collect();
        assert_eq!(seen[2].0, "127.77.9.3", "the backup comes after the others");
        assert_eq!(seen[3].0, "127.77.9.4", "what gets no users comes last");
        seen.sort_unstable();
        let expected = [
            ("127.77.9.1", true, "alive".to_owned()),
            ("127.77.9.2", true, "dead: connection refused".to_owned()),
            ("127.77.9.3", true, "alive".to_owned()),
            ("127.77.9.4", false, "not probed".to_owned()),
        ];
        assert_eq!(seen, expected);
    }
    let explained = lazy(moving(47, 48), &Dns::new(&[]), TIMING).explain(&by(
        &Login::new(b"alice@example.org".to_vec()).unwrap(),
        Instant::now() + NEVER,
    ));
    assert_eq!(explained.user_move.unwrap().stage, Stage::Moving);
    assert!(matches!(explained.outcome, Err(Trouble::Moving(_))));
}
