//! `[answers] codes`: what mail clients act on, where nginx passes it on.

use crate::support::cgi::ask;
use crate::support::temp_dir::TempDir;

const CONFIG: &str = "\
[[users]]
store = \"file\"
path = \"users\"
allow-weak-schemes = true
[routes.login]
alice = \"192.0.2.1\"
[inbound]
domains = [\"example.com\"]
";

#[test]
fn one_code_for_all_refusals_and_one_for_our_own_faults() {
    const REFUSED: &str = "Invalid login or password";
    const TEMPORARY: &str = "Temporary server problem, try again later";
    let dir = TempDir::new();
    dir.write(
        "users",
        "alice:{PLAIN}pw\nlost:{PLAIN}pw\noff:{PLAIN}pw::::::nologin\n",
    );
    for (codes, protocol, refused, temporary) in [
        (
            "true",
            "imap",
            format!("[AUTHENTICATIONFAILED] {REFUSED}\n"),
            format!("[UNAVAILABLE] {TEMPORARY}\n"),
        ),
        (
            "true",
            "pop3",
            format!("[AUTH] {REFUSED}\n"),
            format!("[SYS/TEMP] {TEMPORARY}\n"),
        ),
        (
            "true",
            "smtp",
            format!("{REFUSED}\nAuth-Error-Code: 535 5.7.8\n"),
            format!("{TEMPORARY}\nAuth-Error-Code: 454 4.7.0\n"),
        ),
        (
            "false",
            "imap",
            format!("{REFUSED}\n"),
            format!("{TEMPORARY}\n"),
        ),
        (
            "false",
            "pop3",
            format!("{REFUSED}\n"),
            format!("{TEMPORARY}\n"),
        ),
        (
            "false",
            "smtp",
            format!("{REFUSED}\n"),
            format!("{TEMPORARY}\nAuth-Error-Code: 451 4.3.0\n"),
        ),
    ] {
        dir.write("auth.toml", format!("{CONFIG}[answers]\ncodes = {codes}\n"));
        let with = |login: &str, password: &str, method: &str| {
            let (answer, _) = ask(
                &dir,
                &[
                    ("HTTP_AUTH_METHOD", method),
                    ("HTTP_AUTH_USER", login),
                    ("HTTP_AUTH_PASS", password),
                    ("HTTP_AUTH_PROTOCOL", protocol),
                ],
            );
            answer
        };
        let refused = format!("Auth-Status: {refused}\n");
        let temporary = format!("Auth-Status: {temporary}\n");
        for (login, password, method) in [
            ("alice", "wrong", "plain"),
            ("zoe", "pw", "plain"),
            ("off", "pw", "plain"),
            ("alice%0d", "pw", "plain"),
            ("%", "pw", "plain"),
            ("alice", "pw", "unheard-of"),
            ("alice", "pw", "external"),
            ("alice", "pw", "xoauth2"),
            ("alice", "x", "apop"),
        ] {
            assert_eq!(with(login, password, method), refused, "{login} {method}");
        }
        assert_eq!(with("lost", "pw", "plain"), temporary);
        let (start, _) = with("alice", "pw", "plain")
            .split_once('\n')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        assert_eq!(start, "Auth-Status: OK");
    }
}

/// Other mail servers act on codes whatever is configured.
#[test]
fn incoming_mail_always_has_codes() {
    let dir = TempDir::new();
    dir.write("users", "alice:{PLAIN}pw\n");
    for codes in ["true", "false"] {
        dir.write("auth.toml", format!("{CONFIG}[answers]\ncodes = {codes}\n"));
        let to = |address: &str| {
            let line = format!("RCPT TO:<{address}>");
            let variables = [
                ("HTTP_AUTH_METHOD", "none"),
                ("HTTP_AUTH_USER", ""),
                ("HTTP_AUTH_PASS", ""),
                ("HTTP_AUTH_PROTOCOL", "smtp"),
                ("HTTP_AUTH_SMTP_TO", &line),
            ];
            ask(&dir, &variables).0
        };
        assert_eq!(
            to("bob@elsewhere.example"),
            "Auth-Status: Relay access denied\nAuth-Error-Code: 550 5.7.1\n\n"
        );
        // No route: the fault is ours.
        assert_eq!(
            to("bob@example.com"),
            "Auth-Status: Temporary server problem, try again later\n\
             Auth-Error-Code: 451 4.3.0\n\n"
        );
    }
}
