//! Links the binary statically and at a fixed address, where glibc's static library is installed
//! (on Debian it is part of libc6-dev).
//!
//! A CGI program starts anew for every login. Loading `libc.so` and `libgcc_s.so` makes that
//! start 1.6 times as long; linked this way it is shorter than that of a C program that loads
//! `libc.so` alone. `-C target-feature=+crt-static` would do the same, but forbids the procedure
//! macros of our dependencies unless `--target` is given, and a plain `cargo build --release`
//! must be enough. A static position-independent executable would take a fifth longer to start: it
//! writes its relocations into pages that are otherwise only mapped. What address randomisation
//! guards against is memory unsafety, and this program forbids unsafe code.
//!
//! One thing does not work in a static program: glibc loads most modules that /etc/nsswitch.conf
//! names for host names (`myhostname`, `resolve`, `mdns4_minimal`) together with a second libc, and
//! crashes in it. So `cfg(static_glibc)` is set, and the resolver then asks getent(1).
//!
//! `NGINX_MAIL_AUTH_LINK=dynamic` at build time asks for the usual linking.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// What the linker is to find under the names of the shared libraries that rustc asks for.
const STAND_INS: [(&str, &str); 3] = [
    (
        "libgcc_s.so",
        "GROUP ( -l:libc.a -l:libgcc_eh.a -l:libgcc.a )\n",
    ),
    (
        "libc.so",
        "GROUP ( -l:libc.a -l:libgcc_eh.a -l:libgcc.a )\n",
    ),
    ("libm.so", "GROUP ( -l:libm.a )\n"),
];

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=NGINX_MAIL_AUTH_LINK");
    println!("cargo:rustc-check-cfg=cfg(static_glibc)");
    let setting = |name: &str| env::var(name).unwrap_or_default();
    let native_glibc = setting("CARGO_CFG_TARGET_OS") == "linux"
        && setting("CARGO_CFG_TARGET_ENV") == "gnu"
        && setting("HOST") == setting("TARGET");
    let wanted = setting("NGINX_MAIL_AUTH_LINK") != "dynamic"
        && setting("CARGO_CFG_TARGET_FEATURE")
            .split(',')
            .all(|f| f != "crt-static");
    if !(native_glibc
        && wanted
        && ["libc.a", "libm.a", "libgcc_eh.a"]
            .iter()
            .all(|l| installed(l)))
    {
        return Ok(());
    }
    let folder = PathBuf::from(setting("OUT_DIR"));
    for (name, script) in STAND_INS {
        fs::write(folder.join(name), script)?;
    }
    println!("cargo:rustc-cfg=static_glibc");
    println!("cargo:rustc-link-arg-bins=-static");
    println!("cargo:rustc-link-arg-bins=-no-pie");
    println!("cargo:rustc-link-arg-bins=-L{}", folder.display());
    Ok(())
}

/// Whether the C compiler that links would find this library: it answers with a path, else with
/// the bare name.
fn installed(library: &str) -> bool {
    let answer = Command::new("cc")
        .arg(format!("-print-file-name={library}"))
        .output();
    answer.is_ok_and(|out| Path::new(String::from_utf8_lossy(&out.stdout).trim()).is_absolute())
}
