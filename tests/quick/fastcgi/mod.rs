//! The FastCGI transport over real sockets, in a process of its own.

mod bounds;
mod descriptors;
mod held_answers;
mod signals;
mod sockets;

use std::io::Read;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use crate::support::fastcgi::{Answer, Client, request};
use crate::support::toy::{Toy, wait_until};

#[test]
fn every_family_of_sockets_is_served_alike() {
    for address in ["unix:SOCKET", "127.0.0.1:0", "[::1]:0"] {
        let toy = Toy::listening(address).start();
        for keep in [true, false, true] {
            let mut client = toy.connect();
            client.send(&request(1, keep, &[("USER", "alice")]));
            assert_eq!(client.answer(), Answer::ok("alice"), "{address}");
            if keep {
                client.send(&request(1, false, &[("USER", "bob")]));
                assert_eq!(client.answer(), Answer::ok("bob"), "{address}");
            }
            assert_eq!(client.rest(), b"", "{address}");
        }
    }
}

#[test]
fn a_missing_end_of_stdin_holds_nothing_up() {
    let toy = Toy::listening("unix:SOCKET").start();
    for keep in [true, false] {
        let mut client = toy.connect();
        let request = request(7, keep, &[("USER", "alice")]);
        client.send(&request[..request.len() - 8]);
        assert_eq!(client.answer(), Answer::ok("alice"));
        if !keep {
            // The end of the answer is seen before the end of STDIN is sent.
            assert_eq!(client.rest(), b"");
        }
    }
}

#[test]
fn unread_stdin_never_resets_the_connection() {
    let stdin = [&[1, 5, 0, 1, 0x80, 0, 0, 0][..], &[b'x'; 0x8000]].concat();
    for address in ["unix:SOCKET", "127.0.0.1:0"] {
        let toy = Toy::listening(address).start();
        let request = request(1, false, &[("USER", "alice")]);
        for records in [1, 8, 32] {
            // Like mod_fcgid: everything is written before anything is read.
            let mut client = toy.connect();
            client.send(&request[..request.len() - 8]);
            for _ in 0..records {
                client.send(&stdin);
            }
            client.send(&[1, 5, 0, 1, 0, 0, 0, 0]);
            assert_eq!(client.answer(), Answer::ok("alice"), "{address}");
            assert_eq!(client.rest(), b"", "{address}");
        }
    }
}

#[test]
fn ten_thousand_requests_on_one_connection_cost_nothing_lasting() {
    let toy = Toy::listening("unix:SOCKET").start();
    let mut client = toy.connect();
    let mut ask = |times: usize| {
        for _ in 0..times {
            client.send(&request(
                1,
                true,
                &[("USER", "alice"), ("A", &"b".repeat(1000))],
            ));
            assert_eq!(client.answer(), Answer::ok("alice"));
        }
    };
    ask(100);
    let before = toy.usage();
    ask(10_000);
    let after = toy.usage();
    assert_eq!((before.files, before.threads), (after.files, after.threads));
    assert!(after.resident_kib < before.resident_kib + 1024);
}

#[test]
fn malformed_connections_touch_no_other() {
    let toy = Toy::listening("unix:SOCKET").start();
    let good = request(1, false, &[("USER", "alice")]);
    let begin = &good[..16];
    let bad: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.0\r\n\r\n".to_vec(),
        b"\x01\x01\0".to_vec(),
        b"\x01\x01\0\x01\0\x01\0\0\0".to_vec(),
        [begin, begin].concat(),
        [
            begin,
            b"\x01\x04\0\x01\0\x0a\0\0\xff\xff\xff\xff\xff\xff\xff\xffAB\x01\x04\0\x01\0\0\0\0",
        ]
        .concat(),
        [begin, b"\x01\x02\0\x01\0\0\0\0"].concat(),
        [begin, b"\x01\x04\0\x01\xff\xff\0\0", &[0; 65_535]].concat(),
    ];
    let mut kept = toy.connect();
    let before = toy.usage();
    for index in 0..10_000 {
        let mut client = toy.connect();
        // It may be closed while this is being sent.
        client.send_if_open(&bad[index % bad.len()]);
        drop(client);
        let mut client = toy.connect();
        client.send(&good);
        assert_eq!(client.answer(), Answer::ok("alice"));
        kept.send(&request(3, true, &[("USER", "bob")]));
        assert_eq!(kept.answer(), Answer::ok("bob"));
    }
    wait_until("files and threads are back", || {
        let now = toy.usage();
        now.files <= before.files + 1 && now.threads <= before.threads + 8
    });
    assert!(toy.usage().resident_kib < before.resident_kib + 8 * 1024);
    let log = toy.log();
    assert!(log.contains("closed a FastCGI connection: "), "{log}");
    assert!(!log.contains("GET"), "{log}");
    assert!(log.lines().count() < 100, "{log}");
}

#[test]
fn a_bug_in_a_request_ends_its_connection_only() {
    let toy = Toy::listening("unix:SOCKET").start();
    for _ in 0..20 {
        let mut client = toy.connect();
        client.send(&request(1, true, &[("PANIC", "1")]));
        assert_eq!(client.rest(), b"");
        let mut client = toy.connect();
        client.send(&request(1, false, &[("USER", "alice")]));
        assert_eq!(client.answer(), Answer::ok("alice"));
    }
    assert!(toy.usage().threads < 10);
}

#[test]
fn only_listed_web_servers_may_connect() {
    let served = |address, servers: &str| {
        let toy = Toy::listening(address).web_servers(servers).start();
        let mut client = toy.connect();
        client.send_if_open(&request(1, false, &[("USER", "alice")]));
        let mut answer = Vec::new();
        // A refused connection may also end in a reset.
        let _ = client.read_to_end(&mut answer);
        !answer.is_empty()
    };
    assert!(served("127.0.0.1:0", "10.0.0.1,127.0.0.1"));
    assert!(!served("127.0.0.1:0", "10.0.0.1"));
    assert!(!served("[::1]:0", "127.0.0.1"));
    assert!(!served("unix:SOCKET", "127.0.0.1"));
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let toy = Toy::listening("127.0.0.1:0").start();
    let mut client: Client = TcpStream::connect(toy.tcp_address()).unwrap().into();
    for byte in request(1, false, &[("USER", "alice")]) {
        client.send(&[byte]);
    }
    assert_eq!(client.answer(), Answer::ok("alice"));
    assert_eq!(client.rest(), b"");
    let toy = Toy::listening("unix:SOCKET").start();
    let mut client: Client = UnixStream::connect(toy.path()).unwrap().into();
    for byte in request(1, false, &[("USER", "alice")]) {
        client.send(&[byte]);
    }
    assert_eq!(client.answer(), Answer::ok("alice"));
}
