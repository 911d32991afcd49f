//! The request by curl in docs/operations.md is the one that nginx sends.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::process::{Server, free_port, need_root, program, wait_until};
use crate::support::snippets::{nginx, nginx_config, shipped};
use crate::support::temp_dir::TempDir;

const KEY: &str = "a-key-of-this-test-only";
const URL: &str = "http://127.0.0.1:8080/mail/auth";

/// The lines of the next request; `Host` is left out, which names no user.
fn request(service: &TcpListener) -> Vec<String> {
    let mut accepted = None;
    wait_until("a request", || {
        accepted = service.accept().ok();
        accepted.is_some()
    });
    let (mut stream, _) = accepted.unwrap();
    stream.set_nonblocking(false).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        bytes.extend(byte);
    }
    stream
        .write_all(b"HTTP/1.0 200 OK\r\nAuth-Status: no\r\n\r\n")
        .unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("Host: "));
    lines.map(str::to_owned).collect()
}

/// The command of the document, with another URL, key and client.
fn documented(url: &str, key: &Path) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let page = fs::read_to_string(page).unwrap();
    let lines = page.lines().skip_while(|line| !line.contains("curl -si"));
    let lines = lines.map_while(|line| line.strip_prefix("    "));
    let command = lines.collect::<Vec<_>>().join("\n");
    [
        (URL, url),
        (
            "/etc/nginx-mail-auth/key",
            &key.display().to_string() as &str,
        ),
        ("192.0.2.7", "127.0.0.1"),
    ]
    .iter()
    .fold(command, |command, (old, new)| {
        assert!(command.contains(old), "{command}");
        command.replace(old, new)
    })
}

#[test]
fn curl_as_in_the_documents_sends_what_nginx_sends() {
    need_root();
    let folder = TempDir::new();
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    service.set_nonblocking(true).unwrap();
    let url = format!("http://{}/mail/auth", service.local_addr().unwrap());
    let listens = [143, 110, 25].map(|usual| {
        let port = free_port(Ipv4Addr::LOCALHOST);
        (
            port,
            format!("listen {usual};"),
            format!("listen 127.0.0.1:{port};"),
        )
    });
    let mut changed = vec![(URL, url.as_str()), ("replace-this-key", KEY)];
    changed.extend(
        listens
            .iter()
            .map(|(_, old, new)| (old.as_str(), new.as_str())),
    );
    let config = nginx_config(folder.path(), &shipped("examples/nginx.conf", &changed));
    let mut proxy = Server::start(&mut nginx(&config), folder.path().join("nginx.out"));
    let imap = listens[0].0;
    proxy.wait_for_port(Ipv4Addr::LOCALHOST, imap);
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, imap)).unwrap();
    client.write_all(b"a LOGIN alice secret\r\n").unwrap();
    let of_nginx = request(&service);

    let key = folder.write("key", format!("{KEY}\n"));
    program("curl", "curl");
    let mut curl = Command::new("bash")
        .args(["-c", &documented(&url, &key)])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let of_curl = request(&service);
    assert!(curl.wait().unwrap().success());
    assert!(of_nginx.contains(&format!("X-Auth-Key: {KEY}")));
    assert_eq!(of_curl, of_nginx);
}
