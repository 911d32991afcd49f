//! The program as a FastCGI server: what it loads, reloads and survives.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::fcgi::wire::{Client, request};
use crate::util::{self, Log, TempDir};

pub(crate) const REFUSED: &str = "Auth-Status: Invalid login or password\n\n";
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

/// A server on a Unix socket; killed when it goes.
pub(crate) struct Serving {
    child: Child,
    /// Before the folder, which looks for passwords in it.
    log: Log,
    pub(crate) dir: TempDir,
}

impl Serving {
    fn command(dir: &TempDir) -> Command {
        let mut command = util::program();
        let log = File::create(dir.path().join("log")).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        command.arg("--config").arg(dir.path().join("auth.toml"));
        command
    }

    /// By `serve --listen`.
    pub(crate) fn listening(config: &str, users: &str) -> Self {
        Self::listening_in(TempDir::new(), config, users)
    }

    /// In a folder that has files already.
    pub(crate) fn listening_in(dir: TempDir, config: &str, users: &str) -> Self {
        dir.write("auth.toml", config);
        dir.write("users", users);
        let address = format!("unix:{}", dir.path().join("socket").display());
        let serving = Self::started(dir, |command| {
            command.args(["serve", "--listen", &address]);
        });
        wait_until("it listens", || {
            UnixStream::connect(serving.socket()).is_ok()
        });
        serving
    }

    /// With a listening socket as descriptor 0, as mod_fcgid and spawn-fcgi start it.
    pub(crate) fn inheriting(config: &str) -> Self {
        Self::inheriting_with(TempDir::new(), config, &[])
    }

    /// The same in a folder that has files already.
    pub(crate) fn inheriting_in(dir: TempDir, config: &str) -> Self {
        Self::inheriting_with(dir, config, &[])
    }

    /// The same, with more in its environment.
    pub(crate) fn inheriting_with(
        dir: TempDir,
        config: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        dir.write("auth.toml", config);
        let listener = UnixListener::bind(dir.path().join("socket")).unwrap();
        Self::started(dir, |command| {
            command
                .stdin(OwnedFd::from(listener))
                .envs(environment.iter().copied());
        })
    }

    /// Started as the caller says, with its configuration and log in this folder.
    pub(crate) fn started(dir: TempDir, how: impl FnOnce(&mut Command)) -> Self {
        let mut command = Self::command(&dir);
        let (log, writer) = Log::to(dir.path().join("log"));
        command.stderr(writer);
        how(&mut command);
        let child = command.spawn().unwrap();
        Self { child, log, dir }
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    pub(crate) fn ask(&self, login: &str, password: &str) -> String {
        ask(&self.socket(), login, password)
    }

    /// The answer to these variables.
    pub(crate) fn answer(&self, variables: &[(&str, &str)]) -> String {
        let mut client = Client::from(UnixStream::connect(self.socket()).unwrap());
        client.send(&request(1, false, variables));
        client.answer().0
    }

    /// Puts a file in place whole, as an administrator should.
    pub(crate) fn replace(&self, name: &str, content: &str) {
        let new = self.dir.write("new", content);
        fs::rename(new, self.dir.path().join(name)).unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Serving {
    /// Whether it has ended; with which status.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask(socket: &Path, login: &str, password: &str) -> String {
    let mut client = Client::from(UnixStream::connect(socket).unwrap());
    client.send(&request(
        1,
        false,
        &[
            ("HTTP_AUTH_USER", login),
            ("HTTP_AUTH_PASS", password),
            ("HTTP_AUTH_PROTOCOL", "imap"),
            ("HTTP_CLIENT_IP", "192.0.2.7"),
        ],
    ));
    client.answer().0
}

pub(crate) fn accepted(address: &str) -> String {
    format!("Auth-Status: OK\nAuth-Server: {address}\nAuth-Port: 143\n\n")
}

#[track_caller]
pub(crate) fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "waited for: {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

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
fn who_was_taken_out_is_not_let_in_once_more() {
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
        // Another look finds the same and says nothing.
        let looked = Instant::now();
        wait_until("some looks", || {
            assert_eq!(server.ask("alice", "one"), accepted("192.0.2.1"));
            looked.elapsed() > Duration::from_millis(1200)
        });
        let reports = reports();
        assert_eq!(reports.len(), 1, "{reports:?}");
        assert!(reports[0].contains(place), "{place}: {reports:?}");
        assert!(
            reports[0].ends_with("the version before stays in force"),
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
/// would let somebody in with the other's, or lead to the other's host.
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
fn who_does_not_show_the_key_is_refused_and_named() {
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
