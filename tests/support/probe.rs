//! The command `probe`, and a service that it asks.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::thread;

use crate::support::binary;

/// What became of one run.
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) heard: String,
}

/// Runs `probe URL alice OPTIONS` against a service that says this; `add` is called when it has heard the request.
pub(crate) fn run_with(answer: &[u8], options: &[&str], add: impl FnOnce() + Send) -> Run {
    let service = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}/mail/auth", service.local_addr().unwrap());
    thread::scope(|scope| {
        let heard = scope.spawn(move || {
            let (mut stream, _) = service.accept().unwrap();
            let (mut heard, mut byte) = (Vec::new(), [0]);
            while !heard.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
                heard.extend(byte);
            }
            add();
            stream.write_all(answer).unwrap();
            String::from_utf8(heard).unwrap()
        });
        let mut run = command(&url, options, "secret-of-alice\n");
        run.heard = heard.join().unwrap();
        run
    })
}

pub(crate) fn run(answer: &str, options: &[&str]) -> Run {
    run_with(answer.as_bytes(), options, || {})
}

pub(crate) fn command(url: &str, options: &[&str], input: &str) -> Run {
    let mut child = binary::command()
        .args(["probe", url, "alice"])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have ended already.
    let _ended = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run {
        status: output.status.code().unwrap(),
        out: text(output.stdout),
        err: text(output.stderr),
        heard: String::new(),
    }
}

/// The line that begins with this word.
pub(crate) fn line<'a>(text: &'a str, word: &str) -> &'a str {
    let found = text.lines().find_map(|line| line.strip_prefix(word));
    found.unwrap_or_else(|| panic!("no {word:?} in {text}"))
}
