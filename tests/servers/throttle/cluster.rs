//! Counts in a cluster, at the node that has their keys.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use rustix::process::Signal;

use crate::support::certificates::Certificates;
use crate::support::process::{free_port, wait_until};
use crate::support::redis_failover::{
    BOUND_KEYS, Cluster, documented, guess_through, is_at_the_bound, is_not_used_again,
};
use crate::support::scripted_server::Fake;
use crate::support::serving::Serving;
use crate::support::throttled::*;

use Said::{In, Out, Temporary};

const HERE: &str = "192.0.2.10";

#[test]
fn a_killed_node_costs_seconds_and_no_count() {
    let cluster = Cluster::start();
    let keys = cluster.keys(&[0, 1]);
    let server = Serving::listening(&config(&keys), USERS);
    guess_through(&server, || cluster.nodes[0].server.signal_all(Signal::KILL));
    is_at_the_bound(&Cgi::new(&config(&keys)));
}

#[test]
fn a_stopped_node_costs_seconds_and_its_old_counts_are_not_used_when_it_is_back() {
    let cluster = Cluster::start();
    let keys = cluster.keys(&[0, 1, 2]);
    let server = Serving::listening(&config(&keys), USERS);
    // Has connections to the node, and does not notice that it stops.
    let idle = Serving::listening(&config(&keys), USERS);
    assert_eq!(idle.log_in(HERE, "bob", "secret-right"), In);
    guess_through(&server, || cluster.nodes[0].server.signal_all(Signal::STOP));
    let cgi = Cgi::new(&config(&keys));
    is_not_used_again(&cluster.nodes[0], [&idle, &server, &cgi]);
}

/// First some of the keys, then the slot itself.
#[test]
fn keys_that_move_to_another_node_are_followed() {
    let cluster = Cluster::start_with(3, String::new);
    let [from, to] = [&cluster.nodes[0], &cluster.nodes[1]];
    let keys = config(&cluster.keys(&[2]));
    let (cgi, server) = (Cgi::new(&keys), Serving::listening(&keys, USERS));
    assert_eq!(server.fail(HERE, "alice", 1), [Out(0)]);
    assert_eq!(cgi.log_in(HERE, "alice", "secret-wrong"), Out(0));
    let slot = from.command(&["CLUSTER", "KEYSLOT", "{nginx-mail-auth}"]);
    let [source, target] = [from, to].map(|node| node.command(&["CLUSTER", "MYID"]));
    to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]);
    from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]);
    let found = from.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]);
    let (names, port) = (found.lines().collect::<Vec<_>>(), to.port.to_string());
    assert_eq!(names.len(), 4, "{found}");
    let migrate = [
        "MIGRATE",
        "127.0.0.1",
        &port,
        "",
        "0",
        "5000",
        "AUTH",
        "redis-password",
        "KEYS",
    ];
    from.command(&[&migrate[..], &names].concat());
    // All keys have moved, but not the slot: they can be asked for at the other node, new ones cannot.
    for whom in [&cgi as &dyn Asked, &server] {
        assert_eq!(whom.log_in(HERE, "alice", "secret-wrong-too"), Out(0));
    }
    assert_eq!(cgi.log_in(HERE, "bob", "secret-right"), Temporary);
    assert_eq!(from.command(&["CLUSTER", "COUNTKEYSINSLOT", &slot]), "0");
    for node in [to, from] {
        node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &target]);
    }
    let list = |cgi: &Cgi| {
        let output = program_in(&cgi.0).args(["throttle", "list"]).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    for whom in [&cgi as &dyn Asked, &server] {
        assert_eq!(whom.log_in(HERE, "bob", "secret-right"), In);
    }
    let listed = list(&cgi);
    let expected = ["failures=3", "network=192.0.2.10/32 login=\"alice\""];
    assert!(
        expected.iter().all(|part| listed.contains(part)),
        "{listed}"
    );
    let clear = program_in(&cgi.0).args(["throttle", "clear"]).output();
    assert!(clear.unwrap().status.success());
    assert_eq!(list(&cgi), "");
}

#[test]
fn nodes_that_redirect_without_end_are_left() {
    let counters = Arc::new((AtomicUsize::new(0), AtomicU16::new(0)));
    let shared = Arc::clone(&counters);
    let fake = Fake::start(move |talk| {
        let (connections, port) = &*shared;
        connections.fetch_add(1, Ordering::Relaxed);
        while let Some(line) = talk.line() {
            if line.starts_with(b"EVAL") {
                let port = port.load(Ordering::Relaxed);
                talk.say(format!("-MOVED 866 127.0.0.1:{port}\r\n").as_bytes());
            }
        }
    });
    counters.1.store(fake.port, Ordering::Relaxed);
    let keys = format!(
        "state = \"redis-cluster://127.0.0.1:{}\"\ntimeout-ms = 5000\n{BOUND_KEYS}",
        fake.port
    );
    let cgi = Cgi::new(&config(&keys));
    let output = cgi.run(&[
        ("HTTP_AUTH_USER", "bob"),
        ("HTTP_AUTH_PASS", "secret-right"),
        ("HTTP_CLIENT_IP", HERE),
        ("HTTP_X_AUTH_KEY", KEY),
    ]);
    let log = String::from_utf8(output.stderr).unwrap();
    let expected = "too many redirects between the nodes of the cluster";
    assert!(log.contains(expected), "{log}");
    // The first one, and five redirects.
    assert_eq!(counters.0.load(Ordering::Relaxed), 6);
}

#[test]
fn the_documented_rights_are_enough_and_a_single_server_is_told_from_a_cluster() {
    let cluster = Cluster::start_with(3, String::new);
    let mut rules = documented("ACL SETUSER mail on");
    let allow = |rules: &[String]| {
        for node in &cluster.nodes {
            let mut words = vec!["ACL", "SETUSER", "mail", "reset", "on", ">mail-password"];
            words.extend(rules.iter().map(String::as_str));
            assert_eq!(node.command(&words), "OK");
        }
    };
    let of = |state: &str| {
        let keys =
            format!("state = \"{state}\"\npassword-file = \"redis.password\"\ntimeout-ms = 5000");
        let cgi = Cgi::new(&config(&keys));
        cgi.0.write("redis.password", "mail-password");
        let output = program_in(&cgi.0).arg("check").output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said)
    };
    // A node that does not have the keys.
    let server = format!("mail@127.0.0.1:{}", cluster.nodes[2].port);
    let state = format!("redis-cluster://{server}");
    allow(&rules);
    let (code, said) = of(&state);
    assert_eq!(code, Some(78));
    let advice = format!(
        "'asking' command: the user needs ACL SETUSER mail {} +asking",
        rules.join(" ")
    );
    assert!(said.contains(&advice), "{advice}: {said}");
    rules.push("+asking".to_owned());
    allow(&rules);
    assert_eq!(of(&state).0, Some(0), "{}", of(&state).1);
    let (code, said) = of(&format!("redis://{server}"));
    assert_eq!(code, Some(78));
    let advice = "the server is a node of a cluster: write redis-cluster://HOST:PORT,…";
    assert!(said.contains(advice), "{said}");
}

#[test]
fn nodes_must_show_certificates_of_the_names_that_they_announce() {
    let certificates = Certificates::made_for("DNS:localhost");
    let cluster = |announced: &str| {
        let tls = std::cell::RefCell::new(Vec::new());
        let cluster = Cluster::start_with(3, || {
            let port = free_port(Ipv4Addr::LOCALHOST);
            tls.borrow_mut().push(port);
            format!(
                "tls-port {port}\ntls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}\n\
                 tls-auth-clients no\ntls-cluster yes\n{announced}",
                certificates.certificate().display(),
                certificates.key().display(),
                certificates.ca().display()
            )
        });
        let keys = format!(
            "state = \"rediss-cluster://localhost:{}\"\npassword-file = {:?}\nca-file = {:?}\n\
             timeout-ms = 5000\n{BOUND_KEYS}",
            tls.borrow()[2],
            cluster.nodes[0].password_file(),
            certificates.ca(),
        );
        (cluster, Cgi::new(&config(&keys)))
    };
    let names = "cluster-announce-hostname localhost\ncluster-preferred-endpoint-type hostname";
    let (_cluster, cgi) = cluster(names);
    wait_until("the names to be known", || {
        cgi.log_in(HERE, "bob", "secret-right") == In
    });
    let (_cluster, cgi) = cluster("");
    assert_eq!(cgi.log_in(HERE, "bob", "secret-right"), Temporary);
}
