//! Servers that do what no server should, or exactly what a test wants.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A server on a port of its own, for as long as the test runs.
pub(crate) struct Fake {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<u8>>>,
}

/// One connection to it.
pub(crate) struct Talk {
    stream: BufReader<TcpStream>,
    heard: Arc<Mutex<Vec<u8>>>,
}

/// What a server does wrong, in words and in deed.
pub(crate) type Fault = (&'static str, fn(&mut Talk));

impl Fake {
    /// Each connection is served by `serve`, in a thread; it is closed when that returns.
    pub(crate) fn start(serve: impl Fn(&mut Talk) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&heard);
        let serve = Arc::new(serve);
        // Ends with the process of the tests.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                stream.set_nodelay(true).unwrap();
                let mut talk = Talk {
                    stream: BufReader::new(stream),
                    heard: Arc::clone(&shared),
                };
                let serve = Arc::clone(&serve);
                thread::spawn(move || serve(&mut talk));
            }
        });
        Self { port, heard }
    }

    /// Sends the first line at once and each other one after a line of the client.
    pub(crate) fn saying(lines: &'static [&'static str]) -> Self {
        Self::start(|talk| talk.take_turns(lines, |talk, line| talk.say(line)))
    }

    /// The same, but byte by byte.
    pub(crate) fn spelling(lines: &'static [&'static str]) -> Self {
        Self::start(|talk| {
            talk.take_turns(lines, |talk, line| {
                line.iter().for_each(|byte| talk.say(&[*byte]));
            });
        })
    }

    /// Everything that clients have sent.
    pub(crate) fn heard(&self) -> Vec<u8> {
        self.heard.lock().unwrap().clone()
    }
}

impl Talk {
    /// The other side may be gone.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        let _gone = self.stream.get_mut().write_all(bytes);
    }

    pub(crate) fn take_turns(&mut self, lines: &[&str], say: impl Fn(&mut Self, &[u8])) {
        for (number, line) in lines.iter().enumerate() {
            if number > 0 && self.line().is_none() {
                return;
            }
            say(self, line.as_bytes());
        }
        self.listen();
    }

    /// The same again and again, until the other side is gone.
    pub(crate) fn flood(&mut self, bytes: &[u8]) {
        while self.stream.get_mut().write_all(bytes).is_ok() {}
    }

    /// A byte in each pause, until the other side is gone.
    pub(crate) fn drip(&mut self, bytes: &[u8], pause: Duration) {
        for byte in bytes.iter().cycle() {
            if self.stream.get_mut().write_all(&[*byte]).is_err() {
                return;
            }
            thread::sleep(pause);
        }
    }

    /// The next line, with its end.
    pub(crate) fn line(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        let read = self.stream.read_until(b'\n', &mut line).unwrap_or(0);
        self.heard.lock().unwrap().extend_from_slice(&line);
        (read > 0).then_some(line)
    }

    /// This many bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        self.heard.lock().unwrap().extend_from_slice(&bytes);
        bytes
    }

    /// Hears the other side out.
    pub(crate) fn listen(&mut self) {
        while self.line().is_some() {}
    }

    /// Sends what it has and closes.
    pub(crate) fn hang_up(&mut self) {
        let _gone = self.stream.get_mut().shutdown(Shutdown::Both);
    }
}
