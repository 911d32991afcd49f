//! The account that searches: a password of it that was refused rests, so that the directory does not
//! lock it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use crate::support::program::{ACCEPTED, Program, TEMPORARY, check, with_store};
use crate::support::scripted_directory::{Act, BIND, Fake, bound, done, entry};
use crate::support::temp_dir::TempDir;

/// A directory that answers binds of `cn=our` by this code, and all others by success.
fn directory(code: &Arc<AtomicU8>) -> Fake {
    let code = Arc::clone(code);
    Fake::answering(move |request| {
        let ours = request.content.windows(6).any(|part| part == b"cn=our");
        Act::Send(match request.tag {
            BIND if ours => bound(request.id, code.load(Ordering::SeqCst), ""),
            BIND => bound(request.id, 0, ""),
            _ => [
                entry(request.id, "uid=alice,dc=example,dc=org"),
                done(request.id, 0),
            ]
            .concat(),
        })
    })
}

fn keys(fakes: &[&Fake], password: &str) -> String {
    let urls: Vec<_> = fakes.iter().map(|fake| fake.url()).collect();
    format!(
        "store = \"ldap\"\nurls = {urls:?}\nauth = \"search-bind\"\nbind-dn = \"cn=our\"\n\
         bind-password-file = {password:?}\nbase = \"dc=example,dc=org\"\nfilter = \"(uid={{login}})\"\n"
    )
}

#[test]
fn a_bind_dn_that_is_refused_is_tried_once() {
    for refused in [49, 19, 53] {
        let code = Arc::new(AtomicU8::new(refused));
        let (one, two) = (directory(&code), directory(&code));
        let folder = TempDir::new();
        let password = folder.write("password", "expired").display().to_string();
        let config = with_store(&keys(&[&one, &two], &password));
        let program = Program::serve(&config);
        thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| assert_eq!(program.ask(b"alice", b"x"), TEMPORARY));
            }
        });
        assert_eq!(one.count(BIND) + two.count(BIND), 1, "{refused}");
        let log = program.log();
        let told = "it is retried in a minute, or when its password changes";
        let lines = log
            .lines()
            .filter(|line| line.contains(told) && !line.contains(" cause="));
        assert_eq!(lines.count(), 1, "{log}");
        assert!(
            log.contains("it was refused less than a minute ago"),
            "{log}"
        );
        // `check` is another process.
        let (code, said) = check(&config);
        assert_eq!(code, 78, "{said}");
        assert!(said.contains("bind-dn is refused"), "{said}");
        assert_eq!(one.count(BIND) + two.count(BIND), 2, "{said}");
    }
}

#[test]
fn another_password_is_tried_at_once() {
    let code = Arc::new(AtomicU8::new(49));
    let fake = directory(&code);
    let folder = TempDir::new();
    let password = folder.write("password", "expired").display().to_string();
    let program = Program::serve(&with_store(&keys(&[&fake], &password)));
    assert_eq!(program.ask(b"alice", b"x"), TEMPORARY);
    code.store(0, Ordering::SeqCst);
    // It is correct now, and is still not tried.
    assert_eq!(program.ask(b"alice", b"x"), TEMPORARY);
    assert_eq!(fake.count(BIND), 1);
    folder.write("password", "renewed");
    crate::support::process::wait_until("the new password", || {
        program.ask(b"alice", b"x") == ACCEPTED
    });
}
