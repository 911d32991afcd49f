//! `status`: what it prints, and its exit status.

use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use crate::support::binary;
use crate::support::serving::*;
use crate::support::status::*;
use crate::support::temp_dir::TempDir;

/// The exit status, and what it prints.
fn run(dir: &TempDir, words: &[&str]) -> (Option<i32>, String, String) {
    let mut command = binary::command();
    command
        .arg("--config")
        .arg(dir.path().join("auth.toml"))
        .arg("status")
        .args(words);
    let output = binary::output(&mut command);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn socket(server: &Serving) -> String {
    format!("unix:{}", server.socket().display())
}

#[test]
fn it_prints_the_status_of_the_server() {
    let server = server();
    server.ask("alice", "one");
    let (code, text, error) = run(&server.dir, &[&socket(&server)]);
    assert_eq!((code, &*error), (Some(0), ""));
    assert!(
        text.starts_with("state:                no trouble\n"),
        "{text}"
    );
    assert!(text.contains("\naccepted:             1\n"), "{text}");
    let (code, json, _) = run(&server.dir, &["--json", &socket(&server)]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (code, &json["answers"]["total"]["accepted"]),
        (Some(0), &1.into())
    );
    assert_eq!(json["process"]["pid"], server.id());
    assert!(json["throttle"]["refused_logins"].is_null());
    let (_, json, _) = run(&server.dir, &["--json", "--full", &socket(&server)]);
    assert!(json.contains("\"refused_logins\": []"), "{json}");
}

#[test]
fn the_socket_and_the_client_come_from_the_configuration() {
    let dir = TempDir::new();
    let more = format!(
        "socket = \"{}\"\nallowed-from = [\"192.0.2.0/24\"]\n[throttle]",
        dir.path().join("socket").display()
    );
    let server = Serving::listening_in(dir, &CONFIG.replace("[throttle]", &more), USERS);
    assert_eq!(run(&server.dir, &[]).0, Some(0));
}

#[test]
fn something_that_needs_attention_makes_it_fail() {
    let server = server();
    server.replace(
        "auth.toml",
        &CONFIG.replace("default = \"one\"", "default = 3"),
    );
    crate::support::process::wait_until("the broken version", || {
        body(&server, "text").contains("problem:")
    });
    let (code, text, _) = run(&server.dir, &[&socket(&server)]);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.starts_with("trouble:              a changed file cannot be loaded: "),
        "{text}"
    );
}

#[test]
fn a_server_that_does_not_answer_has_an_exit_status_of_its_own() {
    let dir = TempDir::new();
    dir.write("auth.toml", CONFIG);
    let gone = dir.path().join("gone");
    let silent = dir.path().join("silent");
    let _listener = UnixListener::bind(&silent).unwrap();
    let begun = Instant::now();
    for (address, expected) in [
        (
            gone.to_str().unwrap(),
            "no status: there is no such socket: is the server running?\n",
        ),
        (silent.to_str().unwrap(), "no status: no answer in time\n"),
        (
            "127.0.0.1:1",
            "127.0.0.1:1: no status: nothing listens there\n",
        ),
    ] {
        let (code, text, error) = run(&dir, &["--timeout", "1", address]);
        assert_eq!((code, &*text), (Some(69), ""), "{address}");
        assert!(error.ends_with(expected), "{error}");
    }
    assert!(begun.elapsed() < Duration::from_secs(20));
    // A server with another configuration.
    let server = server();
    dir.write("auth.toml", CONFIG.replace("/mail/status", "/other"));
    let (code, _, error) = run(&dir, &[&socket(&server)]);
    assert_eq!(code, Some(69));
    assert!(
        error.contains("/other is not the path of the configuration in force"),
        "{error}"
    );
}

#[test]
fn without_a_path_it_says_what_to_set() {
    let dir = TempDir::new();
    for (config, words) in [
        (
            "",
            "the server answers nobody about its status: set [status] path = \"/mail/status\"\n",
        ),
        (
            "[status]\npath = \"/x\"\nallowed-from = []\n",
            "set [status] allowed-from, with an address\n",
        ),
        ("[[[", ""),
    ] {
        dir.write("auth.toml", config);
        let (code, text, error) = run(&dir, &[]);
        assert_eq!((code, &*text), (Some(78), ""), "{config}");
        assert!(error.ends_with(words) && !error.is_empty(), "{error}");
    }
    assert_eq!(run(&dir, &["no-address"]).0, Some(2));
    assert_eq!(run(&dir, &["--timeout", "0"]).0, Some(2));
}
