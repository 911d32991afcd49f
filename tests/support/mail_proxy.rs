//! nginx's mail proxy with all methods, and a mail client that shows what it is told.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::process::{Server, free_port};
use crate::support::snippets::{nginx, nginx_config};
use crate::support::temp_dir::TempDir;

const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// nginx with a port for each protocol, and `none` for incoming mail.
pub(crate) struct Proxy {
    pub(crate) ports: HashMap<&'static str, u16>,
    _server: Server,
    folder: TempDir,
}

impl Proxy {
    pub(crate) fn start(service: u16) -> Self {
        Self::asking(&format!("http://{LOCALHOST}:{service}/auth"), "")
    }

    /// With this `auth_http`, and further keys.
    pub(crate) fn asking(url: &str, more: &str) -> Self {
        let folder = TempDir::new();
        let ports = ["imap", "pop3", "smtp", "none"].map(|name| (name, free_port(LOCALHOST)));
        let mut servers = String::new();
        for (name, port) in ports {
            let keys = match name {
                "imap" => "protocol imap; imap_auth plain cram-md5 external;",
                "pop3" => "protocol pop3; pop3_auth plain apop cram-md5 external;",
                "smtp" => "protocol smtp; smtp_auth plain login cram-md5 external;",
                _ => "protocol smtp; smtp_auth none;",
            };
            servers += &format!("server {{ listen {LOCALHOST}:{port}; {keys} }}\n");
        }
        let config = format!(
            "mail {{\nserver_name proxy.test;\nauth_http {url};\n{more}\n\
             auth_http_timeout 1s;\n{servers}}}\n"
        );
        let config = nginx_config(folder.path(), &config);
        let mut server = Server::start(&mut nginx(&config), folder.path().join("nginx.out"));
        for (_, port) in ports {
            server.wait_for_port(LOCALHOST, port);
        }
        Self {
            ports: ports.into(),
            _server: server,
            folder,
        }
    }

    /// The lines of nginx's log that name this text.
    pub(crate) fn logged(&self, text: &str) -> String {
        let log = fs::read(self.folder.path().join("nginx-error.log")).unwrap();
        // As probe shows it: nothing that a terminal acts on.
        let log = String::from_utf8_lossy(&log).replace('\t', "\u{fffd}");
        let lines = log.lines().filter(|line| line.contains(text));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// A connection of a mail client.
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    pub(crate) fn connect(port: u16) -> Self {
        let stream = TcpStream::connect((LOCALHOST, port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut client = Self(BufReader::new(stream));
        client.line();
        client
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.0
            .get_mut()
            .write_all(format!("{text}\r\n").as_bytes())
            .unwrap();
    }

    /// The next line; empty at the end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = Vec::new();
        let _reset = self.0.read_until(b'\n', &mut line);
        let line = String::from_utf8_lossy(&line);
        line.trim_end_matches(['\r', '\n']).to_owned()
    }

    pub(crate) fn ask(&mut self, text: &str) -> String {
        self.say(text);
        self.line()
    }

    pub(crate) fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        self.0.read(&mut byte).map_or(true, |read| read == 0)
    }
}

/// Logs in at nginx; the line that answers the login.
pub(crate) fn log_in(
    client: &mut Client,
    login: &str,
    method: &str,
    protocol: &str,
    password: &str,
) -> String {
    let base64 = |text: &str| STANDARD.encode(text);
    if protocol == "smtp" {
        client.ask("HELO client.test");
    }
    let auth = match protocol {
        "imap" => "TAG AUTHENTICATE",
        _ => "AUTH",
    };
    match (method, protocol) {
        ("none", _) => {
            client.ask("MAIL FROM:<sender@mail.test>");
            client.ask(&format!("RCPT TO:<{login}@mail.test>"))
        }
        ("cram-md5", _) => {
            let challenge = client.ask(&format!("{auth} CRAM-MD5"));
            assert!(challenge.contains(' '), "{challenge}");
            // Nobody compares the digest.
            client.ask(&base64(&format!("{login} {}", "0".repeat(32))))
        }
        ("external", _) => {
            client.ask(&format!("{auth} EXTERNAL"));
            client.ask(&base64(login))
        }
        (_, "imap") => client.ask(&format!("TAG LOGIN {login} {password}")),
        (_, "pop3") => {
            client.ask(&format!("USER {login}"));
            client.ask(&format!("PASS {password}"))
        }
        _ => client.ask(&format!(
            "AUTH PLAIN {}",
            base64(&format!("\0{login}\0{password}"))
        )),
    }
}
