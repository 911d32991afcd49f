//! docs/troubleshooting.md quotes what mail clients, nginx and the program really say.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use crate::support::fronts::{Front, Way};
use crate::support::mail_backends::Backends;
use crate::support::mail_proxy::{Client, Proxy, log_in};
use crate::support::process::{free_port, need_root, wait_until};
use crate::support::scripted_server::{Fake, Talk};

const KEY: &str = "a-key-of-this-test-only";

const USERS: &str = "alice:{PLAIN}one\ndora:{PLAIN}one\nerin:{PLAIN}one\nmoritz:{PLAIN}one\n\
                     nina:{PLAIN}one\nlena:{PLAIN}one:::::: nologin=\nkurt:!\ntom:{PLAIN}one\n\
                     nora:{PLAIN}one:::::: allow_nets=192.0.2.0/24\n";

/// A row of the page: the text of the client, that of nginx, and that of the program.
struct Row {
    client: String,
    nginx: String,
    program: Option<String>,
}

/// The rows of all tables below a heading with the text of a client.
fn rows() -> Vec<Row> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/troubleshooting.md");
    let page = fs::read_to_string(page).unwrap();
    let mut rows: Vec<Row> = Vec::new();
    for section in page.split("\n## ").skip(1) {
        let heading = section.lines().next().unwrap();
        let Some(rest) = heading.strip_prefix("The client shows ") else {
            continue;
        };
        // The mail server of this test says this.
        let client = match rest {
            "the text of the mail server" => "TAG NO mailbox is locked",
            quoted => quoted.trim_matches('`'),
        };
        for line in section.lines().filter(|line| line.starts_with("| ")) {
            let cells: Vec<_> = line.split(" | ").collect();
            let (nginx, program) = (cells[0].trim_start_matches("| "), cells[1]);
            let nginx = match nginx {
                "nginx's error log" => continue,
                "the same" => rows.last().unwrap().nginx.clone(),
                quoted => quoted.split('`').nth(1).expect(quoted).to_owned(),
            };
            rows.push(Row {
                client: client.to_owned(),
                nginx,
                program: (program != "-").then(|| program.trim_matches('`').to_owned()),
            });
        }
    }
    assert!(rows.len() > 12, "only {} rows", rows.len());
    rows
}

/// Whether a line has the parts of a text in order; `…` stands between them.
fn has(line: &str, text: &str) -> bool {
    let mut rest = line;
    text.split('…').all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

/// An IMAP server that refuses every login.
fn locked() -> Fake {
    Fake::start(|talk: &mut Talk| {
        talk.say(b"* OK ready\r\n");
        // The length of the login, the login with the length of the password, and the password.
        for answer in ["+ OK\r\n", "+ OK\r\n", "TAG NO mailbox is locked\r\n"] {
            if talk.line().is_some() {
                talk.say(answer.as_bytes());
            }
        }
        talk.listen();
    })
}

fn config(up: u16, locked: u16, down: u16) -> String {
    format!(
        "[nginx]\nkey = \"{KEY}\"\n\
         [[users]]\nstore = \"http\"\nurl = \"http://127.0.0.1:{down}/\"\ndomains = [\"example.org\"]\n\
         [[users]]\nstore = \"file\"\npath = \"users\"\nallow-weak-schemes = true\n\
         [routes.login]\nalice = \"up\"\ntom = \"up\"\ndora = \"down\"\nerin = \"locked\"\nmoritz = \"moving\"\n\
         [hosts]\nup = {{ address = \"127.0.0.1\", imap = {up} }}\n\
         down = {{ address = \"127.0.0.1\", imap = {down} }}\n\
         locked = {{ address = \"127.0.0.1\", imap = {locked} }}\n\
         moving = {{ state = \"moving\" }}\n\
         [throttle]\nfree-failures = 3\nwaits = [1]\n"
    )
}

#[test]
fn each_row_quotes_what_client_nginx_and_program_say() {
    need_root();
    let (backends, locked) = (Backends::start(), locked());
    let nobody = free_port(Ipv4Addr::LOCALHOST);
    let config = config(backends.port("imap"), locked.port, nobody);
    let files = [("auth.toml", config.into()), ("users", USERS.into())];
    let front = Front::start(Way::Nginx, &files);
    let silent = Fake::start(Talk::listen);
    let url = |port: u16, path: &str| format!("http://127.0.0.1:{port}{path}");
    let keyed = format!("auth_http_header X-Auth-Key {KEY}; proxy_pass_error_message on;");
    let usual = Proxy::asking(&url(front.port, "/mail/auth"), &keyed);
    let keyless = Proxy::asking(&url(front.port, "/mail/auth"), "");
    let unheard = Proxy::start(nobody);
    let hanging = Proxy::start(silent.port);
    let elsewhere = Proxy::asking(&url(front.port, "/elsewhere"), &keyed);
    for row in rows() {
        let program = row.program.as_deref().unwrap_or_default();
        let (proxy, login, password) = match (row.nginx.as_str(), program) {
            (_, it) if it.contains("=wrong-password") => (&usual, "alice", "two"),
            (_, it) if it.contains("=unknown-user") => (&usual, "otto", "one"),
            (_, it) if it.contains("=no-password") => (&usual, "kurt", "one"),
            (_, it) if it.contains("=disabled") => (&usual, "lena", "one"),
            (_, it) if it.contains("=network-not-allowed") => (&usual, "nora", "one"),
            (_, it) if it.contains("=throttled") => (&usual, "tom", "two"),
            (_, it) if it.contains("=wrong-key") => (&keyless, "alice", "one"),
            (_, it) if it.contains("=store-trouble") => (&usual, "kim@example.org", "one"),
            (_, it) if it.contains("=no-route") => (&usual, "nina", "one"),
            (_, it) if it.contains("=moving") => (&usual, "moritz", "one"),
            (it, _) if it.starts_with("recv") && it.ends_with("from upstream") => {
                (&usual, "dora", "one")
            }
            (it, _) if it.ends_with("response from upstream") => (&usual, "erin", "one"),
            (it, "") if it.contains("timed out") => (&hanging, "alice", "one"),
            (it, "") if it.contains("did not send server") => (&elsewhere, "alice", "one"),
            (it, "") if it.contains("Connection refused") => (&unheard, "alice", "one"),
            other => panic!("the test does not know how to make {other:?}"),
        };
        let decisions = || {
            let logged = front.logged();
            let lines = logged.lines().filter(|line| line.contains("]: login="));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let try_once = || {
            let before = decisions().len();
            let mut client = Client::connect(proxy.ports["imap"]);
            // The same wrong password counts once.
            let password = match login {
                "tom" => format!("{password}-{before}"),
                _ => password.to_owned(),
            };
            let client = log_in(&mut client, login, "plain", "imap", &password);
            if row.program.is_none() {
                assert_eq!(decisions().len(), before, "{login}");
                return (client, String::new());
            }
            // The log is a file, which the program writes when there is time.
            wait_until("the decision", || decisions().len() > before);
            (client, decisions().pop().unwrap())
        };
        let (mut client, mut line) = try_once();
        if program.contains("=throttled") {
            wait_until("the login is throttled", || {
                (client, line) = try_once();
                has(&line, program)
            });
        }
        let place = format!("{} / {program}\n{client}\n{line}", row.nginx);
        assert!(client.contains(&row.client), "{place}");
        assert!(has(&line, program), "{place}");
        let found = || {
            let logged = proxy.logged("");
            logged.lines().any(|line| has(line, &row.nginx))
        };
        // nginx writes its line before the client gets the text.
        assert!(found(), "{place}\n{}", proxy.logged(""));
    }
}

#[test]
fn the_other_protocols_show_the_same_texts() {
    need_root();
    let proxy = Proxy::start(free_port(Ipv4Addr::LOCALHOST));
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/troubleshooting.md");
    let page = fs::read_to_string(page).unwrap();
    for (protocol, text) in [
        ("imap", "* BAD internal server error"),
        ("pop3", "-ERR internal server error"),
        ("smtp", "451 4.3.2 Internal server error"),
    ] {
        let mut client = Client::connect(proxy.ports[protocol]);
        let line = log_in(&mut client, "alice", "plain", protocol, "one");
        assert_eq!(line, text, "{protocol}");
        assert!(page.contains(&format!("`{text}`")), "{text}");
    }
}
