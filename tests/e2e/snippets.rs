//! The shipped snippets, put where they belong on a machine of the test's own, and nothing in
//! them changed but names of files, addresses and ports.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{free_port, installed, program};
use crate::util::TempDir;

/// A shipped file with some of its text replaced; fails if that text is not there.
pub(crate) fn shipped(file: &str, replaced: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let mut text = fs::read_to_string(&path).unwrap();
    for (old, new) in replaced {
        assert!(text.contains(old), "{file} has no {old:?}");
        text = text.replace(old, new);
    }
    text
}

/// One of apache/*.conf, with other values for what it defines.
pub(crate) fn apache_snippet(file: &str, defined: &[(&str, &str)]) -> String {
    let mut text = shipped(file, &[]);
    for (name, value) in defined {
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("Define {name} ")));
        let line = line.unwrap_or_else(|| panic!("{file} does not define {name}"));
        text = text.replace(line, &format!("Define {name} {value}"));
    }
    text
}

/// How Apache is built: Debian's default, and the one that mod_cgi asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mpm {
    Event,
    Prefork,
}

/// A configuration of Apache that includes a snippet, listening on a port of 127.0.0.1, with all
/// its files in `folder`. Returns the file.
pub(crate) fn apache_config(folder: &Path, mpm: Mpm, port: u16, snippet: &str) -> PathBuf {
    let module = |name: &str, package: &str| {
        let file = format!("/usr/lib/apache2/modules/mod_{name}.so");
        format!("LoadModule {name}_module {}\n", installed(&file, package))
    };
    let folder_name = folder.display();
    let mut config = match mpm {
        Mpm::Event => module("mpm_event", "apache2") + &module("cgid", "apache2"),
        Mpm::Prefork => module("mpm_prefork", "apache2") + &module("cgi", "apache2"),
    };
    for name in [
        "authz_core",
        "authz_host",
        "alias",
        "env",
        "proxy",
        "proxy_fcgi",
    ] {
        config += &module(name, "apache2");
    }
    config += &module("fcgid", "libapache2-mod-fcgid");
    if mpm == Mpm::Event {
        config += &format!("ScriptSock {folder_name}/cgid.sock\n");
    }
    // As in Debian's apache2.conf: nothing is open that is not opened.
    config += &format!(
        "ServerRoot {folder_name}\n\
         ServerName localhost\n\
         PidFile {folder_name}/apache.pid\n\
         ErrorLog {folder_name}/error.log\n\
         LogLevel warn\n\
         Listen 127.0.0.1:{port}\n\
         User www-data\n\
         Group www-data\n\
         FcgidIPCDir {folder_name}/fcgid\n\
         FcgidProcessTableFile {folder_name}/fcgid.shm\n\
         <Directory />\n\
         Require all denied\n\
         </Directory>\n\
         Include {folder_name}/snippet.conf\n"
    );
    fs::write(folder.join("snippet.conf"), snippet).unwrap();
    let file = folder.join("apache.conf");
    fs::write(&file, config).unwrap();
    file
}

/// A configuration of nginx around a snippet's text, with all its files in `folder`. Returns the
/// file.
pub(crate) fn nginx_config(folder: &Path, snippet: &str) -> PathBuf {
    let folder_name = folder.display();
    let mail = installed(
        "/usr/lib/nginx/modules/ngx_mail_module.so",
        "libnginx-mod-mail",
    );
    let config = format!(
        "load_module {mail};\n\
         user www-data;\n\
         daemon off;\n\
         worker_processes 1;\n\
         pid {folder_name}/nginx.pid;\n\
         error_log {folder_name}/nginx-error.log info;\n\
         events {{ }}\n\
         {snippet}"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, config).unwrap();
    file
}

/// What stands around examples/nginx-fastcgi.conf in Debian's nginx.conf, as far as it matters.
pub(crate) fn in_http_block(folder: &Path, snippet: &str) -> String {
    let folder = folder.display();
    let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {folder}/{kind};\n"))
        .concat();
    format!("http {{\naccess_log off;\n{places}{snippet}\n}}\n")
}

/// `nginx` with this configuration and without what is built into Debian's.
pub(crate) fn nginx(config: &Path) -> Command {
    let mut command = Command::new(program("nginx", "nginx"));
    command.args(["-e", "stderr", "-c"]).arg(config);
    command
}

/// `apache2` with this configuration.
pub(crate) fn apache(config: &Path) -> Command {
    let mut command = Command::new(program("apache2", "apache2"));
    command.arg("-f").arg(config);
    command
}

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
