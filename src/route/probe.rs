//! Probes one mail server: connects and waits for its greeting.
//!
//! It does so as nginx does (`ngx_mail_proxy_read_response` in ngx_mail_proxy_module.c): without TLS, and
//! with nginx's rules for a good greeting. Then it ends the session properly, so that the server logs no
//! error.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::login::Protocol;
use crate::login::printable::Printable;

/// The maximum size of a greeting in bytes: the size of nginx's buffer (`proxy_buffer`, a page).
const MAX_GREETING_BYTES: usize = 4096;

/// How long the probe waits for the server to close the connection after the goodbye, so that the server
/// never finds the connection closed.
const GOODBYE: Duration = Duration::from_millis(100);

/// How mail servers are probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probes {
    /// The kind of probe.
    pub kind: ProbeKind,
    /// The interval between two probes of one server.
    pub interval: Duration,
    /// The time-out of a probe.
    pub timeout: Duration,
}

impl Probes {
    /// Without probes: every server counts as alive.
    pub const OFF: Self = Self {
        kind: ProbeKind::Off,
        interval: Duration::from_secs(3600),
        timeout: Duration::ZERO,
    };
}

/// The kinds of probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// Connects and waits for a good greeting.
    Greeting,
    /// Connects only: for servers that wait for a PROXY header before they send anything.
    Connect,
    /// No probes.
    Off,
}

/// Why a probe did not find a mail server alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ProbeFailure {
    /// The server is dead; the text says why.
    Dead(String),
    /// This machine lacks a resource, so the state of the server is unknown.
    NotProbed(String),
}

/// Probes one mail server; takes no longer than `timeout` and [`GOODBYE`].
pub(super) fn probe(
    kind: ProbeKind,
    address: SocketAddr,
    protocol: Protocol,
    timeout: Duration,
) -> Result<(), ProbeFailure> {
    let deadline = Instant::now() + timeout;
    if kind == ProbeKind::Off {
        return Ok(());
    }
    let late =
        |what: &str| ProbeFailure::Dead(format!("no {what} within {} ms", timeout.as_millis()));
    // The standard library refuses a time-out of zero.
    let max_wait = timeout.max(Duration::from_millis(1));
    let mut stream = match TcpStream::connect_timeout(&address, max_wait) {
        Ok(stream) => stream,
        Err(error) if is_late(&error) => return Err(late("connection")),
        Err(error) => return Err(fault(&error)),
    };
    if kind == ProbeKind::Connect {
        return Ok(());
    }
    let greeting = match greeting(&mut stream, deadline) {
        Ok(greeting) => greeting,
        Err(error) if is_late(&error) => return Err(late("greeting")),
        Err(error) => return Err(fault(&error)),
    };
    let good: &[u8] = match protocol {
        Protocol::Imap => b"* OK",
        Protocol::Pop3 => b"+OK",
        Protocol::Smtp => b"220",
    };
    if greeting.starts_with(good) {
        say_goodbye(&mut stream, protocol);
        Ok(())
    } else if greeting.is_empty() {
        Err(ProbeFailure::Dead(
            "the server closed the connection without a greeting".into(),
        ))
    } else {
        let greeting = greeting.trim_ascii_end();
        let start = Printable(greeting.get(..60).unwrap_or(greeting));
        Err(ProbeFailure::Dead(format!("its greeting is \"{start}\"")))
    }
}

/// The first line, with its line end; less if the server ends it early or the line is too long.
fn greeting(stream: &mut TcpStream, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut greeting = Vec::new();
    let mut buffer = [0; 512];
    while !greeting.contains(&b'\n') && greeting.len() < MAX_GREETING_BYTES {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(Vec::new()),
            Ok(read) => greeting.extend_from_slice(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(greeting)
}

/// Ends the session and lets the server close the connection. Errors are ignored.
fn say_goodbye(stream: &mut TcpStream, protocol: Protocol) {
    let goodbye: &[u8] = match protocol {
        Protocol::Imap => b"a LOGOUT\r\n",
        Protocol::Pop3 | Protocol::Smtp => b"QUIT\r\n",
    };
    let deadline = Instant::now() + GOODBYE;
    let mut buffer = [0; 512];
    let mut sent = stream
        .set_write_timeout(Some(GOODBYE))
        .and_then(|()| stream.write_all(goodbye))
        .is_ok();
    while sent {
        let left = deadline.saturating_duration_since(Instant::now());
        let waiting = !left.is_zero() && stream.set_read_timeout(Some(left)).is_ok();
        sent = waiting && stream.read(&mut buffer).is_ok_and(|read| read > 0);
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

/// Decides whether the server or this machine causes an error. If this machine lacks descriptors, memory or a
/// free port, all servers would seem dead at once.
fn fault(error: &io::Error) -> ProbeFailure {
    let ours = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
        Errno::NOBUFS,
        Errno::ADDRNOTAVAIL,
        // The sandbox, or a rule of this machine's own firewall.
        Errno::ACCESS,
        Errno::PERM,
    ];
    match Errno::from_io_error(error) {
        Some(errno) if ours.contains(&errno) => ProbeFailure::NotProbed(error.to_string()),
        _ => ProbeFailure::Dead(error.kind().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};
    use std::sync::mpsc;
    use std::thread;

    /// A server for one connection, which it hands to `serve`.
    fn server(serve: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || serve(listener.accept().unwrap().0));
        address
    }

    fn greets(greeting: &'static [u8]) -> SocketAddr {
        server(move |mut stream| {
            stream.write_all(greeting).unwrap();
            let _until_it_is_closed = stream.read_to_end(&mut Vec::new());
        })
    }

    const SHORT: Duration = Duration::from_millis(150);

    fn greeting_of(
        address: SocketAddr,
        protocol: Protocol,
        timeout: Duration,
    ) -> Result<(), ProbeFailure> {
        probe(ProbeKind::Greeting, address, protocol, timeout)
    }

    fn dead(why: &str) -> Result<(), ProbeFailure> {
        Err(ProbeFailure::Dead(why.into()))
    }

    #[test]
    fn greetings() {
        use Protocol::{Imap, Pop3, Smtp};
        let wrong = |start: &str| dead(&format!("its greeting is \"{start}\""));
        let long = Duration::from_secs(10);
        for (greeting, protocol, expected) in [
            (&b"* OK [CAPABILITY IMAP4rev1] ready.\r\n"[..], Imap, Ok(())),
            (b"* OK\r\n", Imap, Ok(())),
            // nginx takes no greeting but OK.
            (b"* PREAUTH hello\r\n", Imap, wrong("* PREAUTH hello")),
            (b"* BYE too many\r\n", Imap, wrong("* BYE too many")),
            (
                b"220 mail.test ESMTP\r\n",
                Imap,
                wrong("220 mail.test ESMTP"),
            ),
            (b"+OK ready\r\n", Pop3, Ok(())),
            (b"-ERR no\r\n", Pop3, wrong("-ERR no")),
            (b"220 mail.test ESMTP\r\n", Smtp, Ok(())),
            (b"220-one\r\n220 two\r\n", Smtp, Ok(())),
            (b"421 busy\r\n", Smtp, wrong("421 busy")),
            (b"\x1b[31m\xff\n", Smtp, wrong("\u{fffd}[31m\u{fffd}")),
            (b"\n", Smtp, wrong("")),
        ] {
            let what = greeting.escape_ascii();
            let found = greeting_of(greets(greeting), protocol, long);
            assert_eq!(found, expected, "{what}");
        }
    }

    #[test]
    fn a_greeting_without_end_is_cut() {
        let endless = server(|mut stream| while stream.write_all(&[b'x'; 512]).is_ok() {});
        let found = greeting_of(endless, Protocol::Imap, Duration::from_secs(10));
        assert_eq!(
            found,
            dead(&format!("its greeting is \"{}\"", "x".repeat(60)))
        );
    }

    #[test]
    fn silent_slow_and_missing_servers_are_dead_in_time() {
        let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let slow = server(|mut stream| {
            for byte in b"* OK hello\r\n".repeat(100) {
                if stream.write_all(&[byte]).is_err() {
                    break;
                }
                thread::sleep(Duration::from_millis(40));
            }
        });
        let hangs_up = server(|mut stream| {
            let _ = stream.write_all(b"* OK");
        });
        let gone = {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            listener.local_addr().unwrap()
        };
        for (address, why) in [
            (silent.local_addr().unwrap(), "no greeting within 150 ms"),
            (slow, "no greeting within 150 ms"),
            (
                hangs_up,
                "the server closed the connection without a greeting",
            ),
            (gone, "connection refused"),
        ] {
            let started = Instant::now();
            assert_eq!(greeting_of(address, Protocol::Imap, SHORT), dead(why));
            assert!(started.elapsed() < Duration::from_secs(5), "{why}");
        }
        let silent = silent.local_addr().unwrap();
        let connected = probe(ProbeKind::Connect, silent, Protocol::Imap, SHORT);
        assert_eq!(connected, Ok(()));
        assert_eq!(probe(ProbeKind::Off, gone, Protocol::Imap, SHORT), Ok(()));
    }

    #[test]
    fn it_says_goodbye_and_lets_the_server_close() {
        for (protocol, greeting, goodbye) in [
            (Protocol::Imap, &b"* OK\r\n"[..], &b"a LOGOUT\r\n"[..]),
            (Protocol::Pop3, b"+OK\r\n", b"QUIT\r\n"),
            (Protocol::Smtp, b"220 x\r\n", b"QUIT\r\n"),
        ] {
            let (heard, hear) = mpsc::channel();
            let address = server(move |mut stream| {
                stream.write_all(greeting).unwrap();
                let mut said = vec![0; goodbye.len()];
                stream.read_exact(&mut said).unwrap();
                stream.write_all(b"bye\r\n").unwrap();
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                // The end, and not a reset.
                let end = stream.read(&mut [0]).map_err(|error| error.kind());
                heard.send((said, end)).unwrap();
            });
            greeting_of(address, protocol, Duration::from_secs(10)).unwrap();
            assert_eq!(hear.recv().unwrap(), (goodbye.to_vec(), Ok(0)));
        }
    }

    #[test]
    fn a_lack_of_local_resources_does_not_mark_a_server_dead() {
        let error = |errno: Errno| io::Error::from_raw_os_error(errno.raw_os_error());
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM] {
            assert!(
                matches!(fault(&error(errno)), ProbeFailure::NotProbed(_)),
                "{errno}"
            );
        }
        for errno in [Errno::CONNREFUSED, Errno::HOSTUNREACH, Errno::CONNRESET] {
            assert!(
                matches!(fault(&error(errno)), ProbeFailure::Dead(_)),
                "{errno}"
            );
        }
    }
}
