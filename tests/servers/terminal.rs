//! Prompts for passwords, at a real terminal.

use std::path::Path;
use std::process::Command;

use crate::support::binary;
use crate::support::temp_dir::TempDir;

/// What `prompt.py` tells of a command and these actions.
fn at_a_terminal(actions: &str, arguments: &[&str]) -> String {
    let dir = TempDir::new();
    let config = "[[users]]\nstore = \"file\"\npath = \"users\"\nallow-weak-schemes = true\n\
                  [routes]\ndefault = \"192.0.2.1\"\n";
    let config = dir.write("auth.toml", config);
    dir.write("users", "alice:{PLAIN}secret\n");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/prompt.py");
    let output = Command::new("python3")
        .arg(script)
        .arg(actions)
        .arg(binary::command().get_program())
        .arg("--config")
        .arg(config)
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{actions}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

const HASH: &[&str] = &["hash", "--scheme", "sha512-crypt"];
const TEST: &[&str] = &["test", "alice"];

#[test]
fn whatever_ends_a_prompt_the_terminal_is_as_before() {
    for (signal, name) in [
        ("signal:SIGINT", "SIGINT"),
        ("signal:SIGTERM", "SIGTERM"),
        ("signal:SIGHUP", "SIGHUP"),
        ("signal:SIGQUIT", "SIGQUIT"),
        ("key:03", "SIGINT"),
        ("key:1c", "SIGQUIT"),
    ] {
        for (before, arguments) in [("", HASH), ("type:secret,", HASH), ("", TEST)] {
            let told = at_a_terminal(&format!("{before}{signal}"), arguments);
            let wanted = format!("ended {name}\nmodes as before\nleft 0\n");
            assert!(told.starts_with(&wanted), "{signal} {arguments:?}: {told}");
        }
    }
}

#[test]
fn a_password_is_read_and_not_shown() {
    let told = at_a_terminal("type:secret,type:secret", HASH);
    assert!(
        told.starts_with("ended 0\nmodes as before\nleft 0\n"),
        "{told}"
    );
    assert!(told.contains("$6$"), "{told}");
    assert!(!told.contains("secret"), "{told}");
    let told = at_a_terminal("type:secret", TEST);
    assert!(
        told.starts_with("ended 0\nmodes as before\nleft 0\n"),
        "{told}"
    );
    // The end of input.
    let told = at_a_terminal("key:04", TEST);
    assert!(
        told.starts_with("ended 1\nmodes as before\nleft 0\n"),
        "{told}"
    );
}

#[test]
fn a_stopped_prompt_gives_the_echo_back_and_takes_it_again() {
    let told = at_a_terminal("stop:secret,type:secret", HASH);
    let wanted = "stopped True echo True\nended 0\nmodes as before\nleft 0\n";
    assert!(told.starts_with(wanted), "{told}");
    assert!(!told.contains("secret"), "{told}");
}

#[test]
fn the_rest_of_a_too_long_password_is_discarded() {
    let told = at_a_terminal(&format!("type:{}", "x".repeat(2000)), HASH);
    assert!(
        told.starts_with("ended 1\nmodes as before\nleft 0\n"),
        "{told}"
    );
    assert!(told.contains("a password of more than "), "{told}");
}
