//! The ping and the page while no configuration is in force, and under CGI.

use crate::support::cgi;
use crate::support::process::wait_until;
use crate::support::serving::*;
use crate::support::status::*;
use crate::support::temp_dir::TempDir;

fn ping(server: &Serving) -> String {
    let variables = [("SCRIPT_NAME", "/mail/ping"), ("REMOTE_ADDR", "127.0.0.1")];
    server.answer(&variables)
}

#[test]
fn the_ping_says_whether_a_configuration_is_in_force() {
    let server = server();
    let expected = "Status: 200 OK\nContent-Type: text/plain\nCache-Control: no-store\n\
                    X-Content-Type-Options: nosniff\n\npong\n";
    assert_eq!(ping(&server), expected);
    // The version before stays in force.
    server.replace("auth.toml", "[[[\n");
    wait_until("the broken version", || {
        assert_eq!(ping(&server), expected);
        server.log().contains("stays in force")
    });
    wait_until("the broken version", || {
        server.log().contains("stays in force")
    });
    assert_eq!(ping(&server), expected);
}

/// As mod_fcgid starts it.
#[test]
fn a_server_without_a_configuration_answers_503_until_there_is_one() {
    for broken in [
        "[[[\n",
        "",
        &CONFIG.replace("path = \"users\"", "path = \"gone\""),
    ] {
        let dir = TempDir::new();
        dir.write("users", USERS);
        let server = Serving::inheriting_in(dir, broken);
        let answer = ping(&server);
        assert!(
            answer.starts_with("Status: 503 Service Unavailable\n"),
            "{broken}: {answer}"
        );
        // A login gets the answer that nginx understands.
        let answer = server.ask("alice", "one");
        assert_eq!(answer, cgi::TEMPORARY, "{broken}");
        if broken.len() > 4 {
            let text = body(&server, "text");
            assert!(
                text.contains("trouble:              no configuration is in force"),
                "{text}"
            );
            assert!(
                text.contains("cause no-configuration: 1 (imap 1,"),
                "{text}"
            );
            assert!(text.contains("auth.toml:11:8: users.path:"), "{text}");
        }
        server.replace("auth.toml", CONFIG);
        wait_until("the repaired version", || {
            ping(&server).ends_with("\n\npong\n")
        });
    }
}

#[test]
fn under_cgi_the_page_says_that_it_has_nothing_to_count() {
    let dir = TempDir::new();
    dir.write("users", USERS);
    dir.write("auth.toml", CONFIG);
    let (text, log) = cgi::ask(&dir, &asking("text"));
    assert!(text.starts_with("Status: 200 OK\n"), "{text}{log}");
    assert!(
        text.contains("answers this request alone: it has nothing to count\n"),
        "{text}"
    );
    let (text, _) = cgi::ask(
        &dir,
        &[("SCRIPT_NAME", "/mail/ping"), ("REMOTE_ADDR", "127.0.0.1")],
    );
    assert!(text.ends_with("\n\npong\n"), "{text}");
    for broken in ["[[[\n", "[status]\nping = \"/mail/ping\"\n"] {
        dir.write("auth.toml", broken);
        let ping = [("SCRIPT_NAME", "/mail/ping"), ("REMOTE_ADDR", "127.0.0.1")];
        let (text, _) = cgi::ask(&dir, &ping);
        assert!(
            text.starts_with("Status: 503 Service Unavailable\n"),
            "{text}"
        );
        let (text, _) = cgi::ask(
            &dir,
            &[("HTTP_AUTH_USER", "alice"), ("REQUEST_URI", "/mail/auth")],
        );
        assert_eq!(text, cgi::TEMPORARY);
    }
}
