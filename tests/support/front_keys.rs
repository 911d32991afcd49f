//! Requests with keys and from fronts.

use crate::support::fastcgi::{Client, request};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

pub(crate) const REFUSED: &str = "Auth-Status: Invalid login or password\n\n";

pub(crate) const TEMPORARY: &str = "Auth-Status: Temporary server problem, try again later\n\n";

pub(crate) const ACCEPTED: &str = "Auth-Status: OK\nAuth-Server: 192.0.2.1\nAuth-Port: 143\n\n";

pub(crate) const USERS: &str = "alice:{PLAIN}one\n";

/// A configuration with this in `[nginx]`.
pub(crate) fn config(nginx: &str) -> String {
    format!(
        "[nginx]\n{nginx}\n[[users]]\nstore = \"file\"\npath = \"users\"\n\
         allow-weak-schemes = true\n[routes]\ndefault = \"192.0.2.1\"\n"
    )
}

/// A login as nginx asks about it, with more variables.
pub(crate) fn login<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let usual = [
        ("HTTP_AUTH_USER", "alice"),
        ("HTTP_AUTH_PASS", "one"),
        ("HTTP_AUTH_PROTOCOL", "imap"),
        ("HTTP_AUTH_LOGIN_ATTEMPT", "1"),
        ("HTTP_CLIENT_IP", "192.0.2.7"),
    ];
    [&usual, more].concat()
}

/// A connection from one address of this machine to another; what comes back on it.
pub(crate) fn ask_from(
    source: Ipv4Addr,
    to: SocketAddr,
    variables: &[(&str, &str)],
) -> Result<String, ()> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::from((source, 0))).unwrap();
    connect(&socket, &to).unwrap();
    let mut client = Client::from(TcpStream::from(socket));
    client.send_if_open(&request(1, false, variables));
    let mut answer = Vec::new();
    // A connection that is closed with a request unread is reset.
    let _ = client.read_to_end(&mut answer);
    match answer.is_empty() {
        true => Err(()),
        false => Ok(content(&answer)),
    }
}

/// The content of a whole FastCGI answer.
pub(crate) fn content(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let start = text.find("Auth-Status").expect(&text);
    let end = text.find("\n\n").expect(&text);
    text[start..end + 2].to_owned()
}
