//! The program as a CGI program and from a plain shell: one request from the environment.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};

use crate::support::binary;
use crate::support::temp_dir::TempDir;

const REFUSED: &str = "Auth-Status: Invalid login or password\n\n";
const TEMPORARY: &str = "Auth-Status: Temporary server problem, try again later\n\n";
const ALICE: [(&str, &str); 3] = [
    ("HTTP_AUTH_USER", "alice"),
    ("HTTP_AUTH_PASS", "marker-secret"),
    ("HTTP_AUTH_PROTOCOL", "imap"),
];

fn program() -> Command {
    let mut command = binary::command();
    command.stdin(Stdio::null());
    command
}

fn with_example() -> Command {
    let mut command = program();
    command.args([
        "--config",
        concat!(env!("CARGO_MANIFEST_DIR"), "/examples/php-script.toml"),
    ]);
    command
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> String {
    binary::must_hold_no_password(&output.stderr);
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn the_three_headers_and_exit_0() {
    let output = with_example().envs(ALICE).output().unwrap();
    assert_eq!(
        stdout(&output),
        "Auth-Status: OK\nAuth-Server: 192.168.1.22\nAuth-Port: 143\n\n"
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn each_decision_is_one_line_without_the_password() {
    let output = with_example()
        .envs(ALICE)
        .env("HTTP_CLIENT_IP", "192.0.2.7")
        .output()
        .unwrap();
    let log = stderr(&output);
    let decisions = log.lines().filter(|line| line.contains(" answer="));
    assert_eq!(decisions.count(), 1, "{log}");
    assert!(
        log.contains(
            "login=\"alice\" protocol=imap client=192.0.2.7 host=\"mailhost01\" answer=OK cause=accepted ms="
        ),
        "{log}"
    );
    for level in ["trace", "debug"] {
        let output = with_example()
            .envs(ALICE)
            .env("NGINX_MAIL_AUTH_LOG", level)
            .output()
            .unwrap();
        assert!(!stderr(&output).contains("marker-secret"));
    }
    let output = with_example()
        .envs(ALICE)
        .env("NGINX_MAIL_AUTH_LOG", "warn")
        .output()
        .unwrap();
    assert_eq!(stderr(&output), "");
}

#[test]
fn without_credentials_the_refusal() {
    let output = with_example().output().unwrap();
    assert_eq!(stdout(&output), REFUSED);
    assert_eq!(output.status.code(), Some(0));
    assert!(stderr(&output).contains("cause=missing-credentials"));
}

#[test]
fn arguments_are_not_looked_at_under_cgi() {
    // `GET /mail/auth?--help` arrives as an argument (RFC 3875, 4.4).
    for argument in ["--help", "check", "--config=/dev/null", "serve"] {
        let output = program()
            .arg(argument)
            .envs(ALICE)
            .env("GATEWAY_INTERFACE", "CGI/1.1")
            .env(
                "NGINX_MAIL_AUTH_CONFIG",
                concat!(env!("CARGO_MANIFEST_DIR"), "/examples/php-script.toml"),
            )
            .output()
            .unwrap();
        assert!(
            stdout(&output).starts_with("Auth-Status: OK\n"),
            "{argument}"
        );
        // The log names the file that is used instead.
        let said = format!(
            " WARN nginx-mail-auth[PID]: arguments are ignored under CGI, as a client can write \
             them (RFC 3875, 4.4); configuration: {}/examples/php-script.toml (named by \
             NGINX_MAIL_AUTH_CONFIG); to name another, set NGINX_MAIL_AUTH_CONFIG\n",
            env!("CARGO_MANIFEST_DIR")
        );
        let log = without_pid(&stderr(&output));
        assert_eq!(log.matches(&said).count(), 1, "{log}");
    }
}

/// Lines with `[PID]` for the number of the process.
fn without_pid(log: &str) -> String {
    let line = |line: &str| {
        let (before, rest) = line.split_once('[').unwrap_or((line, ""));
        let rest = rest.split_once(']').map_or("", |(_, rest)| rest);
        format!("{before}[PID]{rest}\n")
    };
    log.lines().map(line).collect()
}

#[test]
fn the_log_says_which_configuration_counts_and_why() {
    let dir = TempDir::new();
    let good = dir.write(
        "good.toml",
        "[[users]]\nstore = \"accept\"\n[routes]\ndefault = \"192.0.2.1\"\n",
    );
    let missing = dir.path().join("missing.toml");
    let by_variable = |path: &std::path::Path| {
        format!(
            "configuration: {} (named by NGINX_MAIL_AUTH_CONFIG)\n",
            path.display()
        )
    };
    let by_option = format!("configuration: {} (named by --config)\n", good.display());
    let default = "configuration: /etc/nginx-mail-auth/auth.toml (the default: NGINX_MAIL_AUTH_CONFIG is \
                   not set, or empty)\n";
    let log = |command: &mut Command| stderr(&command.envs(ALICE).output().unwrap());
    let level = "NGINX_MAIL_AUTH_LOG";
    let variable = "NGINX_MAIL_AUTH_CONFIG";
    let debug = |said: &str| format!(" DEBUG nginx-mail-auth[PID]: {said}");
    let error = |said: &str| format!(" ERROR nginx-mail-auth[PID]: {said}");
    // It is logged for each request only on demand, and always for one that fails.
    let found = without_pid(&log(program().env(variable, &good).env(level, "debug")));
    assert!(found.contains(&debug(&by_variable(&good))), "{found}");
    let found = without_pid(&log(program()
        .arg("--config")
        .arg(&good)
        .env(level, "debug")));
    assert!(found.contains(&debug(&by_option)), "{found}");
    let found = log(program().env(variable, &good).env(level, "info"));
    assert!(!found.contains("configuration: "), "{found}");
    for (path, said) in [
        (Some(&missing), by_variable(&missing)),
        (None, default.to_owned()),
    ] {
        let mut command = program();
        command.env(level, "error");
        if let Some(path) = path {
            command.env(variable, path);
        } else if std::path::Path::new("/etc/nginx-mail-auth/auth.toml").exists() {
            continue;
        }
        let found = without_pid(&log(&mut command));
        assert!(found.contains(&error(&said)), "{found}");
    }
}

#[test]
fn a_configuration_that_cannot_be_used_is_a_temporary_failure() {
    let dir = TempDir::new();
    let broken = dir.write(
        "broken.toml",
        "[[users]]\nstore = \"accept\"\n[routes]\ndefault = 3\n",
    );
    let missing = dir.path().join("missing.toml");
    for (path, log) in [
        (&broken, "broken.toml:4:11: routes.default: "),
        (&missing, "missing.toml: "),
    ] {
        let mut command = program();
        command.envs(ALICE).env("NGINX_MAIL_AUTH_CONFIG", path);
        let output = command.output().unwrap();
        assert_eq!(stdout(&output), TEMPORARY);
        assert_eq!(output.status.code(), Some(0));
        assert!(stderr(&output).contains(log), "{}", stderr(&output));
        let output = command.env("HTTP_AUTH_PROTOCOL", "smtp").output().unwrap();
        assert_eq!(
            stdout(&output),
            TEMPORARY.replace("\n\n", "\nAuth-Error-Code: 451 4.3.0\n\n")
        );
    }
}

#[test]
fn any_descriptor_0_that_does_not_listen_is_cgi() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let dir = TempDir::new();
    let file = dir.write("body", "a body");
    let stdins: [(&str, Stdio); 4] = [
        (
            "a connected socket, as mod_cgid gives",
            std::os::fd::OwnedFd::from(theirs).into(),
        ),
        ("a file", File::open(file).unwrap().into()),
        ("/dev/null", Stdio::null()),
        ("a pipe", Stdio::piped()),
    ];
    for (kind, stdin) in stdins {
        let output = with_example().envs(ALICE).stdin(stdin).output().unwrap();
        assert!(stdout(&output).starts_with("Auth-Status: OK\n"), "{kind}");
    }
    drop(ours);
    let program = env!("CARGO_BIN_EXE_nginx-mail-auth");
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/php-script.toml");
    for closed in ["<&-", "<&- 2>&-"] {
        let output = Command::new("sh")
            .arg("-c")
            .arg(format!("exec '{program}' --config '{config}' {closed}"))
            .env_clear()
            .envs(ALICE)
            .output()
            .unwrap();
        assert!(
            stdout(&output).starts_with("Auth-Status: OK\n"),
            "closed: {closed}"
        );
    }
}

#[test]
fn a_large_unread_body_does_not_delay_the_answer() {
    let mut child = with_example()
        .envs(ALICE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut body = child.stdin.take().unwrap();
    let _broken_pipe_is_fine = body.write_all(&vec![b'x'; 10 << 20]);
    drop(body);
    let output = child.wait_with_output().unwrap();
    assert!(stdout(&output).starts_with("Auth-Status: OK\n"));
}

#[test]
fn a_stdout_that_takes_nothing_is_an_error_and_no_panic() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = with_example().envs(ALICE).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(!stderr(&output).contains("panic"));
}

#[test]
fn a_host_name_goes_out_as_an_address() {
    let dir = TempDir::new();
    let config = |host: &str| {
        let text = format!("[[users]]\nstore = \"accept\"\n[routes]\ndefault = \"{host}\"\n");
        dir.write("auth.toml", text)
    };
    let mut command = program();
    command
        .envs(ALICE)
        .env("NGINX_MAIL_AUTH_CONFIG", config("localhost"));
    let output = command.output().unwrap();
    let lines: Vec<_> = stdout(&output).lines().collect();
    assert!(
        ["Auth-Server: 127.0.0.1", "Auth-Server: ::1"].contains(&lines[1]),
        "{lines:?}"
    );
    config("nowhere.invalid");
    let output = command.output().unwrap();
    assert_eq!(stdout(&output), TEMPORARY);
    assert!(stderr(&output).contains("cause=host-trouble detail=\"nowhere.invalid: "));
}
