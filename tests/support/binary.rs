//! The built program.
//!
//! Whatever the program prints to its log in any test is searched for passwords: it is started here,
//! at the most verbose level, and its log is looked at when the test's folder goes or when it has
//! ended.

use std::process::{Command, Output};

/// The program, with nothing in its environment but that it is to log all that it can.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nginx-mail-auth"));
    command.env_clear().env("NGINX_MAIL_AUTH_LOG", "trace");
    command
}

/// What the program printed. Its log, stderr, holds no password.
#[track_caller]
pub(crate) fn output(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    must_hold_no_password(&output.stderr);
    output
}

/// What passwords in these tests have in common, and nothing else in them has.
const IN_PASSWORDS: [&str; 7] = [
    "secret-",
    "marker-",
    "Marker",
    "sesame",
    "hunter2",
    "of-the-victim",
    "right",
];

/// What has that in common with passwords, and is none.
const NOT_IN_PASSWORDS: [&str; 5] = [
    "client-secret-file",
    "is the URL right?",
    "for the right syntax to use near",
    // Text that was typed as a login.
    "login=\"alice sesame1",
    r#"login="alice\" \"sesame1"#,
];

/// Fails if a log holds a password, or a part of one.
#[track_caller]
pub(crate) fn must_hold_no_password(log: &[u8]) {
    let log = String::from_utf8_lossy(log);
    for line in log.lines() {
        let line = NOT_IN_PASSWORDS
            .iter()
            .fold(line.to_owned(), |line, words| line.replace(words, ""));
        for password in IN_PASSWORDS {
            assert!(!line.contains(password), "{password} is in the log: {line}");
        }
    }
}
