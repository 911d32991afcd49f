//! `apachectl graceful` ends all processes of mod_fcgid, also those that are busy; no login may
//! be lost for it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::chain::{KEY, files};
use super::fronts::{Front, Way};
use super::mailhosts::MailHosts;
use super::process::wait_until;
use super::snippets::apache;

const RESTARTS: usize = 10;

/// Clients at once, and the break of each after a login. Together they make about 20 requests in
/// a second, as each restart lets some of them wait for a new process.
const CLIENTS: usize = 10;
const BREAK: Duration = Duration::from_millis(150);

#[test]
fn no_login_is_lost_by_graceful_restarts_with_mod_fcgid() {
    let hosts = MailHosts::shared();
    let front = Front::start(Way::Fcgid, &files(&hosts));
    let (answered, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let restarted = |times: usize| {
        let log = front.logged();
        log.matches("resuming normal operations").count() > times
    };
    let client = &|login: &'static str| {
        let headers = format!(
            "Auth-Method: plain\r\nAuth-User: {login}\r\nAuth-Pass: sesame1\r\n\
             Auth-Protocol: imap\r\nX-Auth-Key: {KEY}\r\n"
        );
        let mut lost = Vec::new();
        while !done.load(Ordering::Relaxed) {
            let answer = front.ask("/mail/auth", headers.as_bytes());
            let text = answer.map(|answer| String::from_utf8_lossy(&answer).into_owned());
            if text
                .as_ref()
                .is_ok_and(|text| text.contains("Auth-Status: OK"))
            {
                answered.fetch_add(1, Ordering::Relaxed);
            } else {
                lost.push(format!("{text:?}"));
            }
            thread::sleep(BREAK);
        }
        lost
    };
    let lost: Vec<_> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            // One of them with a password hash that takes long enough to be interrupted.
            .map(|number| {
                if number == 0 {
                    "walter@example.org"
                } else {
                    "alice"
                }
            })
            .map(|login| scope.spawn(move || client(login)))
            .collect();
        // Also when a wait in here fails, so that the clients end.
        let finished = Finally(&done);
        wait_until("Apache", || restarted(0));
        for times in 1..=RESTARTS {
            let before = answered.load(Ordering::Relaxed);
            wait_until("some logins", || {
                answered.load(Ordering::Relaxed) > before + 20
            });
            let status = apache(&front.apache_config)
                .args(["-k", "graceful"])
                .status();
            assert!(status.unwrap().success());
            wait_until("the restart", || restarted(times));
        }
        drop(finished);
        let lost = clients.into_iter().map(|client| client.join().unwrap());
        lost.flatten().collect()
    });
    let total = answered.into_inner();
    println!("{total} logins answered, {} lost", lost.len());
    assert!(lost.is_empty(), "{lost:#?}\n{}", front.logged());
}

/// Sets the flag when it goes.
struct Finally<'a>(&'a AtomicBool);

impl Drop for Finally<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
