//! Keys and fronts behind real web servers.

use crate::support::front_keys::*;
use crate::support::fronts::{Front, Way};

/// What the web server gives for these lines of headers.
fn refused_by(front: &Front, more: &[&str]) -> bool {
    let usual = [
        "Auth-User: alice",
        "Auth-Pass: one",
        "Auth-Protocol: imap",
        "Client-IP: 192.0.2.7",
    ];
    let lines = [&usual, more].concat();
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let answer = front.ask("/mail/auth", lines.as_bytes()).unwrap();
    let text = String::from_utf8_lossy(&answer).into_owned();
    let refused = text.contains("\r\nAuth-Status: Invalid login or password\r\n");
    assert!(
        refused || text.contains("\r\nAuth-Status: OK\r\n"),
        "{text}"
    );
    assert_eq!(refused, !text.contains("Auth-Server"), "{text}");
    refused
}

#[test]
fn behind_web_servers_the_key_comes_in_the_header_that_is_configured() {
    let nginx = "keys = [\"new-marker\", \"old-marker\"]\nkey-header = \"X-Mail-Front\"";
    let files = [
        ("auth.toml", config(nginx).into_bytes()),
        ("users", USERS.into()),
    ];
    for way in [
        Way::Cgi,
        Way::Cgid,
        Way::Fcgid,
        Way::ProxyFcgi,
        Way::Nginx,
        Way::Lighttpd,
    ] {
        let front = Front::start(way, &files);
        for (headers, refused) in [
            (&["X-Mail-Front: new-marker"][..], false),
            (&["x-mail-front: old-marker"], false),
            (&["X-Mail-Front: new-market"], true),
            (&["X-Auth-Key: new-marker"], true),
            (&[], true),
            // Apache makes one of them, others hand both on.
            (
                &["X-Mail-Front: new-marker", "X-Mail-Front: old-marker"],
                true,
            ),
            (&["X-Mail-Front: new-marker, old-marker"], true),
            (
                &["X-Mail-Front: new-marker", "X-Mail-Front: new-marker"],
                true,
            ),
        ] {
            assert_eq!(refused_by(&front, headers), refused, "{way:?} {headers:?}");
        }
        // Another header that would be the same variable: dropped, or one too many.
        let both = ["X-Mail-Front: new-marker", "X_Mail_Front: new-marker"];
        assert_eq!(refused_by(&front, &both), way == Way::Lighttpd, "{way:?}");
        let log = front.logged();
        assert!(log.contains("cause=wrong-key peer=127.0.0.1 "), "{log}");
        assert!(!log.contains("marke"), "{log}");
    }
}

#[test]
fn behind_web_servers_requests_come_from_where_they_may() {
    for (way, list, refused) in [
        (Way::Cgi, "\"127.0.0.1\"", false),
        (Way::Cgi, "\"192.0.2.0/24\", \"unix\"", true),
        (Way::Cgid, "\"127.0.0.0/8\"", false),
        (Way::Fcgid, "\"127.0.0.0/8\"", false),
        (Way::Fcgid, "\"192.0.2.0/24\", \"unix\"", true),
        (Way::ProxyFcgi, "\"unix\"", false),
        (Way::Nginx, "\"unix\"", false),
    ] {
        let nginx = format!("allowed-fronts = [{list}]");
        let files = [
            ("auth.toml", config(&nginx).into_bytes()),
            ("users", USERS.into()),
        ];
        let front = Front::start(way, &files);
        // mod_remoteip is not there, and the program does not look.
        let forged = ["X-Forwarded-For: 192.0.2.1", "Remote-Addr: 192.0.2.1"];
        assert_eq!(refused_by(&front, &forged), refused, "{way:?} {list}");
        let cause = "cause=wrong-front peer=127.0.0.1 ";
        assert_eq!(
            front.logged().contains(cause),
            refused,
            "{}",
            front.logged()
        );
    }
}
