//! Links the unwinder of libgcc statically, where its archive is installed (it comes with gcc).
//!
//! A CGI program starts anew for each login, and loading `libgcc_s.so.1` takes a tenth of that start
//! (`docs/decisions/linking.md`). Everything else is as rustc links by default: position-independent,
//! with full RELRO.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let setting = |name: &str| env::var(name).unwrap_or_default();
    let native_glibc = setting("CARGO_CFG_TARGET_OS") == "linux"
        && setting("CARGO_CFG_TARGET_ENV") == "gnu"
        && setting("HOST") == setting("TARGET");
    if native_glibc && installed("libgcc_eh.a") {
        println!("cargo:rustc-link-lib=static:-bundle=gcc_eh");
    }
}

/// Whether the C compiler, which links, finds this archive: it answers with a path, else with the
/// bare name.
fn installed(archive: &str) -> bool {
    let answer = Command::new("cc")
        .arg(format!("-print-file-name={archive}"))
        .output();
    answer.is_ok_and(|out| Path::new(String::from_utf8_lossy(&out.stdout).trim()).is_absolute())
}
