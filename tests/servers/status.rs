//! The status page behind real web servers, in a real browser, and read by Prometheus' own tool.

use std::process::{Command, Stdio};

use crate::support::fronts::{Front, Way};
use crate::support::process::program;
use crate::support::serving::Serving;
use crate::support::status::{self, CONFIG, USERS, metric};

/// What a client would run if the page had it as a tag.
const SCRIPT: &str = "<script>document.title='owned'</script>";

const WAYS: [Way; 6] = [
    Way::Cgi,
    Way::Cgid,
    Way::Fcgid,
    Way::ProxyFcgi,
    Way::Nginx,
    Way::Lighttpd,
];

fn front(way: Way) -> Front {
    let config = CONFIG.replace("[throttle]", "allowed-from = [\"127.0.0.1\"]\n[throttle]");
    let files = [("auth.toml", config.into_bytes()), ("users", USERS.into())];
    Front::start(way, &files)
}

/// The whole answer to a request of nginx, or of another client.
fn ask(front: &Front, path: &str, headers: &[&str]) -> String {
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let answer = front.ask(path, headers.as_bytes()).unwrap();
    String::from_utf8(answer).unwrap()
}

fn log_in(front: &Front, login: &str, password: &str) -> String {
    let (user, pass) = (
        format!("Auth-User: {login}"),
        format!("Auth-Pass: {password}"),
    );
    let headers = [
        &*user,
        &*pass,
        "Auth-Method: plain",
        "Auth-Protocol: imap",
        "Client-IP: 192.0.2.7",
    ];
    ask(front, "/mail/auth?json", &headers)
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[test]
fn behind_web_servers_the_page_and_logins_do_not_mix() {
    for way in WAYS {
        let front = front(way);
        for _ in 0..3 {
            let answer = log_in(&front, "alice", "one");
            assert!(
                answer.contains("\r\nAuth-Status: OK\r\n"),
                "{way:?}: {answer}"
            );
            assert!(!answer.contains("\"process\""), "{way:?}: {answer}");
        }
        let ping = ask(&front, "/mail/ping", &[]);
        assert!(
            ping.contains(" 200 OK\r\n") && body(&ping) == "pong\n",
            "{way:?}: {ping}"
        );
        let page = ask(&front, "/mail/status?json", &[]);
        assert!(
            page.contains(" 200 OK\r\n") && !page.contains("\r\nAuth-"),
            "{way:?}: {page}"
        );
        assert!(
            page.contains("\r\nContent-Type: application/json\r\n"),
            "{way:?}: {page}"
        );
        let report: serde_json::Value = serde_json::from_str(body(&page)).unwrap();
        let under_cgi = matches!(way, Way::Cgi | Way::Cgid);
        assert_eq!(report["process"]["one_request"], under_cgi, "{way:?}");
        assert_eq!(report["configuration"]["in_force"], true, "{way:?}");
        if way.is_served() {
            assert_eq!(report["answers"]["total"]["accepted"], 3, "{way:?}");
        }
        // A browser.
        let page = ask(&front, "/mail/status", &["Accept: text/html"]);
        assert!(
            page.contains("\r\nContent-Security-Policy: default-src 'none'; "),
            "{way:?}: {page}"
        );
        assert!(body(&page).ends_with("</html>"), "{way:?}");
        // A login at the wrong URL, a path below, and a proxy before the web server.
        for (path, header, status) in [
            ("/mail/status", "Auth-User: alice", " 403 "),
            ("/mail/ping", "Auth-Method: plain", " 403 "),
            ("/mail/status", "X-Forwarded-For: 127.0.0.1", " 403 "),
        ] {
            let answer = ask(&front, path, &[header]);
            let refused = answer.lines().next().unwrap().contains(status);
            assert!(
                refused && !answer.contains("\r\nAuth-"),
                "{way:?} {path}: {answer}"
            );
            assert!(!body(&answer).contains("pid"), "{way:?}: {answer}");
        }
        let below = ask(&front, "/mail/status/more", &[]);
        assert!(
            below.lines().next().unwrap().contains(" 40"),
            "{way:?}: {below}"
        );
        assert!(!below.contains("\r\nAuth-"), "{way:?}: {below}");
        // Another client than the list has.
        let url = format!("http://127.0.0.1:{}/mail/status", front.port);
        let mut curl = Command::new(program("curl", "curl"));
        let output = curl
            .args(["-si", "--interface", "127.0.0.2", &url])
            .output()
            .unwrap();
        let answer = String::from_utf8(output.stdout).unwrap();
        assert!(
            answer.lines().next().unwrap().contains(" 403 "),
            "{way:?}: {answer}"
        );
        assert!(!answer.contains("nginx-mail-auth"), "{way:?}: {answer}");
        // The methods are those that the web server passes on.
        for (method, status) in [(&["-I"][..], " 200 "), (&["-d", "x"], " 405 ")] {
            let mut curl = Command::new(program("curl", "curl"));
            let output = curl.args(["-si", &url]).args(method).output().unwrap();
            let answer = String::from_utf8(output.stdout).unwrap();
            assert!(
                answer.lines().next().unwrap().contains(status),
                "{way:?} {method:?}: {answer}"
            );
            assert_eq!(body(&answer), "", "{way:?} {method:?}");
        }
    }
}

#[test]
fn a_browser_shows_the_numbers_and_runs_no_script() {
    let config = CONFIG.replace("free-failures = 0", "free-failures = 0\nrefuse-network = 1");
    let files = [("auth.toml", config.into_bytes()), ("users", USERS.into())];
    let front = Front::start(Way::Nginx, &files);
    for (login, password) in [
        ("alice", "one"),
        ("bob", "two"),
        ("alice", "two"),
        (SCRIPT, "one"),
    ] {
        log_in(&front, &login.replace(' ', "%20"), password);
    }
    let url = format!("http://127.0.0.1:{}/mail/status?html&full", front.port);
    let mut browser = Command::new(program("chromium", "chromium"));
    let profile = front.folder.path().join("profile");
    browser
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(["--dump-dom", &url])
        .stderr(Stdio::null());
    let output = browser.output().unwrap();
    let dom = String::from_utf8(output.stdout).unwrap();
    for shown in [
        "<title>OK - nginx-mail-auth</title>",
        "<b id=\"accepted\">2</b>",
        "<b id=\"refused\">2</b>",
        "<td>wrong-password</td><td>refused</td><td class=\"n\">1</td>",
        "&lt;script&gt;document.title='owned'&lt;/script&gt; from anywhere",
        "<rect class=\"accepted\"",
    ] {
        assert!(dom.contains(shown), "{shown}\n{dom}");
    }
    assert!(
        !dom.contains("<script") && !dom.contains("<title>owned"),
        "{dom}"
    );
}

#[test]
fn promtool_has_nothing_to_say_about_the_metrics() {
    let server = Serving::listening(CONFIG, USERS);
    server.ask("alice", "one");
    let metrics = status::body(&server, "openmetrics");
    let accepted = r#"nginx_mail_auth_host_logins_total{host="one",protocol="imap"}"#;
    assert_eq!(metric(&metrics, accepted), 1.0);
    let file = server.dir.write("metrics", &metrics);
    let output = Command::new(program("promtool", "prometheus"))
        .args(["check", "metrics"])
        .stdin(std::fs::File::open(file).unwrap())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&said), "");
    assert!(output.status.success());
}
