//! Who gets the page, and that logins and the page never mix.

use crate::support::serving::*;
use crate::support::status::*;

/// The answer to a client that may not ask, and not a word more.
const FORBIDDEN: &str = "Status: 403 Forbidden\nContent-Type: text/plain\nCache-Control: no-store\n\
                         X-Content-Type-Options: nosniff\n\n";

#[test]
fn without_the_table_there_is_no_page() {
    let (_, config) = CONFIG.split_once("[throttle]").unwrap();
    let server = Serving::listening(&format!("[throttle]{config}"), USERS);
    assert_eq!(answer(&server, "json", &[]), REFUSED);
    assert_eq!(
        answer(&server, "", &[("SCRIPT_NAME", "/mail/ping")]),
        REFUSED
    );
}

#[test]
fn a_client_from_elsewhere_gets_403_and_no_word_more() {
    let server = server();
    for path in ["/mail/status", "/mail/ping"] {
        for (name, more) in [
            ("another machine", &[("REMOTE_ADDR", "192.0.2.1")][..]),
            ("no address", &[]),
            (
                "two addresses",
                &[("REMOTE_ADDR", "127.0.0.1"), ("REMOTE_ADDR", "127.0.0.1")],
            ),
            (
                "a proxy",
                &[
                    ("REMOTE_ADDR", "127.0.0.1"),
                    ("HTTP_X_FORWARDED_FOR", "192.0.2.1"),
                ],
            ),
            ("a method", &[("REQUEST_METHOD", "POST")]),
        ] {
            let variables = [
                &[("SCRIPT_NAME", path), ("QUERY_STRING", "json&full")],
                more,
            ]
            .concat();
            assert_eq!(server.answer(&variables), FORBIDDEN, "{path} {name}");
        }
    }
    let listed = "allowed-from = [\"192.0.2.0/24\"]\n[throttle]";
    let server = Serving::listening(&CONFIG.replace("[throttle]", listed), USERS);
    let from = |address| {
        answer(
            &server,
            "",
            &[("SCRIPT_NAME", "/mail/ping"), ("REMOTE_ADDR", address)],
        )
    };
    // The variables of this machine come first, and two addresses are none.
    assert_eq!(from("192.0.2.1"), FORBIDDEN);
    let variables = [("SCRIPT_NAME", "/mail/ping"), ("REMOTE_ADDR", "192.0.2.1")];
    assert!(server.answer(&variables).ends_with("\n\npong\n"));
    assert_eq!(answer(&server, "", &[]), FORBIDDEN);
}

#[test]
fn a_login_never_gets_the_page() {
    let server = server();
    let login = [
        ("HTTP_AUTH_USER", "alice"),
        ("HTTP_AUTH_PASS", "one"),
        ("HTTP_AUTH_PROTOCOL", "imap"),
    ];
    // At the path of the page there is no login either: its front may let other clients in.
    assert_eq!(answer(&server, "json", &login), FORBIDDEN);
    assert_eq!(
        answer(&server, "json", &[("HTTP_CLIENT_IP", "192.0.2.7")]),
        FORBIDDEN
    );
    assert!(
        server
            .log()
            .contains("a login was sent to the URL of the status page")
    );
    // At another path there are only logins, whatever else the request says.
    for (name, value) in [
        ("QUERY_STRING", "json&full"),
        ("REQUEST_URI", "/mail/status"),
        ("DOCUMENT_URI", "/mail/status"),
        ("PATH_INFO", "/mail/status"),
        ("HTTP_ACCEPT", "text/html"),
        ("HTTP_SCRIPT_NAME", "/mail/status"),
    ] {
        let at = [
            ("SCRIPT_NAME", "/mail/auth"),
            ("REMOTE_ADDR", "127.0.0.1"),
            (name, value),
        ];
        assert_eq!(server.answer(&at), REFUSED, "{name}");
        let accepted = accepted("192.0.2.1");
        assert_eq!(
            server.answer(&[&at[..], &login].concat()),
            accepted,
            "{name}"
        );
    }
}

#[test]
fn only_get_and_head_are_answered_and_head_has_no_body() {
    let server = server();
    let (_, body_of_get) = answer(&server, "json", &[])
        .split_once("\n\n")
        .map(|(head, body)| {
            assert!(!head.contains("Auth-"), "{head}");
            (head.to_owned(), body.to_owned())
        })
        .unwrap();
    assert!(body_of_get.starts_with('{'));
    for (method, status, has_body) in [
        ("HEAD", "200 OK", false),
        ("POST", "405 Method Not Allowed", false),
        ("PUT", "405 Method Not Allowed", false),
        ("get", "405 Method Not Allowed", false),
        ("", "200 OK", true),
    ] {
        let variables = [
            ("REQUEST_METHOD", method),
            ("SCRIPT_NAME", "/mail/status"),
            ("REMOTE_ADDR", "127.0.0.1"),
        ];
        let answer = server.answer(&variables);
        let (head, body) = answer.split_once("\n\n").unwrap();
        assert!(
            head.starts_with(&format!("Status: {status}\n")),
            "{method}: {head}"
        );
        assert_eq!(!body.is_empty(), has_body, "{method}");
        assert_eq!(
            head.contains("Allow: GET, HEAD"),
            status.starts_with("405"),
            "{method}"
        );
    }
}

#[test]
fn odd_and_long_queries_are_harmless() {
    let server = server();
    let long = "json".repeat(15_000);
    for query in [
        "",
        "&&&===",
        "%00%ff\u{e9}<script>",
        "html\r\nX: y",
        &long,
        "full&full&full",
    ] {
        let answer = answer(&server, query, &[]);
        assert!(
            answer.starts_with("Status: 200 OK\nContent-Type: text/plain"),
            "{query:.20}"
        );
        assert!(
            answer.contains("\naccepted:             0\n"),
            "{query:.20}"
        );
    }
    // As long as requests may be, it is answered; if longer, it is none.
    let too_long = "x".repeat(140_000);
    let mut variables = asking("");
    variables.extend(["A", "B", "C"].map(|name| (name, &too_long[..65_000])));
    assert!(!server.answer(&variables).contains("accepted:"));
}
