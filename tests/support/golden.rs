//! Golden files: outputs that must not change unnoticed. `BLESS=1` writes them again.
//!
//! They hold the answers to every example configuration, the output of `check`, the log line of each cause, the
//! server that each login of a pool gets, and the records of wrong passwords. Volatile parts (times, process
//! numbers, temporary paths) are replaced by words.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::binary;
use crate::support::cgi;
use crate::support::temp_dir::TempDir;

pub(crate) fn folder_of_golden_files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden")
}

/// Compares each text with the golden file of its name in this folder. The folder holds no other files.
#[track_caller]
pub(crate) fn must_match(folder: &str, texts: &[(String, String)]) {
    assert!(!texts.is_empty(), "{folder}: no fixtures");
    let folder = folder_of_golden_files().join(folder);
    let bless = std::env::var_os("BLESS").is_some();
    if bless {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
    }
    let mut differences = String::new();
    for (name, text) in texts {
        let file = folder.join(name);
        if bless {
            fs::write(&file, text).unwrap();
        }
        let golden = fs::read_to_string(&file).unwrap_or_default();
        if let Some(difference) = difference(&golden, text) {
            differences += &format!("{}: {difference}\n", file.display());
        }
    }
    let expected: BTreeSet<String> = texts.iter().map(|(name, _)| name.clone()).collect();
    let present: BTreeSet<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(present, expected, "{}", folder.display());
    assert!(differences.is_empty(), "{differences}");
}

/// The first lines that are not the same, if the texts are not.
pub(crate) fn difference(golden: &str, text: &str) -> Option<String> {
    if golden == text {
        return None;
    }
    let (mut old, mut new) = (golden.lines(), text.lines());
    for number in 1.. {
        match (old.next(), new.next()) {
            (None, None) => break,
            (one, other) if one == other => {}
            (one, other) => {
                let (one, other) = (one.unwrap_or("(end)"), other.unwrap_or("(end)"));
                return Some(format!(
                    "line {number}:\n  golden: {one}\n  now:    {other}"
                ));
            }
        }
    }
    Some("the line ends differ".to_owned())
}

/// One CGI request with the configuration in the folder: the answer, and the log at level `info`.
pub(crate) fn ask(dir: &TempDir, variables: &[(&str, &str)]) -> (String, String) {
    let output = binary::output(
        cgi::program(dir)
            .env("NGINX_MAIL_AUTH_LOG", "info")
            .env("GATEWAY_INTERFACE", "CGI/1.1")
            .envs(variables.iter().copied()),
    );
    let log = String::from_utf8(output.stderr).unwrap();
    (String::from_utf8(output.stdout).unwrap(), steady(&log, dir))
}

/// A text without what differs from run to run: times, process numbers, random names and the folder.
pub(crate) fn steady(text: &str, dir: &TempDir) -> String {
    let text = text.replace(&dir.path().display().to_string(), "FOLDER");
    let mut steady = String::new();
    for line in text.lines() {
        let words: Vec<String> = line.split(' ').map(steady_word).collect();
        steady += &words.join(" ");
        steady.push('\n');
    }
    steady
}

pub(crate) fn steady_word(word: &str) -> String {
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (format!("{name}="), value),
        None => (String::new(), word),
    };
    let is_moment = value.len() == "2026-01-01T00:00:00Z".len()
        && value.starts_with("20")
        && value.ends_with('Z')
        && value.contains('T');
    if name == "ms=" || is_moment {
        return format!("{name}TIME");
    }
    if word.starts_with("nginx-mail-auth[") {
        return "nginx-mail-auth[PID]:".to_owned();
    }
    without_random_names(word)
}

/// `RANDOM` in place of each 32 hexadecimal digits.
pub(crate) fn without_random_names(word: &str) -> String {
    let mut parts = Vec::new();
    for part in word.split_inclusive(|c: char| !c.is_ascii_hexdigit()) {
        let digits = part.trim_end_matches(|c: char| !c.is_ascii_hexdigit());
        match digits.len() {
            32 => parts.push(part.replace(digits, "RANDOM")),
            _ => parts.push(part.to_owned()),
        }
    }
    parts.concat()
}
