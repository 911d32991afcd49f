//! Records what the build is, for `--version`, and links the unwinder of libgcc statically, where its archive is
//! installed (it comes with gcc).
//!
//! A CGI program starts anew for each login, and loading `libgcc_s.so.1` takes a tenth of that start
//! (`docs/decisions/linking.md`). Everything else is as rustc links by default: position-independent,
//! with full RELRO.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The commit, where the builder knows it.
const COMMIT: &str = "NGINX_MAIL_AUTH_COMMIT";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed={COMMIT}");
    let unwinder = links_unwinder();
    if unwinder {
        println!("cargo:rustc-link-lib=static:-bundle=gcc_eh");
    }
    let commit = commit().unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=BUILD_COMMIT={commit}");
    println!("cargo:rustc-env=BUILD_FEATURES={}", features());
    println!("cargo:rustc-env=BUILD_LINKING={}", linking(unwinder));
}

fn setting(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn links_unwinder() -> bool {
    let native_glibc = setting("CARGO_CFG_TARGET_OS") == "linux"
        && setting("CARGO_CFG_TARGET_ENV") == "gnu"
        && setting("HOST") == setting("TARGET");
    native_glibc && installed("libgcc_eh.a")
}

/// Whether the C compiler, which links, finds this archive: it answers with a path, else with the
/// bare name.
fn installed(archive: &str) -> bool {
    let answer = output(Command::new("cc").arg(format!("-print-file-name={archive}")));
    answer.is_some_and(|name| Path::new(&name).is_absolute())
}

/// The commit that is built: from the environment, from the file that `git archive` or `cargo package` makes, or, in a
/// release build, from git.
///
/// Other builds do not ask git: they would compile everything again after each commit.
fn commit() -> Option<String> {
    let root = setting("CARGO_MANIFEST_DIR");
    let root = Path::new(&root);
    let named = setting(COMMIT);
    if !named.is_empty() {
        return Some(named);
    }
    let archived = fs::read_to_string(root.join(".commit")).unwrap_or_default();
    let packaged = fs::read_to_string(root.join(".cargo_vcs_info.json")).unwrap_or_default();
    let digest = |text: &str| {
        let mut words = text.split(|c: char| !c.is_ascii_hexdigit());
        words.find(|word| word.len() >= 40).map(str::to_owned)
    };
    if let Some(commit) = digest(&archived).or_else(|| digest(&packaged)) {
        return Some(commit);
    }
    if setting("PROFILE") != "release" || !root.join(".git").exists() {
        return None;
    }
    let git = |arguments: &[&str]| output(Command::new("git").current_dir(root).args(arguments));
    for watched in ["src", "Cargo.toml", "Cargo.lock"] {
        println!("cargo:rerun-if-changed={watched}");
    }
    // It gets a line for each commit and checkout.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo:rerun-if-changed={log}");
    }
    let commit = git(&["rev-parse", "--verify", "HEAD"])?;
    let built = [
        "status",
        "--porcelain",
        "--",
        "src",
        "build.rs",
        "Cargo.toml",
        "Cargo.lock",
    ];
    let changed = git(&built).is_none_or(|files| !files.is_empty());
    Some(if changed {
        commit + " and changes"
    } else {
        commit
    })
}

/// What a command prints, if it succeeds.
fn output(command: &mut Command) -> Option<String> {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The features that the program is built with.
fn features() -> String {
    let names = env::vars()
        .filter_map(|(name, _)| Some(name.strip_prefix("CARGO_FEATURE_")?.to_lowercase()));
    let mut names: Vec<_> = names.filter(|name| name != "default").collect();
    names.sort();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

fn linking(unwinder: bool) -> String {
    let features = setting("CARGO_CFG_TARGET_FEATURE");
    let library = match features.split(',').any(|feature| feature == "crt-static") {
        true => "the C library statically",
        false => "the C library dynamically",
    };
    let unwinder = if unwinder {
        "statically"
    } else {
        "as the C compiler does"
    };
    format!(
        "{library}, the unwinder of libgcc {unwinder} ({})",
        setting("TARGET")
    )
}
