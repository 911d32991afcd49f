//! What `test` and `route` say of counts.

use std::io::Write as _;
use std::process::Stdio;

use crate::support::temp_dir::TempDir;
use crate::support::throttled::*;

/// `test` or `route`, with this password: exit code and output.
pub(crate) fn run(folder: &TempDir, words: &[&str], password: &str) -> (i32, String) {
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

pub(crate) fn list(folder: &TempDir) -> String {
    let output = program_in(folder).args(["throttle", "list"]).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

#[track_caller]
pub(crate) fn says(said: &(i32, String), code: i32, parts: &[&str]) {
    assert_eq!(said.0, code, "{}", said.1);
    let mut rest = said.1.as_str();
    for part in parts {
        let at = rest.find(part);
        let at = at.unwrap_or_else(|| panic!("{part} is not in its place in {}", said.1));
        rest = &rest[at + part.len()..];
    }
}

pub(crate) fn is_foreseen(state: &str) {
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
            "password: correct",
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
            "throttle: failures of this client are not counted (always-allow)",
            "Auth-Status: OK\n",
        ],
    );
    // Nothing proves that the client addresses are from nginx.
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
