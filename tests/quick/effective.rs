//! `config` and `snippet` at the command line.

use std::process::Output;

use crate::support::binary;
use crate::support::temp_dir::TempDir;

const CONFIG: &str = "[nginx]\nkey = \"marker-key-of-16-bytes\"\n[[users]]\nstore = \"file\"\npath = \"missing\"\n\
                      timeout-of = 1\n[routes]\ndefault = \"192.0.2.1\"\n[log]\nlevel = \"info\"\n";

fn run(config: &str, arguments: &[&str]) -> Output {
    let mut command = binary::command();
    binary::output(command.args(["--config", config]).args(arguments))
}

#[test]
fn config_prints_what_differs_and_opens_no_store() {
    let folder = TempDir::new();
    let text = CONFIG.replace("timeout-of = 1\n", "");
    let path = folder.write("auth.toml", &text).display().to_string();
    let output = run(&path, &["config", "-n"]);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    let wanted = format!(
        "# {path}, without the keys that have their default. Paths are relative to its folder.\n\
         # Hidden secrets: 1. With them it does not load again; --with-secrets prints them.\n\n\
         [nginx]\nkey = \"(hidden)\"\n\n[[users]]\npath = \"missing\"\nstore = \"file\"\n\n\
         [routes]\ndefault = \"192.0.2.1\"\n"
    );
    assert_eq!(printed, wanted);
    let all = run(&path, &["config", "--with-secrets"]);
    let all = String::from_utf8(all.stdout).unwrap();
    assert!(
        all.contains("key = \"marker-key-of-16-bytes\"") && all.contains("level = \"info\""),
        "{all}"
    );
    let again = folder.write("again.toml", &all).display().to_string();
    let again = String::from_utf8(run(&again, &["config", "--with-secrets"]).stdout).unwrap();
    let body = |text: &str| text.split_once("\n\n").unwrap().1.to_owned();
    assert_eq!(body(&again), body(&all));
}

#[test]
fn an_invalid_configuration_is_neither_printed_nor_used() {
    let folder = TempDir::new();
    let path = folder.write("auth.toml", CONFIG).display().to_string();
    for arguments in [&["config"][..], &["snippet", "apache-cgi"]] {
        let output = run(&path, arguments);
        assert_eq!(output.status.code(), Some(78));
        assert!(output.stdout.is_empty());
        let problem = String::from_utf8(output.stderr).unwrap();
        assert!(problem.contains("timeout-of"), "{problem}");
    }
    assert_eq!(
        run("/missing/auth.toml", &["config"]).status.code(),
        Some(78)
    );
}

#[test]
fn a_path_that_no_server_could_read_is_refused() {
    let folder = TempDir::new();
    let text = CONFIG.replace("timeout-of = 1\n", "");
    let path = folder.write("auth.toml", &text).display().to_string();
    let output = run(&path, &["snippet", "apache-proxy", "--socket", "/run/a b"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("name a path of letters")
    );
    let output = run(&path, &["snippet", "nginx", "--url", "https://auth/"]);
    assert_eq!(output.status.code(), Some(2));
}
