//! `apachectl graceful` ends all processes of mod_fcgid, also those that are busy; no login may
//! be lost in them.
//!
//! mod_fcgid itself can lose one: a request that waits for a new process while its process manager
//! ends is never woken (`procmgr_send_spawn_cmd` in fcgid_pm_unix.c reads from a pipe that nobody
//! writes to any more), whatever the program. Such a request never gets to us.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::fronts::{Front, Way};
use crate::support::mail_hosts::MailHosts;
use crate::support::mail_hosts::{KEY, files};
use crate::support::process::wait_until;
use crate::support::snippets::apache;

/// The long form of the soak tests restarts it more often.
fn restarts() -> usize {
    match std::env::var_os("SOAK") {
        None => 10,
        Some(_) => 50,
    }
}

/// Clients at once, and the break of each after a login. Together they make about 20 requests in
/// a second, as each restart lets some of them wait for a new process.
const CLIENTS: usize = 10;
const BREAK: Duration = Duration::from_millis(150);

#[test]
fn no_login_is_lost_by_graceful_restarts_with_mod_fcgid() {
    let restarts = restarts();
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
        let (mut wrong, mut hung) = (Vec::new(), 0);
        while !done.load(Ordering::Relaxed) {
            match front.ask("/mail/auth", headers.as_bytes()) {
                Ok(answer) => {
                    let text = String::from_utf8_lossy(&answer).into_owned();
                    if text.contains("Auth-Status: OK") {
                        answered.fetch_add(1, Ordering::Relaxed);
                    } else {
                        wrong.push(format!("{login}: {text:?}"));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => hung += 1,
                Err(error) => wrong.push(format!("{login}: {error}")),
            }
            thread::sleep(BREAK);
        }
        (wrong, hung)
    };
    let outcomes: Vec<_> = thread::scope(|scope| {
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
        for times in 1..=restarts {
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
        let outcomes = clients.into_iter().map(|client| client.join().unwrap());
        outcomes.collect()
    });
    let log = front.logged();
    let answered = answered.into_inner();
    let decided = log.matches(" answer=OK ").count();
    let hung: usize = outcomes.iter().map(|(_, hung)| hung).sum();
    let wrong: Vec<_> = outcomes.into_iter().flat_map(|(wrong, _)| wrong).collect();
    println!(
        "\nsoak | {restarts} graceful restarts of Apache with mod_fcgid | {answered} | 0 | {hung} more \
         never got to the program |"
    );
    assert!(wrong.is_empty(), "{wrong:#?}\n{log}");
    // Whatever reached a process was answered, and the answer reached the client.
    assert_eq!(decided, answered, "{log}");
    assert!(hung < restarts, "{log}");
}

/// Sets the flag when it goes.
struct Finally<'a>(&'a AtomicBool);

impl Drop for Finally<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
