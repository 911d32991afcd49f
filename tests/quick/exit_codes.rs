//! The exit status of every command, as the manual page has them.

use std::process::Stdio;

use crate::support::binary;
use crate::support::temp_dir::TempDir;

const GOOD: &str = "[[users]]\nstore = \"file\"\npath = \"users\"\nallow-weak-schemes = true\n\
                    [routes]\ndefault = \"192.0.2.1\"\n";

/// The status with an empty standard input.
fn status(folder: &TempDir, config: &str, words: &[&str]) -> Option<i32> {
    let mut command = binary::command();
    command
        .arg("--config")
        .arg(folder.path().join(config))
        .args(words)
        .stdin(Stdio::null());
    binary::output(&mut command).status.code()
}

#[test]
fn each_command_ends_with_the_status_that_the_manual_page_names() {
    let folder = TempDir::new();
    folder.write("users", "alice:{PLAIN}one\n");
    folder.write("good", GOOD);
    folder.write("memory", format!("{GOOD}[throttle]\n"));
    folder.write("broken", "[routes]\ndefault = 3\n");
    let gone = GOOD.replace("\"users\"", "\"gone\"");
    folder.write("no-users", format!("{gone}[throttle]\n"));
    for (words, good, broken, no_users) in [
        (&["check"][..], 0, 78, 78),
        (&["route", "alice"], 0, 78, 78),
        (&["route", "nobody"], 1, 78, 78),
        // Without a password it fails.
        (&["test", "alice"], 1, 78, 78),
        // It has no address to listen on, which is reported first.
        (&["serve"], 1, 78, 1),
        // It needs no stores: the counts of a server cannot be read.
        (&["throttle", "list"], 1, 78, 1),
        (&["throttle", "clear"], 1, 78, 1),
        (&["hash", "--scheme", "ssha512"], 1, 1, 1),
        // It has no [status].
        (&["status"], 78, 78, 78),
        (&["man"], 0, 0, 0),
        (&["completions", "bash"], 0, 0, 0),
        (&["help"], 0, 0, 0),
        (&["no-such-command"], 2, 2, 2),
        (&["check", "--no-such-option"], 2, 2, 2),
        (&["route"], 2, 2, 2),
    ] {
        for (config, wanted) in [
            ("good", good),
            ("memory", good),
            ("broken", broken),
            ("missing", broken),
            ("no-users", no_users),
        ] {
            let found = status(&folder, config, words);
            assert_eq!(found, Some(wanted), "{words:?} with {config}");
        }
    }
}
