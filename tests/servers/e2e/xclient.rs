//! What nginx tells an SMTP server about who logs in, by XCLIENT: no client adds words to it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::fronts::{Front, LOCALHOST, Way};
use crate::support::mail_hosts::KEY;
use crate::support::process::{Server, free_port, program, wait_until};
use crate::support::snippets::{nginx, nginx_config};
use crate::support::temp_dir::TempDir;

const NGINX: &str = "\
mail {
    auth_http http://127.0.0.1:FRONT/mail/auth;
    auth_http_header X-Auth-Key \"KEY\";
    server_name mail.example.com;
    server {
        listen 127.0.0.1:SMTP;
        protocol smtp;
        smtp_auth plain;
        xclient on;
    }
}
";

/// A mail server that takes whatever it is told, and the XCLIENT lines that it got.
struct SmtpServer {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl SmtpServer {
    fn start() -> Self {
        let listener = TcpListener::bind((LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let hears = Arc::clone(&hears);
                thread::spawn(move || talk(stream, &hears));
            }
        });
        Self { port, heard }
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

fn talk(mut stream: TcpStream, heard: &Mutex<Vec<String>>) {
    let _gone = stream.write_all(b"220 mail ESMTP\r\n");
    for line in BufReader::new(stream.try_clone().unwrap()).split(b'\n') {
        let Ok(line) = line else { return };
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        let answer: &[u8] = if line.starts_with(b"XCLIENT") {
            heard.lock().unwrap().push(line.escape_ascii().to_string());
            b"220 mail ESMTP\r\n"
        } else if line.starts_with(b"EHLO") {
            b"250-mail\r\n250 XCLIENT ADDR LOGIN NAME\r\n"
        } else {
            b"250 ok\r\n"
        };
        if stream.write_all(answer).is_err() {
            return;
        }
    }
}

/// What nginx answers a client that logs in.
fn log_in(port: u16, login: &str, password: &str) -> String {
    let stream = TcpStream::connect((LOCALHOST, port)).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    // The last line of an answer has a blank behind its code.
    let mut say = |line: &str| {
        (&stream).write_all(line.as_bytes()).unwrap();
        loop {
            let mut answer = String::new();
            reader.read_line(&mut answer).unwrap();
            if answer.as_bytes().get(3) != Some(&b'-') {
                return answer.trim_end().to_owned();
            }
        }
    };
    say("");
    say("EHLO client.test\r\n");
    let proof = STANDARD.encode(format!("\0{login}\0{password}"));
    say(&format!("AUTH PLAIN {proof}\r\n"))
}

#[test]
fn no_login_adds_words_to_xclient() {
    let mail = SmtpServer::start();
    let database = TempDir::new();
    let database = database.path().join("users.db");
    let made = std::process::Command::new(program("sqlite3", "sqlite3"))
        .arg(&database)
        .arg(
            "CREATE TABLE users (name TEXT, password TEXT, login TEXT);\
             INSERT INTO users VALUES ('alice', '{PLAIN}pw', NULL);\
             INSERT INTO users VALUES ('bob', '{PLAIN}pw', 'robert@example.org');\
             INSERT INTO users VALUES ('carol', '{PLAIN}pw', 'carol LOGIN=dave ADDR=10.0.0.1');",
        )
        .status()
        .unwrap();
    assert!(made.success());
    let config = format!(
        "[nginx]\nkey = \"{KEY}\"\n\
         [[users]]\nstore = \"sql\"\nurl = \"sqlite:users.db\"\nallow-weak-schemes = true\n\
         query = \"SELECT password, login FROM users WHERE name = {{local}}\"\n\
         [routes]\ndefault = \"mail\"\n\
         [hosts]\nmail = {{ address = \"127.0.0.1\", smtp = {} }}\n",
        mail.port
    );
    let front = Front::start(
        Way::ProxyFcgi,
        &[
            ("auth.toml", config.into_bytes()),
            ("users.db", fs::read(&database).unwrap()),
        ],
    );
    let port = free_port(LOCALHOST);
    let text = NGINX
        .replace("FRONT", &front.port.to_string())
        .replace("KEY", KEY)
        .replace("SMTP", &port.to_string());
    let folder = front.folder.path().join("proxy");
    fs::create_dir(&folder).unwrap();
    let config = nginx_config(&folder, &text);
    let mut server = Server::start(&mut nginx(&config), folder.join("nginx.out"));
    server.wait_for_port(LOCALHOST, port);

    for (login, as_whom) in [
        ("alice@x", "alice@x"),
        ("bob@x", "robert@example.org"),
        ("alice@b\u{fc}cher.example", "alice@xn--bcher-kva.example"),
    ] {
        assert_eq!(log_in(port, login, "pw"), "235 2.0.0 OK", "{login}");
        let heard = format!("XCLIENT ADDR=127.0.0.1 LOGIN={as_whom} NAME=[UNAVAILABLE]");
        assert_eq!(mail.heard(), [heard], "{login}");
    }
    let mut decisions = 3;
    let refused = "535 5.7.0 Invalid login or password";
    let temporary = "451 4.3.0 Temporary server problem, try again later";
    for (login, answer, logged) in [
        (
            "alice@x LOGIN=bob+40example.org ADDR=10.0.0.1",
            refused,
            "cause=bad-login",
        ),
        ("alice@ x", refused, "cause=bad-login"),
        ("alice@x ", refused, "cause=bad-login"),
        ("alice@x\r\nRSET", refused, "cause=bad-login"),
        ("alice@x\tLOGIN=bob", refused, "cause=bad-login"),
        (
            "carol@x",
            temporary,
            "cause=bad-answer detail=\"the value of Auth-User cannot be written in a header\"",
        ),
    ] {
        assert_eq!(log_in(port, login, "pw"), answer, "{login:?}");
        // The log is a file, which lines reach after the answer.
        decisions += 1;
        let so_far = || -> Vec<String> {
            let log = front.logged();
            let lines = log.lines().filter(|line| line.contains("cause="));
            lines.map(str::to_owned).collect()
        };
        wait_until("the line in the log", || so_far().len() >= decisions);
        let lines = so_far();
        assert_eq!(lines.len(), decisions, "{lines:?}");
        assert!(lines[decisions - 1].contains(logged), "{lines:?}");
        assert_eq!(mail.heard(), Vec::<String>::new(), "{login:?}");
    }
}
