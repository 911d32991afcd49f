//! The documents: the README is short, links lead somewhere, and the quick start works.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use nginx_mail_auth::config::Config;

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

/// Every page is in the table of contents of the book, once.
#[test]
fn the_book_has_every_page() {
    let mut pages = pages();
    let contents = pages.remove(Path::new("docs/SUMMARY.md")).unwrap();
    let links = contents.split("](").skip(1);
    let mut links: Vec<_> = links
        .map(|rest| Path::new("docs").join(rest.split(')').next().unwrap()))
        .collect();
    links.sort();
    let of_docs = pages.into_keys().filter(|page| page.starts_with("docs"));
    assert_eq!(links, of_docs.collect::<Vec<_>>());
}

/// The words of the causes, which the log has as `cause`, but for an accepted login.
fn causes() -> BTreeSet<String> {
    let source = fs::read_to_string(root().join("src/nginx/cause.rs")).unwrap();
    let (_, list) = source.split_once("\ncauses! {").unwrap();
    let list = list.split("\n}\n").next().unwrap();
    let words = list.split('"').skip(1).step_by(2).map(str::to_owned);
    words.filter(|word| word != "accepted").collect()
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
    folder.write("auth.toml", block("3. In `/etc/nginx-mail-auth/auth.toml`"));
    let command = block("2. Make a user");
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

/// The code blocks of a page that are configurations: indented lines from one that begins a table.
fn configurations(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in prose(text) {
        let code = line.starts_with("    ") || line.is_empty();
        let last = blocks.last_mut().unwrap();
        if code && (!last.is_empty() || line.trim_start().starts_with('[')) {
            last.push_str(line.trim_start());
            last.push('\n');
        } else if !code && !last.is_empty() {
            blocks.push(String::new());
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// Makes the files that a configuration names.
fn make_files(folder: &TempDir, key: &str, value: &toml::Value) {
    match value {
        toml::Value::String(name) if key.ends_with("file") || key.ends_with("path") => {
            match name.split_once("/{domain}") {
                Some((folder_of_domains, _)) => {
                    fs::create_dir(folder.path().join(folder_of_domains)).unwrap();
                }
                None if key == "jwks-file" => {
                    let keys = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519",
                        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
                    folder.write(name, keys);
                }
                None => drop(folder.write(name, "a-key-of-this-test-only\n")),
            }
        }
        toml::Value::Array(values) => values.iter().for_each(|it| make_files(folder, key, it)),
        toml::Value::Table(table) => table
            .iter()
            // The paths of [status] are those of URLs.
            .filter(|(key, _)| *key != "status")
            .for_each(|(key, it)| make_files(folder, key, it)),
        _ => {}
    }
}

#[test]
fn every_configuration_in_the_documents_is_valid() {
    const ROUTES: &str = "[routes]\ndefault = \"192.168.1.9\"\n";
    const HOSTS: &str =
        "[hosts]\nold = \"192.168.1.8\"\nnew = \"192.168.1.9\"\nmx = \"192.168.1.7\"\n";
    // Without its stores the program refuses their tables.
    if cfg!(not(feature = "servers")) {
        return;
    }
    let mut seen = 0;
    let mut wrong = Vec::new();
    for (page, text) in &pages() {
        for block in configurations(text) {
            let mut config = block.replace("[routes]\nallowed", &format!("{ROUTES}allowed"));
            if !config.contains("[routes]") {
                config += ROUTES;
            }
            if !block.contains("[[users]]") {
                config += "[[users]]\nstore = \"accept\"\n";
            }
            if !block.contains("[hosts") {
                config += HOSTS;
            }
            let folder = TempDir::new();
            if let Ok(table) = toml::from_str(&config) {
                make_files(&folder, "", &toml::Value::Table(table));
            }
            let path = folder.write("auth.toml", &config);
            let problems = Config::load(&path).err().unwrap_or_default();
            wrong.extend(
                problems
                    .iter()
                    .map(|it| format!("{}: {it}", page.display())),
            );
            seen += 1;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen > 20, "only {seen} configurations");
}

#[test]
fn every_path_of_the_code_in_the_documents_is_there() {
    let mut seen = 0;
    for (page, text) in &pages() {
        // What is in the changelog may be gone.
        if page.ends_with("CHANGELOG.md") {
            continue;
        }
        for word in text.split('`').skip(1).step_by(2) {
            let starts = [
                "src/",
                "tests/",
                "fuzz/",
                "examples/",
                "apache/",
                "fail2ban/",
                "docs/",
            ];
            let path = word.split_whitespace().next().unwrap_or_default();
            if starts.iter().any(|start| path.starts_with(start)) {
                seen += 1;
                assert!(root().join(path).exists(), "{}: no {path}", page.display());
            }
        }
    }
    assert!(seen > 40, "only {seen} paths");
}

#[test]
fn every_type_in_the_glossary_is_in_the_code() {
    let page = &pages()[Path::new("docs/architecture.md")];
    let (_, glossary) = page.split_once("\n## Glossary\n").unwrap();
    let mut folders = vec![root().join("src")];
    let mut code = String::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => code += &fs::read_to_string(&path).unwrap(),
            }
        }
    }
    let names: BTreeSet<_> = code
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .collect::<Vec<_>>()
        .windows(2)
        .filter(|words| ["struct", "enum", "trait"].contains(&words[0]))
        .map(|words| words[1].to_owned())
        .collect();
    let mut seen = 0;
    for row in glossary.lines().filter(|line| line.ends_with("` |")) {
        let name = row.split('`').rev().nth(1).unwrap();
        seen += 1;
        assert!(names.contains(name), "no type {name}: {row}");
    }
    assert!(seen > 20, "only {seen} types");
}
