//! Chains of stores, asked by CGI.

use crate::support::cgi;
use crate::support::temp_dir::TempDir;

pub(crate) const OK: &str = "Auth-Status: OK\nAuth-Server: 192.0.2.1\nAuth-Port: 143\n";

pub(crate) const REFUSED: &str = "Auth-Status: Invalid login or password\n";

pub(crate) const TEMPORARY: &str = "Auth-Status: Temporary server problem, try again later\n";

/// The answer without its blank line, and the cause in the log.
pub(crate) fn ask(dir: &TempDir, request: &[(&str, &str)]) -> (String, String) {
    let usual = [
        ("HTTP_AUTH_PROTOCOL", "imap"),
        ("HTTP_CLIENT_IP", "192.0.2.200"),
    ];
    let (answer, log) = cgi::ask(dir, &[&usual, request].concat());
    assert!(!log.contains("secret"), "{log}");
    let cause = log.split_once(" cause=").expect(&log).1;
    let cause = cause.split(' ').next().unwrap();
    let answer = answer.strip_suffix('\n').expect(&answer);
    (answer.to_owned(), cause.to_owned())
}

pub(crate) fn login(dir: &TempDir, login: &str, password: &str) -> (String, String) {
    ask(
        dir,
        &[("HTTP_AUTH_USER", login), ("HTTP_AUTH_PASS", password)],
    )
}

pub(crate) fn folder(config: &str, users: &str) -> TempDir {
    let dir = TempDir::new();
    dir.write(
        "auth.toml",
        format!(
            "{config}\n[[users]]\nstore = \"file\"\npath = \"users\"\nallow-weak-schemes = true\n\
             [routes]\ndefault = \"192.0.2.1\"\n"
        ),
    );
    dir.write("users", users);
    dir
}

pub(crate) fn accepted(user: &str) -> (String, String) {
    (format!("{OK}Auth-User: {user}\n"), "accepted".to_owned())
}

pub(crate) fn refused(cause: &str) -> (String, String) {
    (REFUSED.to_owned(), cause.to_owned())
}
