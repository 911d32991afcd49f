//! Counts at the primary that sentinels name.

use std::net::Ipv4Addr;

use rustix::process::Signal;

use crate::support::certificates::Certificates;
use crate::support::process::free_port;
use crate::support::redis::Redis;
use crate::support::redis_failover::{
    BOUND_KEYS, Sentinel, Sentinels, documented, guess_through, is_at_the_bound, is_not_used_again,
};
use crate::support::scripted_server::Fake;
use crate::support::serving::Serving;
use crate::support::throttled::*;

use Said::{In, Out, Temporary};

const HERE: &str = "192.0.2.10";

#[test]
fn a_killed_primary_costs_seconds_and_no_count() {
    let redis = Sentinels::start();
    let keys = redis.keys();
    let server = Serving::listening(&config(&keys), USERS);
    // One of the sentinels is gone too: the next one is asked.
    redis.sentinels[0].server.signal_all(Signal::KILL);
    guess_through(&server, || redis.primary.server.signal_all(Signal::KILL));
    is_at_the_bound(&Cgi::new(&config(&keys)));
}

#[test]
fn a_stopped_primary_costs_seconds_and_its_old_counts_are_not_used_when_it_is_back() {
    let redis = Sentinels::start();
    let keys = redis.keys();
    let server = Serving::listening(&config(&keys), USERS);
    // Has connections to the primary, and does not notice that it stops.
    let idle = Serving::listening(&config(&keys), USERS);
    assert_eq!(idle.log_in(HERE, "bob", "secret-right"), In);
    guess_through(&server, || redis.primary.server.signal_all(Signal::STOP));
    let cgi = Cgi::new(&config(&keys));
    is_not_used_again(&redis.primary, [&idle, &server, &cgi]);
}

/// A sentinel that sends this to each question.
fn says(reply: String) -> Fake {
    Fake::start(move |talk| {
        while let Some(line) = talk.line() {
            // The last word of the question.
            if line == b"main\r\n" {
                talk.say(reply.as_bytes());
            }
        }
    })
}

/// A sentinel that names a server on this port.
fn names(port: u16) -> Fake {
    let port = port.to_string();
    says(format!(
        "*2\r\n$9\r\n127.0.0.1\r\n${}\r\n{port}\r\n",
        port.len()
    ))
}

fn keys(sentinels: &[&Fake], redis: &Redis) -> String {
    let servers = sentinels
        .iter()
        .map(|fake| format!("127.0.0.1:{}", fake.port));
    let servers: Vec<_> = servers.collect();
    config(&format!(
        "state = \"redis-sentinel://{}/main\"\npassword-file = {:?}\ntimeout-ms = 5000\n{BOUND_KEYS}",
        servers.join(","),
        redis.password_file()
    ))
}

#[test]
fn a_sentinel_that_is_wrong_leads_to_the_next_one() {
    let redis = Redis::start();
    let replica = Redis::start_with(
        free_port(Ipv4Addr::LOCALHOST),
        &format!(
            "replicaof 127.0.0.1 {}\nmasterauth redis-password",
            redis.port
        ),
    );
    let right = names(redis.port);
    let nobody = free_port(Ipv4Addr::LOCALHOST);
    for (wrong, expected) in [
        (
            names(replica.port),
            format!(
                "127.0.0.1:{}: a sentinel names it as the primary, but it is a replica",
                replica.port
            ),
        ),
        (
            names(nobody),
            format!("127.0.0.1:{nobody}: Connection refused"),
        ),
        (
            says("*-1\r\n".to_owned()),
            "the sentinel does not know the service main".to_owned(),
        ),
        (
            says("*2\r\n$3\r\na b\r\n$1\r\n1\r\n".to_owned()),
            "the sentinel names an unusable primary: a b:1".to_owned(),
        ),
        (
            says("*1\r\n".repeat(1000)),
            "the server sent an invalid reply".to_owned(),
        ),
        (
            says("-NOAUTH Authentication required.\r\n".to_owned()),
            "the server reports: NOAUTH Authentication required.: set sentinel-password-file"
                .to_owned(),
        ),
        (
            says("-ERR unknown command 'SENTINEL', with args\r\n".to_owned()),
            "the server is not a sentinel: name sentinels in state".to_owned(),
        ),
    ] {
        let cgi = Cgi::new(&keys(&[&wrong, &right], &redis));
        assert_eq!(cgi.log_in(HERE, "bob", "secret-right"), In, "{expected}");
        let alone = Cgi::new(&keys(&[&wrong], &redis));
        assert_eq!(alone.log_in(HERE, "bob", "secret-right"), Temporary);
        let output = program_in(&alone.0).arg("check").output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(&expected), "{expected}: {said}");
    }
}

#[test]
fn the_documented_rights_are_enough_for_a_primary_and_for_its_sentinels() {
    let redis = Redis::start();
    let of_sentinels = documented("+sentinel|").join(" ");
    let user = format!("user mail on >mail-password {of_sentinels}");
    let sentinel = Sentinel::start(redis.port, 1, &user);
    let allow = |rules: &[String]| {
        let mut words = vec!["ACL", "SETUSER", "mail", "reset", "on", ">mail-password"];
        words.extend(rules.iter().map(String::as_str));
        assert_eq!(redis.command(&words), "OK");
    };
    let cgi = Cgi::new(&config(&format!(
        "state = \"redis-sentinel://mail@127.0.0.1:{}/main/1\"\npassword-file = \"redis.password\"\n\
         sentinel-user = \"mail\"\nsentinel-password-file = \"redis.password\"\ntimeout-ms = 5000",
        sentinel.port
    )));
    cgi.0.write("redis.password", "mail-password");
    let check = || {
        let output = program_in(&cgi.0).arg("check").output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said)
    };
    let mut rules = documented("ACL SETUSER mail on");
    allow(&rules);
    let (code, said) = check();
    assert_eq!(code, Some(78));
    let advice = format!(
        "'role' command: the user needs ACL SETUSER mail {} +role",
        rules.join(" ")
    );
    assert!(said.contains(&advice), "{advice}: {said}");
    rules.push("+role".to_owned());
    allow(&rules);
    assert_eq!(check().0, Some(0), "{}", check().1);
    assert_eq!(cgi.fail(HERE, "alice", 5)[4], Out(2));
}

#[test]
fn sentinels_and_the_primary_must_show_certificates_of_their_names() {
    let redis = |names: &str| {
        let certificates = Certificates::made_for(names);
        let port = free_port(Ipv4Addr::LOCALHOST);
        let files = format!(
            "tls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}\ntls-auth-clients no\n\
             tls-replication yes",
            certificates.certificate().display(),
            certificates.key().display(),
            certificates.ca().display()
        );
        let lines = format!("tls-port {port}\n{files}");
        let redis = Redis::start_with(free_port(Ipv4Addr::LOCALHOST), &lines);
        let tls = free_port(Ipv4Addr::LOCALHOST);
        let sentinel = Sentinel::start(port, 1, &format!("tls-port {tls}\n{files}"));
        let keys = config(&format!(
            "state = \"rediss-sentinel://localhost:{tls}/main\"\npassword-file = {:?}\n\
             sentinel-password-file = {:?}\nca-file = {:?}\ntimeout-ms = 5000\n{BOUND_KEYS}",
            redis.password_file(),
            sentinel.password_file(),
            certificates.ca(),
        ));
        (redis, sentinel, certificates, Cgi::new(&keys))
    };
    let (_redis, _sentinel, _certificates, cgi) = redis("DNS:localhost,IP:127.0.0.1");
    assert_eq!(cgi.log_in(HERE, "bob", "secret-right"), In);
    // The sentinel names the primary by its address.
    let (_redis, _sentinel, _certificates, cgi) = redis("DNS:localhost");
    assert_eq!(cgi.log_in(HERE, "bob", "secret-right"), Temporary);
}
