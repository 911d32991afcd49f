//! Clients that ask a web server the way nginx's mail proxy does: HTTP/1.0, every request on its
//! own connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::race::Round;
use crate::requests::{CASES, Case};

/// How many ask at once.
const CLIENTS: usize = 8;

/// An answer that takes this long was held up by a scheduler that sleeps whole seconds.
pub(crate) const SLOW: Duration = Duration::from_millis(900);

/// No answer at all counts as an error after this.
const GIVE_UP: Duration = Duration::from_secs(60);

/// Lets eight clients ask for as long as `time`.
pub(crate) fn load(address: SocketAddr, time: Duration) -> Outcome<Round> {
    crowd(address, CLIENTS, time)
}

/// Asks from more clients than there will be, so that mod_fcgid starts all processes that it may.
pub(crate) fn burst(address: SocketAddr) -> Outcome<()> {
    crowd(address, 8 * CLIENTS, Duration::from_secs(3)).map(drop)
}

fn crowd(address: SocketAddr, clients: usize, time: Duration) -> Outcome<Round> {
    let start = Instant::now();
    let parts: Vec<Result<Round, String>> = thread::scope(|scope| {
        let clients: Vec<_> = (0..clients)
            .map(|first| scope.spawn(move || one(address, first, start, time)))
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap_or(Err("a client panicked".into())))
            .collect()
    });
    let mut round = Round::default();
    for part in parts {
        let part = part?;
        round.requests += part.requests;
        round.slow += part.slow;
        round.longest = round.longest.max(part.longest);
    }
    round.elapsed = start.elapsed();
    Ok(round)
}

fn one(address: SocketAddr, first: usize, start: Instant, time: Duration) -> Result<Round, String> {
    let requests: Vec<(Case, Vec<u8>)> = CASES.iter().map(|case| (*case, case.http())).collect();
    let mut round = Round::default();
    for (case, request) in requests.iter().cycle().skip(first) {
        let asked = Instant::now();
        if asked.duration_since(start) >= time {
            break;
        }
        let answer = ask(address, request).map_err(|error| error.to_string())?;
        let took = asked.elapsed();
        let headers = answer
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        if !headers.starts_with(b"HTTP/1.1 200 ") {
            return Err(format!("no 200: {:?}", String::from_utf8_lossy(&answer)));
        }
        case.check(&answer).map_err(|error| error.to_string())?;
        round.requests += 1;
        round.slow += u64::from(took >= SLOW);
        round.longest = round.longest.max(took);
    }
    Ok(round)
}

fn ask(address: SocketAddr, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(GIVE_UP))?;
    stream.write_all(request)?;
    let mut answer = Vec::with_capacity(1024);
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}
