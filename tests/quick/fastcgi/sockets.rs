//! Unix sockets that the program makes: their owner, and that the socket of another program is never replaced.

use crate::support::sockets::*;
use std::fs::{self};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Command;

use nginx_mail_auth::front::fcgi::listener::{Listener, SocketRights};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::fastcgi::{Client, request};
use crate::support::process::wait_until;
use crate::support::temp_dir::TempDir;

#[test]
fn an_owner_that_is_not_known_is_a_problem_of_the_configuration() {
    let dir = TempDir::new();
    let keys = "socket-owner = \"nobody at all\"\nsocket-group = \"4294967295\"\n";
    let config = dir.write("auth.toml", format!("{CONFIG}[fastcgi]\n{keys}"));
    let socket = dir.path().join("socket");
    for arguments in [&["check"][..], &["serve", "--listen", &address(&socket)]] {
        let output = Command::new(env!("CARGO_BIN_EXE_nginx-mail-auth"))
            .env_clear()
            .arg("--config")
            .arg(&config)
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(78), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        for problem in [
            "auth.toml:6:16: fastcgi.socket-owner: this system knows no user \"nobody at all\": \
             write a name that `getent passwd` lists, or a number\n",
            "auth.toml:7:16: fastcgi.socket-group: 4294967295 is too large for the number of a \
             group\n",
        ] {
            assert!(said.contains(problem), "{arguments:?}: {said}");
        }
    }
    assert!(!socket.exists());
}

#[test]
fn a_socket_file_is_only_taken_over_from_the_dead() {
    let dir = TempDir::new();
    let path = dir.path().join("socket");
    // A stale socket: the process that made it has ended.
    drop(UnixListener::bind(&path).unwrap());
    let first = Listener::bind(&address(&path), SocketRights::of_mode(0o620)).unwrap();
    let file = fs::metadata(&path).unwrap();
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o777, 0o620);
    let inode = file.ino();
    let message = refusal(&path);
    assert!(
        message.starts_with("another program serves this socket, or is about to"),
        "{message}"
    );
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    UnixStream::connect(&path).unwrap();
    drop(first);
    // Its lock is gone with it, its files are not.
    assert!(path.exists());
    Listener::bind(&address(&path), SocketRights::of_mode(0o660)).unwrap();
}

#[test]
fn a_socket_of_another_program_is_left_to_it() {
    let dir = TempDir::new();
    let path = dir.path().join("socket");
    let others = UnixListener::bind(&path).unwrap();
    assert_eq!(refusal(&path), "another program serves this socket");
    // Also if it is slow, and its backlog full.
    rustix::net::listen(&others, 0).unwrap();
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let socket = rustix::net::socket_with(
                rustix::net::AddressFamily::UNIX,
                rustix::net::SocketType::STREAM,
                rustix::net::SocketFlags::NONBLOCK,
                None,
            );
            let socket = socket.unwrap();
            let address = rustix::net::SocketAddrUnix::new(&path).unwrap();
            let _ = rustix::net::connect(&socket, &address);
            socket
        })
        .collect();
    assert_eq!(refusal(&path), "another program serves this socket");
    assert!(!dir.path().join("socket.lock").exists());
    drop(waiting);
    others.accept().unwrap();
    UnixStream::connect(&path).unwrap();
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let dir = TempDir::new();
    let path = dir.write("socket", "text");
    assert_eq!(refusal(&path), "the file exists and is not a socket");
    assert_eq!(fs::read(&path).unwrap(), b"text");
    fs::remove_file(&path).unwrap();
    // Neither what a link leads to nor the link itself; also one that leads nowhere.
    let stale = dir.path().join("stale");
    drop(UnixListener::bind(&stale).unwrap());
    for target in [stale.clone(), dir.path().join("nowhere")] {
        symlink(&target, &path).unwrap();
        assert_eq!(refusal(&path), "the file is a symbolic link");
        assert_eq!(fs::read_link(&path).unwrap(), target);
        fs::remove_file(&path).unwrap();
    }
    assert!(stale.exists());
    assert!(!dir.path().join("nowhere").exists());
    fs::create_dir(&path).unwrap();
    assert_eq!(refusal(&path), "the file exists and is not a socket");
}

#[test]
fn of_two_that_start_at_once_one_serves_and_the_other_says_why_not() {
    let dir = TempDir::new();
    dir.write("auth.toml", CONFIG);
    let socket: PathBuf = dir.path().join("socket");
    for round in 0..15 {
        // Both find a stale socket.
        if round % 3 > 0 {
            drop(UnixListener::bind(&socket).unwrap());
        }
        let mut both = ["one", "two"].map(|log| (serve(&dir, &socket, log), log));
        let mut loser = None;
        wait_until("one of them ends", || {
            loser = both
                .iter_mut()
                .position(|(child, _)| child.try_wait().unwrap().is_some());
            loser.is_some()
        });
        let [first, second] = both;
        let ((mut lost, log), (won, _)) = match loser {
            Some(0) => (first, second),
            _ => (second, first),
        };
        assert_eq!(lost.wait().unwrap().code(), Some(1));
        let said = fs::read_to_string(dir.path().join(log)).unwrap();
        let line = said.lines().last().unwrap();
        let start = format!("nginx-mail-auth: cannot listen on {}: ", address(&socket));
        assert!(line.starts_with(&start), "{said}");
        assert!(
            line.contains("another program serves this socket"),
            "{said}"
        );
        wait_until("the other serves", || is_served(&socket));
        terminate(won);
        assert!(!socket.exists());
    }
}

#[test]
fn a_new_one_may_start_while_the_old_one_finishes() {
    let dir = TempDir::new();
    dir.write("auth.toml", CONFIG);
    let socket = dir.path().join("socket");
    let old = serve(&dir, &socket, "old");
    wait_until("it serves", || is_served(&socket));
    // A request that has begun, and keeps it busy for a while.
    let mut busy = UnixStream::connect(&socket).unwrap();
    let bytes = request(1, false, &[]);
    std::io::Write::write_all(&mut busy, &bytes[..16]).unwrap();
    kill_process(Pid::from_child(&old), Signal::TERM).unwrap();
    wait_until("its socket is gone", || !socket.exists());
    let new = serve(&dir, &socket, "new");
    wait_until("the new one serves", || is_served(&socket));
    let inode = fs::metadata(&socket).unwrap().ino();
    let mut client = Client::from(busy);
    client.send(&bytes[16..]);
    assert!(client.answer().0.starts_with("Auth-Status: "));
    let mut old = old;
    assert_eq!(old.wait().unwrap().code(), Some(0));
    assert_eq!(fs::metadata(&socket).unwrap().ino(), inode);
    terminate(new);
}
