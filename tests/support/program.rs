//! The built program with a configuration, asked about logins.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::binary;
use crate::support::cgi;
use crate::support::process::wait_until;
use crate::support::serving::Serving;
use crate::support::temp_dir::TempDir;

pub(crate) const REFUSED: &str = "Auth-Status: Invalid login or password\n\n";
pub(crate) const TEMPORARY: &str = "Auth-Status: Temporary server problem, try again later\n\n";
/// Where the routes of [`with_store`] lead.
pub(crate) const ACCEPTED: &str = "Auth-Status: OK\nAuth-Server: 192.0.2.1\nAuth-Port: 143\n\n";

/// A configuration with one `[[users]]`.
pub(crate) fn with_store(keys: &str) -> String {
    format!("[[users]]\n{keys}\n[routes]\ndefault = \"192.0.2.1\"\n")
}

/// The program as a FastCGI server; it ends when this goes.
pub(crate) struct Program(Serving);

impl Program {
    pub(crate) fn serve(config: &str) -> Self {
        Self::serve_with(config, |_| {})
    }

    /// The same, started with something more.
    pub(crate) fn serve_with(config: &str, more: impl FnOnce(&mut std::process::Command)) -> Self {
        let folder = TempDir::new();
        folder.write("auth.toml", config);
        Self(Serving::in_folder(folder, more))
    }

    /// Where its configuration and its socket are.
    pub(crate) fn folder(&self) -> &TempDir {
        &self.0.dir
    }

    pub(crate) fn log(&self) -> String {
        self.0.log()
    }

    /// Whether everything has come to the log that was to come.
    pub(crate) fn wait_for_log(&self, part: &str) {
        wait_until(part, || self.log().contains(part));
    }

    /// The answer to a request with these variables.
    pub(crate) fn answer(&self, variables: &[(&str, &str)]) -> String {
        self.0.answer(variables)
    }

    pub(crate) fn ask(&self, login: &[u8], password: &[u8]) -> String {
        self.ask_for("imap", login, password)
    }

    pub(crate) fn ask_for(&self, protocol: &str, login: &[u8], password: &[u8]) -> String {
        let (login, password) = (escaped(login), escaped(password));
        self.answer(&question(protocol, &login, &password))
    }

    /// Asks, and sees to it that the answer comes within this time.
    #[track_caller]
    pub(crate) fn ask_within(&self, limit: Duration, login: &[u8], password: &[u8]) -> String {
        let start = Instant::now();
        let answer = self.ask(login, password);
        let took = start.elapsed();
        assert!(took <= limit, "took {took:?}\n{}", self.log());
        answer
    }
}

/// One request as a CGI program; what it said, and what it logged.
pub(crate) fn run_as_cgi(config: &str, login: &[u8], password: &[u8]) -> (String, String) {
    let folder = TempDir::new();
    folder.write("auth.toml", config);
    let (login, password) = (escaped(login), escaped(password));
    let as_web_servers_do = [("GATEWAY_INTERFACE", "CGI/1.1")];
    let question = question("imap", &login, &password);
    cgi::ask(&folder, &[&as_web_servers_do[..], &question].concat())
}

/// `check` of a configuration: exit code, and what it complains about, but for the advice on ports
/// that any user can listen on: those of the tests all are.
pub(crate) fn check(config: &str) -> (i32, String) {
    let folder = TempDir::new();
    let config = folder.write("auth.toml", config);
    let complaints = folder.path().join("complaints");
    let Output { status, .. } = binary::command()
        .arg("--config")
        .arg(config)
        .arg("check")
        .stdin(Stdio::null())
        .stderr(File::create(&complaints).unwrap())
        .output()
        .unwrap();
    let said = fs::read_to_string(complaints).unwrap();
    let said: String = said
        .split_inclusive('\n')
        .filter(|line| !line.contains("any user of this machine can listen on port"))
        .filter(|line| !line.starts_with("note: root may read"))
        .collect();
    let folder = format!("{}/", folder.path().display());
    (status.code().unwrap(), said.replace(&folder, ""))
}

fn question<'a>(protocol: &'a str, login: &'a str, password: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("HTTP_AUTH_USER", login),
        ("HTTP_AUTH_PASS", password),
        ("HTTP_AUTH_PROTOCOL", protocol),
        ("HTTP_CLIENT_IP", "192.0.2.7"),
    ]
}

/// Every byte escaped, which is more than nginx does.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "%{byte:02X}").unwrap();
        text
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A key with a path as its value.
pub(crate) fn path_key(key: &str, path: &Path) -> String {
    format!("{key} = {:?}\n", path.display().to_string())
}
