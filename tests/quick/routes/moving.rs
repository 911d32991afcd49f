//! Users on their way from one host to another.

use std::net::IpAddr;

use nginx_mail_auth::config::Config;

use crate::support::routed::{Routed, TEMPORARY, cgi, logins, secret};
use crate::support::temp_dir::TempDir;

const OLD: &str = "192.0.2.1";
const NEW: &str = "192.0.2.2";

fn config(default: &str, moved: u8, moving: u8) -> String {
    format!(
        "[[users]]\nstore = \"accept\"\n[routes]\ndefault = \"{default}\"\n\
         [hosts]\nold = \"{OLD}\"\nnew = \"{NEW}\"\nlimbo = {{ state = \"moving\" }}\n\
         [moves]\nspring = {{ old = \"old\", new = \"new\", moved = {moved}, moving = {moving} }}\n"
    )
}

#[test]
fn a_move_in_steps_moves_each_user_once() {
    let serving = Routed::start(&config("spring", 0, 0));
    let [old, new] = [OLD, NEW].map(|host| Some(host.parse::<IpAddr>().unwrap()));
    let stage = |way: Option<IpAddr>| [old, None, new].iter().position(|at| *at == way).unwrap();
    let mut before: Vec<_> = logins().map(|_| 0).collect();
    for (moved, moving) in [(0, 0), (0, 30), (30, 30), (30, 70), (70, 100), (100, 100)] {
        serving.reload(&config("spring", moved, moving));
        let now: Vec<_> = serving.ways("imap").into_iter().map(stage).collect();
        assert!(before.iter().zip(&now).all(|(before, now)| before <= now));
        let some = |stage| now.contains(&stage);
        assert_eq!(some(0), moving < 100, "{moved} {moving}");
        assert_eq!(some(1), moved < moving, "{moved} {moving}");
        assert_eq!(some(2), moved > 0, "{moved} {moving}");
        before = now;
    }
    assert_eq!(
        serving.said("cause=moving"),
        serving.said("answer=temporary")
    );
}

#[test]
fn a_moving_user_gets_the_temporary_failure_and_no_password_dialog() {
    let dir = TempDir::new();
    for default in ["limbo", "spring"] {
        dir.write("auth.toml", config(default, 0, 100));
        let (answer, log) = cgi(&dir, "alice@example.org", "imap");
        assert_eq!(answer, TEMPORARY);
        assert!(log.contains(" cause=moving"), "{log}");
        assert!(log.contains(default), "{log}");
        let (answer, _) = cgi(&dir, "alice@example.org", "smtp");
        assert!(
            answer.contains("\nAuth-Error-Code: 451 4.3.0\n"),
            "{answer}"
        );
        assert!(!answer.contains("Auth-Server"), "{answer}");
    }
}

#[test]
fn one_user_at_a_time_by_the_store() {
    let dir = TempDir::new();
    let accept = "store = \"accept\"";
    let file = "store = \"file\"\npath = \"users\"\nallow-weak-schemes = true";
    dir.write("auth.toml", config("old", 0, 0).replace(accept, file));
    let alice = |host: &str| {
        secret(
            &dir,
            "users",
            &format!("alice:{{PLAIN}}secret::::::{host}\n"),
        );
        let (answer, log) = cgi(&dir, "alice", "imap");
        assert!(!log.contains("neither in [hosts] nor"), "{log}");
        answer
    };
    let accepted = |host| format!("Auth-Status: OK\nAuth-Server: {host}\nAuth-Port: 143\n\n");
    assert_eq!(alice(""), accepted(OLD));
    assert_eq!(alice("host=old"), accepted(OLD));
    assert_eq!(alice("host=limbo"), TEMPORARY);
    assert_eq!(alice("host=new"), accepted(NEW));
    // Her place is 17.12 %.
    assert_eq!(alice("host=spring"), accepted(OLD));
    dir.write("auth.toml", config("old", 18, 18).replace(accept, file));
    assert_eq!(alice("host=spring"), accepted(NEW));
}

#[test]
fn the_example_of_a_move() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/moving.toml");
    let content = std::fs::read_to_string(path).unwrap();
    let dir = TempDir::new();
    let config = Config::load(&dir.write("auth.toml", &content)).unwrap();
    assert!(config.routes.declared("limbo").is_some());
    assert!(config.routes.declared("spring").is_some());
}
