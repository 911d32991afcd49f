//! The ways from nginx's mail proxy to the program: each with the shipped snippet, the program as
//! www-data, and files that only the needed users can read.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::process::{Server, free_port, ids_of, program};
use crate::support::snippets::{
    Mpm, apache, apache_config, apache_snippet, in_http_block, nginx, nginx_config, shipped,
};
use crate::support::temp_dir::TempDir;

/// The web servers' user, of Debian's package base-passwd.
const WEB_USER: &str = "www-data";

pub(crate) const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Where the program listens, in the folder of a front.
const SOCKET: &str = "run/auth.sock";

/// A way to run the program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    /// apache/cgi.conf with mod_cgid, whose programs have a connected socket as descriptor 0.
    Cgid,
    /// apache/cgi.conf with mod_cgi, whose programs have a pipe there.
    Cgi,
    /// apache/fcgid.conf.
    Fcgid,
    /// The same with four processes.
    FcgidOfFour,
    /// apache/proxy-fcgi.conf.
    ProxyFcgi,
    /// The same with connections kept.
    ProxyFcgiKept,
    /// examples/nginx-fastcgi.conf, which keeps connections.
    Nginx,
    /// The same with a new connection for each request.
    NginxUnkept,
    /// lighttpd's mod_fastcgi.
    Lighttpd,
}

impl Way {
    pub(crate) const ALL: [Self; 8] = [
        Self::Cgid,
        Self::Cgi,
        Self::Fcgid,
        Self::ProxyFcgi,
        Self::ProxyFcgiKept,
        Self::Nginx,
        Self::NginxUnkept,
        Self::Lighttpd,
    ];

    /// Whether the program runs by itself and listens on a socket.
    pub(crate) fn is_served(self) -> bool {
        !matches!(
            self,
            Self::Cgid | Self::Cgi | Self::Fcgid | Self::FcgidOfFour
        )
    }
}

/// A web server with the program behind it, at http://127.0.0.1:port/mail/auth.
pub(crate) struct Front {
    pub(crate) port: u16,
    _web_server: Server,
    /// What the program writes its log into: the web server's error log, or a file of its own.
    pub(crate) log: PathBuf,
    pub(crate) apache_config: PathBuf,
    _program: Option<Server>,
    pub(crate) folder: TempDir,
}

/// The files that a configuration consists of: their names and contents.
pub(crate) type Files<'a> = &'a [(&'a str, Vec<u8>)];

impl Front {
    /// Starts everything. The first of the files is the configuration itself.
    pub(crate) fn start(way: Way, files: Files<'_>) -> Self {
        Self::start_with(way, files, |places, way| places.web_server(way))
    }

    /// The same, with what the command `snippet` prints in place of the shipped file.
    pub(crate) fn start_printed(way: Way, files: Files<'_>) -> Self {
        Self::start_with(way, files, |places, way| places.printed_web_server(way))
    }

    fn start_with(way: Way, files: Files<'_>, web_server: fn(&Places<'_>, Way) -> Server) -> Self {
        crate::support::process::need_root();
        let folder = TempDir::new();
        let home = folder.path();
        let (uid, gid) = ids_of(WEB_USER, "base-passwd");
        // Where the tests are built, www-data may not even look.
        let own = home.join("nginx-mail-auth");
        // By another process: what this one has open for writing, a child that another test starts
        // meanwhile holds open too, and the kernel starts no such file (ETXTBSY).
        let copied = Command::new("cp")
            .arg(env!("CARGO_BIN_EXE_nginx-mail-auth"))
            .arg(&own)
            .status();
        assert!(copied.unwrap().success());
        for (name, content) in files {
            put(&home.join(name), content, gid);
        }
        for name in ["run", "fcgid"] {
            fs::create_dir(home.join(name)).unwrap();
            chown(home.join(name), Some(uid), Some(gid)).unwrap();
        }
        let config = home.join(files[0].0);
        let socket = home.join(SOCKET);
        let served = way.is_served().then(|| {
            let mut command = Command::new(&own);
            command
                .arg("--config")
                .arg(&config)
                .arg("serve")
                .arg("--listen");
            command.arg(format!("unix:{}", socket.display()));
            let mut server = Server::start(command.uid(uid).gid(gid), home.join("program.log"));
            server.wait_for("the socket", || UnixStream::connect(&socket).is_ok());
            server
        });
        let port = free_port(LOCALHOST);
        let places = Places {
            home,
            own: &own.display().to_string(),
            config: &config.display().to_string(),
            socket: &socket.display().to_string(),
            port,
        };
        let apache_config = home.join("apache.conf");
        let mut web_server = web_server(&places, way);
        web_server.wait_for_port(LOCALHOST, port);
        let log = home.join(if served.is_some() {
            "program.log"
        } else {
            "error.log"
        });
        Self {
            port,
            _web_server: web_server,
            log,
            apache_config,
            _program: served,
            folder,
        }
    }

    /// All that the program has logged.
    pub(crate) fn logged(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }

    /// Asks as nginx does, with these lines of headers; the whole answer, or what went wrong.
    pub(crate) fn ask(&self, path: &str, headers: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect((LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let start = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n");
        stream.write_all(&[start.as_bytes(), headers, b"\r\n"].concat())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    }

    /// The socket of the program, where it listens on one.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join(SOCKET)
    }
}

/// A file that root may write, the web server's group may read, and nobody else.
pub(crate) fn put(file: &Path, content: &[u8], gid: u32) {
    fs::write(file, content).unwrap();
    chown(file, Some(0), Some(gid)).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o640)).unwrap();
}

struct Places<'a> {
    home: &'a Path,
    own: &'a str,
    config: &'a str,
    socket: &'a str,
    port: u16,
}

impl Places<'_> {
    pub(crate) fn web_server(&self, way: Way) -> Server {
        let started = [
            ("NGINX_MAIL_AUTH_PROGRAM", self.own),
            ("NGINX_MAIL_AUTH_TOML", self.config),
        ];
        let served = [("NGINX_MAIL_AUTH_SOCKET", self.socket)];
        match way {
            Way::Cgid => self.apache(Mpm::Event, &apache_snippet("apache/cgi.conf", &started)),
            Way::Cgi => self.apache(Mpm::Prefork, &apache_snippet("apache/cgi.conf", &started)),
            Way::Fcgid => self.apache(Mpm::Event, &apache_snippet("apache/fcgid.conf", &started)),
            Way::FcgidOfFour => {
                let snippet = apache_snippet("apache/fcgid.conf", &started);
                let of_four = snippet.replace("Processes 32 ", "Processes 4 ");
                assert_ne!(snippet, of_four);
                self.apache(Mpm::Event, &of_four)
            }
            Way::ProxyFcgi => self.apache(
                Mpm::Event,
                &apache_snippet("apache/proxy-fcgi.conf", &served),
            ),
            Way::ProxyFcgiKept => {
                let snippet = apache_snippet("apache/proxy-fcgi.conf", &served);
                self.apache(
                    Mpm::Event,
                    &snippet.replace(" retry=0", " enablereuse=on retry=0"),
                )
            }
            Way::Nginx => self.nginx(&[]),
            Way::NginxUnkept => self.nginx(&[("fastcgi_keep_conn on;", "")]),
            Way::Lighttpd => self.lighttpd(),
        }
    }

    /// A web server with what the program prints for it.
    fn printed_web_server(&self, way: Way) -> Server {
        let name = match way {
            Way::Cgid | Way::Cgi => "apache-cgi",
            Way::Fcgid => "apache-fcgid",
            Way::ProxyFcgi => "apache-proxy",
            Way::Nginx => "nginx-fastcgi",
            other => panic!("no snippet for {other:?}"),
        };
        let url = format!("http://{LOCALHOST}:{}/mail/auth", self.port);
        let text = printed(
            self.own,
            self.config,
            &[name, "--socket", self.socket, "--url", &url],
        );
        match way {
            Way::Cgi => self.apache(Mpm::Prefork, &text),
            Way::Nginx => {
                let config = nginx_config(self.home, &in_http_block(self.home, &text));
                Server::start(&mut nginx(&config), self.home.join("nginx.out"))
            }
            _ => self.apache(Mpm::Event, &text),
        }
    }

    pub(crate) fn apache(&self, mpm: Mpm, snippet: &str) -> Server {
        // The page is off until the administrator changes this line.
        let off = "#Define NGINX_MAIL_AUTH_STATUS";
        assert!(snippet.contains(off), "{snippet}");
        let snippet = snippet.replace(off, off.trim_start_matches('#'));
        let config = apache_config(self.home, mpm, self.port, &snippet);
        Server::start(
            apache(&config).arg("-DFOREGROUND"),
            self.home.join("apache.out"),
        )
    }

    pub(crate) fn nginx(&self, changed: &[(&str, &str)]) -> Server {
        let listen = format!("listen {LOCALHOST}:{};", self.port);
        let always = [
            ("listen 127.0.0.1:8143;", listen.as_str()),
            ("/run/nginx-mail-auth.sock", self.socket),
            ("#location = ", "location = "),
        ];
        let snippet = shipped("examples/nginx-fastcgi.conf", &[&always, changed].concat());
        let config = nginx_config(self.home, &in_http_block(self.home, &snippet));
        Server::start(&mut nginx(&config), self.home.join("nginx.out"))
    }

    pub(crate) fn lighttpd(&self) -> Server {
        let (socket, port) = (self.socket, self.port);
        let config = format!(
            "server.modules = (\"mod_fastcgi\")\n\
             server.document-root = \"/var/empty\"\n\
             server.bind = \"{LOCALHOST}\"\n\
             server.port = {port}\n\
             fastcgi.server = (\"/mail/\" => \
             ((\"socket\" => \"{socket}\", \"check-local\" => \"disable\")))\n"
        );
        let file = self.home.join("lighttpd.conf");
        fs::write(&file, config).unwrap();
        Server::start(
            Command::new(program("lighttpd", "lighttpd"))
                .arg("-D")
                .arg("-f")
                .arg(file),
            self.home.join("lighttpd.out"),
        )
    }
}

/// What the command `snippet` prints.
pub(crate) fn printed(program: &str, config: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(["--config", config, "snippet"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// nginx's mail proxy with examples/nginx.conf, and where it listens for each protocol.
pub(crate) struct MailProxy {
    ports: [(&'static str, u16); 3],
    _server: Server,
    _folder: TempDir,
}

impl MailProxy {
    /// Starts it; it asks the front, with this key.
    pub(crate) fn start(front: &Front, key: &str) -> Self {
        let folder = TempDir::new();
        let ports = [("imap", 143), ("pop3", 110), ("smtp", 25)]
            .map(|(protocol, usual)| (protocol, usual, free_port(LOCALHOST)));
        let listens = ports.map(|(_, usual, port)| {
            (
                format!("listen {usual};"),
                format!("listen {LOCALHOST}:{port};"),
            )
        });
        let asked = format!("http://{LOCALHOST}:{}/mail/auth", front.port);
        let mut changed: Vec<_> = listens
            .iter()
            .map(|(old, new)| (old.as_str(), new.as_str()))
            .collect();
        changed.push(("http://127.0.0.1:8080/mail/auth", &asked));
        changed.push(("replace-this-key", key));
        let snippet = shipped("examples/nginx.conf", &changed);
        let config = nginx_config(folder.path(), &snippet);
        let mut server = Server::start(&mut nginx(&config), folder.path().join("nginx.out"));
        for (_, _, port) in ports {
            server.wait_for_port(LOCALHOST, port);
        }
        Self {
            ports: ports.map(|(protocol, _, port)| (protocol, port)),
            _server: server,
            _folder: folder,
        }
    }

    pub(crate) fn port(&self, protocol: &str) -> u16 {
        let of_protocol = self.ports.iter().find(|(word, _)| *word == protocol);
        of_protocol.unwrap().1
    }
}
