//! The same bytes for us and for libfcgi, which most FastCGI programs in C, Perl and Python are
//! made with.
//!
//! Both must see the same variables and end the same requests. libfcgi runs in a process of its
//! own: some bytes end it.
//!
//! Where the peer breaks the protocol, the two may differ, in the ways of [`Oddity`] and in no
//! other. Whenever both find a request in the same bytes, its variables are the same.

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
            Event::Over | Event::Broken(_) => return (out, none),
        }
    }
}

//------------ Answers -------------------------------------------------------

/// A request that was ended.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    id: u16,
    /// appStatus and protocolStatus.
    status: [u8; 5],
    stdout: Vec<u8>,
}

/// The requests that were ended in what an application sends; what comes behind the last whole
/// record is not looked at.
fn answers(mut bytes: &[u8]) -> Vec<Ended> {
    let (mut ended, mut stdout) = (Vec::new(), Vec::new());
    while let Some((&[_, kind, i1, i0, c1, c0, padding, _], rest)) = bytes.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([c1, c0]));
        let Some(content) = rest.get(..length) else {
            break;
        };
        let Some(after) = rest.get(length + usize::from(padding)..) else {
            break;
        };
        bytes = after;
        match kind {
            6 => stdout.extend_from_slice(content),
            3 => ended.push(Ended {
                id: u16::from_be_bytes([i1, i0]),
                status: content[..5].try_into().unwrap(),
                stdout: std::mem::take(&mut stdout),
            }),
            _ => {}
        }
    }
    ended
}

/// libfcgi adds a variable of its own before all others.
fn without_role(mut answers: Vec<Ended>) -> Vec<Ended> {
    for answer in &mut answers {
        let role = b"\0\0\0\x13FCGI_ROLE=RESPONDER";
        if let Some(rest) = answer.stdout.strip_prefix(role) {
            answer.stdout = rest.to_vec();
        }
    }
    answers
}

//------------ Streams -------------------------------------------------------

fn record(kind: u8, id: u16, content: &[u8], padding: u8) -> Vec<u8> {
    let ([i1, i0], [c1, c0]) = (id.to_be_bytes(), (content.len() as u16).to_be_bytes());
    let header = [1, kind, i1, i0, c1, c0, padding, 0];
    [&header, content, &vec![0xa5; padding.into()]].concat()
}

/// Whether records have bytes behind their content.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Padding {
    None,
    Any,
}

impl Padding {
    fn bytes(self, random: &mut Random) -> u8 {
        match self {
            Self::None => 0,
            Self::Any => random.next() as u8,
        }
    }
}

/// A whole request, PARAMS and STDIN cut anywhere.
fn request(random: &mut Random, keep: bool, padding: Padding) -> Vec<u8> {
    let id = [1, 1, 1, 2, 255, 256, 65535][random.below(7) as usize];
    let flags = u8::from(keep) | random.next() as u8 & 0xfe;
    let mut stream = record(1, id, &[0, 1, flags, 9, 9, 9, 9, 9], 0);
    let mut content = Vec::new();
    for _ in 0..random.below(30) {
        let longest = [8, 140, 140, 300, 9000][random.below(5) as usize];
        let (name, value) = (random.below(longest / 4 + 1), random.below(longest));
        let name: Vec<_> = (0..name).map(|_| b'A' + random.below(26) as u8).collect();
        let mut value = random.bytes(value as usize);
        value.retain(|byte| *byte != 0);
        for length in [name.len(), value.len()] {
            match u8::try_from(length) {
                Ok(short @ 0..0x80) if !random.one_in(4) => content.push(short),
                _ => content.extend((length as u32 | 0x8000_0000).to_be_bytes()),
            }
        }
        content.extend([name, value].concat());
    }
    cut(&mut stream, random, (4, id), &content, padding);
    stream.extend(record(4, id, b"", padding.bytes(random)));
    let length = if random.one_in(4) { 20_000 } else { 20 };
    let length = random.below(length) as usize;
    cut(&mut stream, random, (5, id), &vec![b'x'; length], padding);
    stream.extend(record(5, id, b"", padding.bytes(random)));
    stream
}

fn cut(
    stream: &mut Vec<u8>,
    random: &mut Random,
    (kind, id): (u8, u16),
    content: &[u8],
    padding: Padding,
) {
    let longest = [3, 50, 1000, 65_535][random.below(4) as usize];
    let mut rest = content;
    // Each record costs libfcgi a turn; a long stream of short ones takes long.
    while !rest.is_empty() {
        let length = 1 + random.below(longest) as usize + content.len() / 500;
        let (now, later) = rest.split_at(length.min(rest.len()).min(65_535));
        stream.extend(record(kind, id, now, padding.bytes(random)));
        rest = later;
    }
}

/// How a peer can break the protocol, or use more of it than web servers do, so that the two
/// differ: before the end of PARAMS, as libfcgi hands a request over then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Oddity {
    /// BEGIN_REQUEST is longer than 8 bytes: what comes after is reserved for us, an error for
    /// libfcgi.
    LongBegin,
    /// BEGIN_REQUEST with padding: libfcgi takes that for the end of PARAMS, and finds none.
    PaddedBegin,
    /// A record of the request that is not PARAMS: STDIN, DATA, ABORT_REQUEST, or what only an
    /// application sends. For libfcgi it is an error. For us ABORT_REQUEST is answered, and the
    /// others are ignored (FastCGI 1.0, 3.3).
    OtherKind,
    /// A record without content of a request that is not active: both ignore it, but libfcgi the
    /// next one too.
    EmptyOther,
    /// Another record before BEGIN_REQUEST, which we ignore.
    BeforeBegin,
    /// BEGIN_REQUEST while a request is active.
    SecondBegin,
    /// Another role than that of a Responder: libfcgi also plays Authorizer and Filter.
    OtherRole,
    /// The stream breaks off before the end of PARAMS, or a record there is of another version.
    /// If that is between two pairs, libfcgi takes it for the end of PARAMS.
    NoEnd,
    /// A management record, or a record that belongs to a request and has the id 0.
    NullId,
}

/// What libfcgi can make of it, where both find a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    None,
    /// It takes something else for the end of PARAMS: what it has is right, but not all.
    EndsEarly,
    /// It drops a record, or takes another one for the first: what it has is another request.
    Another,
}

impl Oddity {
    fn effect(self) -> Effect {
        match self {
            Self::LongBegin => Effect::None,
            Self::PaddedBegin | Self::OtherKind | Self::SecondBegin | Self::NoEnd => {
                Effect::EndsEarly
            }
            Self::NullId | Self::EmptyOther | Self::BeforeBegin | Self::OtherRole => {
                Effect::Another
            }
        }
    }
}

fn oddities(mut bytes: &[u8]) -> Vec<Oddity> {
    let (mut found, mut active, mut whole) = (Vec::new(), None, false);
    while let Some((&[version, kind, i1, i0, c1, c0, padding, _], rest)) = bytes.split_first_chunk()
        && version == 1
    {
        let (id, length) = (u16::from_be_bytes([i1, i0]), u16::from_be_bytes([c1, c0]));
        match (kind, active) {
            _ if id == 0 => found.push(Oddity::NullId),
            (1, _) => {
                if length > 8 {
                    found.push(Oddity::LongBegin);
                }
                if padding > 0 {
                    found.push(Oddity::PaddedBegin);
                }
                if active.is_some() {
                    found.push(Oddity::SecondBegin);
                } else if rest.get(..2).is_some_and(|role| role != [0, 1]) {
                    found.push(Oddity::OtherRole);
                } else {
                    active = Some(id);
                }
            }
            (4, Some(ours)) if ours == id && length == 0 => {
                whole = true;
                break;
            }
            (4, Some(ours)) if ours == id => {}
            (_, Some(ours)) if ours == id => found.push(Oddity::OtherKind),
            (_, None) => found.push(Oddity::BeforeBegin),
            _ if length == 0 => found.push(Oddity::EmptyOther),
            _ => {}
        }
        match rest.get(usize::from(length) + usize::from(padding)..) {
            Some(after) => bytes = after,
            None => break,
        }
    }
    if !whole {
        found.push(Oddity::NoEnd);
    }
    found.sort_unstable();
    found.dedup();
    found
}

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

fn damage(stream: &mut Vec<u8>, random: &mut Random) {
    // Most of a stream is values; the headers are where it matters, so records are found.
    let mut starts = vec![0];
    while let Some(&[_, _, _, _, c1, c0, padding, _]) = stream
        .get(starts[starts.len() - 1]..)
        .and_then(|rest| rest.first_chunk())
    {
        let length = usize::from(u16::from_be_bytes([c1, c0])) + usize::from(padding);
        starts.push(starts[starts.len() - 1] + 8 + length);
    }
    let start = (*random.pick(&starts)).min(stream.len());
    let near = (start + random.below(20) as usize).min(stream.len());
    match random.below(8) {
        0 => stream.truncate(near),
        1 => stream.insert(near, random.next() as u8),
        2 if near < stream.len() => drop(stream.remove(near)),
        3 | 4 if near < stream.len() => stream[near] ^= 1 << random.below(8),
        5 if near + 4 <= stream.len() => {
            // A length beyond everything.
            let length = *random.pick(&[[0xff; 4], [0x80, 0, 0, 0], [0xff, 0xff, 0, 0]]);
            stream[near..near + 4].copy_from_slice(&length);
        }
        _ => {
            let kind = (random.below(13)) as u8;
            let id = *random.pick(&[0, 1, 1, 1, 2, 255]);
            let content = match random.below(3) {
                0 => Vec::new(),
                1 => vec![0, 1 + random.below(3) as u8, 1, 0, 0, 0, 0, 0],
                _ => {
                    let length = random.below(40) as usize;
                    random.bytes(length)
                }
            };
            let more = record(kind, id, &content, random.next() as u8);
            stream.splice(start..start, more);
        }
    }
}
