//! A server behind the relay.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::users::sql::server::Tls;

fn server() -> Server {
    Server {
        address: Address::Tcp("127.0.0.1".to_owned(), 5432),
        user: "mail".to_owned(),
        password: None,
        database: None,
        tls: Tls::Off,
        authorities: None,
        timeout: std::time::Duration::from_secs(4),
        socket_user: None,
        server_key: None,
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn the_first_address_that_answers_is_chosen() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = listener.local_addr().unwrap();
    let nobody = {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap();
        closed.local_addr().unwrap()
    };
    let host = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut asked = [0; 4];
        client.read_exact(&mut asked).unwrap();
        client.write_all(b"N\0\0\0\x05!").unwrap();
        asked
    });
    let soon = Instant::now() + std::time::Duration::from_secs(20);
    let route = Connector::new(RelayProtocol::Postgres, server());
    let answer = runtime().block_on(async {
        let meter = Arc::default();
        let both = [nobody, there];
        let relay = route.open(&both, soon, "/end", &meter).await.unwrap();
        let path = relay.path;
        assert!(path.as_os_str().as_encoded_bytes().ends_with(b"/end"));
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(b"\0\0\0\x04").await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        // It led there once.
        assert!(UnixStream::connect(&path).await.is_err());
        answer
    });
    assert_eq!(answer, b"N\0\0\0\x05!");
    assert_eq!(host.join().unwrap(), *b"\0\0\0\x04");
}

#[test]
fn a_server_that_sends_more_than_a_question_may_take_is_cut() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = listener.local_addr().unwrap();
    let host = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut sent = 0_usize;
        // Notices without end, each of them sound.
        let notice = [b"N\0\0\x10\0".as_slice(), &[b'x'; 4092]].concat();
        while client.write_all(&notice).is_ok() {
            sent += notice.len();
        }
        sent
    });
    let soon = Instant::now() + std::time::Duration::from_secs(20);
    let route = Connector::new(RelayProtocol::Postgres, server());
    let (received, reason) = runtime().block_on(async {
        let meter = Arc::default();
        let relay = route.open(&[there], soon, "", &meter).await.unwrap();
        let mut stream = UnixStream::connect(&relay.path).await.unwrap();
        let mut answer = Vec::new();
        let _cut = stream.read_to_end(&mut answer).await;
        relay.running.await.unwrap();
        (answer.len(), meter.reason().unwrap())
    });
    assert!(received <= crate::net::QUESTION_BYTES, "{received}");
    assert_eq!(
        reason,
        "the server sends more than 1048576 bytes for one question"
    );
    host.join().unwrap();
}
