//! The program on Unix sockets.

use crate::support::fastcgi::{Client, request};
use crate::support::temp_dir::TempDir;
use nginx_mail_auth::front::fcgi::listener::{Listener, SocketRights};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub(crate) const CONFIG: &str =
    "[[users]]\nstore = \"accept\"\n[routes]\ndefault = \"192.0.2.1\"\n";

pub(crate) fn address(path: &Path) -> String {
    format!("unix:{}", path.display())
}

#[track_caller]
pub(crate) fn refusal(path: &Path) -> String {
    let error = Listener::bind(&address(path), SocketRights::of_mode(0o660)).unwrap_err();
    error.to_string()
}

/// `serve` on a socket; its log is the file `log`.
pub(crate) fn serve(dir: &TempDir, socket: &Path, log: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_nginx-mail-auth"))
        .env_clear()
        .arg("--config")
        .arg(dir.path().join("auth.toml"))
        .args(["serve", "--listen", &address(socket)])
        .stdin(Stdio::null())
        .stderr(File::create(dir.path().join(log)).unwrap())
        .spawn()
        .unwrap()
}

pub(crate) fn is_served(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok_and(|stream| {
        let mut client = Client::from(stream);
        client.send(&request(1, false, &[]));
        client.answer().0.starts_with("Auth-Status: ")
    })
}

pub(crate) fn terminate(mut child: Child) {
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
