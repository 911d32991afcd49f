//! `check` with its options.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;

use crate::support::binary;
use crate::support::temp_dir::TempDir;

/// A store that nobody answers for, and a name that nobody knows.
const UNREACHABLE: &str = "[[users]]\nstore = \"file\"\npath = \"users\"\n\
                           [routes]\ndefault = \"no-such-host.invalid\"\n";

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = binary::output(binary::command().arg("check").args(arguments));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn offline_looks_no_name_up() {
    let folder = TempDir::new();
    folder.write("users", "alice:!\nbob:{NO-SUCH}x\n");
    let config = folder.write("auth.toml", UNREACHABLE).display().to_string();
    let (code, out, err) = run(&["--config", &config, "--offline"]);
    let summary = "file: 2 users, of which 2 can never log in (an unknown scheme: 1, no password, or a locked one: 1)";
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(out, format!("{summary}\n{config}: ok\n"));
    assert!(err.contains("users:2:"), "{err}");
    assert_eq!(run(&["--config", &config]).0, Some(78));
}

/// As Ansible's `validate` does: the file has another name and another folder.
#[test]
fn with_base_a_temporary_file_is_checked_for_its_place() {
    let (folder, elsewhere) = (TempDir::new(), TempDir::new());
    folder.write("users", "alice:!\n");
    let base = folder.path().display().to_string();
    let config = elsewhere
        .write("tmp1234", UNREACHABLE)
        .display()
        .to_string();
    assert_eq!(run(&["--config", &config, "--base", &base]).0, Some(0));
    let (code, _, err) = run(&["--config", &config, "--offline"]);
    assert_eq!(code, Some(78), "{err}");
    let wrong = elsewhere
        .write("tmp5678", "[[users]]\nstore = \"nothing\"\n")
        .display()
        .to_string();
    let (code, _, err) = run(&["--config", &wrong, "--base", &base]);
    assert_eq!(code, Some(78));
    assert!(err.contains(&format!("{wrong}:2:9: users.store")), "{err}");
}

#[test]
fn json_has_findings_and_stores() {
    let folder = TempDir::new();
    folder.write("users", "alice:!\nbob:{NO-SUCH}x\n");
    let config = folder.write("auth.toml", UNREACHABLE).display().to_string();
    let (code, out, _) = run(&["--config", &config, "--offline", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, json["ok"].as_bool()), (Some(0), Some(true)));
    assert_eq!(json["stores"][0]["users"], 2);
    assert_eq!(json["stores"][0]["never"]["an unknown scheme"], 1);
    let findings = json["findings"].as_array().unwrap();
    let of_bob = findings
        .iter()
        .find(|finding| finding["line"] == 2)
        .unwrap();
    assert_eq!(of_bob["severity"], "warning");
    assert!(
        of_bob["file"].as_str().unwrap().ends_with("/users"),
        "{of_bob}"
    );

    let broken = folder
        .write("broken.toml", "[log]\nlevel = 1\n")
        .display()
        .to_string();
    let (code, out, _) = run(&["--config", &broken, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, json["ok"].as_bool()), (Some(78), Some(false)));
    let first = &json["findings"][0];
    assert_eq!(
        (first["severity"].as_str(), first["key"].as_str()),
        (Some("error"), Some("log.level"))
    );
}

/// A user who is not root asks for another one.
#[test]
fn without_root_the_rights_of_another_user_are_compared() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    const DAEMON: u32 = 1;
    let folder = TempDir::new();
    folder.write("users", "alice:!\n");
    let config = folder.write("auth.toml", UNREACHABLE).display().to_string();
    let ask = |user| {
        let mut command = binary::command();
        command.uid(DAEMON).gid(DAEMON);
        let output = command
            .args(["check", "--config", &config, "--offline", "--user", user])
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    assert_eq!(ask("nobody").0, Some(0), "{}", ask("nobody").1);
    // daemon reads it as one of its group.
    let users = folder.path().join("users");
    std::os::unix::fs::chown(&users, None, Some(DAEMON)).unwrap();
    set_permissions(&users, Permissions::from_mode(0o640)).unwrap();
    let (code, err) = ask("nobody");
    assert_eq!(code, Some(78), "{err}");
    let wanted = format!(
        "{config}:3:8: users.path: user nobody may not read {}, which has the mode 0640 and the owner 0:1",
        users.display()
    );
    assert!(err.contains(&wanted), "{err}");
    assert_eq!(ask("daemon").0, Some(0), "{}", ask("daemon").1);
}
