//! The commands, with somebody who types what the test says.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use clap::Parser as _;
use zeroize::Zeroizing;

use super::*;
use crate::commands::cli::Cli;

/// Types these lines, one after the other.
struct Typist {
    lines: Vec<&'static str>,
    blind: bool,
}

impl PasswordPrompt for Typist {
    fn ask(&mut self, _prompt: &str) -> io::Result<Zeroizing<Vec<u8>>> {
        if self.lines.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Zeroizing::new(self.lines.remove(0).as_bytes().to_vec()))
    }

    fn all(&mut self, _most: u64) -> io::Result<Zeroizing<Vec<u8>>> {
        let all = self.lines.drain(..).map(|line| format!("{line}\n"));
        Ok(Zeroizing::new(all.collect::<String>().into_bytes()))
    }

    fn hides_input(&self) -> bool {
        self.blind
    }
}

struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nma-commands-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Standard output, standard error, and how it ended.
    fn run(&self, line: &[&str], lines: &[&'static str]) -> (String, String, Outcome) {
        let typist = Typist {
            lines: lines.to_vec(),
            blind: false,
        };
        let (out, err, outcome) = run_line(line, &self.0.join("auth.toml"), typist);
        let folder = format!("{}/", self.0.display());
        (
            out.replace(&folder, ""),
            err.replace(&folder, ""),
            outcome.unwrap(),
        )
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn run_line(
    line: &[&str],
    config: &Path,
    mut typist: Typist,
) -> (String, String, Result<Outcome, CommandError>) {
    let cli = Cli::try_parse_from(["nginx-mail-auth"].iter().chain(line)).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let command = cli.command.unwrap();
    let outcome = run_with(&command, config, &mut typist, &mut out, &mut err).unwrap();
    (
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
        outcome,
    )
}

const CONFIG: &str = r#"
[[users]]
store = "file"
path = "users"
allow-weak-schemes = true
[routes]
default = "mailhost02"
[routes.first-letter]
acfg = "mailhost01"
[hosts]
mailhost01 = "192.168.1.22"
mailhost02 = { address = "192.168.1.33", imap = 1143 }
"#;

const USERS: &str = "alice:{PLAIN}hunter2\n\
                     bob:{PLAIN}hunter2::::::allow_nets=192.0.2.0/24 host=mailhost01\n\
                     carol:{PLAIN}hunter2::::::nologin\n";

fn working(test: &str) -> Folder {
    let folder = Folder::new(test);
    folder.write("auth.toml", CONFIG);
    folder.write("users", USERS);
    folder
}

/// What `test` prints, without the times.
fn untimed(out: &str) -> String {
    let line = |line: &str| line.split(" [").next().unwrap_or_default().to_owned() + "\n";
    out.lines().map(line).collect()
}

#[test]
fn check_of_what_works() {
    let folder = working("check");
    let (out, err, outcome) = folder.run(&["check"], &[]);
    assert_eq!(
        out,
        "file: 3 users, of which 1 can never log in (disabled by nologin: 1)\nauth.toml: ok\n"
    );
    assert_eq!(err, "");
    assert_eq!(outcome, Outcome::Done);
}

#[test]
fn check_warns_of_accept_and_succeeds() {
    let folder = Folder::new("accept");
    let config = "[[users]]\nstore = \"accept\"\n[routes]\ndefault = \"192.0.2.1\"\n";
    folder.write("auth.toml", config);
    let (out, err, outcome) = folder.run(&["check"], &[]);
    assert_eq!(out, "accept: its users are not counted\nauth.toml: ok\n");
    assert!(err.starts_with("warning: auth.toml:2:9: users.store: accept takes every login"));
    assert!(err.contains("open relay"), "{err}");
    assert_eq!(outcome, Outcome::Done);
}

#[test]
fn check_of_what_is_broken() {
    let folder = working("broken");
    folder.write("auth.toml", "colour = 1\n[ports]\nimap = 0\n[[users]]\n");
    let (out, err, outcome) = folder.run(&["check"], &[]);
    assert_eq!(out, "");
    assert_eq!(err.lines().count(), 3, "{err}");
    assert!(err.contains("auth.toml:3:8: ports.imap: must be from 1 to 65535, not 0\n"));
    assert_eq!(outcome, Outcome::BrokenConfig);

    folder.write("auth.toml", &CONFIG.replace("\"users\"", "\"none\""));
    let (_, err, outcome) = folder.run(&["check"], &[]);
    assert_eq!(
        err,
        "auth.toml:4:8: users.path: none: cannot be read: No such file or directory (os error 2)\n"
    );
    assert_eq!(outcome, Outcome::BrokenConfig);

    let unknown = CONFIG.replace("192.168.1.22", "no-such-host.invalid");
    folder.write("auth.toml", &unknown);
    let (_, err, outcome) = folder.run(&["check"], &[]);
    assert!(
        err.starts_with("auth.toml:11:14: hosts.mailhost01: cannot resolve no-such-host.invalid: "),
        "{err}"
    );
    assert_eq!(outcome, Outcome::BrokenConfig);
}

#[test]
fn check_warns_of_hosts_that_nobody_knows() {
    let folder = working("hosts");
    let users = "a:!::::::host=mailhost01\nb:!::::::host=192.0.2.9\nc:!::::::host=there\n";
    folder.write("users", users);
    let (out, err, outcome) = folder.run(&["check"], &[]);
    assert_eq!(
        out,
        "file: 3 users, of which 3 can never log in (no password, or a locked one: 3)\nauth.toml: ok\n"
    );
    assert_eq!(
        err,
        "warning: users:3:1: host=there is neither in [hosts] nor an address: \
         its users get the temporary failure\n"
    );
    assert_eq!(outcome, Outcome::Done);
}

#[test]
fn test_tells_step_by_step_why() {
    let folder = working("steps");
    let (out, err, outcome) = folder.run(&["test", "alice", "--protocol", "pop3"], &["hunter2"]);
    assert_eq!(
        untimed(&out),
        "store file users: found, scheme plain\n\
         store file users: password fits\n\
         password: correct\n\
         account: allowed from this network and protocol\n\
         route: first-letter, to host mailhost01\n\
         mail server: 192.168.1.22:110\n\
         \n\
         Auth-Status: OK\nAuth-Server: 192.168.1.22\nAuth-Port: 110\n\n"
    );
    assert_eq!(err, "");
    assert_eq!(outcome, Outcome::Done);

    for (line, password, cause) in [
        (&["test", "alice"][..], "wrong", "wrong-password"),
        (&["test", "alice"], "", "wrong-password"),
        (&["test", "dave"], "hunter2", "unknown-user"),
        (&["test", "carol"], "hunter2", "disabled"),
        (&["test", "bob"], "hunter2", "network-not-allowed"),
        (
            &["test", "bob", "--client-ip", "192.0.3.1"],
            "hunter2",
            "network-not-allowed",
        ),
    ] {
        let (out, _, outcome) = folder.run(line, &[password]);
        assert_eq!(outcome, Outcome::Refused, "{out}");
        let end = format!("refused: {cause}\n\nAuth-Status: Invalid login or password\n\n");
        assert!(out.ends_with(&end), "{out}");
        assert!(
            !out.contains("hunter2") && !out.contains("Auth-Server"),
            "{out}"
        );
    }
    let line = [
        "test",
        "bob",
        "--client-ip",
        "192.0.2.1",
        "--protocol",
        "smtp",
    ];
    let (out, _, outcome) = folder.run(&line, &["hunter2"]);
    assert_eq!(outcome, Outcome::Done);
    assert!(
        untimed(&out).contains("route: user, to host mailhost01\nmail server: 192.168.1.22:25\n")
    );
}

#[test]
fn test_with_a_broken_configuration_asks_for_nothing() {
    let folder = working("untested");
    folder.write("auth.toml", "");
    let (out, err, outcome) = folder.run(&["test", "alice"], &[]);
    assert_eq!(out, "");
    assert!(err.contains("there is no [[users]]: every login would be refused"));
    assert_eq!(outcome, Outcome::BrokenConfig);
}

#[test]
fn hashes_are_lines_for_the_password_file() {
    let folder = working("hash");
    for scheme in ["argon2id", "SSHA512", "sha256-crypt"] {
        let line = ["hash", "--scheme", scheme, "dora"];
        let (out, _, _) = folder.run(&line, &["open sesame"]);
        assert!(
            out.starts_with("dora:{") && !out.contains("sesame"),
            "{out}"
        );
        folder.write("users", &out);
        let (out, _, outcome) = folder.run(&["test", "dora"], &["open sesame"]);
        assert_eq!(outcome, Outcome::Done, "{out}");
    }
    let (out, _, _) = folder.run(&["hash"], &["open sesame"]);
    assert!(out.starts_with("{ARGON2ID}$argon2id$"), "{out}");
}

#[test]
fn bad_passwords_and_logins_get_no_hash() {
    let long: &'static str = "a".repeat(513).leak();
    for (line, lines, blind, message) in [
        (
            &["hash"][..],
            vec!["one", "two"],
            true,
            "the two passwords differ",
        ),
        (&["hash"], vec![""], false, "the password is empty"),
        (
            &["hash"],
            vec!["a\0b"],
            false,
            "a password that holds NUL, CR or LF is always refused",
        ),
        (
            &["hash"],
            vec![long],
            false,
            "a password of more than 512 bytes is always refused",
        ),
        (
            &["hash", "a:b"],
            vec!["secret"],
            false,
            "\"a:b\" cannot be a login of a password file: it holds a colon, which ends the login on its line",
        ),
        (&["hash"], vec![], false, "cannot read a password"),
    ] {
        let typist = Typist { lines, blind };
        let (out, _, result) = run_line(line, Path::new("none"), typist);
        assert_eq!(out, "");
        assert_eq!(result.err().unwrap().to_string(), message);
    }
    let twice = Typist {
        lines: vec!["same", "same"],
        blind: true,
    };
    let (out, _, _) = run_line(&["hash", "--scheme", "ssha512"], Path::new("none"), twice);
    assert!(out.starts_with("{SSHA512}"));
}

#[test]
fn the_manual_page_has_everything() {
    let folder = Folder::new("man");
    let (page, _, _) = folder.run(&["man"], &[]);
    for needed in [
        ".SH NAME",
        ".SH SYNOPSIS",
        ".SH OPTIONS",
        ".SH COMMANDS",
        ".SH ENVIRONMENT",
        ".SH FILES",
        ".SH \"EXIT STATUS\"",
        "NGINX_MAIL_AUTH_CONFIG",
        "NGINX_MAIL_AUTH_LOG",
        "auth.toml",
        "\\fBserve\\fR",
        "\\fBcheck\\fR",
        "\\fBtest\\fR",
        "\\fBhash\\fR",
        "\\-\\-client\\-ip",
        "\\fBnginx\\-mail\\-auth\\fR(5)",
    ] {
        assert!(page.contains(needed), "{needed} is not in {page}");
    }
}

#[test]
fn completions_for_shells() {
    let folder = Folder::new("completions");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (script, _, _) = folder.run(&["completions", shell], &[]);
        assert!(script.contains("client-ip"), "{shell}");
    }
}
