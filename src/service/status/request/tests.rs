//! Paths as web servers send them, and who may ask.

use super::*;
use crate::login::Network;
use crate::nginx::request::Fronts;

fn config() -> StatusConfig {
    StatusConfig {
        path: Some("/mail/status".to_owned()),
        ping: Some("/mail/ping".to_owned()),
        allowed_from: ["127.0.0.0/8", "::1", "192.0.2.0/24"]
            .map(|network| Network::parse(network).unwrap())
            .into(),
        socket: None,
    }
}

fn params<'a>(pairs: &[(&'a str, &'a str)]) -> Params<'a> {
    let mut params = Params::bounded(64);
    for (name, value) in pairs {
        params.push(name.as_bytes(), value.as_bytes()).unwrap();
    }
    params
}

fn wanted(pairs: &[(&str, &str)]) -> Option<Wanted> {
    let params = params(pairs);
    Request::read(&params, &config()).map(|request| request.wanted())
}

#[test]
fn the_path_is_what_each_web_server_sends() {
    use Wanted::{Nothing, Page, Ping};
    let (script, info) = ("SCRIPT_NAME", "PATH_INFO");
    let (document, uri) = ("DOCUMENT_URI", "REQUEST_URI");
    for (pairs, expected) in [
        (&[(script, "/mail/status")][..], Some(Page)),
        (&[(script, "/mail/ping")], Some(Ping)),
        (&[(script, "/mail"), (info, "/status")], Some(Page)),
        (&[(script, ""), (info, "/mail/status")], Some(Page)),
        (&[(script, "/mail/status"), (info, "")], Some(Page)),
        (&[(document, "/mail/status")], Some(Page)),
        (&[(uri, "/mail/status?json")], Some(Page)),
        (
            &[(script, ""), (document, ""), (uri, "/mail/status")],
            Some(Page),
        ),
        // The first of them decides alone.
        (&[(script, "/mail/auth"), (uri, "/mail/status")], None),
        (&[(script, "/mail/auth"), (info, "/mail/status")], None),
        (&[(script, "/mail/auth"), (document, "/mail/status")], None),
        (&[(document, "/mail/auth"), (uri, "/mail/status")], None),
        (&[(uri, "/mail/auth?/mail/status")], None),
        (&[(uri, "/mail/auth?x=/mail/status")], None),
        // Exactly the path.
        (&[(script, "/mail/status/")], Some(Nothing)),
        (&[(script, "/mail/status"), (info, "/")], Some(Nothing)),
        (&[(script, "/mail/status/more")], Some(Nothing)),
        (&[(script, "/mail/ping"), (info, "/x")], Some(Nothing)),
        (&[(script, "/mail/statusx")], None),
        (&[(script, "/MAIL/STATUS")], None),
        (&[(script, "//mail/status")], None),
        (&[(script, "/mail/status\0")], None),
        (&[(uri, "/mail/status%00")], None),
        (&[(uri, "http://x/mail/status")], None),
        (&[("HTTP_SCRIPT_NAME", "/mail/status")], None),
        (&[], None),
    ] {
        assert_eq!(wanted(pairs), expected, "{pairs:?}");
    }
    let off = StatusConfig {
        path: None,
        ping: None,
        ..config()
    };
    let params = params(&[(script, "/mail/status")]);
    assert!(Request::read(&params, &off).is_none());
}

fn allowed(peer: Peer, fronts: &Fronts, pairs: &[(&str, &str)]) -> bool {
    let pairs = [&[("SCRIPT_NAME", "/mail/status")], pairs].concat();
    let params = params(&pairs);
    let request = Request::read(&params, &config()).unwrap();
    request.is_allowed(peer, fronts, &config())
}

#[test]
fn only_clients_of_the_list_may_ask() {
    let anybody = Fronts::default();
    let from = |address| allowed(Peer::Unix, &anybody, &[("REMOTE_ADDR", address)]);
    for address in [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "192.0.2.200",
        "::ffff:192.0.2.1",
    ] {
        assert!(from(address), "{address}");
    }
    for address in [
        "192.0.3.1",
        "::2",
        "",
        "unix:",
        "127.0.0.1 ",
        "127.1",
        "localhost",
    ] {
        assert!(!from(address), "{address}");
    }
    let local = ("REMOTE_ADDR", "127.0.0.1");
    for (name, others) in [
        ("no address", &[][..]),
        ("two addresses", &[local, local]),
        ("two paths", &[local, ("SCRIPT_NAME", "/mail/status")]),
        (
            "a proxy on this machine",
            &[local, ("HTTP_X_FORWARDED_FOR", "203.0.113.1")],
        ),
        (
            "another header of it",
            &[local, ("HTTP_FORWARDED", "for=203.0.113.1")],
        ),
        ("a login", &[local, ("HTTP_AUTH_METHOD", "plain")]),
        ("a part of one", &[local, ("HTTP_AUTH_USER", "")]),
    ] {
        assert!(!allowed(Peer::Unix, &anybody, others), "{name}");
    }
    let listed = [("REMOTE_ADDR", "192.0.2.1"), ("HTTP_X_FORWARDED_FOR", "x")];
    assert!(allowed(Peer::Unix, &anybody, &listed));
}

#[test]
fn the_address_is_believed_from_web_servers_alone() {
    let anybody = Fronts::default();
    let listed = |networks: &[&str], unix| Fronts {
        allowed: Some(crate::nginx::request::AllowedFronts {
            networks: networks
                .iter()
                .map(|it| Network::parse(it).unwrap())
                .collect(),
            unix,
        }),
        ..Fronts::default()
    };
    let tcp = |address: &str| Peer::Tcp(address.parse().unwrap());
    let local = [("REMOTE_ADDR", "127.0.0.1")];
    for (peer, fronts, expected) in [
        (Peer::WebServer, &anybody, true),
        (Peer::Unix, &anybody, true),
        (tcp("127.0.0.1"), &anybody, true),
        (tcp("192.0.2.1"), &anybody, false),
        (tcp("192.0.2.1"), &listed(&["192.0.2.1"], false), true),
        (tcp("127.0.0.1"), &listed(&["192.0.2.1"], false), false),
        (Peer::Unix, &listed(&[], true), true),
        (Peer::Unix, &listed(&["127.0.0.1"], false), false),
        (Peer::WebServer, &listed(&["192.0.2.1"], false), true),
    ] {
        assert_eq!(allowed(peer, fronts, &local), expected, "{peer:?}");
    }
}

#[test]
fn the_query_names_the_form_and_otherwise_the_client_chooses() {
    use Form::{Html, Json, OpenMetrics, Prometheus, Text};
    let browser = "text/html,application/xhtml+xml,*/*;q=0.8";
    let scraper =
        "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    for (query, accept, expected) in [
        ("", "", Text),
        ("", "*/*", Text),
        ("", browser, Html),
        ("", scraper, OpenMetrics),
        ("html", "*/*", Html),
        ("json", browser, Json),
        ("text", browser, Text),
        ("openmetrics", scraper, OpenMetrics),
        ("openmetrics=", scraper, OpenMetrics),
        ("openmetrics", "*/*", Prometheus),
        ("prometheus", scraper, Prometheus),
        ("full&json", "", Json),
        ("json&full", "", Json),
        ("json&html", "", Json),
        ("_=1&JSON&jsonx&xjson", "", Text),
        ("&&=&\u{e9}%00", browser, Html),
    ] {
        let pairs = [
            ("SCRIPT_NAME", "/mail/status"),
            ("QUERY_STRING", query),
            ("HTTP_ACCEPT", accept),
        ];
        let params = params(&pairs);
        let request = Request::read(&params, &config()).unwrap();
        assert_eq!(request.form(), expected, "{query} {accept}");
        assert_eq!(request.is_full(), query.contains("full"), "{query}");
    }
}
