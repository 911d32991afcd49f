//! What listens where the database should be, and is none: the deadline holds.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::support::sql_service::{Ask, Service, TEMPORARY, cgi, users};

/// How a peer treats those that connect.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// Takes the connection and never says anything.
    Silent,
    /// Closes it at once.
    Closing,
    /// Sends something else, and goes on with it.
    Sending(&'static [u8]),
    /// Sends something right, one byte a second.
    Dripping(&'static [u8]),
    /// Reads a bit, sends something right, and closes.
    Breaking(&'static [u8]),
}

/// PostgreSQL's "the user is who it says", and "ready", but the length of what comes is wrong.
const BROKEN_POSTGRES: &[u8] = b"R\0\0\0\x08\0\0\0\0S\0\0\0\x03x";
const READY_POSTGRES: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
/// A length of two gigabytes.
const HUGE_POSTGRES: &[u8] = b"R\x7f\xff\xff\xffx";
/// A greeting of MySQL 5.7 (MySQL internals, "Protocol::HandshakeV10"), up to the nonce.
const GREETING_MYSQL: &[u8] =
    b"\x4a\0\0\0\x0a5.7.1\0\x01\0\0\0abcdefgh\0\xff\xff\x21\x02\0\xff\xc1\x15";
const EMPTY_MYSQL: &[u8] = b"\0\0\0\0\0\0\0\0\0\0\0\0";
const SHORT_MYSQL: &[u8] = b"\x01\0\0\0\x0a\x01\0\0\x01\xff";

/// A peer on a port of its own; it lives as long as the tests.
fn peer(manner: Manner) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || treat(stream, manner));
        }
    });
    port
}

fn treat(mut stream: TcpStream, manner: Manner) {
    // A peer of a broken exchange can close at any moment.
    let _ = match manner {
        Manner::Silent => stream.read_to_end(&mut Vec::new()).map(drop),
        Manner::Closing => Ok(()),
        Manner::Sending(bytes) => (0..).try_for_each(|_: u64| stream.write_all(bytes)),
        Manner::Dripping(bytes) => bytes.iter().try_for_each(|byte| {
            thread::sleep(Duration::from_secs(1));
            stream.write_all(&[*byte])
        }),
        Manner::Breaking(bytes) => {
            let mut some = [0; 64];
            let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
            let _ = stream.read(&mut some);
            stream.write_all(bytes)
        }
    };
}

#[test]
fn what_is_no_database_is_a_temporary_failure_in_time() {
    let manners = [
        Manner::Silent,
        Manner::Closing,
        Manner::Sending(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        Manner::Sending(b"\0\0\0\0"),
        Manner::Sending(b"\xff"),
        Manner::Dripping(READY_POSTGRES),
        Manner::Dripping(GREETING_MYSQL),
        Manner::Breaking(BROKEN_POSTGRES),
        Manner::Breaking(READY_POSTGRES),
        Manner::Breaking(HUGE_POSTGRES),
        Manner::Breaking(GREETING_MYSQL),
        Manner::Breaking(EMPTY_MYSQL),
        Manner::Breaking(SHORT_MYSQL),
    ];
    let query = "SELECT password FROM users WHERE login = {login}";
    let more = "timeout = 1\nconnect-timeout = 1\ntls = \"prefer\"";
    let asked: Vec<_> = manners
        .into_iter()
        .flat_map(|manner| ["postgresql", "mysql"].map(|scheme| (manner, scheme)))
        .map(|(manner, scheme)| {
            let port = peer(manner);
            thread::spawn(move || {
                let url = format!("{scheme}://mail:hush-hush@127.0.0.1:{port}/mail");
                let service = Service::start(&users(&url, query, more));
                let ask = Ask::new("alice", "right");
                for _ in 0..2 {
                    for reply in [service.ask(&ask), cgi(service.dir(), &ask)] {
                        reply.must_be(TEMPORARY, "store-trouble");
                        let bound = Duration::from_millis(2500);
                        assert!(reply.took < bound, "{manner:?} {scheme}: {:?}", reply.took);
                    }
                }
                let (memory, descriptors) = service.size();
                assert!(memory < 100_000, "{manner:?} {scheme}: {memory} kB");
                assert!(descriptors < 20, "{manner:?} {scheme}: {descriptors}");
                assert!(!service.log().contains("hush"));
            })
        })
        .collect();
    for thread in asked {
        thread.join().unwrap();
    }
}
