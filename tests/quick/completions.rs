//! The completion script, in a real bash.

use std::process::Command;

use crate::support::binary;
use crate::support::temp_dir::TempDir;

/// What bash offers behind these words, the last of which is being typed.
fn offered(script: &str, words: &[&str]) -> Vec<String> {
    let folder = TempDir::new();
    let file = folder.write("completions.bash", script);
    // As readline calls the function: the command, the word at the cursor and the one before it.
    let completion = r#"
        source "$1"; shift
        compopt() { :; }
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        function=$(complete -p "$1" | sed 's/.* -F \([^ ]*\) .*/\1/')
        "$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", completion, "bash"]);
    bash.arg(file).arg("nginx-mail-auth").args(words);
    let output = bash.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
    let offered = String::from_utf8(output.stdout).unwrap();
    offered.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_every_word() {
    let printed = binary::output(binary::command().args(["completions", "bash"]));
    let script = String::from_utf8(printed.stdout).unwrap();
    for (words, wanted) in [
        (&["thr"][..], &["throttle"][..]),
        (&["throttle", ""], &["list", "clear", "--config"]),
        (&["throttle", "cl"], &["clear"]),
        (&["throttle", "list", "--con"], &["--config"]),
        (&["completions", "b"], &["bash"]),
        (&["hash", "--sch"], &["--scheme"]),
        (
            &["hash", "--scheme", ""],
            &["argon2id", "yescrypt", "sha512-crypt"],
        ),
        (&["hash", "--scheme", "pb"], &["pbkdf2"]),
        (
            &["user", ""],
            &[
                "add", "passwd", "lock", "unlock", "delete", "list", "show", "app",
            ],
        ),
        (&["user", "app", "r"], &["revoke"]),
        (&["user", "add", "--sch"], &["--scheme"]),
        // No file: nothing but what is typed.
        (&["check", "--user", "R"], &["R"]),
        (&["test", "--client"], &["--client-ip"]),
        (&["help", "throttle", "l"], &["list"]),
    ] {
        let offered = offered(&script, words);
        for wanted in wanted {
            let found = offered.iter().any(|offered| offered == wanted);
            assert!(found, "{words:?}: {wanted} is not in {offered:?}");
        }
    }
}
