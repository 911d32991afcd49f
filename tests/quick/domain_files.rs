//! One password file per domain, in every mode.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use rustix::process::Signal;

use crate::support::binary;
use crate::support::process::wait_until;
use crate::support::serving::{REFUSED, Serving, accepted};
use crate::support::temp_dir::TempDir;

const HOST: &str = "192.0.2.1";
const CONFIG: &str = "[[users]]\nstore = \"file\"\npath = \"domains/{domain}\"\n\
                      allow-weak-schemes = true\n[routes]\ndefault = \"192.0.2.1\"\n";
const TEMPORARY: &str = "Auth-Status: Temporary server problem, try again later\n\n";

/// Two domains, and files that are of none.
fn folder() -> TempDir {
    let dir = TempDir::new();
    fs::create_dir_all(dir.path().join("domains")).unwrap();
    dir.write("auth.toml", CONFIG);
    dir.write("domains/example.org", "alice:{PLAIN}secret\n");
    dir.write("domains/example.com", "alice@example.com:{PLAIN}other\n");
    dir.write("domains/EXAMPLE.net", "alice:{PLAIN}secret\n");
    dir.write("domains/.hidden", "alice:{PLAIN}secret\n");
    dir.write("outside", "alice:{PLAIN}secret\n");
    dir
}

fn run(dir: &TempDir, arguments: &[&str]) -> Output {
    let mut command = binary::command();
    command
        .arg("--config")
        .arg(dir.path().join("auth.toml"))
        .args(arguments);
    binary::output(&mut command)
}

fn cgi(dir: &TempDir, login: &str, password: &str) -> String {
    let mut command = binary::command();
    command
        .arg("--config")
        .arg(dir.path().join("auth.toml"))
        .env("HTTP_AUTH_USER", login)
        .env("HTTP_AUTH_PASS", password)
        .env("HTTP_AUTH_PROTOCOL", "imap")
        .stdin(std::process::Stdio::null());
    String::from_utf8(binary::output(&mut command).stdout).unwrap()
}

/// What a login gets, with the name that the mail server sees where it is another.
fn table() -> Vec<(&'static str, &'static str, bool)> {
    vec![
        ("alice@example.org", "secret", true),
        ("alice@EXAMPLE.org", "secret", true),
        ("alice@example.org", "other", false),
        ("alice@example.com", "other", true),
        ("alice@example.com", "secret", false),
        ("bob@example.org", "secret", false),
        ("alice", "secret", false),
        ("alice@", "secret", false),
        ("alice@example.net", "secret", false),
        ("alice@EXAMPLE.net", "secret", false),
        ("alice@.hidden", "secret", false),
        ("alice@../outside", "secret", false),
        ("alice@..", "secret", false),
        ("alice@domains/example.org", "secret", false),
        ("alice@{domain}", "secret", false),
        ("alice@nobody.example", "secret", false),
    ]
}

fn is_in(answer: &str) -> bool {
    match answer {
        REFUSED => false,
        answer => {
            let accepted = accepted(HOST);
            assert!(answer.starts_with(accepted.trim_end()), "{answer}");
            true
        }
    }
}

#[test]
fn the_file_of_the_domain_decides_in_every_mode() {
    let dir = folder();
    for (login, password, expected) in table() {
        assert_eq!(
            is_in(&cgi(&dir, login, password)),
            expected,
            "{login} by CGI"
        );
    }
    let server = Serving::listening_in(dir, CONFIG, "");
    for (login, password, expected) in table() {
        let answer = server.ask(login, password);
        assert_eq!(is_in(&answer), expected, "{login} by a server");
    }
    let log = server.log();
    let passed_over = "domains/EXAMPLE.net: logins have this domain as \"example.net\", so no \
        login is looked up in this file: rename it to that";
    assert!(log.contains(passed_over), "{log}");
    assert!(!log.contains(".hidden: "), "{log}");
}

#[test]
fn files_that_come_change_and_go_count_in_a_server_that_runs() {
    let server = Serving::listening_in(folder(), CONFIG, "");
    let until = |login: &str, password: &str, wanted: &str| {
        wait_until(wanted, || server.ask(login, password) == wanted);
    };
    let yes = accepted(HOST);
    until("alice@example.org", "secret", &yes);
    assert_eq!(server.ask("alice@new.example", "secret"), REFUSED);
    server.replace("domains/new.example", "alice:{PLAIN}secret\n");
    until("alice@new.example", "secret", &yes);
    server.replace("domains/new.example", "alice:{PLAIN}changed\n");
    until("alice@new.example", "changed", &yes);
    assert_eq!(server.ask("alice@new.example", "secret"), REFUSED);
    // The version before stays in force, and the other domains.
    let path = server.dir.path().join("domains/new.example");
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    wait_until("it is said", || {
        server.ask("alice@new.example", "changed") == yes
            && server.log().contains("may be written by others")
    });
    fs::write(&path, "alice:{PLAIN}third\n").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    until("alice@new.example", "third", &yes);
    fs::remove_file(&path).unwrap();
    until("alice@new.example", "third", REFUSED);
    assert_eq!(server.ask("alice@example.org", "secret"), yes);
    let gone = "the file was removed, and with it the users of the domain";
    assert_eq!(server.log().matches(gone).count(), 1);
    // An untrusted folder neither removes users nor adds any.
    let folder = server.dir.path().join("domains");
    fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
    wait_until("it is said", || {
        server.ask("alice@example.org", "secret") == yes
            && server
                .log()
                .contains("the files of its domains stay in force")
    });
    server.replace("domains/late.example", "alice:{PLAIN}secret\n");
    server.signal(Signal::HUP);
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    until("alice@late.example", "secret", &yes);
}

#[test]
fn a_broken_file_affects_only_its_own_domain() {
    let dir = folder();
    let broken = dir.write("domains/broken.example", "alice:{PLAIN}secret\n");
    fs::set_permissions(&broken, Permissions::from_mode(0o666)).unwrap();
    let checked = run(&dir, &["check"]);
    let said = String::from_utf8_lossy(&checked.stderr);
    let what = "domains/broken.example: may be written by others (mode 0666): chmod go-w";
    assert_eq!(said.matches(what).count(), 1, "{said}");
    let found = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(
        found.contains("domains/{domain}: 3 domains, 2 users\n"),
        "{found}"
    );
    assert_eq!(checked.status.code(), Some(78));
    assert_eq!(cgi(&dir, "alice@broken.example", "secret"), TEMPORARY);
    assert_eq!(cgi(&dir, "alice@example.org", "secret"), accepted(HOST));
    let server = Serving::listening_in(dir, CONFIG, "");
    assert_eq!(server.ask("alice@broken.example", "secret"), TEMPORARY);
    assert_eq!(server.ask("alice@example.org", "secret"), accepted(HOST));
    fs::set_permissions(&broken, Permissions::from_mode(0o600)).unwrap();
    wait_until("it is taken", || {
        server.ask("alice@broken.example", "secret") == accepted(HOST)
    });
    let checked = run(&server.dir, &["check"]);
    assert_eq!(checked.status.code(), Some(0));
}

#[test]
fn files_that_come_later_can_be_read_in_the_sandbox() {
    // A server enters the sandbox unless it is configured not to.
    let config = CONFIG.replace("domains/{domain}", "domains/{domain}/passwd");
    let dir = folder();
    fs::create_dir_all(dir.path().join("domains/below.example")).unwrap();
    dir.write("domains/below.example/passwd", "alice:{PLAIN}secret\n");
    let server = Serving::listening_in(dir, &config, "");
    assert_eq!(server.ask("alice@below.example", "secret"), accepted(HOST));
    fs::create_dir_all(server.dir.path().join("domains/later.example")).unwrap();
    server.replace("domains/later.example/passwd", "alice:{PLAIN}secret\n");
    wait_until("it is taken", || {
        server.ask("alice@later.example", "secret") == accepted(HOST)
    });
    let below = server.dir.path().join("domains/later.example");
    fs::set_permissions(&below, Permissions::from_mode(0o777)).unwrap();
    wait_until("the folder is refused", || {
        server.ask("alice@later.example", "secret");
        server
            .log()
            .contains("domains/later.example may be written by others")
    });
    fs::remove_dir_all(&below).unwrap();
    wait_until("it is gone", || {
        server.ask("alice@later.example", "secret") == REFUSED
    });
}
