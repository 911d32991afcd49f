//! `test` and `route` say what the counts would have nginx get, and count nothing.

use std::io::Write as _;

use super::redis::Redis;
use super::*;

/// `test` or `route`, with this password: exit code and what it says.
fn run(folder: &TempDir, words: &[&str], password: &str) -> (i32, String) {
    let mut child = program_in(folder)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // `route` asks for none.
    let _ = writeln!(child.stdin.take().unwrap(), "{password}");
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), text)
}

fn list(folder: &TempDir) -> String {
    let output = program_in(folder).args(["throttle", "list"]).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

#[track_caller]
fn says(said: &(i32, String), code: i32, parts: &[&str]) {
    assert_eq!(said.0, code, "{}", said.1);
    let mut rest = said.1.as_str();
    for part in parts {
        let at = rest.find(part);
        let at = at.unwrap_or_else(|| panic!("{part} is not in its place in {}", said.1));
        rest = &rest[at + part.len()..];
    }
}

fn is_foreseen(state: &str) {
    let cgi = Cgi::new(&config(state));
    let from = |address| ["--client-ip", address];
    let test = |login, rest: &[&str], password| {
        let words = [&["test", login], rest].concat();
        run(&cgi.0, &words, password)
    };
    says(
        &test("alice", &from("192.0.2.10"), "secret-right"),
        0,
        &[
            "password: right",
            "throttle: no failures are counted\n",
            "Auth-Status: OK\n",
        ],
    );
    cgi.fail("192.0.2.10", "alice", 8);
    let before = list(&cgi.0);
    let until = before
        .lines()
        .find_map(|line| line.strip_prefix("refused until="))
        .and_then(|line| line.split(' ').next())
        .unwrap();
    let throttled = format!("nginx would get: throttled until {until} (this login from there)\n");
    assert!(until.ends_with('Z'), "{until}");
    for login in ["alice", "ALICE "] {
        says(
            &test(login, &from("192.0.2.10"), "secret-right"),
            1,
            &[
                "throttle: slowed wait=15 failures=8",
                " network=192.0.2.10/32\n",
                "throttle: refused until=",
                " network=192.0.2.10/32 login=\"alice\"\n",
                &throttled,
                "\nAuth-Status: Invalid login or password\nAuth-Wait: 15\n",
            ],
        );
    }
    says(
        &test("alice", &from("192.0.2.10"), "secret-wrong"),
        1,
        &["refused: wrong-password", &throttled],
    );
    says(
        &run(&cgi.0, &["route", "alice", "--client-ip", "192.0.2.10"], ""),
        1,
        &["mail server: 192.0.2.1:143", &throttled],
    );
    // From elsewhere the login is slowed down, and gets in.
    says(
        &test("alice", &from("192.0.2.11"), "secret-right"),
        0,
        &[
            "throttle: slowed wait=15 failures=8",
            " login=\"alice\"\n",
            "Auth-Status: OK\n",
        ],
    );
    says(
        &test("alice", &[], "secret-right"),
        0,
        &[
            "throttle: without --client-ip, only",
            "slowed wait=15",
            "Auth-Status: OK\n",
        ],
    );
    says(
        &run(&cgi.0, &["route", "bob", "--client-ip", "192.0.2.12"], ""),
        0,
        &["throttle: no failures are counted\n"],
    );
    assert_eq!(list(&cgi.0), before, "something was counted");
    // The whole network, and the login from anywhere.
    cgi.fail("192.0.2.20", "bob", 1);
    for (keys, rest, what) in [
        (
            "refuse-network = 1",
            &from("192.0.2.20")[..],
            "(the network)",
        ),
        ("refuse-login = 1", &[][..], "(the login)"),
    ] {
        cgi.0
            .write("auth.toml", config(&format!("{state}{keys}\n")));
        let login = if rest.is_empty() { "bob" } else { "carol" };
        let words = [&["route", login], rest].concat();
        says(&run(&cgi.0, &words, ""), 1, &["throttled until 20", what]);
    }
    let allowed = format!("{state}always-allow = [\"192.0.2.0/24\"]\n");
    cgi.0.write("auth.toml", config(&allowed));
    says(
        &test("alice", &from("192.0.2.10"), "secret-right"),
        0,
        &[
            "throttle: nothing is counted from there (always-allow)",
            "Auth-Status: OK\n",
        ],
    );
    // Nothing shows that it is nginx who says where clients come from.
    let open = config(state).replace(&format!("[nginx]\nkey = \"{KEY}\"\n"), "");
    cgi.0.write("auth.toml", open);
    says(
        &test("alice", &from("192.0.2.10"), "secret-right"),
        0,
        &[
            "throttle: only the login is counted",
            "slowed wait=15",
            "Auth-Status: OK\n",
        ],
    );
}

#[test]
fn from_a_file() {
    let folder = TempDir::new();
    is_foreseen(&format!(
        "state = \"sqlite:{}/throttle.db\"\n",
        folder.path().display()
    ));
}

#[test]
fn from_redis() {
    let redis = Redis::start();
    is_foreseen(&redis.keys());
}

#[test]
fn nothing_is_made_or_removed_by_a_look() {
    let folder = TempDir::new();
    let file = folder.path().join("throttle.db");
    let cgi = Cgi::new(&config(&format!("state = \"sqlite:{}\"\n", file.display())));
    says(
        &run(&cgi.0, &["test", "alice"], "secret-right"),
        0,
        &["throttle: no failures are counted\n", "Auth-Status: OK\n"],
    );
    assert!(!file.exists());
    let damaged = [&b"SQLite format 3\0"[..], &[7; 5000]].concat();
    std::fs::write(&file, &damaged).unwrap();
    says(
        &run(&cgi.0, &["route", "alice"], ""),
        0,
        &["throttle: the counts cannot be read: ", "throttle.db: "],
    );
    assert_eq!(std::fs::read(&file).unwrap(), damaged);
}

#[test]
fn counts_that_cannot_be_read_are_said() {
    let port = crate::e2e::process::free_port(std::net::Ipv4Addr::LOCALHOST);
    let state = format!("state = \"redis://127.0.0.1:{port}\"\n");
    let cannot = "throttle: the counts cannot be read: redis://127.0.0.1:";
    let cgi = Cgi::new(&config(&state));
    says(
        &run(&cgi.0, &["test", "alice"], "secret-right"),
        0,
        &[cannot, "Auth-Status: OK\n"],
    );
    let refusing = config(&format!("{state}without-state = \"refuse\"\n"));
    cgi.0.write("auth.toml", refusing);
    says(
        &run(&cgi.0, &["test", "alice"], "secret-right"),
        1,
        &[cannot, "nginx would get: the temporary failure", TEMPORARY],
    );
    says(
        &run(&cgi.0, &["route", "alice"], ""),
        1,
        &[cannot, "nginx would get: the temporary failure"],
    );
    cgi.0.write("auth.toml", config(""));
    says(
        &run(&cgi.0, &["test", "alice"], "secret-right"),
        0,
        &[
            "throttle: the counts are in the memory of the server",
            "Auth-Status: OK\n",
        ],
    );
}
