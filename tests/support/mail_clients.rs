//! Mail clients that are not ours: curl, and Python's imaplib, poplib and smtplib.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::process::program;

/// What came of one try.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// In, with the first message of the mailbox; nothing with SMTP.
    In(String),
    /// Out, with what the client says about it.
    Out(String),
}

/// One try to log in; with SMTP also to send a message with this subject.
pub(crate) struct Try<'a> {
    pub(crate) login: &'a [u8],
    pub(crate) password: &'a [u8],
    pub(crate) subject: String,
}

/// A mail client and a protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Client {
    Imaplib,
    Poplib,
    Smtplib,
    CurlImap,
    CurlPop3,
    CurlSmtp,
}

impl Client {
    pub(crate) const ALL: [Self; 6] = [
        Self::Imaplib,
        Self::Poplib,
        Self::Smtplib,
        Self::CurlImap,
        Self::CurlPop3,
        Self::CurlSmtp,
    ];

    /// nginx's word for its protocol.
    pub(crate) fn protocol(self) -> &'static str {
        match self {
            Self::Imaplib | Self::CurlImap => "imap",
            Self::Poplib | Self::CurlPop3 => "pop3",
            Self::Smtplib | Self::CurlSmtp => "smtp",
        }
    }

    /// Whether it repeats what the server says about a refusal.
    pub(crate) fn shows_reason(self) -> bool {
        matches!(self, Self::Imaplib | Self::Poplib | Self::Smtplib)
    }

    /// Tries one after the other at this port of 127.0.0.1.
    pub(crate) fn run(self, port: u16, tries: &[Try<'_>], folder: &Path) -> Vec<Outcome> {
        let outcomes: Vec<_> = match self {
            Self::Imaplib => python("imap_login.py", port, tries),
            Self::Poplib => python("pop3_login.py", port, tries),
            Self::Smtplib => python("smtp_login.py", port, tries),
            Self::CurlImap => {
                let url = format!("imap://127.0.0.1:{port}/INBOX/;UID=1");
                tries.iter().map(|one| curl(&url, one, None)).collect()
            }
            Self::CurlPop3 => {
                let url = format!("pop3://127.0.0.1:{port}/1");
                tries.iter().map(|one| curl(&url, one, None)).collect()
            }
            Self::CurlSmtp => {
                let url = format!("smtp://127.0.0.1:{port}/client.test");
                let file = folder.join(format!("message-{port}"));
                tries
                    .iter()
                    .map(|one| curl(&url, one, Some(&file)))
                    .collect()
            }
        };
        assert_eq!(outcomes.len(), tries.len(), "{self:?}: {outcomes:?}");
        outcomes
    }
}

/// One of tests/clients, which does all tries in one process.
fn python(script: &str, port: u16, tries: &[Try<'_>]) -> Vec<Outcome> {
    let script: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/clients", script]
        .iter()
        .collect();
    let mut input = String::new();
    for one in tries {
        let (login, password) = (hex(one.login), hex(one.password));
        input += &format!("{port} {login} {password} {}\n", one.subject);
    }
    let output = fed(
        Command::new(program("python3", "python3")).arg(script),
        input.as_bytes(),
    );
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| match line.split_once(' ').unwrap() {
            ("in", message) => Outcome::In(unhex(message)),
            (_, reason) => Outcome::Out(unhex(reason)),
        })
        .collect()
}

/// curl's exit code where a server refuses the login (CURLE_LOGIN_DENIED).
const LOGIN_DENIED: i32 = 67;

fn curl(url: &str, one: &Try<'_>, message: Option<&Path>) -> Outcome {
    // In a configuration on its standard input, as command lines can be seen by everybody.
    let mut config = format!("url = \"{url}\"\n").into_bytes();
    config.extend_from_slice(b"user = \"");
    for byte in [one.login, b":", one.password].concat() {
        if matches!(byte, b'"' | b'\\') {
            config.push(b'\\');
        }
        config.push(byte);
    }
    config.extend_from_slice(b"\"\n");
    if let Some(file) = message {
        let text = format!("Subject: {}\r\n\r\nSent.\r\n", one.subject);
        fs::write(file, text).unwrap();
        let file = file.display();
        write!(
            config,
            "mail-from = \"sender@mail.test\"\nmail-rcpt = \"somebody@mail.test\"\n\
             upload-file = \"{file}\"\n"
        )
        .unwrap();
    }
    let output = fed(
        Command::new(program("curl", "curl")).args(["-q", "-sS", "--max-time", "20", "-K", "-"]),
        &config,
    );
    match output.status.code() {
        Some(0) => Outcome::In(String::from_utf8_lossy(&output.stdout).into_owned()),
        Some(LOGIN_DENIED) => Outcome::Out(String::from_utf8_lossy(&output.stderr).into_owned()),
        _ => panic!("curl {url} as {}: {output:?}", one.login.escape_ascii()),
    }
}

fn fed(command: &mut Command, input: &[u8]) -> std::process::Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> String {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    let bytes: Vec<_> = text
        .as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) * 16 + digit(pair[1]))
        .collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
