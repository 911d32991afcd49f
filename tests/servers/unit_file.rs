//! The unit file of systemd, as its own tool sees it.

use crate::support::temp_dir::TempDir;
use std::fs::{self};
use std::path::Path;
use std::process::Command;

/// systemd's own rating: 0 for nothing that could be taken away, 10 for all of it.
#[test]
fn the_unit_takes_from_the_server_what_it_does_not_need() {
    let analyze = crate::support::process::program("systemd-analyze", "systemd");
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/nginx-mail-auth.service");
    let rated = Command::new(&analyze)
        .args(["security", "--offline=true", "--no-pager"])
        .arg(&unit)
        .output()
        .unwrap();
    let printed = String::from_utf8(rated.stdout).unwrap();
    let exposure = printed
        .lines()
        .find_map(|line| line.split_once("Overall exposure level for "))
        .and_then(|(_, rest)| rest.split_whitespace().nth(1))
        .unwrap_or_else(|| panic!("{printed}"));
    let exposure: f32 = exposure.parse().unwrap();
    assert!(exposure < 2.0, "{printed}");
    // It says what it does not know, and does not fail then.
    let warnings = String::from_utf8(rated.stderr).unwrap();
    assert_eq!(warnings, "");
    // It may still go into its own sandbox: no group of calls has these.
    let text = fs::read_to_string(&unit).unwrap();
    let allowed: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("SystemCallFilter="))
        .filter(|calls| !calls.starts_with('~'))
        .flat_map(str::split_whitespace)
        .collect();
    for call in [
        "seccomp",
        "landlock_create_ruleset",
        "landlock_add_rule",
        "landlock_restrict_self",
    ] {
        assert!(allowed.contains(&call), "{call}: {allowed:?}");
    }
    // Nor may it take from others what it has no use of.
    let denied = "~@privileged @chown @resources @keyring @aio";
    for line in [
        &format!("SystemCallFilter={denied}"),
        "PrivateIPC=yes",
        "Type=notify",
        "RestartPreventExitStatus=78",
        "TasksMax=1024",
        "MemoryMax=4G",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}");
    }
    assert!(!text.contains("RemoveIPC="), "it removes objects of others");
    // Everything in it is known to systemd, if the program is where it belongs.
    let dir = TempDir::new();
    let program = env!("CARGO_BIN_EXE_nginx-mail-auth");
    let text = text.replace("/usr/local/bin/nginx-mail-auth", program);
    let unit = dir.write("nginx-mail-auth.service", text);
    let socket = include_str!("../../examples/nginx-mail-auth.socket");
    dir.write("nginx-mail-auth.socket", socket);
    let verified = Command::new(&analyze)
        .args(["verify", "--man=no"])
        .arg(unit)
        .output()
        .unwrap();
    let found = String::from_utf8(verified.stderr).unwrap();
    assert!(verified.status.success() && found.is_empty(), "{found}");
}
