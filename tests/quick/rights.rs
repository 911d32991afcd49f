//! `--user`: what the user that the service runs as may not read is seen by root too. As root.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::{Command, Output, Stdio};

use crate::support::binary;
use crate::support::temp_dir::TempDir;

const CONFIG: &str = "[nginx]\nkey-file = \"key\"\n[[users]]\nstore = \"file\"\npath = \"users\"\n\
                      allow-weak-schemes = true\n[routes]\ndefault = \"192.0.2.1\"\n";

/// nobody and nogroup, as in Debian.
const NOBODY: u32 = 65534;

const HINT: &str = "note: root may read and write more than the service does: name the user that it \
                    runs as, as in `check --user www-data`\n";

fn folder() -> TempDir {
    let folder = TempDir::new();
    folder.write("auth.toml", CONFIG);
    folder.write("users", "alice:{PLAIN}one\n");
    folder.write("key", "0123456789abcdef\n");
    for name in ["key", "users"] {
        let mode = Permissions::from_mode(0o640);
        fs::set_permissions(folder.path().join(name), mode).unwrap();
    }
    folder
}

fn program(folder: &TempDir, words: &[&str]) -> Command {
    let mut command = binary::command();
    command
        .arg("--config")
        .arg(folder.path().join("auth.toml"))
        .args(words)
        .stdin(Stdio::null());
    command
}

/// The exit code, and the output without the folder.
fn run(folder: &TempDir, words: &[&str]) -> (i32, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = program(folder, words).output().unwrap();
    let said = String::from_utf8([stdout, stderr].concat()).unwrap();
    let name = format!("{}/", folder.path().display());
    (status.code().unwrap(), said.replace(&name, ""))
}

#[test]
fn a_file_that_the_service_may_not_read_is_found_by_root() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = folder();
    let (code, said) = run(&folder, &["check"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("auth.toml: ok\n") && said.contains(HINT),
        "{said}"
    );
    let refused = "auth.toml:2:12: nginx.key-file: key: cannot be read: Permission denied";
    let also = "auth.toml:5:8: users.path: users: cannot be read: Permission denied";
    for user in ["nobody", "65534", "65534:nogroup"] {
        for command in [&["check"][..], &["route", "alice"], &["test", "alice"]] {
            let (code, said) = run(&folder, &[command, &["--user", user]].concat());
            assert_eq!(code, 78, "{said}");
            assert!(said.contains(refused), "{said}");
            assert!(
                command != ["check"] || said.contains(also) || said.contains("users: cannot"),
                "{said}"
            );
        }
    }
    // By its own group.
    for name in ["key", "users"] {
        chown(folder.path().join(name), None, Some(NOBODY)).unwrap();
    }
    assert_eq!(
        run(&folder, &["check", "--user", "nobody"]),
        (0, "file: 1 user\nauth.toml: ok\n".to_owned())
    );
    assert_eq!(run(&folder, &["route", "alice", "--user=nobody"]).0, 0);
    // Root has named the user.
    assert_eq!(
        run(&folder, &["check", "--user", "root"]),
        (0, "file: 1 user\nauth.toml: ok\n".to_owned())
    );
    // By one of its other groups: www-data is in none, so one is given.
    let (code, said) = run(&folder, &["check", "--user", "12345:12345"]);
    assert_eq!(code, 78, "{said}");
    let (code, said) = run(&folder, &["check", "--user", "12345:nogroup"]);
    assert_eq!((code, said.as_str()), (0, "file: 1 user\nauth.toml: ok\n"));
}

#[test]
fn the_rights_are_those_of_the_user_and_no_others() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = folder();
    for name in ["key", "users"] {
        chown(folder.path().join(name), None, Some(NOBODY)).unwrap();
    }
    // It waits for the password, so that it can be looked at.
    let mut child = program(&folder, &["test", "alice", "--user", "daemon:nogroup"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = || fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = |name: &str| {
        let status = status();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let words = line.unwrap_or_default().split_whitespace();
        words.map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    crate::support::process::wait_until("it has given its rights up", || line("Uid:") == "1 1 1 1");
    assert_eq!(line("Gid:"), "65534 65534 65534 65534");
    assert_eq!(line("Groups:"), "65534");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(line(set), "0000000000000000", "{set}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_user_that_cannot_be_taken_is_an_error() {
    let folder = folder();
    for command in [
        &["check"][..],
        &["test", "alice"],
        &["route", "alice"],
        &["throttle", "list"],
    ] {
        let (code, said) = run(&folder, &[command, &["--user", "no-such-user"]].concat());
        let message = "nginx-mail-auth: --user: this system knows no user \"no-such-user\": write a name \
                       that `getent passwd` lists, or a number\n";
        assert_eq!((code, said.as_str()), (1, message));
    }
    if !rustix::process::geteuid().is_root() {
        return;
    }
    // Not root: its copy of the program is one that everybody may run.
    let copy = folder.path().join("program");
    fs::copy(env!("CARGO_BIN_EXE_nginx-mail-auth"), &copy).unwrap();
    let run = |user: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command
            .arg(&copy)
            .args(["route", "alice", "--user", user, "--config"]);
        let output = command
            .arg(folder.path().join("auth.toml"))
            .output()
            .unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let message = "nginx-mail-auth: --user daemon: only root can take the rights of another user\n";
    assert_eq!(run("daemon"), message);
    assert!(run("nobody").contains("Permission denied"));
}
