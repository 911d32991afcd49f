//! The server that each of many logins gets: rendezvous scores, weights, and how far a move has come.

use std::fmt::Write as _;

use crate::support::golden::must_match;
use crate::support::program::Program;

const LOGINS: usize = 200;

const POOL: &str = r#"
[[users]]
store = "accept"
[routes]
default = "pool"
[probes]
kind = "off"
[hosts.pool]
addresses = [
    "127.194.0.1",
    { address = "127.194.0.2", weight = 2 },
    { address = "127.194.0.3", weight = 5 },
    "127.194.0.4",
    { address = "127.194.0.5", drain = true },
    { address = "127.194.0.6", backup = true },
]
"#;

const MOVE: &str = r#"
[[users]]
store = "accept"
[routes]
default = "spring"
[hosts]
old = "127.194.1.1"
new = "127.194.1.2"
[moves]
spring = { old = "old", new = "new", moved = 30, moving = 50 }
"#;

/// One line for each login.
fn table(config: &str) -> String {
    let program = Program::serve(config);
    let mut table = String::new();
    for number in 0..LOGINS {
        let login = format!("user{number}@example.org");
        let answer = program.ask(login.as_bytes(), b"hunter2");
        let server = answer
            .lines()
            .find_map(|line| line.strip_prefix("Auth-Server: "))
            .unwrap_or("temporary");
        let _ = writeln!(table, "{login} {server}");
    }
    table
}

#[test]
fn every_login_of_a_pool_or_a_move_keeps_its_server() {
    let texts = [("pool.txt", POOL), ("move.txt", MOVE)];
    let texts = texts.map(|(name, config)| (name.to_owned(), table(config)));
    for (name, text) in &texts {
        let distinct: std::collections::BTreeSet<_> = text
            .lines()
            .filter_map(|line| line.split(' ').nth(1))
            .collect();
        assert!(distinct.len() >= 3, "{name}: {distinct:?}");
    }
    must_match("servers_chosen", &texts);
}
