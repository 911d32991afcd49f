//! The shipped snippets, put where they belong on a machine of the test's own, and nothing in
//! them changed but names of files, addresses and ports.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::process::{installed, program};

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

/// The lines around examples/nginx-fastcgi.conf in Debian's nginx.conf, as far as it matters.
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
