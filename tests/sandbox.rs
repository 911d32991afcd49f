//! The sandbox of a server: what is denied, and that everything needed still works.

use std::fs::{self, File};
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use nginx_mail_auth::sys::sandbox::{Need, Sandbox, What};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::serve::{Serving, wait_until};
use crate::util::TempDir;

mod calls;
mod table;

/// Tells the test that it is the one in the sandbox, and in which folder to play.
const INSIDE: &str = "NGINX_MAIL_AUTH_TEST_SANDBOX";

/// What the one inside must find out there.
struct Outside {
    folder: PathBuf,
    granted_port: u16,
    other_port: u16,
    abstract_name: String,
    parent: u32,
}

impl Outside {
    fn written(&self) -> String {
        format!(
            "{} {} {} {} {}",
            self.folder.display(),
            self.granted_port,
            self.other_port,
            self.abstract_name,
            self.parent
        )
    }

    fn read(text: &str) -> Self {
        let mut words = text.split(' ');
        let mut word = || words.next().unwrap();
        Self {
            folder: word().into(),
            granted_port: word().parse().unwrap(),
            other_port: word().parse().unwrap(),
            abstract_name: word().to_owned(),
            parent: word().parse().unwrap(),
        }
    }
}

/// Nothing can be tried from outside of a process, so this test runs once more as another process,
/// which goes into the sandbox.
#[test]
fn what_is_not_granted_is_denied() {
    if let Ok(outside) = std::env::var(INSIDE) {
        return inside(&Outside::read(&outside));
    }
    crate::e2e::process::need_root();
    let dir = TempDir::new();
    for folder in ["read", "written", "other", "run"] {
        fs::create_dir(dir.path().join(folder)).unwrap();
        fs::write(dir.path().join(folder).join("file"), "before").unwrap();
    }
    let [granted, other] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let _unix = UnixListener::bind(dir.path().join("run/socket")).unwrap();
    let abstract_name = format!("nma-sandbox-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
    let _abstract = UnixListener::bind_addr(&address).unwrap();
    let outside = Outside {
        folder: dir.path().to_owned(),
        granted_port: port(&granted),
        other_port: port(&other),
        abstract_name,
        parent: std::process::id(),
    };
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sandbox::what_is_not_granted_is_denied"])
        .env(INSIDE, outside.written())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && printed.contains("1 passed"),
        "{printed}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(fs::read(dir.path().join("read/file")).unwrap(), b"before");
}

fn inside(outside: &Outside) {
    let at = |name: &str| outside.folder.join(name);
    let need = |what| Need {
        what,
        place: None,
        key: None,
    };
    let all_of_it = |port| {
        // All of this works before, so that its failure says something.
        let connect = TcpStream::connect(("127.0.0.1", port)).map(drop);
        let address = SocketAddr::from_abstract_name(&outside.abstract_name).unwrap();
        let parent = Pid::from_raw(outside.parent.cast_signed()).unwrap();
        [
            ("read a secret", File::open("/etc/shadow").map(drop)),
            ("read what all may", File::open("/etc/passwd").map(drop)),
            ("read beside", File::open(at("other/file")).map(drop)),
            ("list", fs::read_dir(at("other")).map(drop)),
            ("write what is read", append(&at("read/file"))),
            ("make a file", File::create_new(at("read/new")).map(drop)),
            ("remove a file", fs::remove_file(at("read/file"))),
            ("make a folder", fs::create_dir(at("written/folder"))),
            ("cut", fs::write(at("other/file"), "x")),
            (
                "link in",
                fs::hard_link(at("other/file"), at("written/link")),
            ),
            ("run", Command::new("/bin/true").status().map(drop)),
            ("connect", connect),
            ("listen", TcpListener::bind("127.0.0.1:0").map(drop)),
            ("send", UdpSocket::bind("127.0.0.1:0").map(drop)),
            (
                "connect to abstract sockets",
                UnixStream::connect_addr(&address).map(drop),
            ),
            (
                "signal others",
                test_kill_process(parent).map_err(io::Error::from),
            ),
            (
                "change the root",
                rustix::process::chroot("/").map_err(io::Error::from),
            ),
        ]
    };
    for (what, done) in all_of_it(outside.other_port) {
        assert!(done.is_ok(), "before: {what}: {done:?}");
    }
    fs::remove_dir(at("written/folder")).unwrap();
    fs::remove_file(at("written/link")).unwrap();
    fs::remove_file(at("read/new")).unwrap();
    fs::write(at("read/file"), "before").unwrap();
    let needs = [
        need(What::Read(at("read/file"))),
        need(What::Write(at("written"))),
        need(What::Connect(outside.granted_port)),
    ];
    let sandbox = Sandbox::enter(&needs).unwrap();
    assert!(sandbox.is_whole(), "this test needs Landlock and seccomp");
    // As does every thread that is started from now on.
    thread::scope(|scope| {
        scope.spawn(|| {
            for (what, done) in all_of_it(outside.other_port) {
                let error = done.expect_err(what);
                // To link from one folder of the sandbox into another is as if to another disk.
                let denied = [
                    io::ErrorKind::PermissionDenied,
                    io::ErrorKind::CrossesDevices,
                ];
                assert!(denied.contains(&error.kind()), "{what}: {error}");
            }
        });
    });
    // What is granted still works, also with files that have been put in place since.
    assert_eq!(fs::read(at("read/file")).unwrap(), b"before");
    fs::write(at("written/new"), "x").unwrap();
    fs::write(at("written/new"), "y").unwrap();
    fs::rename(at("written/new"), at("written/newer")).unwrap();
    fs::remove_file(at("written/newer")).unwrap();
    TcpStream::connect(("127.0.0.1", outside.granted_port)).unwrap();
    UnixStream::connect(at("run/socket")).unwrap();
    assert!(fs::remove_file(at("run/socket")).is_err());
    assert!(fs::read_dir("/etc/ssl/certs").unwrap().count() > 0);
    // By one of these drivers are led to the host of a database.
    let own = SocketAddr::from_abstract_name("nma-sandbox-own").unwrap();
    let _listener = UnixListener::bind_addr(&own).unwrap();
    UnixStream::connect_addr(&own).unwrap();
}

fn append(path: &Path) -> io::Result<()> {
    File::options().append(true).open(path).map(drop)
}

const CONFIG: &str = r#"
[[users]]
store = "file"
path = "users"
allow-weak-schemes = true
[routes]
default = "192.0.2.1"
"#;

/// A word of /proc/PID/task/TID/status for each thread.
fn of_each_thread(pid: u32, field: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let status = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("status")));
    status
        .map(|status| {
            let status = status.unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            line.unwrap().trim_matches([':', '\t']).to_owned()
        })
        .collect()
}

#[test]
fn every_thread_of_a_server_is_in_it() {
    let dir = TempDir::new();
    dir.write("users", "alice:{PLAIN}one\n");
    for server in [
        Serving::listening(CONFIG, "alice:{PLAIN}one\n"),
        Serving::inheriting_in(dir, CONFIG),
    ] {
        assert!(
            server
                .ask("alice", "one")
                .contains("Auth-Server: 192.0.2.1")
        );
        let seccomp = of_each_thread(server.pid(), "Seccomp:");
        assert!(seccomp.len() > 1, "{seccomp:?}");
        assert!(seccomp.iter().all(|mode| mode == "2"), "{seccomp:?}");
        let privileges = of_each_thread(server.pid(), "NoNewPrivs:");
        assert!(privileges.iter().all(|none| none == "1"), "{privileges:?}");
        let log = server.log();
        let line = "sandbox: files, TCP ports (none), abstract sockets, signals (Landlock), \
                    system calls (seccomp)";
        assert_eq!(log.matches(line).count(), 1, "{log}");
    }
}

#[test]
fn it_can_be_required_or_switched_off() {
    let with = |mode: &str| format!("{CONFIG}[process]\nsandbox = \"{mode}\"\n");
    for (mode, seccomp) in [("required", "2"), ("off", "0")] {
        let server = Serving::listening(&with(mode), "alice:{PLAIN}one\n");
        assert!(
            server
                .ask("alice", "one")
                .contains("Auth-Server: 192.0.2.1")
        );
        let found = of_each_thread(server.pid(), "Seccomp:");
        assert!(found.iter().all(|one| one == seccomp), "{mode}: {found:?}");
    }
}

/// A broken configuration at the start does not tell what it will take.
#[test]
fn where_it_is_required_nothing_is_served_without() {
    let server = Serving::inheriting("[[users]]\nstore = 1\n");
    server.dir.write("users", "alice:{PLAIN}one\n");
    assert!(server.ask("alice", "one").contains("Temporary"));
    let required = format!("{CONFIG}[process]\nsandbox = \"required\"\n");
    server.replace("auth.toml", &required);
    wait_until("the refusal", || {
        assert!(server.ask("alice", "one").contains("Temporary"));
        server
            .log()
            .contains("process.sandbox: is \"required\", and this process has none: restart")
    });
    server.replace("auth.toml", CONFIG);
    wait_until("the configuration", || {
        server
            .ask("alice", "one")
            .contains("Auth-Server: 192.0.2.1")
    });
}

#[test]
fn what_a_new_configuration_takes_beyond_it_is_refused_in_words() {
    let elsewhere = TempDir::new();
    let users = elsewhere.write("users", "alice:{PLAIN}two\n");
    let server = Serving::listening(CONFIG, "alice:{PLAIN}one\n");
    let old = || {
        let answer = server.ask("alice", "one");
        assert!(answer.contains("Auth-Server: 192.0.2.1"), "{answer}");
    };
    old();
    let path = users.display().to_string();
    let in_place_of_users = CONFIG.replace("\"users\"", &format!("{path:?}"));
    let with_key = format!("[nginx]\nkey-file = {path:?}\n{CONFIG}");
    let with_name = CONFIG.replace("192.0.2.1", "localhost");
    let with_pool =
        format!("{CONFIG}[hosts]\nmail = {{ addresses = [\"127.0.0.1\", \"127.0.0.2\"] }}\n");
    for (config, place, what) in [
        (
            in_place_of_users,
            "auth.toml:4:8: users.path: ",
            format!("to read {path}"),
        ),
        (
            with_key,
            "auth.toml:2:12: nginx.key-file: ",
            format!("to read {path}"),
        ),
        (
            with_name,
            "auth.toml:7:11: routes.default: ",
            "host names to be looked up".to_owned(),
        ),
        (
            with_pool,
            "auth.toml: hosts: ",
            "connections to port 143".to_owned(),
        ),
    ] {
        let before = server.log().len();
        server.replace("auth.toml", &config);
        let expected = format!(
            "{place}needs {what}, which the sandbox has ruled out since the start: restart the \
             program; the version before stays in force"
        );
        wait_until(&expected, || {
            old();
            server.log()[before..].contains(" ERROR ")
        });
        let log = server.log();
        assert!(log[before..].contains(&expected), "{}", &log[before..]);
        assert!(!log[before..].contains("Permission denied"), "{log}");
    }
    // A link that leads out leads nowhere either.
    std::os::unix::fs::symlink(&users, server.dir.path().join("link")).unwrap();
    server.replace("auth.toml", CONFIG);
    fs::rename(
        server.dir.path().join("link"),
        server.dir.path().join("users"),
    )
    .unwrap();
    wait_until("the refusal", || {
        old();
        server.log().contains("users.path: needs to read")
    });
    server.replace("users", "alice:{PLAIN}three\n");
    wait_until("the new password", || {
        server.ask("alice", "three").contains("Auth-Server")
    });
}

/// The process beside the server that looks names up, by its argument.
fn assistant_of(server: &Serving) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", server.pid()));
    let children = children.unwrap();
    let mut pids = children.split_whitespace().map(|pid| pid.parse().unwrap());
    pids.find(|pid| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        arguments.ends_with(b"\0look-names-up\0")
    })
}

#[test]
fn names_are_looked_up_by_a_process_outside_and_kept_if_it_is_gone() {
    let config = CONFIG.replace("192.0.2.1", "localhost");
    let server = Serving::listening(&config, "alice:{PLAIN}one\n");
    let local = || {
        let answer = server.ask("alice", "one");
        let local = ["Auth-Server: 127.0.0.1\n", "Auth-Server: ::1\n"];
        assert!(local.iter().any(|line| answer.contains(line)), "{answer}");
    };
    local();
    // Names that come later are looked up by it too.
    server.replace(
        "auth.toml",
        &format!("{config}[hosts]\nnew = \"nowhere.invalid\"\n"),
    );
    wait_until("the new name", || {
        local();
        server.log().contains("nowhere.invalid")
    });
    let log = server.log();
    assert!(
        !log.contains("Permission denied") && !log.contains("ended"),
        "{log}"
    );
    let assistant = assistant_of(&server).unwrap();
    let pid = Pid::from_raw(assistant.cast_signed()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    wait_until("the report", || {
        local();
        server
            .log()
            .contains("the process that looks names up has ended")
    });
    server.replace("users", "alice:{PLAIN}one\nbob:{PLAIN}two\n");
    wait_until("another version", || {
        local();
        server.ask("bob", "two").contains("Auth-Server")
    });
}

#[test]
fn the_process_that_looks_names_up_ends_with_the_server() {
    for signal in [Signal::TERM, Signal::KILL] {
        let config = CONFIG.replace("192.0.2.1", "localhost");
        let server = Serving::listening(&config, "alice:{PLAIN}one\n");
        assert!(server.ask("alice", "one").contains("Auth-Server"));
        let assistant = assistant_of(&server).unwrap();
        // systemd tells all processes to end at once.
        let pid = Pid::from_raw(assistant.cast_signed()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        server.replace(
            "auth.toml",
            &format!("{config}[hosts]\nnew = \"localhost\"\n"),
        );
        wait_until("another version", || {
            server.ask("alice", "one");
            server.log().contains("auth.toml: loaded")
        });
        assert!(!server.log().contains("has ended"), "{}", server.log());
        server.signal(signal);
        drop(server);
        wait_until("its end", || {
            !Path::new(&format!("/proc/{assistant}")).exists()
        });
    }
}

/// systemd's own rating: 0 for nothing that could be taken away, 10 for all of it.
#[test]
fn the_unit_takes_from_the_server_what_it_does_not_need() {
    let analyze = crate::e2e::process::program("systemd-analyze", "systemd");
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/nginx-mail-auth.service");
    let rated = Command::new(&analyze)
        .args(["security", "--offline=true", "--no-pager"])
        .arg(&unit)
        .output()
        .unwrap();
    let printed = String::from_utf8(rated.stdout).unwrap();
    let exposure = printed
        .lines()
        .find_map(|line| line.split_once("Overall exposure level for "))
        .and_then(|(_, rest)| rest.split_whitespace().nth(1))
        .unwrap_or_else(|| panic!("{printed}"));
    let exposure: f32 = exposure.parse().unwrap();
    assert!(exposure < 2.0, "{printed}");
    // It says what it does not know, and does not fail then.
    let warnings = String::from_utf8(rated.stderr).unwrap();
    assert_eq!(warnings, "");
    // It may still go into its own sandbox: no group of calls has these.
    let text = fs::read_to_string(&unit).unwrap();
    let allowed: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("SystemCallFilter="))
        .filter(|calls| !calls.starts_with('~'))
        .flat_map(str::split_whitespace)
        .collect();
    for call in [
        "seccomp",
        "landlock_create_ruleset",
        "landlock_add_rule",
        "landlock_restrict_self",
    ] {
        assert!(allowed.contains(&call), "{call}: {allowed:?}");
    }
    // Nor may it take from others what it has no use of.
    let denied = "~@privileged @chown @resources @keyring @aio";
    for line in [
        &format!("SystemCallFilter={denied}"),
        "PrivateIPC=yes",
        "RestartPreventExitStatus=78",
        "TasksMax=1024",
        "MemoryMax=4G",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}");
    }
    assert!(!text.contains("RemoveIPC="), "it removes objects of others");
    // Everything in it is known to systemd, if the program is where it belongs.
    let dir = TempDir::new();
    let program = env!("CARGO_BIN_EXE_nginx-mail-auth");
    let text = text.replace("/usr/local/bin/nginx-mail-auth", program);
    let unit = dir.write("nginx-mail-auth.service", text);
    let socket = include_str!("../examples/nginx-mail-auth.socket");
    dir.write("nginx-mail-auth.socket", socket);
    let verified = Command::new(&analyze)
        .args(["verify", "--man=no"])
        .arg(unit)
        .output()
        .unwrap();
    let found = String::from_utf8(verified.stderr).unwrap();
    assert!(verified.status.success() && found.is_empty(), "{found}");
}
