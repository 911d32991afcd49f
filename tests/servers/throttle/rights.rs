//! Redis that lets us read, or do some things only: `check` and the log say what is missing.

use std::fs;

use crate::support::redis::Redis;
use crate::support::throttled::Said::{In, Out};

use crate::support::process::wait_until;
use crate::support::serving::Serving;
use crate::support::throttled::*;

const HERE: &str = "192.0.2.10";
const MAIL: &str = "mail-password";

/// The line of docs/throttling.md that says what a user needs.
fn documented() -> Vec<String> {
    let page = fs::read_to_string("docs/throttling.md").unwrap();
    let line = page.lines().find(|line| line.contains("ACL SETUSER"));
    let words = line.unwrap().split_whitespace();
    let rules = words.skip_while(|word| !word.starts_with('~'));
    rules.map(str::to_owned).collect()
}

/// Gives the user `mail` exactly these rights.
fn allow(redis: &Redis, rules: &[impl AsRef<str>]) {
    let password = format!(">{MAIL}");
    let mut words = vec!["ACL", "SETUSER", "mail", "reset", "on", &password];
    words.extend(rules.iter().map(AsRef::as_ref));
    assert_eq!(redis.command(&words), "OK");
}

fn as_mail(redis: &Redis, database: u32) -> Cgi {
    let state = format!("redis://mail@127.0.0.1:{}/{database}", redis.port);
    let cgi = Cgi::new(&config(&format!(
        "state = \"{state}\"\npassword-file = \"redis.password\"\ntimeout-ms = 5000"
    )));
    cgi.0.write("redis.password", MAIL);
    cgi
}

/// Its exit code, and what it says.
fn check(cgi: &Cgi) -> (i32, String) {
    let output = program_in(&cgi.0).arg("check").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), said)
}

#[track_caller]
fn must_name(cgi: &Cgi, what: &[&str], advice: &str) {
    let (code, said) = check(cgi);
    assert_eq!(code, 78, "{said}");
    let problem = |line: &&str| !line.starts_with("warning") && line.contains("throttle.state: ");
    let of_state = said.lines().find(problem);
    let line = of_state.unwrap_or_else(|| panic!("{said}"));
    assert!(
        what.iter().any(|what| line.contains(what)) && line.contains(advice),
        "{what:?}: {said}"
    );
}

#[test]
fn the_documented_rights_are_enough_and_all_are_needed() {
    let redis = Redis::start();
    let rules = documented();
    assert!(rules.len() > 5, "{rules:?}");
    let advice = format!("the user needs ACL SETUSER mail {}", rules.join(" "));
    let cgi = as_mail(&redis, 1);
    allow(&redis, &rules);
    assert_eq!(check(&cgi).0, 0, "{}", check(&cgi).1);
    assert_eq!(
        cgi.fail(HERE, "alice", 5),
        [Out(0), Out(0), Out(0), Out(0), Out(2)]
    );
    let list = || {
        let output = program_in(&cgi.0).args(["throttle", "list"]).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let counted = list();
    assert_eq!(counted.matches("failures=5").count(), 3, "{counted}");
    for missing in &rules {
        let others: Vec<_> = rules.iter().filter(|rule| *rule != missing).collect();
        allow(&redis, &others);
        let what: &[&str] = match missing.strip_prefix('+') {
            Some(command) => &[&format!("'{command}'")],
            None => &["key"],
        };
        must_name(&cgi, what, &advice);
    }
    allow(&redis, &rules);
    let keys = rules.iter().map(|rule| rule.replace("~{", "~other:{"));
    allow(&redis, &keys.collect::<Vec<_>>());
    must_name(&cgi, &["key"], &advice);
    // No check has changed a count, and nothing of it is left.
    allow(&redis, &rules);
    assert_eq!(check(&cgi).0, 0);
    assert_eq!(list(), counted);
    assert_eq!(
        redis.command(&["-n", "1", "EXISTS", "{nginx-mail-auth}:check"]),
        "0"
    );
    let clear = program_in(&cgi.0).args(["throttle", "clear"]).output();
    assert!(clear.unwrap().status.success());
    assert_eq!(list(), "");
}

#[test]
fn a_replica_can_be_read_only() {
    let primary = Redis::start();
    let port = primary.port;
    let replica = Redis::start_with(
        crate::support::process::free_port(std::net::Ipv4Addr::LOCALHOST),
        &format!("replicaof 127.0.0.1 {port}\nmasterauth redis-password"),
    );
    // What is there already can be read on the replica: all that the first steps need.
    let of_primary = Cgi::new(&config(&primary.keys()));
    assert_eq!(check(&of_primary).0, 0);
    assert_eq!(of_primary.fail(HERE, "alice", 1), [Out(0)]);
    wait_until("the replica to have it", || {
        primary.command(&["DBSIZE"]) == replica.command(&["DBSIZE"])
    });
    let advice = "a replica cannot count: name the primary in state";
    must_name(&Cgi::new(&config(&replica.keys())), &["READONLY"], advice);
    let server = Serving::listening(&config(&replica.keys()), USERS);
    assert_eq!(server.log_in(HERE, "alice", "secret-right"), In);
    let log = server.log();
    let said = log
        .lines()
        .find(|line| line.contains("throttle: cannot write the counts"));
    assert!(said.is_some_and(|line| line.contains(advice)), "{log}");
}
