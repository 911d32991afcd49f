//! Introspection.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::cgi::{TEMPORARY, ask, check};
use crate::support::serving::Serving;
use crate::support::temp_dir::TempDir;
use crate::support::tokens::service::{Does, Service};
use crate::support::tokens::{CONFIG, OK, USERS, active, now, refused, try_token, variables};

#[test]
fn the_service_is_asked_and_believed() {
    let dir = TempDir::new();
    let service = Service::start(Does::Says(200, active().to_string()));
    dir.write("users", USERS);
    dir.write("secret", "s3:cr/et\nnot this\n");
    let client = "client-id = \"ma il\"\nclient-secret-file = \"secret\"\nscope = \"imap\"\n";
    dir.write("auth.toml", service.config() + client);
    let token = "opaque-~._+/==";
    assert_eq!(try_token(&dir, "alice@example.com", token).0, OK);
    let asked = service.asked();
    let [request] = asked.as_slice() else {
        panic!("{asked:?}");
    };
    assert!(
        request.starts_with("POST /introspect?x=y HTTP/1.1\r\n"),
        "{request}"
    );
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(
        body,
        "token_type_hint=access_token&token=opaque-%7E._%2B%2F%3D%3D"
    );
    let basic = STANDARD.encode("ma%20il:s3%3Acr%2Fet");
    let lower = head.to_ascii_lowercase();
    assert!(head.contains(&format!("Basic {basic}")), "{head}");
    assert!(
        lower.contains("content-type: application/x-www-form-urlencoded"),
        "{head}"
    );
    assert!(lower.contains("accept: application/json"), "{head}");

    let no = refused(Some("imap"));
    for (changes, why) in [
        (json!({"active": false}), "bad-token"),
        (json!({"exp": now() - 60}), "bad-token"),
        (json!({"nbf": now() + 60}), "bad-token"),
        (json!({"scope": "smtp"}), "bad-token"),
        (json!({"email": "bob@example.com"}), "bad-token"),
        (json!({"email": null}), "bad-token"),
        (json!({"email_verified": false}), "bad-token"),
        (json!({"token_type": "refresh_token"}), "bad-token"),
        (json!({"token_type": "DPoP"}), "bad-token"),
        (json!({"token_use": "refresh_token"}), "bad-token"),
        (json!({"cnf": {"x5t#S256": "x"}}), "bad-token"),
        (
            json!({"token_type": "Bearer", "token_use": "access_token"}),
            "accepted",
        ),
    ] {
        let mut claims = active();
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        service.does(Does::Says(200, claims.to_string()));
        let (answer, cause) = try_token(&dir, "alice@example.com", token);
        let expected = if why == "accepted" { OK } else { &no };
        assert_eq!(
            (answer.as_str(), cause.as_str()),
            (expected, why),
            "{changes}"
        );
    }
}

/// Our own client secret is wrong or has expired: the service is asked once, not for each token.
#[test]
fn a_client_that_the_service_refuses_is_tried_once() {
    let invalid = || "{\"error\":\"invalid_client\"}".to_owned();
    for (status, body, asked) in [
        (401, String::new(), 1),
        (401, invalid(), 1),
        (400, invalid(), 1),
        // That is no word about us.
        (401, "{\"error\":\"invalid_token\"}".to_owned(), 3),
        (400, String::new(), 3),
        (503, invalid(), 3),
    ] {
        let dir = TempDir::new();
        let service = Service::start(Does::Says(status, body.clone()));
        dir.write("secret", "s3cret\n");
        let client = "client-id = \"mail\"\nclient-secret-file = \"secret\"\n";
        let server = Serving::listening_in(dir, &(service.config() + client), USERS);
        for _ in 0..3 {
            let answer = server.answer(&variables("alice@example.com", "opaque"));
            assert_eq!(answer, TEMPORARY, "{status} {body}");
        }
        assert_eq!(service.asked().len(), asked, "{status} {body}");
    }
}

/// Then no login is accepted, and no client is told that its token is wrong.
#[test]
fn a_service_that_cannot_say_is_the_temporary_failure() {
    let dir = TempDir::new();
    let service = Service::start(Does::Stalls);
    dir.write("users", USERS);
    dir.write("auth.toml", service.config());
    let said = |status, body: &str| Does::Says(status, body.to_owned());
    let active = active().to_string();
    for does in [
        Does::Stalls,
        Does::Drips,
        said(500, &active),
        said(401, &active),
        said(301, &active),
        said(204, ""),
        said(200, ""),
        said(200, "{"),
        said(200, "[true]"),
        said(200, "{\"active\":\"true\"}"),
        said(200, "{\"active\":1}"),
        said(200, "{\"email\":\"alice@example.com\"}"),
        said(
            200,
            &format!("{{\"active\":true,\"x\":\"{}\"}}", "x".repeat(70_000)),
        ),
        Does::Sends(b""),
        Does::Sends(b"220 mail.example ESMTP\r\n"),
        Does::Sends(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"active\":true,"),
        Does::Sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n{"),
        Does::Sends(&[0; 100]),
    ] {
        service.does(does);
        let start = Instant::now();
        let (answer, why) = try_token(&dir, "alice@example.com", "opaque-token");
        let took = start.elapsed();
        assert_eq!(
            (answer.as_str(), why.as_str()),
            (TEMPORARY, "token-trouble")
        );
        assert!(took < Duration::from_millis(1700), "{took:?}");
    }
    let down = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("127.0.0.1:{}", service.port);
    dir.write(
        "auth.toml",
        service.config().replace(&url, &down.to_string()),
    );
    let (answer, why) = try_token(&dir, "alice@example.com", "opaque-token");
    assert_eq!(
        (answer.as_str(), why.as_str()),
        (TEMPORARY, "token-trouble")
    );
}

/// Under CGI these may be headers of a request (CVE-2016-5385).
#[test]
fn no_variable_leads_to_a_proxy() {
    let dir = TempDir::new();
    let service = Service::start(Does::Says(200, active().to_string()));
    let proxy = Service::start(Does::Says(200, active().to_string()));
    dir.write("users", USERS);
    dir.write("auth.toml", service.config());
    let through = format!("http://127.0.0.1:{}", proxy.port);
    let mut all = variables("alice@example.com", "opaque-token");
    for name in [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ] {
        all.push((name, &through));
    }
    let (answer, _) = ask(&dir, &all);
    assert_eq!(answer, OK);
    assert_eq!((service.asked().len(), proxy.asked().len()), (1, 0));
}

#[test]
fn a_connection_that_the_service_gave_up_is_not_noticed() {
    let service = Service::start(Does::SaysAndLeaves(active().to_string()));
    let server = Serving::listening(&service.config(), USERS);
    for _ in 0..5 {
        let answer = server.answer(&variables("alice@example.com", "opaque-token"));
        assert_eq!(answer, OK, "{}", server.log());
    }
    // And one that is back is used again.
    service.does(Does::Sends(b""));
    let answer = server.answer(&variables("alice@example.com", "opaque-token"));
    assert_eq!(answer, TEMPORARY);
    service.does(Does::Says(200, active().to_string()));
    for _ in 0..3 {
        let answer = server.answer(&variables("alice@example.com", "opaque-token"));
        assert_eq!(answer, OK, "{}", server.log());
    }
}

#[test]
fn settings_that_cannot_work() {
    let dir = TempDir::new();
    dir.write("users", USERS);
    dir.write("secret", "s3cret\n");
    dir.write("empty", "");
    dir.write("broken.json", "{}");
    for (settings, message) in [
        (
            "introspection-url = \"http://id.example/\"",
            "9:21: oauth.introspection-url: must start with https://: others could read the traffic",
        ),
        (
            "introspection-url = \"id.example\"",
            "9:21: oauth.introspection-url: must be of the form https://host/path",
        ),
        (
            "introspection-url = \"https://user:pw@id.example/\"",
            "9:21: oauth.introspection-url: must be of the form https://host/path",
        ),
        (
            "introspection-url = \"https://id.example:0/\"",
            "9:21: oauth.introspection-url: has no port from 1 to 65535; write an IPv6 address in \
             [brackets]",
        ),
        (
            "introspection-url = \"https://id.-example/\"",
            "9:21: oauth.introspection-url: has no usable host: \"id.-example\"",
        ),
        (
            "issuer = \"https://id.example\"",
            "9:10: oauth.introspection-url: is missing, and so is jwks-file: no token would be \
             accepted",
        ),
        (
            "introspection-url = \"https://id.example/\"\nclient-id = \"x\"",
            "10:13: oauth.client-secret-file: is missing",
        ),
        (
            "introspection-url = \"https://id.example/\"\nclient-id = \"x\"\n\
             client-secret-file = \"empty\"",
            "11:22: oauth.client-secret-file: its first line must have 1 to 512 bytes",
        ),
        (
            "introspection-url = \"https://id.example/\"\nca-file = \"none.pem\"",
            "10:11: oauth.ca-file: ",
        ),
        (
            "introspection-url = \"https://id.example/\"\nissuer = \"\"",
            "10:10: oauth.issuer: must not be empty",
        ),
        (
            "jwks-file = \"none.json\"\naudience = \"x\"",
            "9:13: oauth.jwks-file: ",
        ),
        (
            "jwks-file = \"broken.json\"\naudience = \"x\"",
            "9:13: oauth.jwks-file: ",
        ),
        ("jwks-file = \"broken.json\"", "warning: "),
    ] {
        dir.write("auth.toml", format!("{CONFIG}{settings}\n"));
        let (text, code) = check(&dir);
        assert!(text.contains(message), "{settings}: {text}");
        assert!(!text.contains("s3cret"), "{text}");
        assert_eq!(code, Some(78), "{text}");
    }
}

/// `check` asks the service about an invented token.
#[test]
fn check_asks_the_service() {
    let dir = TempDir::new();
    let service = Service::start(Does::Says(200, "{\"active\":false}".to_owned()));
    dir.write("users", USERS);
    dir.write("auth.toml", service.config());
    assert_eq!(check(&dir).1, Some(0), "{}", check(&dir).0);
    for (does, message) in [
        (
            Does::Says(200, active().to_string()),
            "the service reports an invented token as active",
        ),
        (
            Does::Says(401, String::new()),
            "introspection: the service answers with status 401",
        ),
        (Does::Stalls, "introspection: no answer in time"),
    ] {
        service.does(does);
        let (text, code) = check(&dir);
        let place = "auth.toml:9:21: oauth.introspection-url: ";
        assert!(text.contains(place) && text.contains(message), "{text}");
        assert_eq!(code, Some(78));
    }
}
