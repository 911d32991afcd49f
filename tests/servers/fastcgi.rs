//! FastCGI clients and starters of others.

use crate::support::toy::{Toy, serves, wait_until};
use rustix::process::Signal;
use std::fs;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::process::Stdio;

#[test]
fn the_client_of_libfcgi_gets_its_answer() {
    let toy = Toy::listening("unix:SOCKET").start();
    let out = Command::new("cgi-fcgi")
        .args(["-bind", "-connect", toy.path()])
        .env("REQUEST_METHOD", "GET")
        .env("USER", "carol")
        .output()
        .expect("cgi-fcgi (Debian: libfcgi-bin)");
    let out = String::from_utf8(out.stdout).unwrap();
    assert_eq!(out, "Status: 200 OK\nX-Toy: carol\n\n");
}

#[test]
fn spawn_fcgi_starts_it() {
    let dir = std::env::temp_dir().join(format!("spawn-{}", std::process::id()));
    fs::create_dir(&dir).unwrap();
    let (path, pid) = (dir.join("socket"), dir.join("pid"));
    let status = Command::new("spawn-fcgi")
        .args([
            "-s".as_ref(),
            path.as_os_str(),
            "-P".as_ref(),
            pid.as_os_str(),
            "--".as_ref(),
        ])
        .arg(std::env::current_exe().unwrap())
        .args(["support::toy::serve", "--exact", "--ignored", "--nocapture"])
        .envs([
            ("TOY_LISTEN", "fd0"),
            ("TOY_CONNECTIONS", "4"),
            ("TOY_OPENED", "0"),
        ])
        .envs([("TOY_IDLE", "1000"), ("TOY_READ", "1000")])
        .stdout(Stdio::null())
        .status()
        .expect("spawn-fcgi (Debian: spawn-fcgi)");
    assert!(status.success());
    serves(UnixStream::connect(&path).unwrap().into());
    let pid: i32 = fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    wait_until("nobody listens", || UnixStream::connect(&path).is_err());
    fs::remove_dir_all(dir).unwrap();
}
