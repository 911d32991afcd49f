//! The messages about an invalid configuration name the key and its position, and no secret.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::sql_service::{command, folder};

const QUERY: &str = "query = \"SELECT password FROM users WHERE login = {login}\"";

/// What `check` complains of, without the folder.
fn complaints(keys: &str) -> String {
    let dir = folder(&format!("[[users]]\nstore = \"sql\"\n{keys}\n"));
    dir.write("empty", "");
    dir.write("password", "secret\n");
    dir.write("odd", b"secret\xff\n");
    for name in ["empty", "password", "odd", "auth.toml"] {
        let path = dir.path().join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let output = command(&dir, &["check"]);
    assert_eq!(output.status.code(), Some(78));
    let printed = String::from_utf8(output.stderr).unwrap();
    assert!(!printed.contains("secret"), "{printed}");
    printed.replace(&format!("{}/", dir.path().display()), "")
}

#[test]
fn each_problem_names_its_key_and_place() {
    let postgres =
        |more: &str| format!("url = \"postgresql://mail@db.invalid/m\"\n{QUERY}\n{more}");
    let sqlite = |more: &str| format!("url = \"sqlite:users.db\"\n{QUERY}\n{more}");
    let server = |query: &str| format!("url = \"mysql://mail@db.invalid/m\"\n{query}");
    for (keys, complaint) in [
        (String::new(), "auth.toml:1:1: users.url: is missing"),
        (String::new(), "auth.toml:1:1: users.query: is missing"),
        (
            format!("url = \"oracle://mail:secret@db\"\n{QUERY}"),
            "auth.toml:3:7: users.url: must be sqlite:FILE, postgresql://USER@HOST/DATABASE or \
             mysql://USER@HOST/DATABASE",
        ),
        (
            format!("url = \"mysql://mail:secret@db:x/m\"\n{QUERY}"),
            "auth.toml:3:7: users.url: has a port that is not 1 to 65535",
        ),
        (
            "url = \"sqlite:users.db\"\nquery = \"SELECT password FROM users\"".to_owned(),
            "auth.toml:4:9: users.query: it has neither {login} nor {local}, so every login would \
            get the same row",
        ),
        (
            sqlite(
                "app-passwords-query = \"\"\"\nSELECT password FROM apps\nWHERE login = :user\"\"\"",
            ),
            "auth.toml:7:15: users.app-passwords-query: write {login} in place of :user",
        ),
        (
            sqlite("app-passwords-query = \"SELECT a FROM apps WHERE login = {username}\""),
            "auth.toml:5:57: users.app-passwords-query: there is no {username}; known are {login}, \
             {local}, {domain}, {protocol} and {client_ip}",
        ),
        (
            server("query = \"SELECT \\\"a\\\" FROM b WHERE c = '{login}'\""),
            "auth.toml:4:41: users.query: {login} is a value, not text: write it without quotes",
        ),
        (
            server("query = '''\nSELECT a FROM b\nWHERE c LIKE '%{local}%'\n'''"),
            "auth.toml:6:16: users.query: {local} is a value, not text: write it without quotes, and \
             join other text to it: CONCAT('text', {local})",
        ),
        (
            server("query = \"SELECT a FROM b WHERE c = '%u'\""),
            "auth.toml:4:36: users.query: write {login} in place of '%u'",
        ),
        (
            sqlite("default-scheme = \"ROT13\""),
            "auth.toml:5:18: users.default-scheme: there is no scheme \"ROT13\" here",
        ),
        (
            sqlite("default-scheme = \"DIGEST-MD5\""),
            "auth.toml:5:18: users.default-scheme: passwords stored as DIGEST-MD5 cannot be checked",
        ),
        (
            sqlite("connections = 0"),
            "auth.toml:5:15: users.connections: must be from 1 to 1000, not 0",
        ),
        (
            sqlite("timeout = 61"),
            "auth.toml:5:11: users.timeout: must be from 1 to 60, not 61",
        ),
        (
            sqlite("tls = \"off\""),
            "auth.toml:5:7: users.tls: SQLite has no such key",
        ),
        (
            sqlite("password-file = \"password\""),
            "auth.toml:5:17: users.password-file: SQLite has no such key",
        ),
        (
            postgres("tls = \"on\""),
            "auth.toml:5:7: users.tls: must be one of \"verify\", \"off\", \"prefer\", \
             \"require\", not \"on\"",
        ),
        (
            postgres("ca-file = \"empty\""),
            "auth.toml:5:11: users.ca-file: empty: it contains no certificate",
        ),
        (
            postgres("tls = \"require\"\nca-file = \"nowhere\""),
            "auth.toml:6:11: users.ca-file: has an effect only with tls = \"verify\"",
        ),
        (
            postgres("password-file = \"nowhere\""),
            "auth.toml:5:17: users.password-file: nowhere: cannot be read: No such file",
        ),
        (
            postgres("password-file = \"empty\""),
            "auth.toml:5:17: users.password-file: the first line is empty",
        ),
        (
            postgres("password-file = \"odd\""),
            "auth.toml:5:17: users.password-file: the password is not UTF-8",
        ),
        (
            format!(
                "url = \"mysql://mail:secret@db.invalid/m\"\n{QUERY}\npassword-file = \"password\""
            ),
            "auth.toml:5:17: users.password-file: there is a password in the url already: only one \
             of the two",
        ),
        (
            format!("url = \"mysql://mail@/m?socket=/run/x\"\n{QUERY}\ntls = \"verify\""),
            "auth.toml:5:7: users.tls: a Unix socket needs no TLS, and has none",
        ),
        (
            sqlite("cache = 10"),
            "auth.toml:5:9: users.cache: store \"sql\" has no such key",
        ),
    ] {
        let printed = complaints(&keys);
        assert!(
            printed.contains(complaint),
            "{keys}\n{complaint}\n{printed}"
        );
    }
}

/// A password in the URL is a secret of the configuration.
#[test]
fn a_secret_that_everybody_may_read_is_warned_of() {
    for (url, mode, warned) in [
        ("mysql://mail:secret@127.0.0.1:1/m", 0o644, true),
        ("mysql://mail:secret@127.0.0.1:1/m", 0o640, false),
        ("mysql://mail@127.0.0.1:1/m", 0o644, false),
    ] {
        let dir = folder(&format!(
            "[[users]]\nstore = \"sql\"\nurl = \"{url}\"\n{QUERY}\n"
        ));
        let path = dir.path().join("auth.toml");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let output = command(&dir, &["check"]);
        let printed = String::from_utf8(output.stderr).unwrap();
        assert_eq!(printed.contains("holds secrets"), warned, "{printed}");
        assert!(!printed.contains("secret@"), "{printed}");
    }
}

/// Hashes that are sent unencrypted get a warning, unless they stay on this machine.
#[test]
fn an_unencrypted_network_is_warned_of() {
    for (url, tls, warned) in [
        ("mysql://mail@db.invalid/m", "tls = \"off\"", true),
        ("mysql://mail@db.invalid/m", "tls = \"prefer\"", true),
        ("mysql://mail@db.invalid/m", "", false),
        ("mysql://mail@127.0.0.1:1/m", "", false),
        ("mysql://mail@[::1]:1/m", "tls = \"off\"", false),
        ("mysql://mail@/m?socket=/nowhere", "", false),
    ] {
        let dir = folder(&format!(
            "[[users]]\nstore = \"sql\"\nurl = \"{url}\"\n{QUERY}\nconnect-timeout = 1\n{tls}\n"
        ));
        let output = command(&dir, &["check"]);
        let printed = String::from_utf8(output.stderr).unwrap();
        let warning = "password hashes are sent over the network";
        assert_eq!(printed.contains(warning), warned, "{printed}");
    }
}

/// While a server is down, anybody could take its port; a socket and a proof cannot be taken.
#[test]
fn a_port_that_anybody_can_listen_on_is_advised_against() {
    for (url, tls, advised) in [
        ("mysql://mail@127.0.0.1:33060/m", "", true),
        ("mysql://mail:x@localhost:33060/m", "tls = \"prefer\"", true),
        ("mysql://mail@localhost:33060/m", "tls = \"verify\"", false),
        ("mysql://mail@127.0.0.1:1/m", "", false),
        ("mysql://mail@/m?socket=/nowhere", "", false),
        ("postgresql://mail@127.0.0.1:33060/m", "", true),
        // It must prove that it knows the password.
        ("postgresql://mail:x@127.0.0.1:33060/m", "", false),
    ] {
        let dir = folder(&format!(
            "[[users]]\nstore = \"sql\"\nurl = \"{url}\"\n{QUERY}\nconnect-timeout = 1\n{tls}\n"
        ));
        let output = command(&dir, &["check"]);
        let printed = String::from_utf8(output.stderr).unwrap();
        let advice = "auth.toml:3:7: users.url: any user of this machine can listen on port 33060 \
                      while the server is down, and answer in its place: use its Unix socket, or TLS \
                      with a certificate that is checked";
        assert_eq!(printed.contains(advice), advised, "{printed}");
    }
}
