//! The documents: the README is short, links lead somewhere, and the quick start works.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::support::binary;
use crate::support::temp_dir::TempDir;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Markdown files of the project, by their path below its root.
fn pages() -> BTreeMap<PathBuf, String> {
    let mut folders = vec![root().join("docs"), root().join("benches")];
    let mut files = vec![
        root().join("README.md"),
        root().join("SECURITY.md"),
        root().join("CHANGELOG.md"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path.strip_prefix(root()).unwrap().to_owned(), text)
        })
        .collect()
}

/// The lines outside of code blocks with a fence.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

/// The anchors that GitHub gives to the headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| -> String {
        let title = heading.trim_start_matches('#').trim();
        title
            .chars()
            .filter_map(|c| match c {
                ' ' => Some('-'),
                c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
                _ => None,
            })
            .collect()
    };
    headings.map(anchor).collect()
}

/// `docs/../README.md` is `README.md`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => assert!(normal.pop(), "{}", path.display()),
            other => normal.push(other),
        }
    }
    normal
}

#[test]
fn the_readme_is_short() {
    let words = fs::read_to_string(root().join("README.md")).unwrap();
    let words = words.split_whitespace().count();
    assert!(words <= 800, "README.md has {words} words");
}

#[test]
fn every_link_in_the_documents_leads_to_a_file_and_a_heading() {
    let pages = pages();
    let mut seen = 0;
    for (page, text) in &pages {
        for line in prose(text) {
            for rest in line.split("](").skip(1) {
                let link = rest.split(')').next().unwrap();
                if link.starts_with("http") {
                    continue;
                }
                seen += 1;
                let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
                let target = match file {
                    "" => page.clone(),
                    file => normal(&page.with_file_name("").join(file)),
                };
                let place = format!("{}: {link}", page.display());
                assert!(root().join(&target).exists(), "{place}: no such file");
                if !anchor.is_empty() {
                    let found = anchors(&pages[&target]).contains(anchor);
                    assert!(found, "{place}: no such heading");
                }
            }
        }
    }
    assert!(seen > 60, "only {seen} links");
}

/// The words of `Display for Refusal`, which the log has as `cause`.
fn causes() -> BTreeSet<String> {
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with("refusal.rs") {
                let source = fs::read_to_string(&path).unwrap();
                let start = "impl fmt::Display for Refusal";
                if let Some((_, display)) = source.split_once(start) {
                    let body = display.split("\n}\n").next().unwrap();
                    return body
                        .split('"')
                        .skip(1)
                        .step_by(2)
                        .map(str::to_owned)
                        .collect();
                }
            }
        }
    }
    panic!("src has no Display for Refusal");
}

#[test]
fn every_cause_in_the_log_has_a_row_that_says_what_to_do() {
    let page = &pages()[Path::new("docs/operations.md")];
    let (_, tables) = page.split_once("\n## Causes\n").unwrap();
    let tables = tables.split("\n## ").next().unwrap();
    let rows = tables.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows: Vec<_> = rows.map(|row| row.split('`').next().unwrap()).collect();
    let mut documented: BTreeSet<_> = rows.iter().map(|cause| (*cause).to_owned()).collect();
    assert_eq!(documented.len(), rows.len(), "a cause has two rows");
    // Not a refusal.
    assert!(documented.remove("accepted"));
    let causes = causes();
    assert!(causes.len() > 40, "{causes:?}");
    assert_eq!(documented, causes);
}

/// The indented code block after this line of the README, without its indentation.
fn block(after: &str) -> String {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, rest) = readme.split_once(after).unwrap();
    let lines = rest.lines().skip_while(|line| !line.starts_with("       "));
    lines
        .take_while(|line| line.is_empty() || line.starts_with("       "))
        .map(|line| format!("{}\n", line.trim_start()))
        .collect()
}

#[test]
fn the_quick_start_lets_its_user_in_and_nobody_else() {
    let folder = TempDir::new();
    folder.write("key", "a-key-of-this-test-only\n");
    folder.write(
        "auth.toml",
        block("3. Write `/etc/nginx-mail-auth/auth.toml`:"),
    );
    let command = block("2. Make a key");
    let hash = "nginx-mail-auth hash alice > /etc/nginx-mail-auth/users";
    assert!(command.lines().any(|line| line == hash), "{command}");
    let run = |arguments: &[&str], password: &str| {
        let typed = folder.write("typed", format!("{password}\n"));
        binary::command()
            .arg("--config")
            .arg(folder.path().join("auth.toml"))
            .args(arguments)
            .stdin(fs::File::open(typed).unwrap())
            .output()
            .unwrap()
    };
    let users = run(&["hash", "alice"], "open sesame");
    folder.write("users", &users.stdout);
    let check = run(&["check"], "");
    assert_eq!(check.status.code(), Some(0), "{check:?}");
    for (login, password, code) in [
        ("alice", "open sesame", 0),
        ("alice", "wrong", 1),
        ("bob", "open sesame", 1),
    ] {
        let test = run(&["test", login], password);
        assert_eq!(test.status.code(), Some(code), "{login}: {test:?}");
        let answer = String::from_utf8(test.stdout).unwrap();
        assert_eq!(answer.contains("192.168.1.22"), code == 0, "{answer}");
    }
}
