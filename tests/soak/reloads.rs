//! Files that change under load, for good and bad versions.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::process::wait_until;
use crate::support::soak::load::{Caller, Finally};
use crate::support::soak::victim::{Start, Victim};
use crate::support::temp_dir::TempDir;

/// Versions go around: address, port and, from the password file, the login at the mail server
/// have the same number.
const VERSIONS: usize = 200;

fn config(version: usize) -> String {
    let port = 10_000 + version;
    format!(
        "[[users]]\nstore = \"file\"\npath = \"users\"\nallow-weak-schemes = true\n\
         [routes]\ndefault = \"192.0.2.{version}\"\n[ports]\nimap = {port}\n\
         [log]\nlevel = \"warn\"\n"
    )
}

fn users(version: usize) -> String {
    format!(
        "alice:{{PLAIN}}right\n\
         bob:{{PLAIN}}right:::::: host=198.51.100.{version} port={} user=bob-{version}\n",
        20_000 + version
    )
}

/// The version that an answer comes from, if it comes from one alone.
fn version(answer: &str) -> Option<usize> {
    let field = |name: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.strip_prefix(": "))
    };
    if field("Auth-Status") != Some("OK") {
        return None;
    }
    let last: usize = field("Auth-Server")?.rsplit('.').next()?.parse().ok()?;
    let port: usize = field("Auth-Port")?.parse().ok()?;
    let user = field("Auth-User");
    let of_bob = user.map(|user| user.strip_prefix("bob-").and_then(|it| it.parse().ok()));
    let same = match of_bob {
        Some(number) => number == Some(last) && port == 20_000 + last,
        None => port == 10_000 + last,
    };
    same.then_some(last)
}

/// Versions that must not come into force, and what puts them in place.
const BROKEN: [fn(&Victim); 7] = [
    |victim| victim.replace("auth.toml", "[[users]]\nstore = \"accept\"\n[routes\n"),
    |victim| victim.replace("auth.toml", &config(1)[..60]),
    |victim| victim.replace("auth.toml", ""),
    // Half of a file that is being written in its place.
    |victim| fs::write(victim.dir().path().join("users"), &users(1)[..22]).unwrap(),
    |victim| victim.replace("users", ""),
    |victim| fs::remove_file(victim.dir().path().join("users")).unwrap(),
    |victim| {
        use std::os::unix::fs::PermissionsExt as _;
        let file = victim.dir().path().join("auth.toml");
        fs::set_permissions(file, fs::Permissions::from_mode(0o000)).unwrap();
    },
];

/// Asks all the time; what it got that was no whole version. The last version of each file that
/// was seen goes to `seen`.
fn ask(
    socket: &Path,
    done: &AtomicBool,
    asked: &AtomicU64,
    seen: &[AtomicUsize; 2],
) -> Vec<String> {
    let mut caller = Caller::new(socket);
    let mut wrong = Vec::new();
    while !done.load(Ordering::Relaxed) {
        for (login, seen) in [("alice", &seen[0]), ("bob", &seen[1])] {
            match caller.ask(login, "right") {
                Ok(answer) => match version(&answer) {
                    Some(version) => seen.store(version, Ordering::Relaxed),
                    None => wrong.push(answer),
                },
                Err(error) => wrong.push(error.to_string()),
            }
            asked.fetch_add(1, Ordering::Relaxed);
        }
        thread::sleep(Duration::from_millis(1));
    }
    wrong
}

#[test]
fn no_request_fails_and_every_answer_comes_from_one_version() {
    let rounds = crate::support::soak::sizes().reloads;
    let sockets = TempDir::new();
    let socket = sockets.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    // As a user who cannot read every file.
    let victim = Start::new(&config(0), &users(0))
        .under(&[
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
        ])
        .inheriting(OwnedFd::from(listener));
    let _log = victim.shown_on_failure();
    // Before it is our program, a signal would end it.
    let mut caller = Caller::new(&socket);
    wait_until("the program", || caller.ask("alice", "right").is_ok());
    let (done, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    let seen = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let start = Instant::now();
    let mut broken = 0;
    let wrong = thread::scope(|scope| {
        let (socket, done, asked, seen) = (&socket, &done, &asked, &seen);
        let clients: Vec<_> = (0..4)
            .map(|_| scope.spawn(move || ask(socket, done, asked, seen)))
            .collect();
        let finished = Finally(done);
        for round in 1..=rounds {
            if round % 3 == 2 {
                let (before, said) = (asked.load(Ordering::Relaxed), victim.log().len());
                BROKEN[round / 3 % BROKEN.len()](&victim);
                victim.signal(Signal::HUP);
                broken += 1;
                wait_until("it to be reported, and requests", || {
                    let log = victim.log().split_off(said);
                    let reported = log.contains("previous version stays in force");
                    reported && asked.load(Ordering::Relaxed) > before + 20
                });
            }
            let number = round % VERSIONS;
            victim.replace("users", &users(number));
            victim.replace("auth.toml", &config(number));
            // Most by the signal, some as they are found.
            if round % 20 != 0 {
                victim.signal(Signal::HUP);
            }
            wait_until("the version to be in force", || {
                seen.iter()
                    .all(|seen| seen.load(Ordering::Relaxed) == number)
            });
        }
        drop(finished);
        let wrong = clients
            .into_iter()
            .flat_map(|client| client.join().unwrap());
        wrong.collect::<Vec<_>>()
    });
    crate::support::soak::report(
        "requests while files change",
        asked.into_inner(),
        wrong.len() as u64,
        format_args!(
            "{rounds} good versions and {broken} broken ones in {:.0} s",
            start.elapsed().as_secs_f64()
        ),
    );
    assert!(wrong.is_empty(), "{wrong:?}\n{}", victim.log());
    assert!(broken >= rounds / 4);
}
