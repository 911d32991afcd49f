//! Whatever web server stands in between, nginx gets the same answer to the same request.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::fronts::{Front, Way};
use crate::support::mail_hosts::MailHosts;
use crate::support::mail_hosts::{KEY, files};
use crate::support::process::program;

/// nginx's buffer for the status line and all headers (`ngx_mail_auth_http_init_process`).
const NGINX_READS: usize = 1024;

type Headers = Vec<(&'static str, Vec<u8>)>;

/// Requests: what is behind /mail in the URL, and headers.
fn requests() -> Vec<(&'static str, Headers)> {
    let request = |login: &[u8], password: &[u8], protocol: &str| {
        vec![
            ("Auth-Method", b"plain".to_vec()),
            ("Auth-User", login.to_vec()),
            ("Auth-Pass", password.to_vec()),
            ("Auth-Protocol", protocol.into()),
            ("Auth-Login-Attempt", b"1".to_vec()),
            ("Client-IP", b"192.0.2.7".to_vec()),
            ("X-Auth-Key", KEY.into()),
        ]
    };
    let without = |name: &str| {
        let mut headers = request(b"alice", b"sesame1", "imap");
        headers.retain(|(this, _)| *this != name);
        headers
    };
    let mut cram = request(b"alice", b"0123456789abcdef0123456789abcdef", "smtp");
    cram[0].1 = b"cram-md5".to_vec();
    let mut forged = request(b"alice", b"sesame1", "imap");
    forged.push(("Auth-User", b"bob".to_vec()));
    vec![
        ("/auth", request(b"alice", b"sesame1", "imap")),
        ("/auth", request(b"bob", b"hunter2", "pop3")),
        ("/auth", request(b"carol%20smith", b"pass%20word", "imap")),
        ("/auth", request(b"carol%20smith", b"pass%20word", "smtp")),
        ("/auth", request(b"m\xfcller", b"pa\xdfw\xf6rd", "imap")),
        ("/auth", request(b"x\\y", b"back\\slash\\\\", "imap")),
        ("/auth/and/more", request(b"alice", b"sesame1", "imap")),
        ("/auth/%0a?x=%0a", request(b"alice", b"sesame1", "imap")),
        ("/auth", request(b"alice", b"wrong", "imap")),
        ("/auth", request(b"nobody", b"sesame1", "smtp")),
        ("/auth", request(b"", b"", "pop3")),
        ("/auth", request(b"alice%0d%0a", b"sesame1", "pop3")),
        ("/auth", request(b"alice%", b"sesame1", "pop3")),
        ("/auth", request(&[b'a'; 7000], b"sesame1", "imap")),
        ("/auth", cram),
        ("/auth", without("X-Auth-Key")),
        ("/auth", without("Auth-User")),
        ("/auth", without("Auth-Pass")),
        ("/auth", without("Auth-Method")),
        ("/auth", without("Auth-Protocol")),
        ("/auth", forged),
    ]
}

fn auth_headers(answer: &[u8]) -> Vec<String> {
    let lines = answer.split(|byte| *byte == b'\n');
    lines
        .map(|line| String::from_utf8_lossy(line.trim_ascii_end()).into_owned())
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("Auth-"))
        .collect()
}

#[test]
fn every_front_gives_the_same_answers() {
    let hosts = MailHosts::shared();
    let requests = requests();
    let mut answers: BTreeMap<usize, Vec<(String, Vec<String>)>> = BTreeMap::new();
    for way in Way::ALL {
        let front = Front::start(way, &files(&hosts));
        for (number, (path, headers)) in requests.iter().enumerate() {
            if way == Way::Lighttpd && path.contains("%0a") {
                continue; // lighttpd itself refuses it
            }
            let lines: Vec<_> = headers
                .iter()
                .flat_map(|(name, value)| [name.as_bytes(), b": ", value, b"\r\n"].concat())
                .collect();
            let answer = front.ask(&format!("/mail{path}"), &lines).unwrap();
            let text = String::from_utf8_lossy(&answer);
            let length = text.find("\r\n\r\n").expect(&text) + 4;
            assert!(length < NGINX_READS, "{way:?}: {length} bytes: {text}");
            let who = format!("{way:?}");
            let list = answers.entry(number).or_default();
            list.push((who, auth_headers(&answer)));
        }
        if way == Way::ProxyFcgi {
            for (number, (_, headers)) in requests.iter().enumerate() {
                let answer = through_cgi_fcgi(&front.socket(), headers);
                let list = answers.entry(number).or_default();
                list.push(("cgi-fcgi".into(), auth_headers(&answer)));
            }
        }
    }
    for (number, answers) in &answers {
        let (first, expected) = &answers[0];
        assert!(!expected.is_empty(), "{:?} {answers:?}", requests[*number]);
        for (way, answer) in answers {
            assert_eq!(answer, expected, "{way}, {first}: request {number}");
        }
    }
    let accepted = answers.values().filter(|list| list[0].1.len() == 3);
    // For SMTP no login has a blank.
    assert_eq!(accepted.count(), 9);
}

/// libfcgi's own client, which gets its variables from its environment.
fn through_cgi_fcgi(socket: &Path, headers: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut command = Command::new(program("cgi-fcgi", "libfcgi-bin"));
    command.args(["-bind", "-connect"]).arg(socket).env_clear();
    command.env("REQUEST_METHOD", "GET");
    let mut variables: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (name, value) in headers {
        // A name that comes twice: as Apache joins them.
        variables
            .entry(format!("HTTP_{}", name.replace('-', "_").to_uppercase()))
            .and_modify(|all| all.extend([b", ", value.as_slice()].concat()))
            .or_insert_with(|| value.clone());
    }
    for (name, value) in &variables {
        command.env(name, OsStr::from_bytes(value));
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}
