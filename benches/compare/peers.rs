//! The C programs under `benches/peers`, and the Debian packages that the peers come from.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::lab::run;

/// A C program, linked dynamically, and the library that it calls.
pub(crate) struct Peer {
    /// The name of its source without `.c`, and of the program.
    pub(crate) name: &'static str,
    library: Option<Library>,
}

struct Library {
    header: &'static str,
    option: &'static str,
    package: &'static str,
}

const fn library(header: &'static str, option: &'static str, package: &'static str) -> Library {
    Library {
        header,
        option,
        package,
    }
}

const fn peer(name: &'static str, library: Option<Library>) -> Peer {
    Peer { name, library }
}

/// Answers CGI requests.
pub(crate) const CGI: Peer = peer("cgi", None);
/// Answers FastCGI requests.
pub(crate) const LIBFCGI: Peer = peer(
    "libfcgi",
    Some(library("fcgiapp.h", "-lfcgi", "libfcgi-dev")),
);
/// These check passwords.
pub(crate) const LIBXCRYPT: Peer = peer(
    "libxcrypt",
    Some(library("crypt.h", "-lcrypt", "libcrypt-dev")),
);
pub(crate) const LIBARGON2: Peer = peer(
    "libargon2",
    Some(library("argon2.h", "-largon2", "libargon2-dev")),
);
pub(crate) const OPENSSL: Peer = peer(
    "openssl",
    Some(library("openssl/evp.h", "-lcrypto", "libssl-dev")),
);

/// Compiles the peers into `folder`; the error names all packages that are missing.
pub(crate) fn compile(peers: &[&Peer], folder: &Path) -> Outcome<()> {
    let mut missing = Vec::new();
    for library in peers.iter().filter_map(|peer| peer.library.as_ref()) {
        if !has_header(library.header)? {
            missing.push(library.package);
        }
    }
    if !missing.is_empty() {
        return Err(format!(
            "cannot build the peers: {}",
            not_installed(&missing.join(" "))
        )
        .into());
    }
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers");
    for peer in peers {
        let option = peer.library.as_ref().map(|library| library.option);
        run(Command::new("cc")
            .args(["-O2", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(folder.join(peer.name))
            .arg(sources.join(peer.name).with_extension("c"))
            .args(option))?;
    }
    Ok(())
}

/// Whether the C preprocessor finds this header.
fn has_header(header: &str) -> Outcome<bool> {
    let mut cc = Command::new("cc")
        .args(["-E", "-x", "c", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot start cc: {error}; {}", not_installed("gcc")))?;
    if let Some(mut input) = cc.stdin.take() {
        writeln!(input, "#include <{header}>")?;
    }
    Ok(cc.wait()?.success())
}

/// The newest PHP-FPM of the system.
pub(crate) fn php_fpm() -> Outcome<PathBuf> {
    find("/usr/sbin", "php-fpm")
}

/// The newest php-cgi of the system.
pub(crate) fn php_cgi() -> Outcome<PathBuf> {
    find("/usr/bin", "php-cgi")
}

/// The last file in `folder` whose name starts with that of the package: Debian adds the version.
fn find(folder: &str, package: &str) -> Outcome<PathBuf> {
    let start = format!("{folder}/{package}");
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().starts_with(&start))
        .collect();
    found.sort();
    let found = found
        .pop()
        .ok_or_else(|| format!("cannot start {package}: {}", not_installed(package)))?;
    Ok(found)
}

fn not_installed(packages: &str) -> String {
    format!("not installed: {packages}; install with: apt-get install {packages}")
}
