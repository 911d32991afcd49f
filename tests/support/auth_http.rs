//! Another `auth_http` service, scripted by the test.

use crate::support::scripted_server::{Fake, Talk};

pub(crate) fn keys(fake: &Fake) -> String {
    let port = fake.port;
    format!("store = \"http\"\nurl = \"http://127.0.0.1:{port}/auth\"\ntimeout = 1\n")
}

/// Sends this after it has read the question.
pub(crate) fn saying(answer: &'static str) -> Fake {
    Fake::start(move |talk| {
        hear(talk);
        talk.say(answer.as_bytes());
        talk.listen();
    })
}

pub(crate) fn hear(talk: &mut Talk) {
    while talk.line().is_some_and(|line| line != b"\r\n") {}
}

pub(crate) fn to(address: &str, port: u16, more: &str) -> String {
    format!("Auth-Status: OK\nAuth-Server: {address}\nAuth-Port: {port}\n{more}\n")
}

pub(crate) const LOGIN: &[u8] = b"alice";

pub(crate) const PASSWORD: &[u8] = b"marker-password";
