//! The sandbox of a server: what is denied, and that everything needed still works.

use std::fs::{self};
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

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
