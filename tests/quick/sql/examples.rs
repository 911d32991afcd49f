//! The examples of database layouts.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

#[test]
fn every_example_has_its_test() {
    let tested = ["dovecot", "postfixadmin", "modoboa", "iredmail", "mailcow"];
    let tested: BTreeSet<_> = tested.map(|name| format!("{name}.toml")).into();
    let there = fs::read_dir(examples().join("sql")).unwrap();
    let there: BTreeSet<_> = there
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(there, tested);
}
