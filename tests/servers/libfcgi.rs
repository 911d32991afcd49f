//! The same bytes for us and for libfcgi, which most FastCGI programs in C, Perl and Python are
//! made with.
//!
//! Both must see the same variables and end the same requests. libfcgi runs in a process of its
//! own: some bytes end it.
//!
//! Where the peer breaks the protocol, the two may differ, in the ways of [`Oddity`] and in no
//! other. Whenever both find a request in the same bytes, its variables are the same.

use crate::support::fastcgi_streams::*;
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nginx_mail_auth::front::NoRequest;
use nginx_mail_auth::front::fcgi::Limits;
use nginx_mail_auth::front::fcgi::conn::{Connection, Event};

use crate::support::random::Random;
use crate::support::temp_dir::TempDir;

/// Streams of each kind; the environment variable STREAMS asks for more.
const STREAMS: u64 = 3000;

fn streams() -> u64 {
    let asked = std::env::var("STREAMS").ok();
    asked.map_or(STREAMS, |asked| asked.parse().unwrap())
}

//------------ libfcgi -------------------------------------------------------

struct Libfcgi {
    dir: TempDir,
    argument: &'static str,
    child: Child,
    ended: Vec<String>,
}

impl Libfcgi {
    /// Its program reads STDIN or not.
    fn start(argument: &'static str) -> Self {
        let dir = TempDir::new();
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/echo.c");
        let built = Command::new("cc")
            .args(["-O1", "-o"])
            .arg(dir.path().join("echo"))
            .args([source, "-lfcgi"])
            .output()
            .expect("cc (Debian: gcc)");
        let words = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{words} (Debian: libfcgi-dev)");
        let child = Self::spawn(&dir, argument);
        Self {
            dir,
            argument,
            child,
            ended: Vec::new(),
        }
    }

    fn socket(dir: &TempDir) -> PathBuf {
        dir.path().join("socket")
    }

    fn spawn(dir: &TempDir, argument: &str) -> Child {
        let _none_yet = std::fs::remove_file(Self::socket(dir));
        let listener = UnixListener::bind(Self::socket(dir)).unwrap();
        Command::new(dir.path().join("echo"))
            .arg(argument)
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Brings it these parts, each after the answer to the one before; everything that it sends.
    fn say(&mut self, parts: &[Vec<u8>]) -> Vec<u8> {
        let out = self.try_to_say(parts);
        if !out.is_empty() {
            return out;
        }
        // It may have been on its way out when we came: because of others.
        let ended = self.ended.len();
        let alive = [
            record(1, 1, &[0, 1, 0, 0, 0, 0, 0, 0], 0),
            record(4, 1, b"", 0),
        ];
        let answered = !self.try_to_say(&[alive.concat()]).is_empty();
        if answered && self.ended.len() == ended {
            return out;
        }
        self.try_to_say(parts)
    }

    fn try_to_say(&mut self, parts: &[Vec<u8>]) -> Vec<u8> {
        let mut stream = match UnixStream::connect(Self::socket(&self.dir)) {
            Ok(stream) => stream,
            // The bytes before have ended it.
            Err(_) => {
                let status = self.child.wait().unwrap();
                self.ended.push(status.to_string());
                self.child = Self::spawn(&self.dir, self.argument);
                UnixStream::connect(Self::socket(&self.dir)).unwrap()
            }
        };
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).unwrap();
        let mut out = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            let _it_may_be_gone = stream.write_all(part);
            if number + 1 == parts.len() {
                let _it_may_be_gone = stream.shutdown(Shutdown::Write);
            }
            let mut buffer = [0; 4096];
            loop {
                if number + 1 < parts.len() && answers(&out).len() > number {
                    break;
                }
                match stream.read(&mut buffer) {
                    Ok(0) => return out,
                    Ok(length) => out.extend_from_slice(&buffer[..length]),
                    Err(error) if error.kind() == ErrorKind::ConnectionReset => return out,
                    Err(error) => panic!("libfcgi: {error}"),
                }
            }
        }
        out
    }
}

impl Drop for Libfcgi {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//------------ We ------------------------------------------------------------

/// What we send for the same bytes, and how the requests came out that were none.
fn ours(stream: &[u8]) -> (Vec<u8>, Vec<NoRequest>) {
    let limits = Limits {
        params_bytes: usize::MAX / 2,
        params_pairs: usize::MAX / 2,
        ..Limits::default()
    };
    let mut conn = Connection::new(limits);
    let (mut out, mut none, mut rest) = (Vec::new(), Vec::new(), stream);
    loop {
        match conn.next(&mut out) {
            Event::Answer => conn.answer(&mut out, |request, out| match request {
                Ok(params) => {
                    for (name, value) in params.iter() {
                        let whole = [name, b"=", value].concat();
                        // In C, a string ends at its first NUL.
                        let end = whole.iter().position(|byte| *byte == 0);
                        let text = &whole[..end.unwrap_or(whole.len())];
                        out.extend((text.len() as u32).to_be_bytes());
                        out.extend(text);
                    }
                }
                Err(why) => none.push(why),
            }),
            Event::More(_) if rest.is_empty() => return (out, none),
            Event::More(_) => {
                let room = conn.room();
                let length = rest.len().min(room.capacity() - room.len());
                let (now, later) = rest.split_at(length);
                room.extend_from_slice(now);
                rest = later;
            }
            Event::Over | Event::Violation(_) => return (out, none),
        }
    }
}

//------------ Answers -------------------------------------------------------

//------------ Streams -------------------------------------------------------

//------------ Tests ---------------------------------------------------------

#[test]
fn well_formed_streams_mean_the_same_to_libfcgi() {
    let (mut libfcgi, random) = (Libfcgi::start("stdin"), &mut Random::seeded(2025));
    for number in 0..streams() {
        let count = 1 + random.below(3);
        let last_is_kept = random.one_in(2);
        // On a kept connection libfcgi loses its place over padding.
        let padding = match count {
            1 => Padding::Any,
            _ => Padding::None,
        };
        let requests: Vec<_> = (1..=count)
            .map(|n| request(random, n < count || last_is_kept, padding))
            .collect();
        let theirs = without_role(answers(&libfcgi.say(&requests)));
        let (out, none) = ours(&requests.concat());
        assert_eq!(answers(&out), theirs, "stream {number}");
        assert_eq!(
            (theirs.len() as u64, none),
            (count, Vec::new()),
            "stream {number}"
        );
    }
    assert_eq!(libfcgi.ended, Vec::<String>::new());
}

#[test]
fn malformed_streams_mean_the_same_to_libfcgi_or_nothing() {
    let (mut libfcgi, random) = (Libfcgi::start("no stdin"), &mut Random::seeded(23_016));
    let (mut both, mut neither, mut only_we, mut only_they) = (0, 0, 0, 0);
    for number in 0..streams() {
        let keep = random.one_in(2);
        let mut stream = request(random, keep, Padding::Any);
        for _ in 0..=random.below(3) {
            damage(&mut stream, random);
        }
        let theirs = without_role(answers(&libfcgi.say(&[stream.clone()])));
        let (out, none) = ours(&stream);
        // What is no request to us has an answer without variables.
        let whole = |ended: &&Ended| ended.status == [0; 5];
        let theirs = theirs.iter().find(whole);
        let our_answers = answers(&out);
        let we = our_answers.iter().find(whole).filter(|_| none.is_empty());
        let odd = oddities(&stream);
        let context = || format!("stream {number}, {odd:?}: {}", stream.escape_ascii());
        match (we, theirs) {
            (Some(we), Some(theirs)) if odd.is_empty() => {
                both += 1;
                assert_eq!(we, theirs, "{}", context());
            }
            (Some(we), Some(theirs)) => {
                both += 1;
                let can = |effect| odd.iter().any(|odd| odd.effect() == effect);
                let prefix = we.stdout.starts_with(&theirs.stdout);
                let explained =
                    we == theirs || can(Effect::EndsEarly) && prefix || can(Effect::Another);
                assert!(explained, "{}", context());
            }
            (None, None) => neither += 1,
            (Some(_), None) => {
                only_we += 1;
                assert!(!odd.is_empty(), "only we see a request: {}", context());
            }
            (None, Some(_)) => {
                only_they += 1;
                assert!(
                    !odd.is_empty(),
                    "only libfcgi sees a request: {}",
                    context()
                );
            }
        }
    }
    println!(
        "{both} requests for both, {neither} for neither, {only_we} only for us, {only_they} only \
         for libfcgi, which ended {} times: {:?}",
        libfcgi.ended.len(),
        BTreeSet::from_iter(&libfcgi.ended)
    );
    // Each kind was really there.
    assert!(
        both > 100 && neither > 100 && only_we > 10,
        "{both} {neither} {only_we}"
    );
}
