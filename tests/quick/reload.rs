//! Changed files while the program serves: what counts when, and what holds up what.

#[cfg(feature = "servers")]
use crate::support::silent::*;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::process::wait_until;
use crate::support::serving::{REFUSED, Serving, accepted};
use crate::support::temp_dir::TempDir;

const CONFIG: &str = "[[users]]\nstore = \"file\"\npath = \"users\"\nallow-weak-schemes = true\n\
                      [routes]\ndefault = \"192.0.2.1\"\n";

const HOST: &str = "192.0.2.1";

/// Asks until the answer is this one; how long that took.
#[track_caller]
fn until(server: &Serving, login: &str, password: &str, wanted: &str) -> Duration {
    let start = Instant::now();
    wait_until(wanted, || server.ask(login, password) == wanted);
    start.elapsed()
}

/// Changes the times of a file again and again until it is dropped.
struct Touching {
    done: &'static AtomicBool,
    thread: Option<thread::JoinHandle<()>>,
}

impl Touching {
    fn new(path: &Path) -> Self {
        let done: &'static AtomicBool = Box::leak(Box::default());
        let file = OpenOptions::new().append(true).open(path).unwrap();
        let thread = thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                file.set_modified(std::time::SystemTime::now()).unwrap();
                thread::sleep(Duration::from_millis(100));
            }
        });
        Self {
            done,
            thread: Some(thread),
        }
    }
}

impl Drop for Touching {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// A second, and as much again for a machine that is busy otherwise. With the three databases alone
/// it would be 12 s.
#[cfg(feature = "servers")]
const SOON: Duration = Duration::from_secs(3);

#[cfg(feature = "servers")]
#[test]
fn a_removal_waits_for_no_database_no_name_and_no_other_file() {
    let silent = Silent::new(3);
    let config = format!(
        "{}{CONFIG}[hosts]\nlost = {{ address = \"no-such-host.invalid\" }}\n",
        silent.stores()
    );
    let users = "alice:{PLAIN}one\nbob:{PLAIN}two\n";
    let dir = TempDir::new();
    dir.write("users", users);
    for server in [
        Serving::listening(&config, users),
        Serving::inheriting_in(dir, &config),
    ] {
        until(&server, "alice", "one", &accepted(HOST));
        let _touching = Touching::new(&server.dir.path().join("auth.toml"));
        for round in 0..2 {
            server.replace("users", "bob:{PLAIN}two\n");
            if round % 2 == 1 {
                server.signal(Signal::HUP);
            }
            let took = until(&server, "alice", "one", REFUSED);
            assert!(took < SOON, "{took:?}\n{}", server.log());
            server.replace("users", users);
            until(&server, "alice", "one", &accepted(HOST));
        }
    }
}

#[cfg(feature = "servers")]
#[test]
fn a_store_that_has_not_changed_is_kept_and_a_new_one_is_hardly_waited_for() {
    let (silent, others) = (Silent::new(3), Silent::new(3));
    // In the sandbox it could reach no other ports than at the start.
    let config = |silent: &Silent, host: &str| {
        let rest = CONFIG.replace(HOST, host);
        format!("{}{rest}[process]\nsandbox = \"off\"\n", silent.stores())
    };
    let users = "alice:{PLAIN}one\n";
    let server = Serving::listening(&config(&silent, HOST), users);
    assert_eq!(server.ask("alice", "one"), accepted(HOST));
    let connections = silent.connections.load(Ordering::SeqCst);
    assert_eq!(connections, 3);

    server.replace("auth.toml", &config(&silent, "192.0.2.2"));
    let took = until(&server, "alice", "one", &accepted("192.0.2.2"));
    assert!(took < SOON, "{took:?}");
    assert_eq!(silent.connections.load(Ordering::SeqCst), connections);

    // Other databases, which do not answer either: the rest is still loaded.
    server.replace("auth.toml", &config(&others, "192.0.2.3"));
    let took = until(&server, "alice", "one", &accepted("192.0.2.3"));
    assert!(took < SOON + Duration::from_secs(1), "{took:?}");
    assert_eq!(others.connections.load(Ordering::SeqCst), 3);
    let log = server.log();
    assert!(
        log.contains("no answer yet; it is retried at each login"),
        "{log}"
    );
}

#[test]
fn a_file_that_is_touched_all_the_time_is_loaded_all_the_same() {
    let server = Serving::listening(CONFIG, "alice:{PLAIN}one\nbob:{PLAIN}two\n");
    let users = server.dir.path().join("users");
    let _touching = Touching::new(&users);
    // In its place, as another file would not be touched.
    fs::write(&users, "bob:{PLAIN}two\n").unwrap();
    let took = until(&server, "alice", "one", REFUSED);
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn a_broken_file_holds_up_no_other_one() {
    let more = "[[users]]\nstore = \"file\"\npath = \"more\"\nallow-weak-schemes = true\n";
    let dir = TempDir::new();
    dir.write("more", "carol:{PLAIN}three\n");
    let users = "alice:{PLAIN}one\nbob:{PLAIN}two\n";
    let server = Serving::listening_in(dir, &format!("{more}{CONFIG}"), users);
    assert_eq!(server.ask("carol", "three"), accepted(HOST));
    server.replace("auth.toml", "[[users]]\nstore = \"fiel\"\n");
    fs::remove_file(server.dir.path().join("more")).unwrap();
    server.replace("users", "bob:{PLAIN}two\n");
    until(&server, "alice", "one", REFUSED);
    wait_until("both reports", || {
        assert_eq!(server.ask("carol", "three"), accepted(HOST));
        assert_eq!(server.ask("bob", "two"), accepted(HOST));
        server
            .log()
            .matches("the previous version stays in force")
            .count()
            >= 2
    });
    // Corrected one after the other.
    server.replace("more", "carol:{PLAIN}four\n");
    until(&server, "carol", "four", &accepted(HOST));
    server.replace(
        "auth.toml",
        &format!("{more}{}", CONFIG.replace(HOST, "192.0.2.2")),
    );
    until(&server, "carol", "four", &accepted("192.0.2.2"));
    assert_eq!(server.ask("alice", "one"), REFUSED);
}

#[test]
fn a_fifo_in_the_place_of_a_file_holds_up_no_other_one() {
    let dir = TempDir::new();
    dir.write("key", "0123456789abcdef\n");
    let config = format!("[nginx]\nkey-file = \"key\"\n{CONFIG}");
    let server = Serving::listening_in(dir, &config, "alice:{PLAIN}one\nbob:{PLAIN}two\n");
    let ask = |login: &str, password: &str| {
        server.answer(&[
            ("HTTP_AUTH_USER", login),
            ("HTTP_AUTH_PASS", password),
            ("HTTP_AUTH_PROTOCOL", "imap"),
            ("HTTP_X_AUTH_KEY", "0123456789abcdef"),
        ])
    };
    wait_until("alice", || ask("alice", "one") == accepted(HOST));
    for (name, content) in [
        ("key", "0123456789abcdef\n"),
        ("auth.toml", config.as_str()),
        ("users", "alice:{PLAIN}one\nbob:{PLAIN}two\n"),
    ] {
        let path = server.dir.path().join(name);
        fs::remove_file(&path).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
        let said = server.log().len();
        server.signal(Signal::HUP);
        wait_until("the report", || {
            assert_eq!(ask("alice", "one"), accepted(HOST));
            server.log()[said..].contains("is not a regular file")
        });
        if name != "users" {
            server.replace("users", "bob:{PLAIN}two\n");
            wait_until("alice is out", || ask("alice", "one") == REFUSED);
            server.replace("users", "alice:{PLAIN}one\nbob:{PLAIN}two\n");
            wait_until("alice is in", || ask("alice", "one") == accepted(HOST));
        }
        server.replace(name, content);
    }
    server.replace("users", "bob:{PLAIN}two\n");
    wait_until("alice is out", || ask("alice", "one") == REFUSED);
}

/// Writes half a file in place, sends requests during a pause, and writes the rest.
#[track_caller]
fn in_halves(server: &Serving, name: &str, [first, rest]: [&str; 2], mut meanwhile: impl FnMut()) {
    let mut file = File::create(server.dir.path().join(name)).unwrap();
    file.write_all(first.as_bytes()).unwrap();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2500) {
        server.signal(Signal::HUP);
        meanwhile();
        thread::sleep(Duration::from_millis(100));
    }
    file.write_all(rest.as_bytes()).unwrap();
}

#[test]
fn half_a_line_is_never_in_force() {
    let apps = CONFIG.replace("[routes]", "app-passwords-path = \"apps\"\n[routes]");
    let dir = TempDir::new();
    dir.write("apps", "alice:{PLAIN}app:phone\n");
    let server = Serving::listening_in(dir, &apps, "alice:{PLAIN}one\n");
    assert_eq!(server.ask("alice", "one"), accepted(HOST));

    let halves = ["alice:{PLAIN}one\nbob:{PLAIN}two::::::", " nologin\n"];
    in_halves(&server, "users", halves, || {
        assert_eq!(server.ask("bob", "two"), REFUSED);
        assert_eq!(server.ask("alice", "one"), accepted(HOST));
    });
    let log = server.log();
    assert!(
        log.contains("users: its last line has no line feed"),
        "{log}"
    );
    wait_until("the whole", || {
        assert_eq!(server.ask("bob", "two"), REFUSED);
        server.log().contains("users: loaded")
    });

    let halves = ["alice:{PLAIN}two:laptop:", "expires=2001-01-01\n"];
    in_halves(&server, "apps", halves, || {
        assert_eq!(server.ask("alice", "two"), REFUSED);
        assert_eq!(server.ask("alice", "app"), accepted(HOST));
    });
    until(&server, "alice", "app", REFUSED);
    assert_eq!(server.ask("alice", "two"), REFUSED);

    // It would do without its last line feed.
    let other = apps.replace(HOST, "192.0.2.2");
    in_halves(&server, "auth.toml", [other.trim_end(), "\n"], || {
        assert_eq!(server.ask("alice", "one"), accepted(HOST));
    });
    until(&server, "alice", "one", &accepted("192.0.2.2"));
}

#[test]
fn half_a_key_is_never_in_force() {
    let dir = TempDir::new();
    dir.write("key", "0123456789abcdef\n");
    let config = format!("[nginx]\nkey-file = \"key\"\n{CONFIG}");
    let server = Serving::listening_in(dir, &config, "alice:{PLAIN}one\n");
    let ask = |key: &str| {
        server.answer(&[
            ("HTTP_AUTH_USER", "alice"),
            ("HTTP_AUTH_PASS", "one"),
            ("HTTP_AUTH_PROTOCOL", "imap"),
            ("HTTP_X_AUTH_KEY", key),
        ])
    };
    wait_until("the key", || ask("0123456789abcdef") == accepted(HOST));
    let halves = ["fedcba9876543210", "0123456789\n"];
    in_halves(&server, "key", halves, || {
        assert_eq!(ask("fedcba9876543210"), REFUSED);
        assert_eq!(ask("0123456789abcdef"), accepted(HOST));
    });
    wait_until("the whole", || {
        ask("fedcba98765432100123456789") == accepted(HOST)
    });
    assert_eq!(ask("0123456789abcdef"), REFUSED);
}

#[test]
fn a_file_without_a_line_feed_at_its_end_counts_once_it_is_left_alone() {
    let server = Serving::listening(CONFIG, "alice:{PLAIN}one");
    // At the start it is taken as it is.
    assert_eq!(server.ask("alice", "one"), accepted(HOST));
    assert!(server.log().contains("the last line has no line feed"));
    server.replace("users", "bob:{PLAIN}two");
    server.replace("auth.toml", CONFIG.replace(HOST, "192.0.2.2").trim_end());
    // Also if it is touched: it keeps its size.
    let _touching = Touching::new(&server.dir.path().join("users"));
    let start = Instant::now();
    wait_until("both", || {
        let in_force = server.ask("bob", "two") == accepted("192.0.2.2");
        assert!(!in_force || start.elapsed() > Duration::from_secs(9));
        in_force
    });
    assert_eq!(server.ask("alice", "one"), REFUSED);
}

/// A second, and much more for a machine that is busy otherwise; without it, it would be ten.
const NOTICED: Duration = Duration::from_secs(6);

#[track_caller]
fn soon(what: &str, so: impl FnMut() -> bool) {
    let start = Instant::now();
    wait_until(what, so);
    let took = start.elapsed();
    assert!(took < NOTICED, "{what}: {took:?}");
}

/// A user who can write a file, or a folder on the way to it, could accept any login.
#[test]
fn a_changed_owner_or_mode_of_a_file_or_a_folder_counts_within_a_second() {
    let config = CONFIG.replace("\"users\"", "\"more/folder/users\"");
    for line_feed in ["\n", ""] {
        let dir = TempDir::new();
        fs::create_dir_all(dir.path().join("more/folder")).unwrap();
        dir.write(
            "more/folder/users",
            format!("alice:{{PLAIN}}one{line_feed}"),
        );
        dir.write("more/folder/key", format!("0123456789abcdef{line_feed}"));
        let keyed = format!("{config}[nginx]\nkey-file = \"more/folder/key\"\n");
        let server = Serving::listening_in(dir, &keyed, "");
        let ask = || {
            server.answer(&[
                ("HTTP_AUTH_USER", "alice"),
                ("HTTP_AUTH_PASS", "one"),
                ("HTTP_AUTH_PROTOCOL", "imap"),
                ("HTTP_X_AUTH_KEY", "0123456789abcdef"),
            ])
        };
        let count = |words: &str| {
            // Files are looked at as requests come. What was loaded stays in force.
            assert_eq!(ask(), accepted(HOST));
            server.log().matches(words).count()
        };
        for (name, bad, good, complaint) in [
            (
                "more/folder/users",
                0o622,
                0o600,
                "more/folder/users: may be written",
            ),
            (
                "more/folder/key",
                0o602,
                0o640,
                "more/folder/key: may be written",
            ),
            ("auth.toml", 0o666, 0o644, "auth.toml: may be written"),
            ("more/folder", 0o757, 0o755, "more/folder may be written"),
            ("more", 0o775, 0o711, "more may be written"),
        ] {
            let path = server.dir.path().join(name);
            let mode = |mode| fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let complaints = count(complaint);
            mode(bad);
            soon(complaint, || count(complaint) > complaints);
            let loads = count(": loaded");
            mode(good);
            soon(&format!("{name} is good again"), || {
                count(": loaded") > loads
            });
        }
        if rustix::process::geteuid().is_root() {
            let path = server.dir.path().join("more/folder/users");
            let complaint = "more/folder/users: belongs to user 65534";
            chown(&path, Some(65534), None).unwrap();
            soon(complaint, || count(complaint) > 0);
            let loads = count(": loaded");
            chown(&path, Some(0), None).unwrap();
            soon("its owner is root again", || count(": loaded") > loads);
        }
    }
}

/// A file that was refused at the start is watched like the others.
#[test]
fn what_keeps_a_server_from_its_first_configuration_is_watched() {
    let config = format!("{CONFIG}[nginx]\nkey-file = \"more/key\"\n");
    for (name, bad, good) in [("more/key", 0o666, 0o600), ("more", 0o777, 0o755)] {
        let dir = TempDir::new();
        fs::create_dir(dir.path().join("more")).unwrap();
        dir.write("users", "alice:{PLAIN}one\n");
        dir.write("more/key", "0123456789abcdef\n");
        let path = dir.path().join(name);
        let mode = |mode| fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        mode(bad);
        let server = Serving::inheriting_in(dir, &config);
        server.ask("alice", "one");
        let complaint = "may be written by others";
        wait_until(complaint, || server.log().contains(complaint));
        mode(good);
        soon(&format!("{name} is good"), || {
            server.ask("alice", "one") == REFUSED
        });
    }
}
