//! The request by curl in docs/operations.md, and that of `probe`, are the ones that nginx sends.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::binary;
use crate::support::process::{Server, free_port, need_root, program, wait_until};
use crate::support::snippets::{nginx, nginx_config, shipped};
use crate::support::temp_dir::TempDir;

const KEY: &str = "a-key-of-this-test-only";
const URL: &str = "http://127.0.0.1:8080/mail/auth";

/// The lines of the next request; `Host` is left out, which names no user.
fn request(service: &TcpListener) -> Vec<String> {
    let text = String::from_utf8(bytes_of_request(service)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("Host: "));
    lines.map(str::to_owned).collect()
}

/// The next request, which is refused.
fn bytes_of_request(service: &TcpListener) -> Vec<u8> {
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
    bytes
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

/// nginx's mail proxy that asks this service, and its ports for IMAP, POP3 and SMTP.
fn proxy(folder: &TempDir, url: &str, more: &[(&str, &str)]) -> (Server, [u16; 3]) {
    let listens = [143, 110, 25].map(|usual| {
        let port = free_port(Ipv4Addr::LOCALHOST);
        (
            port,
            format!("listen {usual};"),
            format!("listen 127.0.0.1:{port};"),
        )
    });
    let mut changed = vec![(URL, url), ("replace-this-key", KEY)];
    changed.extend(
        listens
            .iter()
            .map(|(_, old, new)| (old.as_str(), new.as_str())),
    );
    changed.extend(more);
    let config = nginx_config(folder.path(), &shipped("examples/nginx.conf", &changed));
    let mut proxy = Server::start(&mut nginx(&config), folder.path().join("nginx.out"));
    let ports = listens.map(|(port, ..)| port);
    for port in ports {
        proxy.wait_for_port(Ipv4Addr::LOCALHOST, port);
    }
    (proxy, ports)
}

#[test]
fn curl_as_in_the_documents_sends_what_nginx_sends() {
    need_root();
    let folder = TempDir::new();
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    service.set_nonblocking(true).unwrap();
    let url = format!("http://{}/mail/auth", service.local_addr().unwrap());
    let (_proxy, [imap, ..]) = proxy(&folder, &url, &[]);
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

/// A request without what a login chooses by chance: the two numbers of a challenge, and what depends on them.
fn without_chance(request: &[u8]) -> String {
    let text = request.escape_ascii().to_string().replace("\\r\\n", "\n");
    let challenged = text.contains("Auth-Salt: <");
    let lines = text.lines().map(|line| match line.split_once(": ") {
        Some((name @ "Auth-Salt", value)) => {
            assert!(value.starts_with('<') && value.ends_with('>'), "{value}");
            format!("{name}: <>\n")
        }
        Some((name @ "Auth-Pass", value)) if challenged => format!("{name}: {}\n", value.len()),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

/// A port of nginx and the dialogue there; the options of probe, the login, the password.
type Case<'a> = (u16, Vec<&'a str>, &'a str, &'a [u8], &'a [u8]);

#[test]
fn probe_sends_what_nginx_sends() {
    need_root();
    let folder = TempDir::new();
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    service.set_nonblocking(true).unwrap();
    let url = format!("http://{}/mail/auth?x=1", service.local_addr().unwrap());
    let more = [
        ("imap_auth plain;", "imap_auth plain cram-md5;"),
        ("pop3_auth plain;", "pop3_auth plain apop;"),
        (
            "auth_http_timeout 20s;",
            "auth_http_timeout 20s; auth_http_header X-Site \"one two\";",
        ),
    ];
    let (proxy_server, [imap, pop3, smtp]) = proxy(&folder, &url, &more);
    let key = folder.write("key", format!("{KEY}\n"));
    let base64 = |bytes: &[u8]| STANDARD.encode(bytes);
    let odd: &[u8] = b"a b%+&\xe9,;=\"q\x7f\t";
    let odd_plain = base64(&[b"\0", odd, b"\0", b"p w%\xff"].concat());
    let digest = base64(format!("alice {}", "0".repeat(32)).as_bytes());
    let apop = format!("APOP alice {}", "0".repeat(32));
    let alice: &[u8] = b"alice";
    let cases: [Case<'_>; 7] = [
        (
            imap,
            vec!["a LOGIN alice secret"],
            "--protocol imap",
            alice,
            b"secret",
        ),
        (
            imap,
            vec!["a AUTHENTICATE PLAIN", &odd_plain],
            "--protocol imap",
            odd,
            b"p w%\xff",
        ),
        (
            imap,
            vec!["a LOGIN alice \"\""],
            "--protocol imap",
            alice,
            b"",
        ),
        (
            imap,
            vec!["a AUTHENTICATE CRAM-MD5", &digest],
            "--method cram-md5",
            alice,
            b"secret",
        ),
        (
            pop3,
            vec!["USER alice", "PASS a b"],
            "--protocol pop3",
            alice,
            b"a b",
        ),
        (pop3, vec![&apop], "--method apop", alice, b"secret"),
        (
            smtp,
            vec!["EHLO x", "AUTH PLAIN AGFsaWNlAHNlY3JldA=="],
            "--protocol smtp",
            alice,
            b"secret",
        ),
    ];
    for (port, dialogue, options, login, password) in cases {
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut client = BufReader::new(client);
        for line in &dialogue {
            client.read_until(b'\n', &mut Vec::new()).unwrap();
            // nginx answers EHLO in several lines.
            while client.buffer().contains(&b'\n') {
                client.read_until(b'\n', &mut Vec::new()).unwrap();
            }
            client
                .get_mut()
                .write_all(format!("{line}\r\n").as_bytes())
                .unwrap();
        }
        let of_nginx = bytes_of_request(&service);

        let mut command = binary::command();
        command
            .arg("probe")
            .arg(&url)
            .arg(OsStr::from_bytes(login))
            .args(options.split(' '))
            .arg("--key-file")
            .arg(&key)
            .args(["--header", "X-Site: one two"]);
        let mut probe = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let line = [password, b"\n"].concat();
        probe.stdin.take().unwrap().write_all(&line).unwrap();
        let of_probe = bytes_of_request(&service);
        assert_eq!(probe.wait().unwrap().code(), Some(1));
        assert_eq!(
            without_chance(&of_probe),
            without_chance(&of_nginx),
            "{dialogue:?}"
        );
    }
    drop(proxy_server);
}
