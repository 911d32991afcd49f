//! Where listening sockets come from, and what is none.

use std::fs;
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::support::fastcgi::Client;
use crate::support::toy::{Toy, serves, wait_until};

#[test]
fn what_does_not_listen_on_descriptor_0_is_no_fastcgi() {
    let unix = UnixStream::pair().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let kinds: [(&str, Stdio); 5] = [
        ("file", File::open("/etc/passwd").unwrap().into()),
        ("pipe", Stdio::piped()),
        ("/dev/null", Stdio::null()),
        ("connected Unix socket", OwnedFd::from(unix.0).into()),
        ("connected TCP socket", OwnedFd::from(tcp).into()),
    ];
    for (kind, stdin) in kinds {
        assert!(
            Toy::listening("fd0").stdin(stdin).try_start().is_none(),
            "{kind}"
        );
    }
    let closed = Toy::under_shell("exec \"$0\" \"$@\" <&-", "fd0");
    assert!(closed.try_start().is_none(), "closed");
    // `script` gives its command a terminal, but needs no shell words of ours.
    let terminal = "exe=$0 args=\"$*\" exec script -qec '\"$exe\" $args' /dev/null";
    assert!(
        Toy::under_shell(terminal, "fd0").try_start().is_none(),
        "terminal"
    );
    let cgi = Toy::listening("fd0").variable("GATEWAY_INTERFACE", "CGI/1.1");
    let listening = OwnedFd::from(listener);
    assert!(cgi.stdin(listening).try_start().is_none(), "CGI variables");
}

#[test]
fn what_listens_on_descriptor_0_is_served() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let toy = Toy::listening("fd0").stdin(OwnedFd::from(listener)).start();
        serves(TcpStream::connect(address).unwrap().into());
        drop(toy);
    }
    let path = std::env::temp_dir().join(format!("fd0-{}", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let mut toy = Toy::listening("fd0").stdin(OwnedFd::from(listener)).start();
    serves(UnixStream::connect(&path).unwrap().into());
    toy.signal(Signal::TERM);
    assert_eq!(toy.exit().code(), Some(0));
    // It is not ours to remove.
    fs::remove_file(path).unwrap();
}

#[test]
fn a_nonblocking_listener_is_served_without_spinning() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let toy = Toy::listening("fd0").stdin(OwnedFd::from(listener)).start();
    for _ in 0..10 {
        serves(TcpStream::connect(address).unwrap().into());
        let mut asleep = 0;
        wait_until("it sleeps again and stays so", || {
            asleep = if toy.sleeps() { asleep + 1 } else { 0 };
            asleep == 10
        });
    }
}

#[test]
fn closed_output_does_no_harm() {
    let path = std::env::temp_dir().join(format!("closed-{}", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let mut child = Command::new("/bin/sh")
        .args(["-c", "exec \"$0\" \"$@\" >&- 2>&-"])
        .arg(std::env::current_exe().unwrap())
        .args(["support::toy::serve", "--exact", "--ignored", "--nocapture"])
        .envs([
            ("TOY_LISTEN", "fd0"),
            ("TOY_CONNECTIONS", "4"),
            ("TOY_OPENED", "0"),
        ])
        .envs([("TOY_IDLE", "1000"), ("TOY_READ", "1000")])
        .stdin(OwnedFd::from(listener))
        .spawn()
        .unwrap();
    serves(UnixStream::connect(&path).unwrap().into());
    // Something to log.
    let mut client: Client = UnixStream::connect(&path).unwrap().into();
    client.send(b"GET / HTTP/1.0\r\n\r\n");
    drop(client);
    serves(UnixStream::connect(&path).unwrap().into());
    child.kill().unwrap();
    child.wait().unwrap();
    fs::remove_file(path).unwrap();
}

#[test]
fn sockets_from_systemd_are_served() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let toy = Toy::listening("systemd")
        .variable("LISTEN_FDS", "1")
        .variable("LISTEN_FDS_FIRST_FD", "0")
        .stdin(OwnedFd::from(listener))
        .start();
    serves(TcpStream::connect(address).unwrap().into());
    drop(toy);
    assert!(Toy::listening("systemd").try_start().is_none());
}
