//! What the service manager gets to know, by a socket such as that of systemd.

use std::fs::{self, Permissions};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::process::wait_until;
use crate::support::serving::Serving;
use crate::support::temp_dir::TempDir;

const CONFIG: &str = r#"
[[users]]
store = "file"
path = "users"
allow-weak-schemes = true
[routes]
default = "192.0.2.1"
"#;

const READY: &str = "READY=1\nSTATUS=Answering; configuration of 20";

/// The socket of the manager, and its address for the environment.
struct Manager {
    socket: UnixDatagram,
    address: String,
}

impl Manager {
    fn at_path(dir: &TempDir) -> Self {
        let path = dir.path().join("notify");
        Self {
            socket: UnixDatagram::bind(&path).unwrap(),
            address: path.display().to_string(),
        }
    }

    fn abstract_at(dir: &TempDir) -> Self {
        let name = dir.path().display().to_string();
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        Self {
            socket: UnixDatagram::bind_addr(&address).unwrap(),
            address: format!("@{name}"),
        }
    }

    /// The next message.
    fn next(&self) -> String {
        let mut bytes = [0; 4096];
        let limit = Some(Duration::from_secs(20));
        self.socket.set_read_timeout(limit).unwrap();
        let count = self.socket.recv(&mut bytes).expect("a message");
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    /// The next message that begins like this; others are passed over.
    fn next_with(&self, start: &str) -> String {
        loop {
            let message = self.next();
            if message.starts_with(start) {
                return message;
            }
        }
    }
}

fn serve(dir: TempDir, more: impl FnOnce(&mut Command)) -> Serving {
    dir.write("auth.toml", CONFIG);
    dir.write("users", "alice:{PLAIN}one\n");
    Serving::in_folder(dir, more)
}

fn monotonic() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1000
}

#[test]
fn the_manager_is_told_of_start_reload_and_end_from_the_sandbox() {
    for at in [Manager::at_path, Manager::abstract_at] {
        let dir = TempDir::new();
        let manager = at(&dir);
        let mut server = serve(dir, |command| {
            command.env("NOTIFY_SOCKET", &manager.address);
        });
        assert!(server.log().contains("sandbox: "), "{}", server.log());
        let first = manager.next();
        assert!(first.starts_with(READY), "{first}");
        let before = monotonic();
        server.signal(Signal::HUP);
        let message = manager.next();
        let rest = message.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        let (micros, status) = rest.unwrap().split_once('\n').unwrap();
        let micros: i64 = micros.parse().unwrap();
        assert!((before..=monotonic()).contains(&micros), "{message}");
        assert_eq!(status, "STATUS=Loading changed files");
        manager.next_with(READY);
        server.replace("auth.toml", &CONFIG.replace("path", "pth"));
        server.signal(Signal::HUP);
        manager.next_with("RELOADING=1\n");
        let broken = manager.next_with("READY=1\n");
        let kept = "auth.toml has changed and cannot be used, the previous version stays in force: see the log";
        assert!(broken.ends_with(kept), "{broken}");
        server.signal(Signal::TERM);
        let end = manager.next_with("STOPPING=1\n");
        assert_eq!(
            end,
            "STOPPING=1\nSTATUS=Ending after SIGTERM: answering the last requests"
        );
        wait_until("its end", || server.ended().is_some());
        assert!(server.ended().unwrap().success());
    }
}

#[test]
fn the_status_changes_with_the_files_also_without_a_signal() {
    let dir = TempDir::new();
    let manager = Manager::at_path(&dir);
    let server = serve(dir, |command| {
        command.env("NOTIFY_SOCKET", &manager.address);
    });
    manager.next_with(READY);
    let users = server.dir.path().join("users");
    fs::set_permissions(&users, Permissions::from_mode(0o666)).unwrap();
    wait_until("the file is reported", || {
        server.ask("alice", "one");
        server.log().contains("stays in force")
    });
    let status = manager.next_with("STATUS=");
    let failed = "; password files that cannot be loaded: 1, see the log";
    assert!(status.ends_with(failed), "{status}");
    server.replace("users", "alice:{PLAIN}two\n");
    wait_until("it is loaded", || {
        server.ask("alice", "two").contains("Auth-Status: OK")
    });
    let status = manager.next_with("STATUS=");
    assert!(status.starts_with(&READY["READY=1\n".len()..]), "{status}");
    assert!(!status.contains("cannot be loaded"), "{status}");
}

#[test]
fn the_watchdog_hears_from_the_server_if_it_asks_this_process() {
    let dir = TempDir::new();
    let manager = Manager::at_path(&dir);
    let _server = serve(dir, |command| {
        let ask = [
            ("NOTIFY_SOCKET", manager.address.as_str()),
            ("WATCHDOG_USEC", "20000"),
        ];
        command.envs(ask);
    });
    for _ in 0..3 {
        assert_eq!(manager.next_with("WATCHDOG=1"), "WATCHDOG=1");
    }
    // For another process.
    let dir = TempDir::new();
    let manager = Manager::at_path(&dir);
    let mut server = serve(dir, |command| {
        let ask = [
            ("NOTIFY_SOCKET", manager.address.as_str()),
            ("WATCHDOG_USEC", "1000"),
            ("WATCHDOG_PID", "1"),
        ];
        command.envs(ask);
    });
    manager.next_with(READY);
    server.signal(Signal::TERM);
    assert!(manager.next().starts_with("STOPPING=1\n"));
    wait_until("its end", || server.ended().is_some());
}

#[test]
fn a_server_goes_on_without_a_manager_that_can_be_reached() {
    for address in ["/nowhere/notify", "vsock:2:1", "@nma-nobody-listens"] {
        let server = serve(TempDir::new(), |command| {
            command.env("NOTIFY_SOCKET", address);
        });
        assert!(server.ask("alice", "one").contains("Auth-Status: OK"));
        let said = format!("cannot connect to NOTIFY_SOCKET \"{address}\": ");
        assert!(server.log().contains(&said), "{}", server.log());
    }
}

/// mod_fcgid or spawn-fcgi started it: the manager's socket is that of the web server.
#[test]
fn a_process_of_a_web_server_tells_the_manager_nothing() {
    let dir = TempDir::new();
    dir.write("users", "alice:{PLAIN}one\n");
    let manager = Manager::at_path(&dir);
    let server = Serving::inheriting_with(dir, CONFIG, &[("NOTIFY_SOCKET", &manager.address)]);
    assert!(server.ask("alice", "one").contains("Auth-Status: OK"));
    manager.socket.set_nonblocking(true).unwrap();
    assert!(manager.socket.recv(&mut [0; 16]).is_err());
    assert!(Path::new(&manager.address).exists());
}
