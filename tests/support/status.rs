//! The status page of the program: a configuration that has it, and requests for it.

use std::collections::BTreeSet;

use crate::support::serving::Serving;

/// Users in a file, two hosts, a throttle in memory, and the page.
pub(crate) const CONFIG: &str = r#"
[status]
path = "/mail/status"
ping = "/mail/ping"
[throttle]
free-failures = 0
waits = [1]
refuse-login = 1
[[users]]
store = "file"
path = "users"
allow-weak-schemes = true
[hosts]
one = "192.0.2.1"
two = "192.0.2.2"
[routes]
default = "one"
login = { bob = "two" }
"#;

pub(crate) const USERS: &str = "alice:{PLAIN}one\nbob:{PLAIN}two\n";

/// A server with the page and two users.
pub(crate) fn server() -> Serving {
    Serving::listening(CONFIG, USERS)
}

/// The variables of a request of this machine for the status, with this query.
pub(crate) fn asking(query: &str) -> Vec<(&str, &str)> {
    vec![
        ("REQUEST_METHOD", "GET"),
        ("SCRIPT_NAME", "/mail/status"),
        ("QUERY_STRING", query),
        ("REMOTE_ADDR", "127.0.0.1"),
    ]
}

/// The whole answer to a request with this query, with further variables.
pub(crate) fn answer(server: &Serving, query: &str, more: &[(&str, &str)]) -> String {
    server.answer(&[&asking(query), more].concat())
}

/// The body of the answer to a request with this query.
#[track_caller]
pub(crate) fn body(server: &Serving, query: &str) -> String {
    let answer = answer(server, query, &[]);
    let (head, body) = answer.split_once("\n\n").unwrap();
    assert!(head.starts_with("Status: 200 OK\n"), "{head}");
    body.to_owned()
}

/// The value of a metric.
#[track_caller]
pub(crate) fn metric(metrics: &str, series: &str) -> f64 {
    let value = metrics
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let value = value.unwrap_or_else(|| panic!("no {series} in {metrics}"));
    value.parse().unwrap()
}

/// The names and labels of all metrics.
pub(crate) fn series(metrics: &str) -> BTreeSet<String> {
    let values = metrics.lines().filter(|line| !line.starts_with('#'));
    values
        .map(|line| line.rsplit_once(' ').unwrap().0.to_owned())
        .collect()
}
