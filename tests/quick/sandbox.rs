//! The sandbox of a server: what is denied, and that everything needed still works.

use std::fs;
use std::net::TcpListener;

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
        let line = "sandbox: files, TCP listeners, abstract sockets, signals (Landlock), system \
                    calls (seccomp)";
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
fn a_new_file_in_another_folder_is_refused_and_the_version_before_stays() {
    let elsewhere = TempDir::new();
    let users = elsewhere.write("users", "alice:{PLAIN}two\n");
    let state = TempDir::new();
    let server = Serving::listening(CONFIG, "alice:{PLAIN}one\n");
    let old = || {
        let answer = server.ask("alice", "one");
        assert!(answer.contains("Auth-Server: 192.0.2.1"), "{answer}");
    };
    old();
    let path = users.display().to_string();
    let reading = format!(
        "the sandbox denies {path}: no file in {} was named when the server started. Move the file to \
         {} or a folder below it, or restart the program",
        elsewhere.path().display(),
        server.dir.path().display()
    );
    let writing = format!(
        "the sandbox denies writing in {}: the folder was not named when the server started. Restart \
         the program",
        state.path().display()
    );
    let locks = format!(
        "{CONFIG}[limits]\nhash-locks = {:?}\n",
        state.path().display().to_string()
    );
    for (config, place, what) in [
        (
            CONFIG.replace("\"users\"", &format!("{path:?}")),
            "auth.toml:4:8: users.path: ",
            &reading,
        ),
        (
            format!("[nginx]\nkey-file = {path:?}\n{CONFIG}"),
            "auth.toml:2:12: nginx.key-file: ",
            &reading,
        ),
        (locks, "auth.toml:9:14: limits.hash-locks: ", &writing),
    ] {
        let before = server.log().len();
        server.replace("auth.toml", &config);
        let expected = format!("{place}{what}; the previous version stays in force");
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
        server.log().contains("users.path: the sandbox denies")
    });
    server.replace("users", "alice:{PLAIN}three\n");
    wait_until("the new password", || {
        server.ask("alice", "three").contains("Auth-Server")
    });
}

/// A server, its port, a host name and probes: nothing of that needs a restart.
#[test]
fn a_reload_names_new_servers_ports_and_hosts() {
    let server = Serving::listening(CONFIG, "alice:{PLAIN}one\n");
    assert!(server.ask("alice", "one").contains("192.0.2.1"));
    let mail = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = mail.local_addr().unwrap().port();
    let hosts = format!(
        "[hosts]\nnew = {{ addresses = [\"127.0.0.1\", \"localhost\"], port = {port} }}\n[probes]\nkind = \
         \"connect\"\n"
    );
    let config = CONFIG.replace("\"192.0.2.1\"", "\"new\"");
    server.replace("auth.toml", &format!("{config}{hosts}"));
    wait_until("the new host", || {
        let answer = server.ask("alice", "one");
        let local = ["Auth-Server: 127.0.0.1\n", "Auth-Server: ::1\n"];
        local.iter().any(|line| answer.contains(line))
            && answer.contains(&format!("Auth-Port: {port}\n"))
    });
    // The probe came through.
    mail.accept().unwrap();
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}
