//! The script's job with the crate `fastcgi` 1.0.0, listening on descriptor 0.

use std::io::Write as _;

fn main() {
    fastcgi::run(|mut request| {
        let (Some(login), Some(_password)) = (
            request.param("HTTP_AUTH_USER"),
            request.param("HTTP_AUTH_PASS"),
        ) else {
            let _client_gone = request
                .stdout()
                .write_all(b"Auth-Status: Invalid login or password\n\n");
            return;
        };
        let port = match request.param("HTTP_AUTH_PROTOCOL").as_deref() {
            Some("imap") => 143,
            Some("smtp") => 25,
            _ => 110,
        };
        let server = match login.as_bytes().first() {
            Some(b'a' | b'c' | b'f' | b'g') => "192.168.1.22",
            _ => "192.168.1.33",
        };
        let answer = format!("Auth-Status: OK\nAuth-Server: {server}\nAuth-Port: {port}\n\n");
        let _client_gone = request.stdout().write_all(answer.as_bytes());
    });
}
