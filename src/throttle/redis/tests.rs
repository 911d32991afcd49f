use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use super::address::PORT;
use super::*;
use crate::net::Endpoint;

/// The clock of the server is far from ours, as those of two machines may be from each other.
#[test]
fn times_are_those_of_the_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let mut heard = vec![0; 4096];
        let mut said = Vec::new();
        for reply in [
            "*3\r\n:1000000060\r\n$20\r\n3 1000000001 0 9 a,b\r\n$20\r\n3 1000000000 0 9 a,b\r\n",
            "*2\r\n:1000000061\r\n$-1\r\n",
            ":1\r\n",
        ] {
            let length = peer.read(&mut heard).unwrap();
            said.push(String::from_utf8_lossy(&heard[..length]).into_owned());
            peer.write_all(reply.as_bytes()).unwrap();
        }
        said
    });
    let settings = Settings {
        kind: Kind::Single,
        endpoints: vec![Endpoint::parse(&address, PORT).unwrap()],
        tls: false,
        ca_file: None,
        database: 0,
        account: RedisAccount::default(),
        sentinel_account: RedisAccount::default(),
    };
    let minute = Duration::from_secs(60);
    let spans = Spans {
        window: minute,
        exempt: minute,
    };
    let redis = Redis::new(&settings, spans);
    let key = |login: &[u8]| Key::Login(login.to_vec());
    let deadline = Instant::now() + minute;
    let read = redis.read(&[key(b"alice"), key(b"bob")], deadline);
    let (records, now) = read.unwrap();
    assert_eq!(now, 1_000_000_060);
    // The one is a second younger than a minute.
    let failures: Vec<_> = records.iter().map(|record| record.failures).collect();
    assert_eq!(failures, [3, 0]);
    let fail: &mut Change<'_> = &mut |records, now| records[0].fail(None, now, 7);
    redis.change(&[key(b"alice")], fail, deadline).unwrap();
    let said = server.join().unwrap();
    let expected = "\r\n1 1000000061 0 7 \r\n$2\r\n60\r\n";
    assert!(said[2].ends_with(expected), "{said:?}");
}
