//! A way to a host that was looked up already.
//!
//! sqlx takes the name of a host, looks it up by the C library, and checks its certificate by the
//! same name. This program is linked statically and must not look names up by the C library, which
//! would load modules into it (`crate::route::System`). But sqlx also takes a Unix socket together
//! with the name of a host, so it gets a socket of our own, and what goes through that goes on to
//! the host. The drivers' own runtime does the copying, while somebody asks.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::time::Instant;

use rustix::rand::{GetRandomFlags, getrandom};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::time::timeout_at;

use super::network::share;

/// Connects to the first of these addresses that takes it, and gives the path of a socket that
/// leads there, once. It ends in `suffix`.
///
/// The path is one of Linux's abstract sockets, with a name that nobody can foresee; and nobody but
/// this process is let through.
pub(super) async fn relay(
    addresses: &[SocketAddr],
    deadline: Instant,
    suffix: &str,
) -> io::Result<PathBuf> {
    let mut host = connect(addresses, deadline).await?;
    host.set_nodelay(true)?;
    let path = PathBuf::from(OsString::from_vec(unforeseeable(suffix)?));
    let listener = UnixListener::bind(&path)?;
    tokio::spawn(async move {
        if let Ok(mut driver) = own_connection(&listener).await {
            drop(listener);
            // However it ends, the driver sees that its connection does.
            let _ended = copy_bidirectional(&mut driver, &mut host).await;
        }
    });
    Ok(path)
}

/// An address that does not answer uses up no more than its share of the time.
async fn connect(addresses: &[SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    let mut failed = io::ErrorKind::AddrNotAvailable.into();
    for (number, address) in addresses.iter().enumerate() {
        let until = share(deadline, addresses.len() - number).into();
        match timeout_at(until, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = error,
            Err(_) => failed = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failed)
}

/// The next connection that this process itself makes.
async fn own_connection(listener: &UnixListener) -> io::Result<UnixStream> {
    let own = i32::try_from(std::process::id()).ok();
    loop {
        let (stream, _) = listener.accept().await?;
        if own.is_some() && stream.peer_cred()?.pid() == own {
            return Ok(stream);
        }
    }
}

/// The name of an abstract socket (unix(7)): a NUL, then what nobody else has.
fn unforeseeable(suffix: &str) -> io::Result<Vec<u8>> {
    let mut random = [0; 16];
    // Up to 256 bytes come whole (getrandom(2)).
    if getrandom(&mut random, GetRandomFlags::empty())? != random.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let number = u128::from_ne_bytes(random);
    Ok(format!("\0nginx-mail-auth-{number:032x}{suffix}").into_bytes())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[test]
    fn it_leads_to_the_first_address_that_answers() {
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
            client.write_all(b"pong").unwrap();
            asked
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let soon = Instant::now() + std::time::Duration::from_secs(20);
        let answer = runtime.block_on(async {
            let path = relay(&[nobody, there], soon, "/end").await.unwrap();
            assert!(path.as_os_str().as_encoded_bytes().ends_with(b"/end"));
            let mut stream = UnixStream::connect(&path).await.unwrap();
            stream.write_all(b"ping").await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            // It led there once.
            assert!(UnixStream::connect(&path).await.is_err());
            answer
        });
        assert_eq!(answer, b"pong");
        assert_eq!(host.join().unwrap(), *b"ping");
    }
}
