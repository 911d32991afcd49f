//! Good requests, many and in a hurry, each with the one answer that is right.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::fastcgi::request;

/// What a client waits for at the most: far longer than any deadline of the program.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const ACCEPTED: &str = "Auth-Status: OK\nAuth-Server: 192.0.2.1\nAuth-Port: 143\n\n";
pub(crate) const REFUSED: &str = "Auth-Status: Invalid login or password\n\n";
pub(crate) const TEMPORARY: &str = "Auth-Status: Temporary server problem, try again later\n\n";

/// What a login and a password are asked with.
pub(crate) fn question(login: &str, password: &str, kept: bool) -> Vec<u8> {
    request(
        1,
        kept,
        &[
            ("HTTP_AUTH_METHOD", "plain"),
            ("HTTP_AUTH_USER", login),
            ("HTTP_AUTH_PASS", password),
            ("HTTP_AUTH_PROTOCOL", "imap"),
            ("HTTP_AUTH_LOGIN_ATTEMPT", "1"),
            ("HTTP_CLIENT_IP", "192.0.2.7"),
        ],
    )
}

/// One client, with its connection if that is kept.
pub(crate) struct Caller {
    socket: PathBuf,
    stream: Option<UnixStream>,
    buffer: Vec<u8>,
}

impl Caller {
    pub(crate) fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_path_buf(),
            stream: None,
            buffer: vec![0; 4096],
        }
    }

    /// Sends these bytes, and reads records up to END_REQUEST; what they are on the wire.
    pub(crate) fn raw(&mut self, request: &[u8], kept: bool) -> io::Result<&[u8]> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = UnixStream::connect(&self.socket)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream
            }
        };
        stream.write_all(request)?;
        let mut filled = 0;
        loop {
            match stream.read(&mut self.buffer[filled..])? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
            if is_whole(&self.buffer[..filled]) {
                break;
            }
        }
        if kept {
            self.stream = Some(stream);
        }
        Ok(&self.buffer[..filled])
    }

    /// The answer to a login; an error where there is none.
    pub(crate) fn ask(&mut self, login: &str, password: &str) -> io::Result<String> {
        let request = question(login, password, false);
        self.raw(&request, false).map(output)
    }
}

/// Whether a whole END_REQUEST stands at the end of these records.
pub(crate) fn is_whole(mut bytes: &[u8]) -> bool {
    while let Some((header, rest)) = bytes.split_first_chunk::<8>() {
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        let Some(next) = rest.get(length + usize::from(header[6])..) else {
            return false;
        };
        if header[1] == 3 {
            return true;
        }
        bytes = next;
    }
    false
}

/// What the program wrote, out of the records.
pub(crate) fn output(mut bytes: &[u8]) -> String {
    let mut text = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk::<8>() {
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        if header[1] == 6 {
            text.extend_from_slice(&rest[..length]);
        }
        bytes = &rest[length + usize::from(header[6])..];
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Logins, and the expected answers.
pub(crate) const LOGINS: [(&str, &str, &str); 4] = [
    ("alice", "right", ACCEPTED),
    ("alice", "wrong", REFUSED),
    ("nobody", "right", REFUSED),
    ("alice", "", REFUSED),
];

/// Sends `count` requests one after the other; how many were not answered as they must be.
pub(crate) fn run(socket: &Path, count: u64, kept: bool) -> u64 {
    let mut caller = Caller::new(socket);
    // The same request gets the same bytes, so only the first answer is taken apart.
    let mut known: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut failed = 0;
    for (login, password, wanted) in LOGINS {
        let request = question(login, password, kept);
        let answer = caller.raw(&request, kept).unwrap().to_vec();
        assert_eq!(output(&answer), wanted, "{login} {password}");
        known.push((request, answer));
    }
    // One in eight is refused, each of them for another reason in turn.
    let refused = (1..known.len()).cycle();
    let round = refused.flat_map(|refused| [0, 0, 0, 0, 0, 0, 0, refused]);
    for one in round.take(count as usize) {
        let (request, wanted) = &known[one];
        match caller.raw(request, kept) {
            Ok(answer) if answer == wanted => {}
            _ => failed += 1,
        }
    }
    failed
}

/// What came of a load that went on beside something.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) asked: u64,
    pub(crate) failed: u64,
    /// The longest that one waited for its answer.
    pub(crate) slowest: Duration,
    /// Answers that were not the right ones, the first few.
    pub(crate) wrong: Vec<String>,
}

impl Outcome {
    pub(crate) fn add(mut self, other: Self) -> Self {
        self.asked += other.asked;
        self.failed += other.failed;
        self.slowest = self.slowest.max(other.slowest);
        self.wrong.extend(other.wrong);
        self
    }
}

/// Logs in and gets refused all the time, over new connections, while `work` is done.
pub(crate) fn beside<T>(
    socket: &Path,
    clients: usize,
    pause: Duration,
    work: impl FnOnce(&AtomicU64) -> T,
) -> (T, Outcome) {
    beside_with(&LOGINS, socket, clients, pause, work)
}

/// The same with other logins.
pub(crate) fn beside_with<T>(
    logins: &[(&str, &str, &str)],
    socket: &Path,
    clients: usize,
    pause: Duration,
    work: impl FnOnce(&AtomicU64) -> T,
) -> (T, Outcome) {
    let done = AtomicBool::new(false);
    let answered = AtomicU64::new(0);
    thread::scope(|scope| {
        let running: Vec<_> = (0..clients)
            .map(|_| {
                scope.spawn(|| {
                    let mut outcome = Outcome::default();
                    let mut caller = Caller::new(socket);
                    for (login, password, wanted) in logins.iter().cycle() {
                        let start = Instant::now();
                        let answer = caller.ask(login, password);
                        outcome.asked += 1;
                        outcome.slowest = outcome.slowest.max(start.elapsed());
                        answered.fetch_add(1, Ordering::Relaxed);
                        if !matches!(&answer, Ok(answer) if answer == wanted) {
                            outcome.failed += 1;
                            if outcome.wrong.len() < 5 {
                                outcome.wrong.push(format!("{answer:?}"));
                            }
                        }
                        if done.load(Ordering::Relaxed) {
                            break;
                        }
                        thread::sleep(pause);
                    }
                    outcome
                })
            })
            .collect();
        let finished = Finally(&done);
        let result = work(&answered);
        drop(finished);
        let outcomes = running.into_iter().map(|client| client.join().unwrap());
        (result, outcomes.fold(Outcome::default(), Outcome::add))
    })
}

/// Sets the flag when it goes, also where a test fails: its threads are to end.
pub(crate) struct Finally<'a>(pub(crate) &'a AtomicBool);

impl Drop for Finally<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
