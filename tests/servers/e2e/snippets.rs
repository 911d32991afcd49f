//! The snippets that are shipped: the web servers take them.

use crate::support::process::{free_port, program};
use crate::support::snippets::*;
use crate::support::temp_dir::TempDir;
use std::path::Path;
use std::process::Command;

fn assert_accepted(mut command: Command) {
    let output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {printed}");
    // nginx says "is deprecated", Apache "overlaps", "ignored" and the like.
    let complaint = ["warn", "deprecated", "overlap", "ignored", "AH0"]
        .iter()
        .find(|word| printed.contains(**word));
    assert_eq!(complaint, None, "{command:?}: {printed}");
}

/// The lines that a snippet offers in comments without a blank behind the `#`.
fn with_offers_taken(snippet: &str) -> String {
    let taken = snippet.lines().map(|line| {
        let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
        match rest.strip_prefix('#') {
            Some(offer) if offer.starts_with(char::is_alphabetic) => format!("{indent}{offer}\n"),
            _ => format!("{line}\n"),
        }
    });
    taken.collect()
}

#[test]
fn apache_takes_every_snippet() {
    let folder = TempDir::new();
    let own = env!("CARGO_BIN_EXE_nginx-mail-auth");
    let port = free_port([127, 0, 0, 1].into());
    for (file, mpms) in [
        ("apache/cgi.conf", &[Mpm::Event, Mpm::Prefork][..]),
        ("apache/fcgid.conf", &[Mpm::Event, Mpm::Prefork]),
        ("apache/proxy-fcgi.conf", &[Mpm::Event]),
    ] {
        let as_shipped = shipped(file, &[]);
        let offers_taken = with_offers_taken(&as_shipped);
        assert_ne!(as_shipped, offers_taken, "{file} has no such line any more");
        for mpm in mpms {
            for text in [&as_shipped, &offers_taken] {
                // mod_fcgid wants the program to be there.
                let text = text.replace("/usr/local/bin/nginx-mail-auth", own);
                let config = apache_config(folder.path(), *mpm, port, &text);
                let mut command = apache(&config);
                command.arg("-t");
                let output = command.output().unwrap();
                let printed = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{file}, {mpm:?}: {printed}");
                assert_eq!(printed, "Syntax OK\n", "{file}, {mpm:?}");
            }
        }
    }
}

#[test]
fn nginx_takes_every_snippet() {
    let folder = TempDir::new();
    let here = folder.path().display().to_string();
    let [certificate, key] = self_signed(folder.path());
    let mail = shipped("examples/nginx.conf", &[]);
    let with_tls = with_offers_taken(&mail)
        .replace("/etc/ssl/certs/mail.example.org.pem", &certificate)
        .replace("/etc/ssl/private/mail.example.org.key", &key);
    assert_ne!(mail, with_tls, "examples/nginx.conf offers no TLS any more");
    let fastcgi = in_http_block(folder.path(), &shipped("examples/nginx-fastcgi.conf", &[]));
    for snippet in [mail, with_tls, fastcgi] {
        // Not the ports of the machine itself: `nginx -t` opens them.
        let mut snippet = snippet.replace("/run/nginx-mail-auth.sock", &format!("{here}/x.sock"));
        for listen in [
            "listen 143;",
            "listen 110;",
            "listen 25;",
            "listen 127.0.0.1:8143;",
        ] {
            let port = free_port([127, 0, 0, 1].into());
            snippet = snippet.replace(listen, &format!("listen 127.0.0.1:{port};"));
        }
        let mut command = nginx(&nginx_config(folder.path(), &snippet));
        command.arg("-t");
        assert_accepted(command);
    }
}

/// A certificate for nginx, and its key.
fn self_signed(folder: &Path) -> [String; 2] {
    let files = ["cert.pem", "key.pem"].map(|name| folder.join(name).display().to_string());
    let output = Command::new(program("openssl", "openssl"))
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ])
        .args(["-nodes", "-subj", "/CN=mail.example.org", "-days", "2"])
        .args(["-out", &files[0], "-keyout", &files[1]])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    files
}
