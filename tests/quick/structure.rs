//! How the code is arranged: which folder of `src` may import which, and how long a file may be.
//!
//! The floors are those of docs/architecture.md. Imports are read as text, outside of tests: `use` items, and paths
//! from the root of the crate or from a module around.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// From the top floor down. A folder imports from lower floors only: neither upwards, nor from a folder of its
/// own floor.
const FLOORS: [&[&str]; 10] = [
    &["commands"],
    &["service"],
    &["config"],
    &["auth"],
    &["route", "throttle", "users"],
    &["nginx"],
    &["front", "secret"],
    &["net"],
    &["sys"],
    &["login"],
];

/// The most lines of a source file, tests included.
const MAX_LINES: usize = 450;

/// The most lines that half of the source files may have.
const MEDIAN_LINES: usize = 200;

/// A module's path in the crate: `["users", "sql", "row"]`.
type Module = Vec<String>;

/// The source of each module, without comments and tests.
fn modules() -> BTreeMap<Module, String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&src);
    let mut of_tests = BTreeSet::new();
    let mut modules = BTreeMap::new();
    for file in &files {
        let module = module_of(&src, file);
        let text = fs::read_to_string(file).unwrap();
        for name in test_modules(&text) {
            of_tests.insert([&module[..], &[name]].concat());
        }
        modules.insert(module, code(&text));
    }
    modules.retain(|module, _| (1..=module.len()).all(|end| !of_tests.contains(&module[..end])));
    assert!(modules.len() > 100, "the sources were not found");
    modules
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn module_of(src: &Path, file: &Path) -> Module {
    let path = file.strip_prefix(src).unwrap().with_extension("");
    let mut module: Module = path
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if module.last().is_some_and(|last| last == "mod") || module == ["lib"] {
        module.pop();
    }
    module
}

/// The modules that a file declares for tests only, each in a file of its own.
fn test_modules(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let for_tests = line.trim_start().starts_with("#[cfg(") && line.contains("test");
        let declared = lines.peek().and_then(|next| {
            let next = next.trim().trim_start_matches("pub(crate) ");
            next.strip_prefix("mod ")?.strip_suffix(';')
        });
        if let (true, Some(name)) = (for_tests, declared) {
            found.push(name.to_owned());
        }
    }
    found
}

/// The text without comments and without the tests at its end.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let without_comment = |line: &str| line.split("//").next().unwrap().to_owned();
    let lines: Vec<String> = text[..end].lines().map(without_comment).collect();
    lines.join("\n")
}

/// Every path in a module that leads to another place of this crate, as written.
fn paths(code: &str) -> Vec<String> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut paths = Vec::new();
    for (at, statement) in code.match_indices("use ") {
        let is_item = code[..at]
            .chars()
            .next_back()
            .is_none_or(char::is_whitespace);
        if let (true, Some(end)) = (is_item, code[at..].find(';')) {
            let tree = &code[at + statement.len()..at + end];
            expand("", &tree.replace(char::is_whitespace, " "), &mut paths);
        }
    }
    for root in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if before.is_none_or(|before| !is_path(before)) {
                let rest = &code[at..];
                let end = rest.find(|c| !is_path(c)).unwrap_or(rest.len());
                paths.push(rest[..end].to_owned());
            }
        }
    }
    paths.retain(|path| ["crate", "super", "self"].contains(&path.split("::").next().unwrap()));
    paths
}

/// The paths of a `use` tree: `a::{b, c::{d}}` is `a::b` and `a::c::d`.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else {
        let name = tree.split(" as ").next().unwrap();
        paths.push(format!("{prefix}{name}"));
        return;
    };
    let prefix = format!("{prefix}{}", head.trim());
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !inner[start..at].trim().is_empty() {
                    expand(&prefix, &inner[start..at], paths);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// The modules that a module imports from.
fn imports(module: &Module, code: &str, known: &BTreeSet<&Module>) -> BTreeSet<Module> {
    let mut found = BTreeSet::new();
    for path in paths(code) {
        let mut target = Module::new();
        for (index, part) in path.split("::").enumerate() {
            match (part, index) {
                ("crate", 0) => {}
                ("self", 0) => target.clone_from(module),
                ("super", 0) => target = module[..module.len().saturating_sub(1)].to_vec(),
                ("super", _) => drop(target.pop()),
                ("", _) => {}
                _ => target.push(part.to_owned()),
            }
        }
        while !target.is_empty() && !known.contains(&target) {
            target.pop();
        }
        if !target.is_empty() && target != *module {
            found.insert(target);
        }
    }
    found
}

fn graph() -> BTreeMap<Module, BTreeSet<Module>> {
    let modules = modules();
    let known = modules.keys().collect();
    modules
        .iter()
        .filter(|(module, _)| !module.is_empty())
        .map(|(module, code)| (module.clone(), imports(module, code, &known)))
        .collect()
}

fn floor_of(folder: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&folder))
}

#[test]
fn the_root_of_the_sources_holds_the_folders_of_the_floors_and_nothing_else() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found: Vec<String> = fs::read_dir(src)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut expected: Vec<String> = FLOORS.concat().iter().map(|&name| name.into()).collect();
    expected.extend(["lib.rs".to_owned(), "main.rs".to_owned()]);
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn each_import_points_to_a_lower_floor() {
    let mut upwards = Vec::new();
    let mut seen = 0;
    for (module, imports) in graph() {
        let Some(from) = floor_of(&module[0]) else {
            continue;
        };
        for import in imports.iter().filter(|import| import[0] != module[0]) {
            seen += 1;
            if floor_of(&import[0]).is_none_or(|to| to <= from) {
                upwards.push(format!(
                    "{} imports {}",
                    module.join("::"),
                    import.join("::")
                ));
            }
        }
    }
    assert!(seen > 300, "only {seen} imports were read");
    assert_eq!(upwards, Vec::<String>::new());
}

#[test]
fn only_service_and_commands_know_the_configuration() {
    for (module, imports) in graph() {
        if imports.iter().any(|import| import[0] == "config") {
            let knows = ["config", "service", "commands", "main"].contains(&&*module[0]);
            assert!(knows, "{} imports config", module.join("::"));
        }
    }
}

#[test]
fn no_more_than_two_files_import_each_other() {
    let graph = graph();
    let reach: BTreeMap<&Module, BTreeSet<&Module>> = graph
        .keys()
        .map(|start| {
            let mut reached = BTreeSet::new();
            let mut ahead: Vec<&Module> = vec![start];
            while let Some(module) = ahead.pop() {
                let next = graph.get(module).into_iter().flatten();
                ahead.extend(next.filter(|next| reached.insert(*next)));
            }
            (start, reached)
        })
        .collect();
    let mut circles = BTreeSet::new();
    for (module, reached) in &reach {
        let back = |other: &&&Module| reach.get(*other).is_some_and(|of| of.contains(module));
        let circle: Vec<String> = reached
            .iter()
            .filter(back)
            .map(|other| other.join("::"))
            .collect();
        if circle.len() > 2 {
            circles.insert(circle);
        }
    }
    assert_eq!(circles, BTreeSet::new());
}

#[test]
fn no_source_file_is_long_and_half_of_them_are_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lines = |file: &PathBuf| fs::read_to_string(file).unwrap().lines().count();
    let sources = rust_files(&root.join("src"));
    for file in &sources {
        let length = lines(file);
        assert!(length <= MAX_LINES, "{}: {length} lines", file.display());
    }
    let mut lengths: Vec<usize> = sources.iter().map(lines).collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(
        median < MEDIAN_LINES,
        "half of the files have {median} lines"
    );
}

#[test]
fn paths_are_read_from_all_forms_of_use() {
    let code = "use crate::a::{b, c::{d as e, self}};\n  pub(crate) use super::x;\nfn f() { crate::y::z(); }";
    let mut found = paths(code);
    found.sort();
    found.dedup();
    let expected = [
        "crate::a::b",
        "crate::a::c::d",
        "crate::a::c::self",
        "crate::y::z",
        "super::x",
    ];
    assert!(
        expected
            .iter()
            .all(|path| found.iter().any(|it| it == path)),
        "{found:?}"
    );
}
