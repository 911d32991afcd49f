//! Servers that refuse slowly: a guess still counts, and delays no other login.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::scripted_directory as directory;
use crate::support::scripted_directory::{Act, bound, done};
use crate::support::scripted_server::{Fake, Talk};
use crate::support::serving::Serving;
use crate::support::throttled::*;

use Said::{In, Out};

const HERE: &str = "192.0.2.10";
const THERE: &str = "198.51.100.20";

/// How often the right password of carol is answered too late.
const SLOW: usize = 5;

/// Who takes the password "secret-right" at once, "secret-slow" after it was left unanswered for [`SLOW`]
/// times, and says nothing to any other for longer than anybody waits.
#[derive(Clone, Default)]
struct Judge(Arc<AtomicUsize>);

impl Judge {
    fn says_yes(&self, message: &[u8]) -> bool {
        let has = |word: &[u8]| message.windows(word.len()).any(|part| part == word);
        has(b"secret-right")
            || (has(b"secret-slow") && self.0.fetch_add(1, Ordering::SeqCst) >= SLOW)
    }
}

fn imap(judge: &Judge, talk: &mut Talk) {
    talk.say(b"* OK [CAPABILITY AUTH=PLAIN SASL-IR] hi\r\n");
    let line = talk.line().unwrap_or_default();
    let message = line.split(|byte| *byte == b' ').next_back();
    let message = STANDARD.decode(message.unwrap_or_default().trim_ascii());
    if judge.says_yes(&message.unwrap_or_default()) {
        talk.say(b"c OK in\r\n");
        talk.line();
        return;
    }
    talk.listen();
}

fn pop3(judge: &Judge, talk: &mut Talk) {
    talk.say(b"+OK hi\r\n");
    while let Some(line) = talk.line() {
        match &line[..4] {
            b"CAPA" => talk.say(b"+OK\r\nUSER\r\n.\r\n"),
            b"QUIT" => return,
            b"PASS" if !judge.says_yes(&line) => return talk.listen(),
            _ => talk.say(b"+OK\r\n"),
        }
    }
}

fn http(judge: &Judge, talk: &mut Talk) {
    let mut question = Vec::new();
    while let Some(line) = talk.line().filter(|line| line != b"\r\n") {
        question.extend(line);
    }
    let asks = |word: &[u8]| question.windows(word.len()).any(|part| part == word);
    if !asks(b"Auth-Pass: ") {
        talk.say(b"HTTP/1.0 400 Bad Request\r\n\r\n");
    } else if judge.says_yes(&question) {
        talk.say(b"Auth-Status: OK\r\nAuth-Server: 192.0.2.1\r\nAuth-Port: 143\r\n\r\n");
    } else {
        talk.listen();
    }
}

/// What the store is and that it waits for a second.
fn with_store(keys: &str) -> String {
    config("").replacen(
        "store = \"file\"\npath = \"users\"\nallow-weak-schemes = true\n",
        &format!("{keys}\ntimeout = 1\n"),
        1,
    )
}

#[track_caller]
fn guesses_count_and_keep_nobody_out(keys: &str) {
    let server = Serving::listening(&with_store(keys), USERS);
    assert_eq!(server.log_in(HERE, "bob", "secret-right"), In, "{keys}");
    thread::scope(|scope| {
        let guess = |number| {
            let password = format!("secret-wrong-{number}");
            let said = server.log_in(THERE, "alice", &password);
            assert_eq!(said, Said::Temporary, "{keys}\n{}", server.log());
        };
        let guesses: Vec<_> = (0..8)
            .map(|number| scope.spawn(move || guess(number)))
            .collect();
        while !guesses.iter().all(thread::ScopedJoinHandle::is_finished) {
            let said = server.log_in(HERE, "bob", "secret-right");
            assert_eq!(said, In, "{keys}\n{}", server.log());
        }
    });
    // They were guesses: the next one is not even asked about, also where it is right.
    assert_eq!(
        server.log_in(THERE, "alice", "secret-right"),
        Out(15),
        "{keys}\n{}",
        server.log()
    );
    assert_eq!(
        log_of(&server, "cause=store-trouble"),
        8,
        "{}",
        server.log()
    );
    // Only for this login: for others the store is used normally.
    assert_eq!(server.log_in(HERE, "alice", "secret-right"), In);
    let log = server.log();
    assert!(!log.contains("not answered in time;"), "{log}");
    assert!(!log.contains("it hangs"), "{log}");
    assert!(!log.contains("is unavailable"), "{log}");
    // The owner's one password counts once, however often it was answered too late.
    let carol = "203.0.113.9";
    thread::scope(|scope| {
        for _ in 0..SLOW {
            scope.spawn(|| {
                let said = server.log_in(carol, "carol", "secret-slow");
                assert_eq!(said, Said::Temporary, "{keys}\n{}", server.log());
            });
        }
    });
    assert_eq!(
        server.log_in(carol, "carol", "secret-slow"),
        In,
        "{keys}\n{}",
        server.log()
    );
}

#[test]
fn by_an_imap_server() {
    let judge = Judge::default();
    let fake = Fake::start(move |talk| imap(&judge, talk));
    let port = fake.port;
    let keys = format!("store = \"imap\"\nurl = \"imap://127.0.0.1:{port}\"");
    guesses_count_and_keep_nobody_out(&keys);
}

#[test]
fn by_a_pop3_server() {
    let judge = Judge::default();
    let fake = Fake::start(move |talk| pop3(&judge, talk));
    let port = fake.port;
    let keys = format!("store = \"pop3\"\nurl = \"pop3://127.0.0.1:{port}\"");
    guesses_count_and_keep_nobody_out(&keys);
}

#[test]
fn by_another_service() {
    let judge = Judge::default();
    let fake = Fake::start(move |talk| http(&judge, talk));
    let port = fake.port;
    let keys = format!("store = \"http\"\nurl = \"http://127.0.0.1:{port}/auth\"");
    guesses_count_and_keep_nobody_out(&keys);
}

#[test]
fn by_a_directory() {
    let judge = Judge::default();
    let fake = directory::Fake::answering(move |request| match request.tag {
        directory::BIND if judge.says_yes(&request.content) => Act::Send(bound(request.id, 0, "")),
        directory::BIND => Act::Silence,
        _ => Act::Send(done(request.id, 0)),
    });
    let keys = format!(
        "store = \"ldap\"\nurls = [\"{}\"]\nauth = \"bind\"\nconnections = 32\n\
         user-dn = \"uid={{login}},dc=example,dc=org\"",
        fake.url()
    );
    guesses_count_and_keep_nobody_out(&keys);
}
