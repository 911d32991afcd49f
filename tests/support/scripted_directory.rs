//! A server that answers as no honest one would; its messages are put together by hand.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

pub(crate) const BIND: u8 = 0x60;
pub(crate) const SEARCH: u8 = 0x63;
const UNBIND: u8 = 0x42;

/// What a client asked.
pub(crate) struct Request {
    pub(crate) id: u8,
    /// [`BIND`], [`SEARCH`] …
    pub(crate) tag: u8,
    pub(crate) content: Vec<u8>,
}

/// What is done about it.
pub(crate) enum Act {
    Send(Vec<u8>),
    /// A byte in each second.
    Drip(Vec<u8>),
    SendAndClose(Vec<u8>),
    Silence,
    /// The same bytes for as long as they are read.
    Forever(Vec<u8>),
}

/// A server that takes any number of connections, as long as the test runs.
pub(crate) struct Fake {
    port: u16,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Fake {
    pub(crate) fn answering(act: impl Fn(&Request) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fake = Self {
            port: listener.local_addr().unwrap().port(),
            connections: Arc::default(),
            requests: Arc::default(),
        };
        let (connections, requests) = (Arc::clone(&fake.connections), Arc::clone(&fake.requests));
        let act = Arc::new(act);
        thread::spawn(move || {
            for stream in listener.incoming() {
                connections.fetch_add(1, Ordering::SeqCst);
                let (act, requests) = (Arc::clone(&act), Arc::clone(&requests));
                thread::spawn(move || converse(stream.unwrap(), &*act, &requests));
            }
        });
        fake
    }

    pub(crate) fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }

    /// How many have connected so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many requests of this kind have come so far.
    pub(crate) fn count(&self, tag: u8) -> usize {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|request| request.tag == tag).count()
    }

    /// Whether a request held these bytes.
    pub(crate) fn was_sent(&self, bytes: &[u8]) -> bool {
        let requests = self.requests.lock().unwrap();
        let holds = |request: &Request| {
            request
                .content
                .windows(bytes.len())
                .any(|part| part == bytes)
        };
        requests.iter().any(holds)
    }
}

/// Ends when the client goes.
fn converse(
    mut stream: TcpStream,
    act: &dyn Fn(&Request) -> Act,
    requests: &Mutex<Vec<Request>>,
) -> Option<()> {
    loop {
        let request = read(&mut stream)?;
        let what = match request.tag {
            UNBIND => return None,
            _ => act(&request),
        };
        requests.lock().unwrap().push(request);
        match what {
            Act::Send(bytes) => stream.write_all(&bytes).ok()?,
            Act::SendAndClose(bytes) => return stream.write_all(&bytes).ok().and(None),
            Act::Drip(bytes) => {
                for byte in bytes {
                    stream.write_all(&[byte]).ok()?;
                    thread::sleep(Duration::from_secs(1));
                }
            }
            Act::Silence => {}
            Act::Forever(bytes) => loop {
                stream.write_all(&bytes).ok()?;
            },
        }
    }
}

/// A request, whose number takes one byte.
fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut header = [0; 2];
    stream.read_exact(&mut header).ok()?;
    let length = match header[1] {
        short @ 0..=0x7f => usize::from(short),
        long => {
            let mut digits = vec![0; usize::from(long & 0x7f)];
            stream.read_exact(&mut digits).ok()?;
            digits
                .iter()
                .fold(0, |length, digit| length << 8 | usize::from(*digit))
        }
    };
    let mut message = vec![0; length];
    stream.read_exact(&mut message).ok()?;
    let [2, 1, id, tag, ..] = message[..] else {
        panic!("{message:?}");
    };
    Some(Request {
        id,
        tag,
        content: message[3..].to_vec(),
    })
}

/// An element whose length takes two bytes, which is allowed.
pub(crate) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82, high, low], &content[..]].concat()
}

pub(crate) fn message(id: u8, operation: &[u8]) -> Vec<u8> {
    element(0x30, &[&[2, 1, id], operation])
}

/// A result of `code`, by the response of this tag.
pub(crate) fn result(id: u8, tag: u8, code: u8, words: &str) -> Vec<u8> {
    let words = element(4, &[words.as_bytes()]);
    message(id, &element(tag, &[&[10, 1, code], &[4, 0], &words]))
}

pub(crate) fn bound(id: u8, code: u8, words: &str) -> Vec<u8> {
    result(id, 0x61, code, words)
}

/// A successful bind with a control of this name and value.
pub(crate) fn bound_with_control(id: u8, name: &str, value: &[u8]) -> Vec<u8> {
    let control = element(
        0x30,
        &[&element(4, &[name.as_bytes()]), &element(4, &[value])],
    );
    let bind = element(0x61, &[&[10, 1, 0], &[4, 0], &[4, 0]]);
    element(0x30, &[&[2, 1, id], &bind, &element(0xa0, &[&control])])
}

pub(crate) fn entry(id: u8, dn: &str) -> Vec<u8> {
    let dn = element(4, &[dn.as_bytes()]);
    message(id, &element(0x64, &[&dn, &[0x30, 0]]))
}

pub(crate) fn reference(id: u8) -> Vec<u8> {
    message(
        id,
        &element(0x73, &[&element(4, &[b"ldap://127.0.0.2/dc=example"])]),
    )
}

pub(crate) fn done(id: u8, code: u8) -> Vec<u8> {
    result(id, 0x65, code, "")
}
