//! When names are looked up, and how long that is waited for.

use super::*;

/// Each login has a thread of the server while it waits.
#[test]
fn only_the_first_login_waits_for_a_lookup_and_never_more_than_eight_for_all() {
    let names: Vec<String> = (0..20)
        .map(|number| format!("host-{number}.test"))
        .collect();
    let silent = |name: &String| (&*name.clone().leak(), Reply::Silence);
    let dns = Dns::new(&names.iter().map(silent).collect::<Vec<_>>());
    let default = ports(143, 110, 25);
    let hosts = names.iter().map(|name| host(name, name, default)).collect();
    let routes = lazy(Table::new(hosts, default, NEVER), &dns, TIMING);
    let ask = |name: &str| {
        let login = Login::new(b"alice".to_vec()).unwrap();
        let started = Instant::now();
        let asked = Query {
            deadline: started + Duration::from_secs(3),
            ..query_of(&login, name)
        };
        assert!(matches!(routes.choose(&asked), Err(Trouble::Host(_))));
        started.elapsed() > Duration::from_secs(2)
    };
    let waited = |names: &[&str]| {
        thread::scope(|scope| {
            let asking: Vec<_> = names
                .iter()
                .map(|name| scope.spawn(move || ask(name)))
                .collect();
            let waited = asking.into_iter().map(|asking| asking.join().unwrap());
            waited.filter(|waited| *waited).count()
        })
    };
    assert_eq!(waited(&["host-0.test"; 64]), 1);
    // It still runs, so no request waits for it again.
    assert_eq!(waited(&["host-0.test"; 8]), 0);
    let others: Vec<&str> = names[1..].iter().map(String::as_str).collect();
    assert_eq!(waited(&others), 8);
    assert_eq!(dns.lookups(), 9);
}

/// Reloads come and go; lookups that hang stay, one for each name.
#[test]
fn reloads_begin_no_lookup_that_runs_already() {
    let dns = Dns::new(&[("one.test", Reply::Silence), ("two.test", Reply::Silence)]);
    let hasty = Timing {
        max_wait: Duration::from_millis(20),
        ..TIMING
    };
    let lookups = dns.asked();
    let mut routes = None;
    for _ in 0..10 {
        let table = table("one.test", "two.test", NEVER);
        routes = Some(Routes::start(
            table,
            lookups.clone(),
            routes.as_ref(),
            hasty.max_wait,
        ));
    }
    assert_eq!(dns.lookups(), 2);
    assert!(chosen(&routes.unwrap(), "alice").is_err());
}

#[test]
fn a_server_knows_all_addresses_when_it_starts() {
    let dns = Dns::new(&[
        ("one.test", Reply::Address("192.0.2.1")),
        ("two.test", Reply::Address("2001:db8::2")),
    ]);
    let routes = start(table("one.test", "two.test", NEVER), &dns, TIMING);
    assert_eq!(dns.lookups(), 2);
    assert_eq!(
        chosen(&routes, "alice").unwrap(),
        "one default 192.0.2.1:143"
    );
    assert_eq!(
        chosen(&routes, "a@example.org").unwrap(),
        "two domain [2001:db8::2]:1143"
    );
    assert_eq!(dns.lookups(), 2);
    assert!(routes.unresolved(Path::new("auth.toml")).is_empty());
}

#[test]
fn a_single_request_looks_up_only_the_name_it_needs() {
    let dns = Dns::new(&[
        ("one.test", Reply::Address("192.0.2.1")),
        ("two.test", Reply::Silence),
    ]);
    let routes = lazy(table("one.test", "two.test", NEVER), &dns, TIMING);
    assert_eq!(dns.lookups(), 0);
    assert_eq!(
        chosen(&routes, "alice").unwrap(),
        "one default 192.0.2.1:143"
    );
    assert_eq!(chosen(&routes, "bob").unwrap(), "one default 192.0.2.1:143");
    assert_eq!(dns.lookups(), 1);
}

#[test]
fn names_are_looked_up_again_and_keep_their_last_good_address() {
    let dns = Dns::new(&[("one.test", Reply::Address("192.0.2.1"))]);
    let ttl = Duration::from_millis(1);
    let routes = start(table("one.test", "192.0.2.2", ttl), &dns, TIMING);
    let one = || chosen(&routes, "alice").unwrap();
    assert_eq!(one(), "one default 192.0.2.1:143");

    dns.set("one.test", Reply::Failure);
    let before = dns.lookups();
    wait_until(|| dns.lookups() > before + 3);
    assert_eq!(one(), "one default 192.0.2.1:143");

    dns.set("one.test", Reply::Address("0.0.0.0"));
    let before = dns.lookups();
    wait_until(|| dns.lookups() > before + 3);
    assert_eq!(one(), "one default 192.0.2.1:143");

    dns.set("one.test", Reply::Address("192.0.2.11"));
    wait_until(|| one() == "one default 192.0.2.11:143");

    dns.set("one.test", Reply::Silence);
    let before = dns.lookups();
    wait_until(|| dns.lookups() > before);
    assert_eq!(one(), "one default 192.0.2.11:143");
}

#[test]
fn the_thread_that_looks_names_up_ends_with_its_routes() {
    let dns = Dns::new(&[("one.test", Reply::Address("192.0.2.1"))]);
    let ttl = Duration::from_millis(1);
    let routes = start(table("one.test", "192.0.2.2", ttl), &dns, TIMING);
    wait_until(|| dns.lookups() > 3);
    drop(routes);
    // Ours is the last handle once that thread has gone.
    wait_until(|| Arc::strong_count(&dns.0) == 1);
}

#[test]
fn replaced_routes_pass_on_their_addresses() {
    let dns = Dns::new(&[("one.test", Reply::Address("192.0.2.1"))]);
    let resolver = dns.asked();
    let routes = table("one.test", "192.0.2.2", NEVER);
    let old = Routes::start(routes, resolver.clone(), None, TIMING.max_wait);
    dns.set("one.test", Reply::Silence);
    let new = Routes::start(
        table("one.test", "192.0.2.2", NEVER),
        resolver,
        Some(&old),
        TIMING.max_wait,
    );
    assert_eq!(chosen(&new, "alice").unwrap(), "one default 192.0.2.1:143");
}

#[test]
fn without_an_address_the_wait_is_bounded_and_the_others_do_not_suffer() {
    let dns = Dns::new(&[
        ("one.test", Reply::Silence),
        ("two.test", Reply::Address("192.0.2.2")),
    ]);
    let timing = Timing {
        max_wait: Duration::from_millis(50),
        pause: NEVER,
    };
    let routes = start(table("one.test", "two.test", NEVER), &dns, timing);
    for _ in 0..3 {
        assert_eq!(
            chosen(&routes, "alice"),
            Err(Trouble::Host("one.test: no answer from DNS".into()))
        );
    }
    wait_until(|| chosen(&routes, "a@example.org").is_ok());
    assert_eq!(dns.lookups(), 2, "one lookup at a time for each name");
    let unresolved = routes.unresolved(Path::new("auth.toml"));
    assert_eq!(
        unresolved
            .iter()
            .map(Problem::to_string)
            .collect::<Vec<_>>(),
        ["auth.toml:7:8: hosts.one: cannot resolve one.test: no answer from DNS"]
    );
}

#[test]
fn a_request_waits_for_a_lookup_only_until_its_deadline() {
    let dns = Dns::new(&[("one.test", Reply::Silence)]);
    let routes = lazy(table("one.test", "192.0.2.2", NEVER), &dns, TIMING);
    let started = Instant::now();
    let login = Login::new(b"alice".to_vec()).unwrap();
    let asked = Query {
        deadline: started + Duration::from_millis(50),
        ..query(&login)
    };
    let chosen = routes.choose(&asked);
    let trouble = Trouble::Host("one.test: no answer from DNS".into());
    assert_eq!(chosen.err(), Some(trouble));
    assert!(started.elapsed() < TIMING.max_wait / 2);
}

#[test]
fn after_a_failure_requests_fail_at_once_for_a_while() {
    let dns = Dns::new(&[("one.test", Reply::Failure)]);
    let failure = Err(Trouble::Host("one.test: no such name".into()));
    let routes = lazy(table("one.test", "192.0.2.2", NEVER), &dns, TIMING);
    assert_eq!(chosen(&routes, "alice"), failure);
    assert_eq!(chosen(&routes, "alice"), failure);
    assert_eq!(dns.lookups(), 1);

    let eager = Timing {
        pause: Duration::ZERO,
        ..TIMING
    };
    let routes = lazy(table("one.test", "192.0.2.2", NEVER), &dns, eager);
    assert_eq!(chosen(&routes, "alice"), failure);
    dns.set("one.test", Reply::Address("192.0.2.1"));
    assert_eq!(
        chosen(&routes, "alice").unwrap(),
        "one default 192.0.2.1:143"
    );
}
