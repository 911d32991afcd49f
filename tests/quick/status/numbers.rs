//! What the page shows after known logins.

use crate::support::process::wait_until;
use crate::support::serving::*;
use crate::support::status::*;

const SCRIPT: &str = "<script>alert(1)</script>";

#[test]
fn numbers_are_right_after_known_logins() {
    let server = server();
    for _ in 0..3 {
        server.ask("alice", "one");
    }
    server.ask("bob", "two");
    server.ask("alice", "wrong");
    server.ask("nobody", "wrong");
    let metrics = body(&server, "openmetrics");
    for (series, value) in [
        (
            r#"decisions_total{answer="accepted",cause="accepted",protocol="imap"}"#,
            4.0,
        ),
        (
            r#"decisions_total{answer="refused",cause="wrong-password",protocol="imap"}"#,
            1.0,
        ),
        (
            r#"decisions_total{answer="refused",cause="unknown-user",protocol="imap"}"#,
            1.0,
        ),
        (
            r#"decisions_total{answer="refused",cause="unknown-user",protocol="pop3"}"#,
            0.0,
        ),
        (
            r#"method_decisions_total{method="plain",answer="accepted"}"#,
            4.0,
        ),
        (
            r#"method_decisions_total{method="plain",answer="refused"}"#,
            2.0,
        ),
        (r#"host_logins_total{host="one",protocol="imap"}"#, 3.0),
        (r#"host_logins_total{host="two",protocol="imap"}"#, 1.0),
        (r#"host_logins_total{host="other",protocol="imap"}"#, 0.0),
        (r#"decision_duration_seconds_count{answer="accepted"}"#, 4.0),
        (
            r#"decision_duration_seconds_bucket{answer="accepted",le="+Inf"}"#,
            4.0,
        ),
        (r#"store_answers_total{store="file",answer="yes"}"#, 4.0),
        (r#"store_answers_total{store="file",answer="no"}"#, 1.0),
        (r#"store_answers_total{store="file",answer="unknown"}"#, 1.0),
        (r#"store_answers_total{store="file",answer="trouble"}"#, 0.0),
        (r#"store_duration_seconds_count{store="file"}"#, 6.0),
        ("config_in_force", 1.0),
        ("config_problems", 0.0),
        ("trouble", 0.0),
        ("connections_limit", 64.0),
        ("throttle_reachable", 1.0),
    ] {
        let found = metric(&metrics, &format!("nginx_mail_auth_{series}"));
        assert_eq!(found, value, "{series}");
    }
    let text = body(&server, "text");
    for line in [
        "state:                no trouble",
        "accepted:             4",
        "refused:              2",
        "cause wrong-password: 1 (imap 1, pop3 0, smtp 0)",
        "method plain:         accepted 4, refused 2, temporary 0",
        "accepted for two:     1",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }
    let html = body(&server, "html");
    for shown in [
        r#"<b id="accepted">4</b>"#,
        r#"<b id="refused">2</b>"#,
        r#"<b id="temporary">0</b>"#,
        "<td>wrong-password<td>refused<td class=\"n\">1<td class=\"n\">0<td class=\"n\">0\n",
    ] {
        assert!(html.contains(shown), "{shown}\n{html}");
    }
}

#[test]
fn a_login_is_shown_on_demand_and_is_never_a_tag() {
    let server = server();
    for password in ["a", "b", "c"] {
        server.ask(SCRIPT, password);
    }
    for form in ["html", "json", "text", "openmetrics", "prometheus"] {
        let page = body(&server, form);
        assert!(!page.contains("alert"), "{form}: {page}");
        let full = body(&server, &format!("{form}&full"));
        let shown = full.contains("alert(1)");
        assert_eq!(
            shown,
            matches!(form, "html" | "json" | "text"),
            "{form}: {full}"
        );
        assert!(form != "html" || !full.contains("<script"), "{full}");
    }
    let full = body(&server, "text&full");
    assert!(
        full.contains("refused now:          0 networks, 1 logins, 0 logins from one network\n"),
        "{full}"
    );
    assert!(
        full.contains(&format!("{SCRIPT} from anywhere (1 wrong passwords)")),
        "{full}"
    );
}

#[test]
fn no_client_makes_a_metric() {
    let server = server();
    let before = series(&body(&server, "openmetrics"));
    for number in 0..100 {
        let login = format!("user{number}\"}} 1\nx{{y=\"");
        server.answer(&[
            ("HTTP_AUTH_METHOD", &format!("method{number}")),
            ("HTTP_AUTH_USER", &login),
            ("HTTP_AUTH_PASS", "x"),
            ("HTTP_AUTH_PROTOCOL", &format!("protocol{number}")),
            ("HTTP_CLIENT_IP", &format!("192.0.2.{number}")),
        ]);
        server.ask(&format!("user{number}"), "x");
    }
    let after = body(&server, "openmetrics");
    assert_eq!(series(&after), before);
    let unknown = r#"nginx_mail_auth_decisions_total{answer="refused",cause="unknown-method",protocol="pop3"}"#;
    assert_eq!(metric(&after, unknown), 100.0);
}

#[test]
fn prometheus_and_open_metrics_have_the_same_numbers() {
    let server = server();
    server.ask("alice", "one");
    let scraper = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let answer = answer(&server, "openmetrics", &[("HTTP_ACCEPT", scraper)]);
    let (head, open) = answer.split_once("\n\n").unwrap();
    assert!(
        head.contains("\nContent-Type: application/openmetrics-text; version=1.0.0;"),
        "{head}"
    );
    assert!(
        open.contains("\n# TYPE nginx_mail_auth_decisions counter\n")
            && open.ends_with("\n# EOF\n")
    );
    let older = body(&server, "openmetrics");
    assert!(older.contains("\n# TYPE nginx_mail_auth_decisions_total counter\n"));
    let accepted =
        r#"nginx_mail_auth_decisions_total{answer="accepted",cause="accepted",protocol="imap"}"#;
    assert_eq!(
        (metric(open, accepted), metric(&older, accepted)),
        (1.0, 1.0)
    );
}

#[test]
fn a_reload_keeps_the_counts_and_a_broken_one_is_shown_with_its_place() {
    let server = server();
    server.ask("alice", "one");
    server.replace("auth.toml", &CONFIG.replace("192.0.2.2", "192.0.2.3"));
    wait_until("the new version", || {
        body(&server, "text").contains("192.0.2.3")
    });
    let counts = |text: &str| {
        let lines = [
            "accepted:             1\n",
            "accepted for one:     1\n",
            "asked 1, yes 1,",
        ];
        lines.iter().all(|line| text.contains(line))
    };
    let text = body(&server, "text");
    assert!(counts(&text), "{text}");
    server.replace(
        "auth.toml",
        &CONFIG.replace("default = \"one\"", "default = 3"),
    );
    wait_until("the broken version", || {
        body(&server, "text").contains("problem:")
    });
    let text = body(&server, "text");
    let place = "auth.toml:17:11: routes.default: must be a string, not an integer";
    assert!(
        text.contains("\ntrouble:              ") || text.starts_with("trouble: "),
        "{text}"
    );
    assert!(text.matches(place).count() == 3, "{text}");
    assert!(counts(&text), "{text}");
    assert_eq!(
        metric(
            &body(&server, "openmetrics"),
            "nginx_mail_auth_config_problems"
        ),
        1.0
    );
    assert!(answer(&server, "", &[]).contains("200 OK"));
    server.replace("auth.toml", CONFIG);
    wait_until("the repaired version", || {
        !body(&server, "text").contains("problem:")
    });
    let text = body(&server, "text");
    assert!(
        text.starts_with("state:                no trouble\n") && text.contains("last error:"),
        "{text}"
    );
}

#[test]
fn a_password_file_that_cannot_be_read_is_shown() {
    let server = server();
    std::fs::remove_file(server.dir.path().join("users")).unwrap();
    wait_until("the missing file", || {
        body(&server, "text").contains("problem:")
    });
    let text = body(&server, "text");
    assert!(
        text.starts_with("trouble:              a changed file cannot be loaded: "),
        "{text}"
    );
    assert!(
        text.contains("/users: cannot be read: No such file"),
        "{text}"
    );
    // Its users stay.
    assert_eq!(server.ask("alice", "one"), accepted("192.0.2.1"));
}
