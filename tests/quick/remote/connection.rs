//! The headers about the client's connection that another `auth_http` service gets.

use crate::support::auth_http::{keys, saying, to};
use crate::support::program::{Program, REFUSED, with_store};
use crate::support::scripted_server::Fake;

/// The headers of nginx about the client's connection are passed on unchanged, and no others are added.
#[test]
fn it_gets_the_headers_of_nginx_about_the_connection() {
    const OK: &str = "Auth-Status: OK\r\nAuth-Server: 192.0.2.9\r\nAuth-Port: 1143\r\n\r\n";
    let fake = saying(OK);
    let program = Program::serve(&with_store(&keys(&fake)));
    let ask = |more: &[(&str, &str)]| {
        let all = [
            ("HTTP_AUTH_USER", "alice"),
            ("HTTP_AUTH_PASS", "marker-password"),
            ("HTTP_AUTH_PROTOCOL", "smtp"),
            ("HTTP_AUTH_LOGIN_ATTEMPT", "7"),
            ("HTTP_CLIENT_IP", "192.0.2.7"),
        ];
        let before = fake.heard().len();
        let answer = program.answer(&[&all[..], more].concat());
        let heard = String::from_utf8(fake.heard()[before..].to_vec()).unwrap();
        (answer, heard)
    };
    let (_, heard) = ask(&[
        ("HTTP_CLIENT_HOST", "mail.example.com"),
        ("HTTP_PROXY_PROTOCOL_ADDR", "203.0.113.9"),
        ("HTTP_PROXY_PROTOCOL_PORT", "40000"),
        ("HTTP_AUTH_SSL", "on"),
        ("HTTP_AUTH_SSL_PROTOCOL", "TLSv1.3"),
        ("HTTP_AUTH_SSL_VERIFY", "SUCCESS"),
        ("HTTP_AUTH_SSL_SUBJECT", "CN=alice,O=Example"),
        ("HTTP_AUTH_SSL_CERT", "-----BEGIN%20CERTIFICATE-----%0A"),
        ("HTTP_X_OTHER", "not of nginx"),
    ]);
    let wanted = "Auth-Login-Attempt: 7\r\nClient-IP: 192.0.2.7\r\nClient-Host: mail.example.com\r\n\
        Proxy-Protocol-Addr: 203.0.113.9\r\nProxy-Protocol-Port: 40000\r\nAuth-SSL: on\r\n\
        Auth-SSL-Protocol: TLSv1.3\r\nAuth-SSL-Verify: SUCCESS\r\nAuth-SSL-Subject: CN=alice,O=Example\r\n\
        Auth-SSL-Cert: -----BEGIN%20CERTIFICATE-----%0A\r\n\r\n";
    assert!(heard.ends_with(wanted), "{heard}");
    // Without TLS no header about it is sent, whatever the request had.
    let (_, heard) = ask(&[("HTTP_AUTH_SSL_VERIFY", "SUCCESS")]);
    assert!(heard.ends_with("Client-IP: 192.0.2.7\r\n\r\n"), "{heard}");
    // No value can begin a header of its own.
    for header in [
        "HTTP_CLIENT_HOST",
        "HTTP_AUTH_SSL_SUBJECT",
        "HTTP_AUTH_SSL_CERT",
    ] {
        let (answer, heard) = ask(&[("HTTP_AUTH_SSL", "on"), (header, "x\r\nAuth-User: bob")]);
        assert!(
            answer.starts_with("Auth-Status: Invalid login or password\n"),
            "{answer}"
        );
        assert_eq!(heard, "", "{header}");
    }
}

/// A service can accept a login only if its connection is encrypted.
#[test]
fn a_yes_to_an_encrypted_connection_is_none_to_another() {
    let fake = Fake::start(|talk| {
        let mut encrypted = false;
        while let Some(line) = talk.line().filter(|line| line != b"\r\n") {
            encrypted |= line == b"Auth-SSL: on\r\n";
        }
        talk.say(match encrypted {
            true => b"Auth-Status: OK\r\nAuth-Server: 192.0.2.9\r\nAuth-Port: 1143\r\n\r\n",
            false => b"Auth-Status: encrypt\r\n\r\n",
        });
        talk.listen();
    });
    let program = Program::serve(&with_store(&format!("{}cache = 60\n", keys(&fake))));
    let ask = |tls: bool| {
        let all = [
            ("HTTP_AUTH_USER", "alice"),
            ("HTTP_AUTH_PASS", "marker-password"),
            ("HTTP_AUTH_PROTOCOL", "imap"),
            ("HTTP_CLIENT_IP", "192.0.2.7"),
            ("HTTP_AUTH_SSL", "on"),
        ];
        program.answer(all.get(..if tls { 5 } else { 4 }).unwrap())
    };
    for _ in 0..2 {
        assert_eq!(ask(true), to("192.0.2.9", 1143, ""));
        assert_eq!(ask(false), REFUSED);
    }
}
