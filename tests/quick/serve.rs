//! The program as a FastCGI server: what it loads, reloads and survives.

use crate::support::process::wait_until;
use crate::support::serving::*;
use std::fs::{self};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::fastcgi::{Client, request};
use crate::support::temp_dir::TempDir;

const TEMPORARY: &str = "Auth-Status: Temporary server problem, try again later\n\n";

/// Users in a file, and two hosts.
const CONFIG: &str = r#"
[[users]]
store = "file"
path = "users"
allow-weak-schemes = true
[routes]
default = "192.0.2.1"
"#;

#[test]
fn a_changed_password_file_counts_without_a_signal() {
    let server = Serving::listening(CONFIG, "alice:{PLAIN}one\n");
    assert_eq!(server.ask("alice", "one"), accepted("192.0.2.1"));
    assert_eq!(server.ask("bob", "two"), REFUSED);
    server.replace("users", "bob:{PLAIN}two:::::: host=192.0.2.9 user=robert\n");
    wait_until("bob is known", || server.ask("bob", "two") != REFUSED);
    assert_eq!(
        server.ask("bob", "two"),
        "Auth-Status: OK\nAuth-Server: 192.0.2.9\nAuth-Port: 143\nAuth-User: robert\n\n"
    );
    assert_eq!(server.ask("alice", "one"), REFUSED);
}

#[test]
fn a_removed_user_is_never_accepted_again() {
    let server = Serving::listening(CONFIG, "alice:{PLAIN}one\nbob:{PLAIN}two\n");
    assert_eq!(server.ask("alice", "one"), accepted("192.0.2.1"));
    server.replace("users", "bob:{PLAIN}two\n");
    let start = Instant::now();
    wait_until("more than a second", || {
        start.elapsed() > Duration::from_millis(1200)
    });
    // The first request since then.
    assert_eq!(server.ask("alice", "one"), REFUSED);
}

#[test]
fn a_changed_configuration_counts_without_a_signal_and_at_once_with_one() {
    let server = Serving::listening(CONFIG, "alice:{PLAIN}one\n");
    assert_eq!(server.ask("alice", "one"), accepted("192.0.2.1"));
    server.replace("auth.toml", &CONFIG.replace("192.0.2.1", "192.0.2.2"));
    wait_until("the new host", || {
        server.ask("alice", "one") == accepted("192.0.2.2")
    });
    server.replace("auth.toml", &CONFIG.replace("192.0.2.1", "192.0.2.3"));
    server.signal(Signal::HUP);
    wait_until("the new host", || {
        server.ask("alice", "one") == accepted("192.0.2.3")
    });
}

#[test]
fn a_broken_version_is_reported_once_with_its_place_and_the_old_one_stays() {
    let server = Serving::listening(CONFIG, "alice:{PLAIN}one\n");
    for (name, broken, place) in [
        (
            "auth.toml",
            "[[users]]\nstore = \"accept\"\n[routes\n",
            "auth.toml:3:8: ",
        ),
        (
            "auth.toml",
            &CONFIG.replace("default", "defualt"),
            "auth.toml:7:1: routes.defualt: ",
        ),
    ] {
        server.replace("users", "alice:{PLAIN}one\n");
        server.replace("auth.toml", CONFIG);
        server.signal(Signal::HUP);
        wait_until("the good one", || {
            server.ask("alice", "one") == accepted("192.0.2.1")
        });
        let before = server.log().len();
        server.replace(name, broken);
        let reports = || {
            let log = server.log();
            let lines = log[before..]
                .lines()
                .filter(|line| line.contains(" ERROR "));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        wait_until("the report", || {
            assert_eq!(server.ask("alice", "one"), accepted("192.0.2.1"));
            !reports().is_empty()
        });
        // Another check finds the same and logs nothing.
        let looked = Instant::now();
        wait_until("some looks", || {
            assert_eq!(server.ask("alice", "one"), accepted("192.0.2.1"));
            looked.elapsed() > Duration::from_millis(1200)
        });
        let reports = reports();
        assert_eq!(reports.len(), 1, "{reports:?}");
        assert!(reports[0].contains(place), "{place}: {reports:?}");
        assert!(
            reports[0].ends_with("the previous version stays in force"),
            "{reports:?}"
        );
    }
}

#[test]
fn a_file_that_others_may_write_is_not_taken() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Serving::listening(CONFIG, "alice:{PLAIN}one\n");
    let users = server.dir.write("new", "alice:{PLAIN}two\n");
    fs::set_permissions(&users, fs::Permissions::from_mode(0o666)).unwrap();
    fs::rename(users, server.dir.path().join("users")).unwrap();
    wait_until("the report", || {
        assert_eq!(server.ask("alice", "one"), accepted("192.0.2.1"));
        server.log().contains("may be written by others")
    });
    assert_eq!(server.ask("alice", "two"), REFUSED);
}

/// Both versions let alice in with one password and bob with another; an answer that mixed them
/// would accept a login with the password of the other, or choose the host of the other.
#[test]
fn no_answer_mixes_versions_and_no_request_fails_while_files_change() {
    let server = Serving::listening(CONFIG, "alice:{PLAIN}one:::::: host=192.0.2.11\n");
    let done = AtomicBool::new(false);
    let asked = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let one = server.ask("alice", "one");
                    assert!(one == accepted("192.0.2.11") || one == REFUSED, "{one}");
                    let two = server.ask("alice", "two");
                    assert!(two == accepted("192.0.2.22") || two == REFUSED, "{two}");
                    asked.fetch_add(2, Ordering::Relaxed);
                }
            });
        }
        for round in 0..1000 {
            let (word, host) = if round % 2 == 0 {
                ("two", "22")
            } else {
                ("one", "11")
            };
            if round % 10 == 9 {
                server.replace("users", "broken");
            } else {
                let users = format!("alice:{{PLAIN}}{word}:::::: host=192.0.2.{host}\n");
                server.replace("users", &users);
            }
            server.signal(Signal::HUP);
            let before = asked.load(Ordering::Relaxed);
            wait_until("a request", || asked.load(Ordering::Relaxed) > before);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(asked.load(Ordering::Relaxed) > 2000);
}

#[test]
fn serve_ends_with_78_where_the_configuration_is_broken() {
    let dir = TempDir::new();
    dir.write(
        "auth.toml",
        "[[users]]\nstore = \"acept\"\n[ports]\nimap = 0\n[routes]\ndefault = \"192.0.2.1\"\n",
    );
    let address = format!("unix:{}", dir.path().join("socket").display());
    let status = Serving::command(&dir)
        .args(["serve", "--listen", &address])
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(78));
    let log = fs::read_to_string(dir.path().join("log")).unwrap();
    assert!(log.contains("auth.toml:2:9: users.store: "), "{log}");
    assert!(log.contains("auth.toml:4:8: ports.imap: "), "{log}");
    assert!(!dir.path().join("socket").exists());
}

#[test]
fn on_descriptor_0_a_broken_configuration_is_answered_and_looked_at_again() {
    let server = Serving::inheriting("[[users]]\nstore = 1\n");
    assert_eq!(server.ask("alice", "one"), TEMPORARY);
    assert!(
        server.log().contains("auth.toml:2:9: users.store: "),
        "{}",
        server.log()
    );
    server.replace("auth.toml", CONFIG);
    wait_until("the password file is missed", || {
        assert_eq!(server.ask("alice", "one"), TEMPORARY);
        server.log().contains("users: cannot be read")
    });
    server.dir.write("users", "alice:{PLAIN}one\n");
    wait_until("it works", || {
        server.ask("alice", "one") == accepted("192.0.2.1")
    });
}

#[test]
fn with_a_socket_of_systemd_it_answers_until_there_is_a_configuration_and_then_starts_anew() {
    let mut server = Serving::activated(TempDir::new(), "[[users]]\nstore = 1\n");
    assert_eq!(server.ask("alice", "one"), TEMPORARY);
    let log = server.log();
    assert!(log.contains("auth.toml:2:9: users.store: "), "{log}");
    assert_eq!(server.ended(), None);
    server.dir.write("users", "alice:{PLAIN}one\n");
    server.replace("auth.toml", CONFIG);
    wait_until("it works", || {
        server.ask("alice", "one") == accepted("192.0.2.1")
    });
    // It was not in its sandbox.
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert!(
        server.log().contains("this process ends"),
        "{}",
        server.log()
    );
}

#[test]
fn with_a_socket_of_systemd_it_waits_for_a_missing_file_in_its_sandbox() {
    let mut server = Serving::activated(TempDir::new(), CONFIG);
    assert_eq!(server.ask("alice", "one"), TEMPORARY);
    assert!(
        server.log().contains("users: cannot be read"),
        "{}",
        server.log()
    );
    server.dir.write("users", "alice:{PLAIN}one\n");
    wait_until("it works", || {
        server.ask("alice", "one") == accepted("192.0.2.1")
    });
    assert_eq!(server.ended(), None);
}

#[test]
fn it_ends_with_0_and_removes_its_socket() {
    for signal in [Signal::TERM, Signal::INT, Signal::USR1] {
        let mut server = Serving::listening(CONFIG, "alice:{PLAIN}one\n");
        assert_eq!(server.ask("alice", "one"), accepted("192.0.2.1"));
        server.signal(signal);
        assert_eq!(server.child.wait().unwrap().code(), Some(0));
        assert!(!server.socket().exists());
    }
}

#[test]
fn a_request_without_the_key_is_refused_and_logged() {
    let config = format!("[nginx]\nkey = \"marker-key\"\n{CONFIG}");
    let server = Serving::listening(&config, "alice:{PLAIN}one\n");
    let with_key = |key: &str| {
        let mut client = Client::from(UnixStream::connect(server.socket()).unwrap());
        client.send(&request(
            1,
            false,
            &[
                ("HTTP_AUTH_USER", "alice"),
                ("HTTP_AUTH_PASS", "one"),
                ("HTTP_AUTH_PROTOCOL", "imap"),
                ("HTTP_CLIENT_IP", "192.0.2.7"),
                ("REMOTE_ADDR", "192.0.2.66"),
                ("HTTP_X_AUTH_KEY", key),
            ],
        ));
        client.answer().0
    };
    assert_eq!(with_key("marker-key"), accepted("192.0.2.1"));
    assert_eq!(with_key("marker-kez"), REFUSED);
    assert_eq!(server.ask("alice", "one"), REFUSED);
    let log = server.log();
    let line =
        "login=- protocol=imap client=- host=- answer=refused cause=wrong-key peer=192.0.2.66 ";
    assert!(log.contains(line), "{log}");
    assert!(!log.contains("marker"), "{log}");
}

#[test]
fn a_retry_is_offered_up_to_the_last_attempt() {
    let config = format!("[answers]\nretry-wait = 2\nmax-attempts = 3\n{CONFIG}");
    let server = Serving::listening(&config, "alice:{PLAIN}one\n");
    let attempt = |number: &str, method: &str| {
        server.answer(&[
            ("HTTP_AUTH_METHOD", method),
            ("HTTP_AUTH_USER", "alice"),
            ("HTTP_AUTH_PASS", "0123456789abcdef0123456789abcdef"),
            ("HTTP_AUTH_SALT", "<1.2@mail.example>"),
            ("HTTP_AUTH_PROTOCOL", "pop3"),
            ("HTTP_AUTH_LOGIN_ATTEMPT", number),
        ])
    };
    let again = REFUSED.replace("\n\n", "\nAuth-Wait: 2\n\n");
    assert_eq!(attempt("1", "plain"), again);
    assert_eq!(attempt("2", "plain"), again);
    assert_eq!(attempt("3", "plain"), REFUSED);
    // A second try crashes nginx before 1.29.7 (CVE-2026-27651).
    assert_eq!(attempt("1", "cram-md5"), REFUSED);
    assert_eq!(attempt("1", "apop"), REFUSED);
    let wrong = "protocol=pop3 client=- host=- answer=refused cause=wrong-password";
    assert_eq!(server.log().matches(wrong).count(), 5, "{}", server.log());
}

/// Under CGI the environment holds the password, and memory does under FastCGI too.
#[test]
fn others_of_the_same_user_cannot_read_its_environment() {
    let unprivileged = |program: &str| {
        let mut command = Command::new("setpriv");
        if rustix::process::geteuid().is_root() {
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        }
        command
            .arg(program)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    };
    let dir = TempDir::new();
    let listener = UnixListener::bind(dir.path().join("socket")).unwrap();
    let config = dir.write("auth.toml", "");
    let mut child = unprivileged(env!("CARGO_BIN_EXE_nginx-mail-auth"))
        .arg("--config")
        .arg(config)
        .stdin(OwnedFd::from(listener))
        .spawn()
        .unwrap();
    // Its answer shows that it has started.
    assert_eq!(ask(&dir.path().join("socket"), "alice", "one"), TEMPORARY);
    let environ = format!("/proc/{}/environ", child.id());
    let read = unprivileged("cat").arg(&environ).status().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!read.success());
}
