//! A toy application that serves in a process of its own: this test program, started again.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use nginx_mail_auth::front::fcgi::Limits;
use nginx_mail_auth::front::fcgi::listener::{self, Listener, SocketRights, WebServers};
use nginx_mail_auth::front::fcgi::server::Server;
use nginx_mail_auth::front::pace::SendTime;
use nginx_mail_auth::front::params::{Params, Peer};
use nginx_mail_auth::front::{Application, NoRequest};
use nginx_mail_auth::sys::logger;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::fastcgi::{Answer, Client, request};

/// Answers with the variable USER, when the file WAIT_FOR exists; makes the file MAKE. With RELOADS it tells how often
/// it was reloaded, with PANIC it panics, with HOLD_MS the answer is held back for so long.
pub(crate) struct App {
    reloads: AtomicUsize,
}

impl Application for App {
    fn respond(&self, _: Peer, params: &Params<'_>, out: &mut Vec<u8>) -> SendTime {
        let came = Instant::now();
        let mut departure = SendTime::AtOnce;
        let mut user = String::new();
        for (name, value) in params.iter() {
            let value = String::from_utf8_lossy(value);
            match name {
                b"USER" => user = value.into_owned(),
                b"MAKE" => fs::write(&*value, "").unwrap(),
                b"WAIT_FOR" => wait_until("the file is there", || Path::new(&*value).exists()),
                b"RELOADS" => user = self.reloads.load(Ordering::SeqCst).to_string(),
                b"HOLD_MS" => {
                    let earliest = came + Duration::from_millis(value.parse().unwrap());
                    departure = SendTime::Held { came, earliest };
                }
                b"PANIC" => panic!("as the request asks"),
                _ => {}
            }
        }
        out.extend_from_slice(format!("Status: 200 OK\nX-Toy: {user}\n\n").as_bytes());
        departure
    }

    fn respond_without_request(&self, why: NoRequest, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{why:?}").as_bytes());
    }

    fn reload(&self) {
        self.reloads.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
#[ignore = "not a test: the server that the tests of this module start"]
pub(crate) fn serve() {
    let Ok(address) = env::var("TOY_LISTEN") else {
        return;
    };
    logger::start();
    logger::set_level(log::LevelFilter::Warn);
    let number = |name: &str| env::var(name).unwrap().parse().unwrap();
    let opened: usize = number("TOY_OPENED");
    let files: Vec<_> = (0..opened)
        .map(|_| fs::File::open("/dev/null").unwrap())
        .collect();
    let listeners = match address.as_str() {
        "fd0" => Vec::from_iter(listener::inherited_on_fd0()),
        "systemd" => listener::from_systemd().unwrap(),
        both => both
            .split(' ')
            .map(|one| Listener::bind(one, SocketRights::of_mode(0o660)).unwrap())
            .collect(),
    };
    match listeners.first().map(Listener::tcp_address) {
        Some(Some(address)) => println!("\nlistening {address}"),
        Some(None) => println!("\nlistening"),
        None => return println!("\nno listener"),
    }
    let server = Server {
        listeners,
        limits: Limits {
            connections: number("TOY_CONNECTIONS"),
            idle_timeout: Duration::from_millis(number("TOY_IDLE") as u64),
            read_timeout: Duration::from_millis(number("TOY_READ") as u64),
            params_bytes: 128 * 1024,
            params_pairs: 512,
        },
        web_servers: env::var("TOY_WEB_SERVERS")
            .ok()
            .map(|list| WebServers::parse(&list).unwrap()),
    };
    let reloads = AtomicUsize::new(0);
    server.run(App { reloads }).unwrap();
    drop(files);
    std::process::exit(0);
}

/// A running toy; killed when dropped.
pub(crate) struct Toy {
    child: Child,
    dir: PathBuf,
    socket: String,
    address: Option<String>,
}

/// How a toy is to be started.
pub(crate) struct Start {
    command: Command,
    dir: PathBuf,
}

/// What a toy takes of the machine.
#[derive(Debug)]
pub(crate) struct Usage {
    pub(crate) files: usize,
    pub(crate) threads: usize,
    pub(crate) resident_kib: usize,
}

impl Toy {
    /// `SOCKET` in the address stands for a path of its own.
    pub(crate) fn listening(address: &str) -> Start {
        Start::new("exec \"$0\" \"$@\"", address)
    }

    /// The same, started by these shell commands, in which `exec "$0" "$@"` starts it.
    pub(crate) fn under_shell(script: &str, address: &str) -> Start {
        Start::new(script, address)
    }

    pub(crate) fn path(&self) -> &str {
        &self.socket
    }

    pub(crate) fn tcp_address(&self) -> &str {
        self.address.as_deref().unwrap()
    }

    /// Listening comes before serving, and before signals are caught: waits for the latter.
    pub(crate) fn first_request(&self) {
        let client = match &self.address {
            Some(address) => TcpStream::connect(address).map(Client::from),
            None => UnixStream::connect(&self.socket).map(Client::from),
        };
        // A socket inherited from a test is elsewhere.
        if let Ok(mut client) = client {
            client.send_if_open(&request(1, false, &[]));
            let _ = client.read_to_end(&mut Vec::new());
        }
    }

    /// A file that is not there, for WAIT_FOR.
    pub(crate) fn file(&self, name: &str) -> String {
        self.dir.join(name).to_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn connect(&self) -> Client {
        match &self.address {
            Some(address) => TcpStream::connect(address).unwrap().into(),
            None => UnixStream::connect(&self.socket).unwrap().into(),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    pub(crate) fn exit(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the server has ended", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    pub(crate) fn usage(&self) -> Usage {
        let proc = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = fs::read_to_string(proc.join("status")).unwrap();
        let number = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        Usage {
            files: fs::read_dir(proc.join("fd")).unwrap().count(),
            threads: number("Threads:"),
            resident_kib: number("VmRSS:"),
        }
    }

    /// Whether no thread wants the processor.
    pub(crate) fn sleeps(&self) -> bool {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        tasks.flatten().all(|task| {
            let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit(") ")
                .next()
                .unwrap_or_default()
                .starts_with('S')
        })
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap()
    }
}

impl Drop for Toy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Start {
    pub(crate) fn new(script: &str, address: &str) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "toy-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::SeqCst)
        );
        let dir = env::temp_dir().join(name);
        fs::create_dir(&dir).unwrap();
        let socket = dir.join("socket");
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", script])
            .arg(env::current_exe().unwrap())
            .args(["support::toy::serve", "--exact", "--ignored", "--nocapture"])
            .env(
                "TOY_LISTEN",
                address.replace("SOCKET", socket.to_str().unwrap()),
            )
            .env("TOY_CONNECTIONS", "64")
            .env("TOY_IDLE", "60000")
            .env("TOY_READ", "10000")
            .env("TOY_OPENED", "0")
            .env_remove("GATEWAY_INTERFACE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(dir.join("log")).unwrap());
        Self { command, dir }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn connections(self, bound: usize) -> Self {
        self.env("TOY_CONNECTIONS", &bound.to_string())
    }

    pub(crate) fn idle_ms(self, timeout: usize) -> Self {
        self.env("TOY_IDLE", &timeout.to_string())
    }

    pub(crate) fn read_ms(self, timeout: usize) -> Self {
        self.env("TOY_READ", &timeout.to_string())
    }

    pub(crate) fn opened(self, files: usize) -> Self {
        self.env("TOY_OPENED", &files.to_string())
    }

    pub(crate) fn web_servers(self, list: &str) -> Self {
        self.env("TOY_WEB_SERVERS", list)
    }

    pub(crate) fn variable(self, name: &str, value: &str) -> Self {
        self.env(name, value)
    }

    pub(crate) fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self
    }

    /// Starts it and waits until it listens.
    #[track_caller]
    pub(crate) fn start(self) -> Toy {
        self.try_start().expect("it listens")
    }

    /// `None` if it finds no socket to listen on.
    pub(crate) fn try_start(mut self) -> Option<Toy> {
        let mut child = self.command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut toy = Toy {
            child,
            socket: self.dir.join("socket").to_str().unwrap().to_owned(),
            dir: self.dir,
            address: None,
        };
        for line in stdout.lines() {
            let line = line.unwrap();
            if let Some(address) = line.strip_prefix("listening") {
                toy.address = address.strip_prefix(' ').map(str::to_owned);
                toy.first_request();
                return Some(toy);
            }
            if line == "no listener" {
                return None;
            }
        }
        panic!("{}", toy.log());
    }
}

/// Waits for a condition, but not for ever.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "waited for: {what}"
        );
        thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn serves(mut client: Client) {
    client.send(&request(1, false, &[("USER", "alice")]));
    assert_eq!(client.answer(), Answer::ok("alice"));
    assert_eq!(client.rest(), b"");
}
