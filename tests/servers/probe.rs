//! `probe` foretells what nginx does with an answer: the same answers go to both.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};

use crate::support::at_once::at_once;
use crate::support::binary;
use crate::support::mail_backends::Backends;
use crate::support::mail_proxy::{Client, Proxy, log_in};
use crate::support::process::{need_root, wait_until};
use crate::support::scripted_server::{Fake, Talk};

const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// The password of all logins.
const PASSWORD: &str = "sesame-1";

/// What an answer ends with where the server goes on or not.
const JUNK: &str = "JUNK";
const HOLD: &str = "HOLD";

/// A method, a protocol, and the answers: `PORT` is that of a mail server for the protocol, `LF` stands for a line feed
/// alone. The second answer is for a request that nginx repeats.
type Case = (&'static str, &'static str, &'static [&'static str]);

/// For each of the three protocols, with the method plain.
const FOR_ALL: &[&[&str]] = &[
    &["HTTP/1.1 200 OK|Auth-Status: OK|Auth-Server: 127.0.0.1|Auth-Port: PORT||"],
    &["Auth-Status: OK|Auth-Server: 127.0.0.1|Auth-Port: PORT||"],
    &["HTTP/1.1 500 Oops|Auth-Status: OK|Auth-Server: 127.0.0.1|Auth-Port: PORT||"],
    &["HTTP/1.1 200 OKLFAuth-Status: OKLFAuth-Server: 127.0.0.1LFAuth-Port: PORTLFLF"],
    &["HTTP/1.1 200 OK|Auth-Server: 127.0.0.1|Auth-Port: PORT||"],
    &["auth-STATUS: OK|aUTH-server: 127.0.0.1|AUTH-PORT: PORT||"],
    &["Auth-Status: OK|Auth-Server: 127.0.0.1|Auth-Port: PORT|Auth-User: Bob  the NUMBER||"],
    &["Auth-Status: OK|Auth-Server: 127.0.0.1|Auth-Port: PORT|Auth-Pass: of-the-victim||"],
    &["Auth-Status: OK|Auth-Server: 127.0.0.1|Auth-Port: PORT|Auth-User:||"],
    &["Auth-Status: OK|Auth-Server: 127.0.0.1|Auth-Port: 0000PORT||"],
    &["Auth-Status: OK|Auth-Server: 127.000.000.001|Auth-Port: PORT||"],
    &["Auth-Status: OK|Auth-Server: ::ffff:127.0.0.1|Auth-Port: PORT||"],
    &[
        "Auth-Status: OK|Auth-Server: 192.0.2.1|Auth-Server: 127.0.0.1|Auth-Port: 1|Auth-Port: PORT||",
    ],
    &["Auth-Status:   OK  |Auth-Server:127.0.0.1|Auth-Port:   PORT   ||"],
    &["Auth-Status: OK|Auth-Server: 127.0.0.1|Auth-Port: PORT|X-Long: x||JUNK"],
    &["Auth-Status: OK|Auth-Server: 127.0.0.1|Auth-Port: PORT||HOLD"],
    // No server.
    &["Auth-Status: OK|Auth-Server: 127.0.0.1|Auth-Port: PORT\t||"],
    &["Auth-Status: OK|Auth-Server: 127.0.0.1|Auth-Port: 0||"],
    &["Auth-Status: OK|Auth-Server: 127.0.0.1|Auth-Port: 65536||"],
    &["Auth-Status: OK|Auth-Server: 127.0.0.1|Auth-Port: +PORT||"],
    &["Auth-Status: OK|Auth-Server: mail.example.org|Auth-Port: PORT||"],
    &["Auth-Status: OK|Auth-Server: [::1]|Auth-Port: PORT||"],
    &["Auth-Status: OK|Auth-Server: 255.255.255.255|Auth-Port: PORT||"],
    &["Auth-Status: OK|Auth-Server: unix:/run/imap|Auth-Port: PORT||"],
    &["Auth-Status: OK|Auth-Server: 127.0.0.1, 127.0.0.1|Auth-Port: PORT||"],
    &["Auth-Status: OK|Auth-Server:|Auth-Port: PORT||"],
    &["Auth-Status: OK|Auth-Server: 127.0.0.1||"],
    &["HTTP/1.1 403 Forbidden|Content-Type: text/html|Content-Length: 9||forbidden"],
    // Refusals.
    &["Auth-Status: Invalid login or password||"],
    &["Auth-Status: ok|Auth-Server: 127.0.0.1|Auth-Port: PORT||"],
    &["Auth-Status: OK.|Auth-Server: 127.0.0.1|Auth-Port: PORT||"],
    &["Auth-Status: M\u{fc}ller ist gesperrt||"],
    &["Auth-Status:|Auth-Server: 127.0.0.1|Auth-Port: PORT||"],
    &["Auth-Status|Auth-Server: 127.0.0.1|Auth-Port: PORT||"],
    &["Auth-Status: No|Auth-Status: OK|Auth-Server: 127.0.0.1|Auth-Port: PORT||"],
    &["Auth-Status: OK|Auth-Status: No|Auth-Server: 127.0.0.1|Auth-Port: PORT||"],
    &["Auth-Status: One|Auth-Status: Two||"],
    &["Auth-Status: Later|Auth-Error-Code: 451 4.3.0||"],
    &["Auth-Status: Later|Auth-Error-Code: later||"],
    &["Auth-Status: No|Auth-Wait: 1||"],
    &["Auth-Status: No|Auth-Wait: 0||"],
    &["Auth-Status: No|Auth-Wait: 1x||"],
    &["Auth-Status: No|Auth-Wait: 1|Auth-Wait: soon||"],
    &["Auth-Status: No|Auth-Wait: 001||"],
    // Waiting.
    &["Auth-Status: WAIT|Auth-Wait: 1||", "Auth-Status: No||"],
    &["Auth-Status: WAIT|Auth-Status: No||"],
    // Not valid.
    &["Auth-Status: OK|Auth_Extra: x|Auth-Server: 127.0.0.1|Auth-Port: PORT||"],
    &["Auth-Status: OK| folded|Auth-Server: 127.0.0.1|Auth-Port: PORT||"],
    &["Auth-Status : OK|Auth-Server: 127.0.0.1|Auth-Port: PORT||"],
    &["Auth-Status: OK\rX|Auth-Server: 127.0.0.1|Auth-Port: PORT||"],
    &["HTTP/1.1 200\rOK|Auth-Status: OK||"],
    &["<html>no header at all</html>"],
    &["-Auth-Status: OK||"],
    // Exactly the buffer, one byte more, and no end.
    &["Auth-Status: No|X-Fill: FILL1024||"],
    &["Auth-Status: No|X-Fill: FILL1025||HOLD"],
    &["Auth-Status: No|X-Fill: FILL4000||"],
    &["Auth-Status: OK|Auth-Server: 127.0.0.1|Auth-Port: PORT|"],
    &["Auth-Status: OK|HOLD"],
    &[""],
];

/// For other methods.
const OTHERS: &[Case] = &[
    (
        "cram-md5",
        "imap",
        &["Auth-Status: OK|Auth-Server: 127.0.0.1|Auth-Port: PORT||"],
    ),
    (
        "cram-md5",
        "pop3",
        &["Auth-Status: OK|Auth-Server: 127.0.0.1|Auth-Port: PORT||"],
    ),
    (
        "cram-md5",
        "smtp",
        &["Auth-Status: OK|Auth-Server: 127.0.0.1|Auth-Port: PORT||"],
    ),
    (
        "cram-md5",
        "imap",
        &["Auth-Status: OK|Auth-Server: 127.0.0.1|Auth-Port: PORT|Auth-Pass: of-the-victim||"],
    ),
    (
        "external",
        "imap",
        &["Auth-Status: OK|Auth-Server: 127.0.0.1|Auth-Port: PORT||"],
    ),
    (
        "external",
        "smtp",
        &["Auth-Status: OK|Auth-Server: 127.0.0.1|Auth-Port: PORT||"],
    ),
    (
        "none",
        "smtp",
        &["Auth-Status: OK|Auth-Server: 127.0.0.1|Auth-Port: PORT||"],
    ),
    (
        "none",
        "smtp",
        &["Auth-Status: Relay denied|Auth-Error-Code: 554 5.7.1||"],
    ),
    (
        "none",
        "smtp",
        &["Auth-Status: Relay denied|Auth-Wait: 1||"],
    ),
    ("none", "smtp", &["Auth-Status: OK||"]),
];

/// All cases, each with the login that it answers.
fn cases() -> Vec<(String, Case)> {
    let for_all = FOR_ALL
        .iter()
        .flat_map(|answers| ["imap", "pop3", "smtp"].map(|protocol| ("plain", protocol, *answers)));
    let all = for_all.chain(OTHERS.iter().copied());
    all.enumerate()
        .map(|(number, case)| (format!("case-{number}"), case))
        .collect()
}

/// The bytes of an answer, and whether the connection stays open.
fn answer(text: &str, number: &str, port: u16) -> (Vec<u8>, bool) {
    let mut text = text
        .replace("NUMBER", number)
        .replace("PORT", &port.to_string())
        .replace('|', "\r\n")
        .replace("LF", "\n")
        .replace(JUNK, &"junk".repeat(2000));
    let hold = text.contains(HOLD);
    text = text.replace(HOLD, "");
    if let Some(at) = text.find("FILL") {
        let size: usize = text[at + 4..at + 8].parse().unwrap();
        let fill = size + 8 - text.len();
        text.replace_range(at..at + 8, &"x".repeat(fill));
        assert_eq!(text.len(), size);
    }
    (text.into_bytes(), hold)
}

/// The service, whose answers go by login, and which counts the requests of nginx.
fn service(
    cases: &[(String, Case)],
    backends: &Backends,
) -> (Fake, Arc<Mutex<HashMap<String, usize>>>) {
    let answers: HashMap<_, _> = cases
        .iter()
        .map(|(login, (_, protocol, answers))| {
            let port = backends.port(protocol);
            let answers = answers.iter().map(|text| answer(text, login, port));
            (login.clone(), answers.collect::<Vec<_>>())
        })
        .collect();
    let asked = Arc::new(Mutex::new(HashMap::new()));
    let counts = Arc::clone(&asked);
    let serve = move |talk: &mut Talk| {
        let (mut login, mut client) = (String::new(), String::new());
        while let Some(line) = talk.line().filter(|line| line != b"\r\n") {
            let line = String::from_utf8(line).unwrap();
            let value = |name| {
                line.strip_prefix(name)
                    .map(|value: &str| value.trim().to_owned())
            };
            // Incoming mail has no login: the recipient stands for it.
            if let Some(value) = value("Auth-User: ").filter(|value| !value.is_empty()) {
                login = value;
            } else if let Some(value) = value("Auth-SMTP-To: RCPT TO:<") {
                login = value.trim_end_matches("@mail.test>").to_owned();
            } else if let Some(value) = value("Client-IP: ") {
                client = value;
            }
        }
        let count = {
            let mut counts = counts.lock().unwrap();
            let count = counts.entry(format!("{login} {client}")).or_insert(0);
            *count += 1;
            *count
        };
        let Some(answers) = answers.get(&login) else {
            return;
        };
        let (bytes, hold) = &answers[(count - 1).min(answers.len() - 1)];
        talk.say(bytes);
        match hold {
            true => talk.listen(),
            false => talk.hang_up(),
        }
    };
    (Fake::start(serve), asked)
}

fn probe(url: &str, login: &str, method: &str, protocol: &str) -> Output {
    let mut command = binary::command();
    command
        .args([
            "probe",
            url,
            login,
            "--method",
            method,
            "--protocol",
            protocol,
        ])
        .args(["--no-key", "--timeout", "1", "--client-ip", "192.0.2.7"])
        .args(["--smtp-from", "sender@mail.test", "--smtp-to"])
        .arg(format!("{login}@mail.test"));
    fed(command, PASSWORD)
}

fn fed(mut command: std::process::Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

/// What follows this word at the start of a line.
fn value<'a>(text: &'a str, word: &str) -> &'a str {
    text.lines()
        .find_map(|line| line.strip_prefix(word))
        .unwrap_or_default()
}

#[test]
fn nginx_does_what_probe_says() {
    need_root();
    let cases = cases();
    assert!(FOR_ALL.len() + OTHERS.len() > 60);
    let backends = Backends::start();
    let (service, asked) = service(&cases, &backends);
    let url = format!("http://{LOCALHOST}:{}/auth", service.port);
    let proxy = Proxy::start(service.port);
    let outcomes = Mutex::new(HashMap::<_, usize>::new());
    at_once(&cases, |(login, (method, protocol, answers))| {
        let output = probe(&url, login, method, protocol);
        let said = String::from_utf8(output.stdout).unwrap();
        let place = format!("{login} {method} {protocol} {answers:?}\n{said}");
        assert_eq!(output.stderr, b"", "{place}");
        let status = output.status.code().unwrap();
        *outcomes.lock().unwrap().entry(status).or_default() += 1;

        let name = if *method == "none" { method } else { protocol };
        let mut client = Client::connect(proxy.ports[name]);
        let line = log_in(&mut client, login, method, protocol, PASSWORD);
        let (nginx, seen) = (value(&said, "nginx: "), value(&said, "client: "));
        if let Some(of) = seen.strip_prefix("the mail server's answer to ") {
            assert!(line.ends_with(" backend"), "{line}\n{place}");
            assert!(["LOGIN", "PASS", "RCPT"].contains(&of), "{place}");
        } else if seen == "nothing; it waits" {
            let key = format!("{login} {LOCALHOST}");
            assert!(asked.lock().unwrap()[&key] > 1, "{place}");
        } else {
            assert_eq!(line, seen, "{place}");
        }
        match status {
            0 => {
                let port = backends.port(protocol);
                assert!(nginx.contains(&format!(":{port}")), "{place}");
                let recipient = format!("RCPT TO:<{login}@mail.test>");
                let user = match *method {
                    "none" => &recipient,
                    _ => nginx.split('"').nth(1).unwrap(),
                };
                let password = match (*protocol, nginx.contains("password of Auth-Pass")) {
                    ("smtp", _) => None,
                    (_, true) => Some("of-the-victim"),
                    (_, false) => Some(PASSWORD),
                };
                assert!(backends.saw(user, password), "{user} {place}");
            }
            _ if nginx.contains("closes the connection") => {
                assert!(client.is_closed(), "{place}");
            }
            _ if nginx.contains("lets the client try again") => {
                let usual = ["OK", "250", "completed"];
                let noop = if *protocol == "imap" {
                    "b NOOP"
                } else {
                    "NOOP"
                };
                let line = client.ask(noop);
                assert!(
                    usual.iter().any(|word| line.contains(word)),
                    "{line}\n{place}"
                );
            }
            _ => assert!(nginx.contains("asks the same again"), "{place}"),
        }
        let log = value(&said, "nginx log: ");
        if log.starts_with('[') {
            let (level, message) = log.split_once("] ").unwrap();
            let context = match *method {
                "none" => String::new(),
                _ => format!("login: \"{login}\""),
            };
            let there = |line: &str| line.contains(level) && line.contains(message);
            wait_until(&format!("{log} in nginx's log\n{place}"), || {
                proxy.logged(&context).lines().any(there)
            });
        }
    });
    // Every kind of end was among them.
    let outcomes = outcomes.into_inner().unwrap();
    for status in [0, 1, 69, 75, 76] {
        assert!(outcomes[&status] >= 3, "{status}: {outcomes:?}");
    }
}
