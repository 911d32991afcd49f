//! The tests themselves: what they import, how long their files are, and that documents name them rightly.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const TARGETS: [&str; 3] = ["quick", "servers", "soak"];

/// The longest file.
const MAX_LINES: usize = 450;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder with this extension, by their path below the project's root.
fn files(folder: &str, extension: &str) -> BTreeMap<PathBuf, String> {
    let mut folders = vec![root().join(folder)];
    let mut files = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                let text = fs::read_to_string(&path).unwrap();
                files.insert(path.strip_prefix(root()).unwrap().to_owned(), text);
            }
        }
    }
    assert!(!files.is_empty(), "{folder}");
    files
}

/// Whether the line names a module of tests by its path.
fn imports_tests(line: &str) -> bool {
    let of_the_crate = line
        .split("crate::")
        .skip(1)
        .any(|path| !path.starts_with("support::"));
    of_the_crate || line.contains("super::")
}

#[test]
fn test_modules_import_helpers_from_support_alone() {
    for (path, text) in files("tests", "rs") {
        // These two hold such paths as text.
        let itself = path.ends_with("quick/sources.rs") || path.ends_with("quick/structure.rs");
        for (number, line) in text.lines().enumerate().filter(|_| !itself) {
            let number = number + 1;
            assert!(!imports_tests(line), "{}:{number}: {line}", path.display());
        }
    }
    assert!(imports_tests("use crate::cgi::REFUSED;"));
    assert!(imports_tests("    super::super::load();"));
    assert!(!imports_tests("use crate::support::cgi::REFUSED;"));
}

/// Whatever else connects has no bound in bytes and time (docs/architecture.md, "One way out").
#[test]
fn only_these_files_connect_to_a_server() {
    const WAYS: [&str; 6] = [
        "TcpStream::connect",
        "UnixStream::connect",
        "UdpSocket",
        "SocketAddrUnix::new",
        "TcpSocket",
        "DefaultConnector",
    ];
    let connecting: Vec<_> = files("src", "rs")
        .into_iter()
        .filter(|(path, _)| !path.ends_with("tests.rs"))
        .filter(|(_, text)| {
            let code = text.split("#[cfg(test)]\nmod").next().unwrap();
            WAYS.iter().any(|way| code.contains(way))
        })
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert_eq!(
        connecting,
        [
            // The command that asks a running server.
            "src/front/fcgi/client.rs",
            // Whether another program serves our own socket.
            "src/front/fcgi/listener/unix.rs",
            "src/net/socket.rs",
            "src/route/probe.rs",
            "src/users/sql/relay/mod.rs",
        ]
    );
}

#[test]
fn no_file_is_too_long() {
    for (path, text) in files("tests", "rs") {
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{}: {lines} lines", path.display());
    }
}

/// The paths of the tests in a file, and in the modules that it declares.
fn tests_in(file: &Path, module: &[String], tests: &mut Vec<String>) {
    let text = fs::read_to_string(file).unwrap();
    let stem = file.file_stem().unwrap().to_str().unwrap();
    let mut folder = file.parent().unwrap().to_owned();
    if !["lib", "main", "mod"].contains(&stem) {
        folder.push(stem);
    }
    // Modules within the file, by how far they are indented.
    let mut inline: Vec<(usize, String)> = Vec::new();
    let (mut path, mut is_test) = (None, false);
    for line in text.lines() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        if code == "}" && inline.last().is_some_and(|(of, _)| *of == indent) {
            inline.pop();
        }
        let here = || -> Vec<String> {
            let inline = inline.iter().map(|(_, name)| name.clone());
            module.iter().cloned().chain(inline).collect()
        };
        let declared = code.strip_prefix("pub ").unwrap_or(code);
        let declared = declared.strip_prefix("pub(crate) ").unwrap_or(declared);
        if let Some(value) = code.strip_prefix("#[path = \"") {
            path = value.strip_suffix("\"]");
        } else if code == "#[test]" {
            is_test = true;
        } else if let Some(name) = declared.strip_prefix("mod ") {
            if let Some(name) = name.strip_suffix(" {") {
                inline.push((indent, name.to_owned()));
            } else if let Some(name) = name.strip_suffix(';') {
                let within = inline
                    .iter()
                    .fold(folder.clone(), |at, (_, name)| at.join(name));
                let file = match path.take() {
                    Some(path) => file.with_file_name("").join(path),
                    None => [format!("{name}.rs"), format!("{name}/mod.rs")]
                        .map(|file| within.join(file))
                        .into_iter()
                        .find(|file| file.exists())
                        .unwrap_or_else(|| panic!("{}: mod {name}", file.display())),
                };
                tests_in(&file, &[here(), vec![name.to_owned()]].concat(), tests);
            }
        } else if is_test && let Some((_, rest)) = code.split_once("fn ") {
            let name = rest.split('(').next().unwrap();
            tests.push([here(), vec![name.to_owned()]].concat().join("::"));
            is_test = false;
        }
    }
}

/// The arguments of cargo that choose a target, and its tests.
fn all_tests() -> Vec<(String, Vec<String>)> {
    let tests = |file: &str| {
        let mut tests = Vec::new();
        tests_in(&root().join(file), &[], &mut tests);
        assert!(tests.len() > 20, "{file}: {tests:?}");
        tests
    };
    let targets = TARGETS.map(|name| {
        let tests = tests(&format!("tests/{name}/main.rs"));
        (format!("--test {name}"), tests)
    });
    [
        vec![("--lib".to_owned(), tests("src/lib.rs"))],
        targets.into(),
    ]
    .concat()
}

/// The text between backquotes.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
}

fn is_path(text: &str) -> bool {
    let name = |part: &str| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        !part.is_empty() && part.bytes().all(fits)
    };
    text.contains("::") && text.split("::").all(name)
}

#[test]
fn each_test_that_a_document_names_is_run_by_the_command_that_it_gives() {
    let all = all_tests();
    let mut documents = files("docs", "md");
    let security = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    documents.insert("SECURITY.md".into(), security);
    let (mut named, mut wrong) = (0, String::new());
    for (path, text) in &documents {
        let is_security = path.ends_with("SECURITY.md");
        for span in code_spans(text) {
            let Some((target, name)) = span.rsplit_once(' ').filter(|(target, name)| {
                is_path(name) && all.iter().any(|(known, _)| known == target)
            }) else {
                if is_security && is_path(span) {
                    wrong += &format!("{}: `{span}` has no target\n", path.display());
                }
                continue;
            };
            named += 1;
            let run: Vec<_> = all
                .iter()
                .flat_map(|(target, tests)| tests.iter().map(move |test| (target, test)))
                .filter(|(_, test)| test.contains(name))
                .collect();
            if !matches!(run[..], [(of, _)] if of == target) {
                wrong += &format!("{}: `{span}` runs {run:?}\n", path.display());
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(named > 100, "{named}");
}
