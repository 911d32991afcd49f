//! Logins of a password file: the answers to accepted and refused logins, and the log.

use std::process::Stdio;

use crate::support::binary;
use crate::support::cgi;
use crate::support::temp_dir::TempDir;

const OK: &str = "Auth-Status: OK";
const REFUSED: &str = "Auth-Status: Invalid login or password";
const TEMPORARY: &str = "Auth-Status: Temporary server problem, try again later";

const CONFIG: &str = "\
[[users]]
store = \"file\"
path = \"users\"
allow-weak-schemes = true
[routes]
default = \"192.0.2.1\"
";

const USERS: &str = "\
alice:{PLAIN}right
off:{PLAIN}right::::::nologin
off-too:{PLAIN}right::::::nologin=n host=192.0.2.9
locked:!{PLAIN}right
star:*
empty:
open:::::::nopassword
office:{PLAIN}right::::::allow_nets=192.0.2.0/24,2001:db8::/32
other:{DIGEST-MD5}9a3f
lost:{PLAIN}right::::::host=nowhere
";

/// Status and cause for a login.
fn ask(dir: &TempDir, login: &str, password: &str, client: &str) -> (String, String) {
    let (answer, log) = cgi::ask(
        dir,
        &[
            ("HTTP_AUTH_USER", login),
            ("HTTP_AUTH_PASS", password),
            ("HTTP_AUTH_PROTOCOL", "imap"),
            ("HTTP_CLIENT_IP", client),
        ],
    );
    assert_eq!(
        answer.contains("Auth-Server"),
        answer.starts_with("Auth-Status: OK\n")
    );
    assert!(!log.contains("right"), "{log}");
    let (_, cause) = log.split_once(" cause=").unwrap();
    let cause = cause.split(' ').next().unwrap();
    (answer.lines().next().unwrap().to_owned(), cause.to_owned())
}

#[test]
fn each_kind_of_user_gets_its_answer() {
    let dir = TempDir::new();
    dir.write("auth.toml", CONFIG);
    dir.write("users", USERS);
    for (login, password, client, status, cause) in [
        ("alice", "right", "198.51.100.1", OK, "accepted"),
        ("alice", "wrong", "198.51.100.1", REFUSED, "wrong-password"),
        ("alice", "", "198.51.100.1", REFUSED, "wrong-password"),
        ("Alice", "right", "198.51.100.1", REFUSED, "unknown-user"),
        ("nobody", "right", "198.51.100.1", REFUSED, "unknown-user"),
        ("", "right", "198.51.100.1", REFUSED, "unknown-user"),
        ("off", "right", "198.51.100.1", REFUSED, "disabled"),
        ("off", "wrong", "198.51.100.1", REFUSED, "wrong-password"),
        ("off-too", "right", "198.51.100.1", REFUSED, "disabled"),
        ("locked", "right", "198.51.100.1", REFUSED, "no-password"),
        ("star", "*", "198.51.100.1", REFUSED, "no-password"),
        ("empty", "", "198.51.100.1", REFUSED, "no-password"),
        ("open", "right", "198.51.100.1", REFUSED, "no-password"),
        ("office", "right", "192.0.2.200", OK, "accepted"),
        ("office", "right", "2001:db8:1::1", OK, "accepted"),
        (
            "office",
            "right",
            "198.51.100.1",
            REFUSED,
            "network-not-allowed",
        ),
        ("office", "right", "unix:", REFUSED, "network-not-allowed"),
        ("office", "wrong", "192.0.2.200", REFUSED, "wrong-password"),
        (
            "other",
            "right",
            "198.51.100.1",
            REFUSED,
            "unusable-password",
        ),
        ("lost", "right", "198.51.100.1", TEMPORARY, "host-trouble"),
        ("lost", "wrong", "198.51.100.1", REFUSED, "wrong-password"),
    ] {
        let expected = (status.to_owned(), cause.to_owned());
        assert_eq!(
            ask(&dir, login, password, client),
            expected,
            "{login} {password} {client}"
        );
    }
}

#[test]
fn a_weak_hash_that_is_not_allowed_is_no_password() {
    let dir = TempDir::new();
    dir.write("auth.toml", CONFIG.replace("= true", "= false"));
    dir.write("users", USERS);
    let expected = (REFUSED.to_owned(), "unusable-password".to_owned());
    assert_eq!(ask(&dir, "alice", "right", "192.0.2.7"), expected);
}

#[test]
fn the_first_store_that_knows_a_login_decides() {
    let dir = TempDir::new();
    dir.write(
        "auth.toml",
        CONFIG.replace("[routes]", "[[users]]\nstore = \"accept\"\n[routes]"),
    );
    dir.write("users", USERS);
    for (login, status, cause) in [
        ("alice", REFUSED, "wrong-password"),
        ("locked", REFUSED, "no-password"),
        ("other", REFUSED, "unusable-password"),
        ("nobody", OK, "accepted"),
    ] {
        let expected = (status.to_owned(), cause.to_owned());
        assert_eq!(ask(&dir, login, "wrong", "192.0.2.7"), expected, "{login}");
    }
}

#[test]
fn a_file_may_have_a_default_scheme() {
    let dir = TempDir::new();
    let scheme = |scheme: &str| {
        let key = format!("default-scheme = \"{scheme}\"\n[routes]");
        dir.write("auth.toml", CONFIG.replace("[routes]", &key));
    };
    dir.write(
        "users",
        "alice:right\nbob:{PLAIN}right\ncarol:{CRYPT}!right\ndave:!right\n",
    );
    scheme("PLAIN");
    for (login, password, status, cause) in [
        ("alice", "right", OK, "accepted"),
        ("alice", "wrong", REFUSED, "wrong-password"),
        ("bob", "right", OK, "accepted"),
        ("carol", "right", REFUSED, "no-password"),
        ("dave", "right", REFUSED, "wrong-password"),
        ("dave", "!right", OK, "accepted"),
    ] {
        let expected = (status.to_owned(), cause.to_owned());
        assert_eq!(ask(&dir, login, password, "192.0.2.7"), expected, "{login}");
    }
    scheme("SHA512-CRYPT");
    for (login, status, cause) in [
        ("alice", REFUSED, "unusable-password"),
        ("bob", OK, "accepted"),
        ("dave", REFUSED, "no-password"),
    ] {
        let expected = (status.to_owned(), cause.to_owned());
        assert_eq!(ask(&dir, login, "right", "192.0.2.7"), expected, "{login}");
    }
}

#[test]
fn a_dovecot_proxy_says_where_a_user_is() {
    let dir = TempDir::new();
    dir.write("auth.toml", CONFIG);
    dir.write(
        "users",
        "alice:{PLAIN}right::::::proxy=y host=mx1.example.org hostip=192.0.2.7 port=1143 destuser=a1 pass=x\n\
         bob:{PLAIN}right::::::user=%n\n",
    );
    let mut command = binary::command();
    command
        .arg("--config")
        .arg(dir.path().join("auth.toml"))
        .args(["route", "alice"])
        .stdin(Stdio::null());
    let said = String::from_utf8(binary::output(&mut command).stdout).unwrap();
    assert!(said.contains("192.0.2.7"), "{said}");
    assert!(said.contains("1143"), "{said}");
    let expected = (REFUSED.to_owned(), "unusable-entry".to_owned());
    assert_eq!(ask(&dir, "bob", "right", "192.0.2.7"), expected);
}
