//! examples/dovecot/auth.lua: Dovecot asks the program behind Apache, as nginx does.

use std::net::TcpListener;

use crate::support::dovecot_lua::{self, Dovecot, Login, Version};
use crate::support::front_keys;
use crate::support::fronts::{Front, Way};
use crate::support::snippets::shipped;

const KEY: &str = "the key of this test";

/// The block for `passdb` in docs/dovecot.md.
fn passdb(version: Version) -> String {
    let page = shipped("docs/dovecot.md", &[]);
    let after = match version {
        Version::Old => "Dovecot 2.3. With",
        Version::New => "Dovecot 2.4, where",
    };
    let (_, rest) = page.split_once(after).unwrap();
    let (_, rest) = rest.split_once("```\n").unwrap();
    let (block, _) = rest.split_once("   ```").unwrap();
    block.to_owned()
}

/// The script for a web server at this port.
fn script(port: u16) -> String {
    let here = format!("http://127.0.0.1:{port}/");
    shipped(
        "examples/dovecot/auth.lua",
        &[("http://127.0.0.1:8080/", &here)],
    )
}

#[test]
fn dovecot_accepts_and_refuses_as_the_url_answers() {
    let config = front_keys::config(&format!("key = {KEY:?}")).replace(
        "[routes]",
        "app-passwords-path = \"apps\"\n[[users]]\nstore = \"imap\"\nurl = \"imap://127.0.0.1:1\"\n\
         domains = [\"broken.example\"]\n[routes]",
    );
    let users = "smtponly:*\nalice:{PLAIN}one\nb.c-d_e:{PLAIN}t w%41&o\u{fc}\n";
    let files = [
        ("auth.toml", config.into_bytes()),
        ("users", users.into()),
        (
            "apps",
            "smtponly:{PLAIN}one:scanner:protocols=smtp\n".into(),
        ),
    ];
    let front = Front::start(Way::Fcgid, &files);
    for (version, root) in dovecot_lua::installed() {
        let dovecot = Dovecot::start(version, root, &script(front.port), KEY, &passdb(version));
        for (service, login, password, expected) in [
            ("sieve", "alice", "one", Login::Accepted),
            ("imap", "alice", "one", Login::Accepted),
            ("pop3", "alice", "one", Login::Accepted),
            ("submission", "alice", "one", Login::Accepted),
            ("imap", "alice", "two", Login::Refused),
            ("imap", "alice", "", Login::Refused),
            ("imap", "nobody", "one", Login::Refused),
            ("sieve", "b.c-d_e", "t w%41&o\u{fc}", Login::Accepted),
            ("submission", "smtponly", "one", Login::Accepted),
            ("sieve", "smtponly", "one", Login::Refused),
            // The store of this domain does not answer, and no protocol is set for the service.
            ("imap", "alice@broken.example", "one", Login::Temporary),
            ("doveadm", "alice", "one", Login::Temporary),
        ] {
            let found = dovecot.login(service, "192.0.2.9", login, password);
            assert_eq!(
                found,
                expected,
                "{version:?} {service} {login} {password}\n{}",
                dovecot.log()
            );
        }
        assert!(dovecot.sieve("alice", "one").starts_with("OK"));
        assert!(dovecot.sieve("alice", "two").starts_with("NO"));
        let log = front.logged();
        assert!(
            log.contains("login=\"alice\" protocol=smtp client=192.0.2.9"),
            "{log}"
        );
    }
}

#[test]
fn a_wrong_key_refuses_and_no_web_server_is_a_temporary_failure() {
    let files = [
        (
            "auth.toml",
            front_keys::config(&format!("key = {KEY:?}")).into_bytes(),
        ),
        ("users", front_keys::USERS.into()),
    ];
    let front = Front::start(Way::Fcgid, &files);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = closed.local_addr().unwrap().port();
    drop(closed);
    for (version, root) in dovecot_lua::installed() {
        let start =
            |port, key| Dovecot::start(version, root.clone(), &script(port), key, &passdb(version));
        let login = |dovecot: &Dovecot| dovecot.login("imap", "192.0.2.9", "alice", "one");
        assert_eq!(login(&start(front.port, KEY)), Login::Accepted);
        assert_eq!(login(&start(front.port, "another key")), Login::Refused);
        assert_eq!(login(&start(nobody, KEY)), Login::Temporary);
        // The page that the web server has instead.
        let script = script(front.port).replace("/mail/auth\"", "/mail/else\"");
        let elsewhere = Dovecot::start(version, root.clone(), &script, KEY, &passdb(version));
        assert_eq!(login(&elsewhere), Login::Temporary, "{}", elsewhere.log());
        assert!(
            elsewhere.log().contains("403 Forbidden"),
            "{}",
            elsewhere.log()
        );
    }
}
