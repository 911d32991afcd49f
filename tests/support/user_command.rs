//! `nginx-mail-auth user`, run in a folder with a configuration.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::process::Command;

use crate::support::binary;
use crate::support::cgi;
use crate::support::temp_dir::TempDir;

/// A password file and one of app passwords.
pub(crate) const ONE_FILE: &str = "\
[[users]]
store = \"file\"
path = \"users\"
app-passwords-path = \"apps\"
allow-weak-schemes = true
[routes]
default = \"192.0.2.1\"
";

/// A fast scheme, for tests that are not about hashes.
pub(crate) const FAST: [&str; 2] = ["--scheme", "ssha512"];

/// A folder with this configuration.
pub(crate) fn with(config: &str) -> TempDir {
    let dir = TempDir::new();
    dir.write("auth.toml", config);
    dir
}

/// The text of a file.
pub(crate) fn read(dir: &TempDir, name: &str) -> String {
    fs::read_to_string(dir.path().join(name)).unwrap()
}

/// How a command ended, and what it printed, without the folder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// Fails if the command did.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self.out
    }

    /// What a command that failed has said why.
    #[track_caller]
    pub(crate) fn why(self) -> String {
        assert_ne!(self.code, Some(0), "{}{}", self.out, self.err);
        self.err
    }
}

/// The command line of the program in this folder.
pub(crate) fn program(dir: &TempDir) -> Command {
    let mut command = binary::command();
    command.arg("--config").arg(dir.path().join("auth.toml"));
    command
}

/// Runs `nginx-mail-auth` with these words, and this input.
pub(crate) fn run(dir: &TempDir, words: &[impl AsRef<OsStr>], input: impl AsRef<[u8]>) -> Said {
    let mut command = program(dir);
    command.args(words);
    said(dir, &mut command, input)
}

/// Runs a command that is the program, or starts it.
pub(crate) fn said(dir: &TempDir, command: &mut Command, input: impl AsRef<[u8]>) -> Said {
    let typed = TempDir::new();
    let typed = File::open(typed.write("typed", input)).unwrap();
    let output = binary::output(command.stdin(typed));
    let folder = format!("{}/", dir.path().display());
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).replace(&folder, "");
    Said {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// `accepted`, or the cause why the login is not.
pub(crate) fn attempt(dir: &TempDir, login: &str, password: &str) -> String {
    let (_, log) = cgi::ask(
        dir,
        &[
            ("HTTP_AUTH_USER", login),
            ("HTTP_AUTH_PASS", password),
            ("HTTP_AUTH_PROTOCOL", "imap"),
            ("HTTP_CLIENT_IP", "192.0.2.7"),
        ],
    );
    cgi::cause(&log).to_owned()
}
