//! The examples for Prometheus and Grafana: each rule fires when it should, by `promtool`, and they use metrics and
//! values that the program really has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::process::{program, wait_until};
use crate::support::serving::Serving;
use crate::support::temp_dir::TempDir;

/// Everything that has metrics: a store behind a circuit breaker, a host with several servers, a move, a throttle.
/// Nobody listens on port 1 of this machine.
const CONFIG: &str = r#"
[status]
path = "/mail/status"
[[users]]
store = "file"
path = "users"
allow-weak-schemes = true
[[users]]
store = "http"
name = "other"
url = "http://127.0.0.1:1/"
domains = ["example.org"]
[hosts]
old = "127.0.0.2"
new = "127.0.0.3"
named = "localhost"
[hosts.pool]
addresses = ["127.0.0.4", "127.0.0.5"]
port = 1
[moves]
spring = { old = "old", new = "new", moved = 10, moving = 20 }
[routes]
default = "pool"
[throttle]
"#;

fn example(file: &str) -> PathBuf {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/monitoring");
    examples.join(file)
}

fn read(file: &str) -> String {
    fs::read_to_string(example(file)).unwrap()
}

fn promtool(arguments: &[&str]) -> Output {
    Command::new(program("promtool", "prometheus"))
        .args(arguments)
        .current_dir(example(""))
        .output()
        .unwrap()
}

/// The names of the alerts, in the order of the file.
fn alerts() -> Vec<String> {
    let rules = read("alerts.yml");
    let names = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    names.map(str::to_owned).collect()
}

/// The expressions of the dashboard.
fn expressions(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(members) => {
            for (name, member) in members {
                match (name.as_str(), member) {
                    ("expr", serde_json::Value::String(text)) => found.push(text.clone()),
                    _ => expressions(member, found),
                }
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|it| expressions(it, found)),
        _ => {}
    }
}

fn dashboard() -> Vec<String> {
    let dashboard: serde_json::Value = serde_json::from_str(&read("grafana.json")).unwrap();
    let mut found = Vec::new();
    expressions(&dashboard, &mut found);
    assert!(found.len() > 25, "{found:?}");
    found
}

#[test]
fn each_alert_fires_when_it_should_and_only_then() {
    let checked = promtool(&["check", "rules", "alerts.yml"]);
    assert!(checked.status.success(), "{checked:?}");
    let tested = promtool(&["test", "rules", "alerts.test.yml"]);
    assert!(tested.status.success(), "{tested:?}");
    let tests = read("alerts.test.yml");
    let alerts = alerts();
    assert!(alerts.len() > 15, "{alerts:?}");
    for alert in alerts {
        for kind in ["fires", "does not fire"] {
            let name = format!("  - name: {alert} {kind}\n");
            let (_, test) = tests.split_once(&name).unwrap_or_else(|| panic!("{name}"));
            let test = test.split("\n  - name: ").next().unwrap();
            assert!(test.contains(&format!("alertname: {alert}\n")), "{test}");
            let nothing = test.contains("exp_alerts: []");
            assert_eq!(nothing, kind != "fires", "{name}");
        }
    }
}

#[test]
fn each_alert_has_a_row_that_says_what_to_do() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring.md");
    let page = fs::read_to_string(page).unwrap();
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| `NginxMailAuth"));
    let names = rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`'));
    let mut names: Vec<_> = names.filter(|it| it.starts_with('N')).collect();
    let mut alerts = alerts();
    names.sort_unstable();
    alerts.sort_unstable();
    assert_eq!(names, alerts);
}

/// With its indentation taken away.
fn yaml(page: &str, start: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(page);
    let page = fs::read_to_string(page).unwrap();
    let lines = page.lines().skip_while(|line| line.trim() != start);
    let first = lines.clone().next().unwrap();
    let indent = first.len() - first.trim_start().len();
    let block = lines.take_while(|line| line.starts_with(&first[..indent]) && line.trim() != "```");
    block.map(|line| format!("{}\n", &line[indent..])).collect()
}

#[test]
fn prometheus_can_read_the_configurations_in_the_documents() {
    let dir = TempDir::new();
    dir.write("nginx-mail-auth-alerts.yml", read("alerts.yml"));
    for (page, start) in [
        ("monitoring.md", "rule_files: [nginx-mail-auth-alerts.yml]"),
        ("status.md", "scrape_configs:"),
    ] {
        let text = yaml(page, start);
        assert!(text.contains("job_name: nginx-mail-auth"), "{page}: {text}");
        let file = dir.write("prometheus.yml", text);
        let checked = promtool(&["check", "config", &file.display().to_string()]);
        assert!(checked.status.success(), "{page}: {checked:?}");
    }
}

/// Grafana puts in its variables before Prometheus reads an expression.
#[test]
fn prometheus_can_read_the_expressions_of_the_dashboard() {
    let dir = TempDir::new();
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (number, expression) in dashboard().iter().enumerate() {
        let expression = expression
            .replace("$__rate_interval", "5m")
            .replace("$__interval", "5m")
            .replace("$instance", ".*");
        assert!(!expression.contains('$'), "{expression}");
        rules += &format!("      - record: panel_{number}\n        expr: {expression:?}\n");
    }
    let file = dir.write("rules.yml", rules);
    let checked = promtool(&["check", "rules", &file.display().to_string()]);
    assert!(checked.status.success(), "{checked:?}");
}

/// The metrics of a server, each with the values of its labels.
fn printed() -> BTreeMap<String, BTreeSet<String>> {
    let server = Serving::listening(CONFIG, "alice:{PLAIN}one\n");
    let status = || {
        server.answer(&[
            ("REQUEST_METHOD", "GET"),
            ("SCRIPT_NAME", "/mail/status"),
            ("QUERY_STRING", "prometheus"),
            ("REMOTE_ADDR", "127.0.0.1"),
        ])
    };
    let seen = || status().contains("nginx_mail_auth_mail_server_up{");
    wait_until("the mail servers have been probed", || {
        server.ask("alice", "one");
        server.ask("alice", "two");
        server.ask("bob@example.org", "two");
        seen()
    });
    let (_, metrics) = status()
        .split_once("\n\n")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let mut printed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = labels.trim_end_matches('}').split("\",");
        let labels = labels.filter(|label| !label.is_empty());
        let labels = labels.map(|label| label.trim_end_matches('"').to_owned());
        printed.entry(name.to_owned()).or_default().extend(labels);
    }
    printed
}

/// The metrics of this program in an expression, each with its selectors, such as `cause=~"a|b"`.
fn used(expression: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for (at, _) in expression.match_indices("nginx_mail_auth_") {
        let rest = &expression[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
        let selectors = rest
            .strip_prefix('{')
            .and_then(|rest| rest.split('}').next());
        let selectors = selectors.unwrap_or_default().split(", ");
        let selectors = selectors.filter(|selector| !selector.is_empty());
        found.push((name.to_owned(), selectors.map(str::to_owned).collect()));
    }
    found
}

#[test]
fn alerts_and_dashboard_use_metrics_that_the_program_has() {
    let printed = printed();
    assert!(printed.len() > 25, "{printed:?}");
    let documented =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md"))
            .unwrap();
    let mut expressions = dashboard();
    expressions.push(read("alerts.yml"));
    expressions.push(read("alerts.test.yml"));
    let mut seen = 0;
    for (name, selectors) in expressions.iter().flat_map(|it| used(it)) {
        let labels = printed
            .get(&name)
            .unwrap_or_else(|| panic!("no metric {name}: {:?}", printed.keys()));
        seen += 1;
        for selector in selectors {
            let at = selector.find(['=', '!']).expect(&selector);
            let (label, value) = selector.split_at(at);
            // What Prometheus adds, and what is made up in the tests of the rules.
            if ["instance", "job"].contains(&label) {
                continue;
            }
            let with_label = |it: &&String| it.starts_with(&format!("{label}="));
            assert!(
                labels.iter().any(|it| with_label(&it)),
                "{name}: no label {label}"
            );
            let values = value.trim_start_matches(['=', '~', '!']).trim_matches('"');
            for value in values.split('|') {
                let known = match label {
                    "cause" => documented.contains(&format!("\n| `{value}` |")),
                    "answer" => labels.contains(&format!("answer=\"{value}")),
                    _ => true,
                };
                assert!(known, "{name}: no {label} {value}");
            }
        }
    }
    assert!(seen > 60, "only {seen} uses");
}
