//! Bounds of connections, time and descriptors.

use crate::support::fastcgi::{Answer, Client, request};
use crate::support::toy::{Toy, wait_until};

fn alice(keep: bool) -> Vec<u8> {
    request(1, keep, &[("USER", "alice")])
}

#[track_caller]
fn is_served(toy: &Toy) {
    let mut client = toy.connect();
    client.send(&alice(false));
    assert_eq!(client.answer(), Answer::ok("alice"));
    assert_eq!(client.rest(), b"");
}

#[test]
fn kept_connections_give_way_the_longest_idle_first() {
    let toy = Toy::listening("unix:SOCKET").connections(3).start();
    // A connection is idle when its thread waits again, which is after the answer has been sent.
    let ask = |client: &mut Client| {
        client.send(&alice(true));
        assert_eq!(client.answer(), Answer::ok("alice"));
        wait_until("all threads wait", || toy.sleeps());
    };
    let kept = |_| {
        let mut client = toy.connect();
        ask(&mut client);
        client
    };
    let mut clients: Vec<Client> = (0..3).map(kept).collect();
    ask(&mut clients[0]);
    is_served(&toy);
    assert_eq!(clients[1].rest(), b"");
    for index in [0, 2] {
        ask(&mut clients[index]);
    }
}

#[test]
fn silent_connections_and_half_requests_give_way() {
    let toy = Toy::listening("unix:SOCKET").connections(4).start();
    let mut clients: Vec<Client> = (0..40).map(|_| toy.connect()).collect();
    for client in clients.iter_mut().skip(20) {
        client.send_if_open(&alice(true)[..20]);
    }
    for _ in 0..10 {
        is_served(&toy);
    }
    // A request that had begun gets an answer, never only an end of the connection.
    for (index, mut client) in clients.into_iter().enumerate().take(36) {
        if index < 20 {
            assert_eq!(client.rest(), b"");
        } else {
            assert_eq!(client.answer(), Answer("TooSlow".to_owned()));
            assert_eq!(client.rest(), b"");
        }
    }
}

#[test]
fn when_all_decide_a_new_request_is_turned_away_with_an_answer() {
    let toy = Toy::listening("unix:SOCKET").connections(2).start();
    let go = toy.file("go");
    let decide = |begun| {
        let begun = toy.file(begun);
        let mut client = toy.connect();
        let params = [("USER", "bob"), ("MAKE", &begun), ("WAIT_FOR", &go)];
        client.send(&request(1, false, &params));
        wait_until("it has begun", || std::path::Path::new(&begun).exists());
        client
    };
    let busy = ["first", "second"].map(decide);
    let mut turned: Vec<Client> = (0..3).map(|_| toy.connect()).collect();
    for client in &mut turned {
        client.send(&alice(true));
    }
    for client in &mut turned {
        assert_eq!(client.answer(), Answer("Overloaded".to_owned()));
        assert_eq!(client.rest(), b"");
    }
    std::fs::write(&go, "").unwrap();
    for mut client in busy {
        assert_eq!(client.answer(), Answer::ok("bob"));
    }
    is_served(&toy);
}

#[test]
fn a_request_has_to_arrive_in_time() {
    let toy = Toy::listening("unix:SOCKET").read_ms(300).start();
    let files = toy.usage().files;
    let mut client = toy.connect();
    client.send(&alice(true)[..30]);
    assert_eq!(client.answer(), Answer("TooSlow".to_owned()));
    assert_eq!(client.rest(), b"");
    // Bytes that drip in do not buy time: this would take a minute, and is cut off.
    let mut client = toy.connect();
    let whole = request(1, true, &[("USER", &"a".repeat(30_000))]);
    let mut dripped = 0;
    wait_until("the request is cut off", || {
        client.send_if_open(&whole[dripped..=dripped]);
        dripped += 1;
        dripped > 100 && toy.usage().files <= files
    });
    assert!(dripped < whole.len());
    assert_eq!(client.answer(), Answer("TooSlow".to_owned()));
}

#[test]
fn idle_connections_are_closed_in_time() {
    let toy = Toy::listening("unix:SOCKET").idle_ms(100).start();
    let mut client = toy.connect();
    for _ in 0..3 {
        client.send(&alice(true));
        assert_eq!(client.answer(), Answer::ok("alice"));
    }
    assert_eq!(client.rest(), b"");
}

#[test]
fn too_few_descriptors_are_survived() {
    let script = "ulimit -n 24 && exec \"$0\" \"$@\"";
    let toy = Toy::under_shell(script, "unix:SOCKET").start();
    for _ in 0..3 {
        let clients: Vec<Client> = (0..60).map(|_| toy.connect()).collect();
        wait_until("descriptors are short", || {
            toy.log().contains("cannot accept a connection")
        });
        wait_until("nothing spins", || toy.sleeps());
        drop(clients);
        is_served(&toy);
    }
    // Kept connections make room as well.
    let mut clients = Vec::new();
    for _ in 0..40 {
        let mut client = toy.connect();
        client.send(&alice(true));
        assert_eq!(client.answer(), Answer::ok("alice"));
        clients.push(client);
    }
    assert!(toy.log().lines().count() < 60);
}

#[test]
fn descriptors_beyond_1024_are_as_good_as_others() {
    let script = "ulimit -n 4096 && exec \"$0\" \"$@\"";
    let toy = Toy::under_shell(script, "unix:SOCKET").opened(1100).start();
    let silent: Vec<Client> = (0..1000).map(|_| toy.connect()).collect();
    for _ in 0..20 {
        is_served(&toy);
    }
    drop(silent);
    is_served(&toy);
}

#[test]
fn two_listeners_share_the_bound_and_neither_starves() {
    let toy = Toy::listening("127.0.0.1:0 unix:SOCKET")
        .connections(2)
        .start();
    let unix = || Client::from(std::os::unix::net::UnixStream::connect(toy.path()).unwrap());
    for _ in 0..20 {
        let kept: Vec<Client> = (0..6).map(|_| toy.connect()).collect();
        let mut client = unix();
        client.send(&alice(false));
        assert_eq!(client.answer(), Answer::ok("alice"));
        drop(kept);
        let kept: Vec<Client> = (0..6).map(|_| unix()).collect();
        is_served(&toy);
        drop(kept);
    }
}

#[test]
fn a_peer_that_reads_no_answers_is_given_up() {
    let toy = Toy::listening("unix:SOCKET").read_ms(200).start();
    let mut client = toy.connect();
    let get_values = b"\x01\x09\0\0\0\x10\0\0\x0e\0FCGI_MAX_CONNS".repeat(1000);
    // Far more than the sockets' buffers hold.
    for _ in 0..1000 {
        client.send_if_open(&get_values);
    }
    is_served(&toy);
}
