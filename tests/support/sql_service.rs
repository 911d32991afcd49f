//! The program at work, as FastCGI server and as CGI program.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::binary;
use crate::support::cgi;
use crate::support::fastcgi::{Client, request};
use crate::support::serving::Serving;
use crate::support::temp_dir::TempDir;

pub(crate) const OK: &str = "Auth-Status: OK\nAuth-Server: 192.0.2.1\nAuth-Port: 143\n";
pub(crate) const REFUSED: &str = "Auth-Status: Invalid login or password\n";
pub(crate) const TEMPORARY: &str = "Auth-Status: Temporary server problem, try again later\n";

/// The mail server of users without one of their own.
pub(crate) const ROUTES: &str = "\n[routes]\ndefault = \"192.0.2.1\"\n";

/// An answer, and its log line.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Without its blank line.
    pub(crate) answer: String,
    /// The word in the log.
    pub(crate) cause: String,
    /// The whole line.
    pub(crate) line: String,
    pub(crate) took: Duration,
}

impl Reply {
    /// Answer and cause.
    pub(crate) fn said(&self) -> (&str, &str) {
        (&self.answer, &self.cause)
    }

    #[track_caller]
    pub(crate) fn must_be(&self, answer: &str, cause: &str) {
        assert_eq!(self.said(), (answer, cause), "{}", self.line);
    }

    /// That the database could not say, and why.
    #[track_caller]
    pub(crate) fn must_be_trouble(&self, why: &str) {
        self.must_be(TEMPORARY, "store-trouble");
        assert!(self.line.contains(why), "{why}: {}", self.line);
    }
}

/// One question.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) login: &'a [u8],
    pub(crate) password: &'a [u8],
    pub(crate) protocol: &'a str,
    pub(crate) client: &'a str,
}

impl<'a> Ask<'a> {
    pub(crate) fn new(login: &'a (impl AsRef<[u8]> + ?Sized), password: &'a str) -> Self {
        Self {
            login: login.as_ref(),
            password: password.as_bytes(),
            protocol: "imap",
            client: "192.0.2.7",
        }
    }

    pub(crate) fn variables(&self) -> [(&str, String); 4] {
        [
            ("HTTP_AUTH_USER", encoded(self.login)),
            ("HTTP_AUTH_PASS", encoded(self.password)),
            ("HTTP_AUTH_PROTOCOL", self.protocol.to_owned()),
            ("HTTP_CLIENT_IP", self.client.to_owned()),
        ]
    }
}

/// As nginx encodes, but every byte.
pub(crate) fn encoded(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
}

/// The program as FastCGI server; killed when it goes.
pub(crate) struct Service {
    serving: Serving,
    read: Cell<u64>,
}

pub(crate) fn program(config: &Path) -> Command {
    let mut command = binary::command();
    command.arg("--config").arg(config);
    command
}

/// A folder with a configuration.
pub(crate) fn folder(users: &str) -> TempDir {
    let dir = TempDir::new();
    dir.write("auth.toml", format!("{users}{ROUTES}"));
    dir
}

/// One `[[users]]`.
pub(crate) fn users(url: &str, query: &str, more: &str) -> String {
    assert!(!query.contains("'''"));
    format!(
        "[[users]]\nstore = \"sql\"\nname = \"people\"\nurl = \"{url}\"\nquery = '''{query}'''\n\
         allow-weak-schemes = true\n{more}\n"
    )
}

/// Runs a subcommand to its end.
pub(crate) fn command(dir: &TempDir, arguments: &[&str]) -> Output {
    let mut command = program(&dir.path().join("auth.toml"));
    binary::output(command.args(arguments).stdin(Stdio::null()))
}

/// Starts the program anew for one question, as CGI does.
pub(crate) fn cgi(dir: &TempDir, ask: &Ask<'_>) -> Reply {
    let start = Instant::now();
    let output = binary::output(cgi::program(dir).envs(ask.variables()));
    let took = start.elapsed();
    reply(
        String::from_utf8(output.stdout).unwrap(),
        &String::from_utf8(output.stderr).unwrap(),
        took,
    )
}

pub(crate) fn reply(answer: String, log: &str, took: Duration) -> Reply {
    let line = log
        .lines()
        .rfind(|line| line.contains(" cause="))
        .unwrap_or_else(|| panic!("no decision in: {log}"));
    let cause = line.split_once(" cause=").unwrap().1;
    assert_eq!(
        answer.contains("Auth-Server"),
        answer.starts_with("Auth-Status: OK\n"),
        "{answer}"
    );
    Reply {
        answer: answer.strip_suffix('\n').unwrap().to_owned(),
        cause: cause.split(' ').next().unwrap().to_owned(),
        line: line.to_owned(),
        took,
    }
}

impl Service {
    /// With this `[[users]]`.
    pub(crate) fn start(users: &str) -> Self {
        Self::start_in(folder(users))
    }

    pub(crate) fn start_in(dir: TempDir) -> Self {
        Self {
            serving: Serving::in_folder(dir, |_| {}),
            read: Cell::new(0),
        }
    }

    pub(crate) fn dir(&self) -> &TempDir {
        &self.serving.dir
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.serving.socket()
    }

    /// The answer alone; for several at once.
    pub(crate) fn answer(&self, ask: &Ask<'_>) -> (String, Duration) {
        answer(&self.socket(), ask)
    }

    /// For a thread that outlives the borrow.
    pub(crate) fn asker(&self) -> impl Fn(&Ask<'_>) -> (String, Duration) + Send + 'static {
        let socket = self.socket();
        move |ask| answer(&socket, ask)
    }

    pub(crate) fn ask(&self, ask: &Ask<'_>) -> Reply {
        let (answer, took) = self.answer(ask);
        reply(answer + "\n", &self.new_log(), took)
    }

    /// What the log has that was not asked for before.
    pub(crate) fn new_log(&self) -> String {
        self.serving.log.drain();
        let mut file = File::open(self.serving.dir.path().join("log")).unwrap();
        file.seek(SeekFrom::Start(self.read.get())).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        self.read.set(self.read.get() + text.len() as u64);
        text
    }

    /// Everything that it ever logged.
    pub(crate) fn log(&self) -> String {
        self.serving.log()
    }

    /// The most memory that it has ever had, in kilobytes.
    pub(crate) fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.serving.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.unwrap().trim().trim_end_matches(" kB");
        peak.parse().unwrap()
    }

    /// Its memory in kilobytes, and how many descriptors it has.
    pub(crate) fn size(&self) -> (u64, usize) {
        let process = PathBuf::from(format!("/proc/{}", self.serving.id()));
        let status = fs::read_to_string(process.join("status")).unwrap();
        let memory = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        let memory = memory.trim().trim_end_matches(" kB").parse().unwrap();
        (memory, fs::read_dir(process.join("fd")).unwrap().count())
    }
}

pub(crate) fn answer(socket: &Path, ask: &Ask<'_>) -> (String, Duration) {
    let variables = ask.variables();
    let variables = variables
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let start = Instant::now();
    let mut client = Client::from(UnixStream::connect(socket).unwrap());
    client.send(&request(1, false, &variables));
    let answer = client.answer().0;
    let took = start.elapsed();
    (answer.strip_suffix('\n').unwrap().to_owned(), took)
}

/// An address that takes no connections.
pub(crate) fn nowhere() -> String {
    let port = crate::support::process::free_port(Ipv4Addr::LOCALHOST);
    format!("127.0.0.1:{port}")
}
