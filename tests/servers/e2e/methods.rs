//! nginx's methods other than passwords: from curl through nginx to the mail servers.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::fronts::{Front, LOCALHOST, Way};
use crate::support::mail_hosts::KEY;
use crate::support::mail_hosts::{MailHosts, greeting};
use crate::support::mail_users::PEOPLE;
use crate::support::process::{Server, free_port, program, wait_until};
use crate::support::snippets::{nginx, nginx_config};

/// Users whose passwords are at hand, and mail for one domain.
fn config(hosts: &MailHosts) -> String {
    let [one, two] = &hosts.hosts;
    format!(
        "[nginx]\nkey = \"{KEY}\"\n\
         [[users]]\nstore = \"file\"\npath = \"users\"\nallow-weak-schemes = true\n\
         [external]\nlogin = \"common-name\"\n\
         [inbound]\ndomains = [\"mail.test\"]\nhost = \"mx\"\n\
         [routes]\ndefault = \"one\"\n\
         [hosts]\n\
         one = {{ address = \"{}\", imap = {}, pop3 = {} }}\n\
         mx = {{ address = \"{}\", smtp = {} }}\n",
        one.address, one.imap, one.pop3, two.address, two.inbound
    )
}

/// nginx's side. The last server asks every client for a certificate.
const NGINX: &str = "\
mail {
    auth_http http://127.0.0.1:FRONT/mail/auth;
    auth_http_header X-Auth-Key \"KEY\";
    server_name mail.example.com;
    proxy_pass_error_message on;
    server {
        listen 127.0.0.1:IMAP;
        protocol imap;
        imap_auth plain cram-md5;
    }
    server {
        listen 127.0.0.1:POP3;
        protocol pop3;
        pop3_auth plain apop;
    }
    server {
        listen 127.0.0.1:SMTP;
        protocol smtp;
        smtp_auth none;
        xclient off;
    }
    server {
        listen 127.0.0.1:TLS ssl;
        protocol imap;
        imap_auth external;
        ssl_certificate HOME/server.pem;
        ssl_certificate_key HOME/server.key;
        ssl_client_certificate HOME/ca.pem;
        ssl_verify_client optional_no_ca;
    }
}
";

struct Proxy {
    imap: u16,
    pop3: u16,
    smtp: u16,
    tls: u16,
    _server: Server,
}

impl Proxy {
    fn start(front: &Front) -> Self {
        let home = front.folder.path();
        let [imap, pop3, smtp, tls] = [(); 4].map(|()| free_port(LOCALHOST));
        let text = NGINX
            .replace("FRONT", &front.port.to_string())
            .replace("KEY", KEY)
            .replace("IMAP", &imap.to_string())
            .replace("POP3", &pop3.to_string())
            .replace("SMTP", &smtp.to_string())
            .replace("TLS", &tls.to_string())
            .replace("HOME", &home.display().to_string());
        let folder = home.join("proxy");
        fs::create_dir(&folder).unwrap();
        let config = nginx_config(&folder, &text);
        let mut server = Server::start(&mut nginx(&config), folder.join("nginx.out"));
        for port in [imap, pop3, smtp, tls] {
            server.wait_for_port(LOCALHOST, port);
        }
        Self {
            imap,
            pop3,
            smtp,
            tls,
            _server: server,
        }
    }
}

fn curl(arguments: &[&str]) -> Output {
    Command::new(program("curl", "curl"))
        .args(["-q", "-sS", "--max-time", "20"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// A certificate with this name, and its key.
fn certificate(home: &Path, name: &str, subject: &str, by: Option<&str>) -> [String; 2] {
    let file = |name: &str, end: &str| format!("{}/{name}.{end}", home.display());
    let (cert, key) = (file(name, "pem"), file(name, "key"));
    let mut command = Command::new(program("openssl", "openssl"));
    command
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ])
        .args([
            "-nodes", "-days", "2", "-subj", subject, "-keyout", &key, "-out", &cert,
        ]);
    if let Some(by) = by {
        command.args(["-CA", &file(by, "pem"), "-CAkey", &file(by, "key")]);
    }
    let made = command.stderr(Stdio::null()).status();
    assert!(made.unwrap().success());
    [cert, key]
}

#[test]
fn every_method_of_nginx_to_the_mail_servers() {
    every_method(Way::ProxyFcgi);
}

/// lighttpd does not pass on `Auth-User` and `Auth-Pass` without a value.
#[test]
fn every_method_behind_a_front_that_drops_empty_headers() {
    every_method(Way::Lighttpd);
}

fn every_method(way: Way) {
    let hosts = MailHosts::shared();
    let alice = &PEOPLE[0];
    let users = format!(
        "alice:{{PLAIN}}{}\n",
        str::from_utf8(alice.password).unwrap()
    );
    let files = [
        ("auth.toml", config(&hosts).into_bytes()),
        ("users", users.into_bytes()),
    ];
    let front = Front::start(way, &files);
    let home = front.folder.path();
    certificate(home, "ca", "/CN=Our CA", None);
    certificate(home, "server", "/CN=localhost", Some("ca"));
    let proxy = Proxy::start(&front);
    let text = greeting(hosts.hosts[0].name, alice);
    let logged = |cause: &str| {
        let line = format!("cause={cause}");
        // The log is written beside the answers.
        wait_until(&line, || front.logged().contains(&line));
        let log = front.logged();
        for secret in ["sesame1", KEY] {
            assert!(!log.contains(secret), "{log}");
        }
    };

    let imap = format!("imap://127.0.0.1:{}/INBOX/;UID=1", proxy.imap);
    let cram = |user: &str| curl(&["-u", user, "--login-options", "AUTH=CRAM-MD5", &imap]);
    let output = cram("alice:sesame1");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains(&text),
        "{output:?}"
    );
    logged("accepted");
    for wrong in ["alice:sesame2", "zoe:sesame1"] {
        assert_eq!(cram(wrong).status.code(), Some(67), "{wrong}");
    }
    logged("wrong-password");
    logged("unknown-user");

    let pop3 = format!("pop3://127.0.0.1:{}/1", proxy.pop3);
    let apop = |user: &str| curl(&["-u", user, "--login-options", "AUTH=+APOP", &pop3]);
    let output = apop("alice:sesame1");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains(&text),
        "{output:?}"
    );
    assert_eq!(apop("alice:sesame2").status.code(), Some(67));

    let imaps = format!("imaps://127.0.0.1:{}/INBOX/;UID=1", proxy.tls);
    let external = |[cert, key]: &[String; 2], user: &str| {
        let show = ["-k", "--cert", cert, "--key", key, "-u", user];
        curl(&[&show[..], &["--login-options", "AUTH=EXTERNAL", &imaps]].concat())
    };
    let hers = certificate(home, "alice", "/O=Example/CN=alice", Some("ca"));
    let output = external(&hers, "alice:");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains(&text),
        "{output:?}"
    );
    for (subject, by, user, cause) in [
        (
            "/O=Example/CN=bob",
            Some("ca"),
            "alice:",
            "wrong-certificate",
        ),
        (
            "/O=Example/CN=alice/CN=bob",
            Some("ca"),
            "alice:",
            "wrong-certificate",
        ),
        ("/O=x, CN=alice", Some("ca"), "alice:", "wrong-certificate"),
        // Her name, and nobody vouches for it.
        ("/O=Example/CN=alice", None, "alice:", "no-certificate"),
    ] {
        let other = certificate(home, "other", subject, by);
        let output = external(&other, user);
        assert_eq!(output.status.code(), Some(67), "{subject}: {output:?}");
        logged(cause);
    }

    let message = home.join("message");
    let subject = format!("Subject: incoming by {way:?}");
    fs::write(&message, format!("{subject}\r\n\r\nText.\r\n")).unwrap();
    let smtp = format!("smtp://127.0.0.1:{}/mx.elsewhere.example", proxy.smtp);
    let mail = |to: &str| {
        let message = message.to_str().unwrap();
        let envelope = ["--mail-from", "carol@elsewhere.example", "--mail-rcpt", to];
        curl(&[&envelope[..], &["-v", "--upload-file", message, &smtp]].concat())
    };
    let output = mail("bob@mail.test");
    assert!(output.status.success(), "{output:?}");
    let sent = hosts.hosts[1].sent.join("new");
    wait_until("the message", || {
        let files = fs::read_dir(&sent).into_iter().flatten();
        files.flatten().any(|file| {
            fs::read(file.path()).is_ok_and(|text| {
                let text = String::from_utf8_lossy(&text);
                text.contains(&subject) && text.contains("carol@elsewhere.example")
            })
        })
    });
    for to in ["bob@elsewhere.example", "bob%elsewhere.example@mail.test"] {
        let output = mail(to);
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(talk.contains("550 5.7.1 Relay access denied"), "{talk}");
    }
    logged("relay-denied");
}
