//! The servers with what the command `snippet` prints for them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use crate::support::fronts::{Front, LOCALHOST, Way, printed};
use crate::support::mail_backends::Backends;
use crate::support::process::{Server, free_port, need_root, program};
use crate::support::snippets::{nginx, nginx_config};
use crate::support::temp_dir::TempDir;

const KEY: &str = "a key of \\\"this\\\" test";
const PROGRAM: &str = env!("CARGO_BIN_EXE_nginx-mail-auth");

fn files(imap: u16) -> [(&'static str, Vec<u8>); 2] {
    let config = format!(
        "[nginx]\nkey = \"{KEY}\"\nkey-header = \"X-Mine\"\nallowed-fronts = [\"127.0.0.0/8\", \"unix\"]\n\
         [[users]]\nstore = \"file\"\npath = \"users\"\nallow-weak-schemes = true\n\
         [routes]\ndefault = \"127.0.0.1\"\n[ports]\nimap = {imap}\n"
    );
    [
        ("auth.toml", config.into_bytes()),
        ("users", b"alice:{PLAIN}sesame\n".to_vec()),
    ]
}

/// A login at nginx's mail proxy, through the printed web server, to a mail server.
#[test]
fn a_login_goes_through_all_that_is_printed() {
    need_root();
    let backends = Backends::start();
    for way in [Way::Cgid, Way::Cgi, Way::Fcgid, Way::ProxyFcgi, Way::Nginx] {
        let front = Front::start_printed(way, &files(backends.port("imap")));
        let home = front.folder.path();
        let url = format!("http://{LOCALHOST}:{}/mail/auth", front.port);
        let config = home.join("auth.toml").display().to_string();
        let mut text = printed(
            PROGRAM,
            &config,
            &["nginx", "--with-secrets", "--url", &url],
        );
        let ports = [143, 110, 25].map(|usual| {
            let port = free_port(LOCALHOST);
            let (old, new) = (
                format!("listen {usual};"),
                format!("listen {LOCALHOST}:{port};"),
            );
            assert!(text.contains(&old), "{text}");
            text = text.replace(&old, &new);
            port
        });
        let folder = TempDir::new();
        let config = nginx_config(folder.path(), &text);
        let mut proxy = Server::start(&mut nginx(&config), folder.path().join("nginx.out"));
        proxy.wait_for_port(LOCALHOST, ports[0]);
        let client = TcpStream::connect((LOCALHOST, ports[0])).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut client = BufReader::new(client);
        let mut lines = String::new();
        client.read_line(&mut lines).unwrap();
        client
            .get_mut()
            .write_all(b"TAG LOGIN alice sesame\r\n")
            .unwrap();
        client.read_line(&mut lines).unwrap();
        assert!(
            lines.ends_with("TAG OK backend\r\n"),
            "{way:?}: {lines}\n{}",
            front.logged()
        );
    }
}

#[test]
fn systemd_accepts_what_is_printed() {
    let folder = TempDir::new();
    let config = folder
        .write("auth.toml", &files(143)[0].1)
        .display()
        .to_string();
    folder.write("users", &files(143)[1].1);
    let printed = |name| printed(PROGRAM, &config, &[name, "--socket", "/run/of-a-test.sock"]);
    let service = printed("systemd");
    assert!(
        service.contains(&format!("ExecStart={PROGRAM} --config {config} serve")),
        "{service}"
    );
    let unit = folder.write("nginx-mail-auth.service", service);
    folder.write("nginx-mail-auth.socket", printed("systemd-socket"));
    let output = Command::new(program("systemd-analyze", "systemd"))
        .args(["verify", "--man=no"])
        .arg(unit)
        .output()
        .unwrap();
    let found = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && found.is_empty(), "{found}");
}
