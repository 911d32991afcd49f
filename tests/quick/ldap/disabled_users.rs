//! Users that a directory has and refuses.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::program::{Program, with_store};
use crate::support::scripted_directory::{Act, Fake, bound};

/// A user who cannot log in answers as one who is not there: text, codes and time. The directory says so at
/// once, where for others it computes a hash.
#[test]
fn a_disabled_user_is_refused_like_an_unknown_one() {
    let fake = Fake::answering(|request| {
        let has = |name: &[u8]| request.content.windows(name.len()).any(|part| part == name);
        let (code, words) = match () {
            () if has(b"uid=locked") => (19, "Exceed password retry limit. Please try later."),
            () if has(b"uid=off") => (53, "Account inactivated. Contact system administrator."),
            () if has(b"uid=bare") => (48, ""),
            () if has(b"uid=expired") => (49, "80090308: x, data 701, v2580"),
            () if has(b"uid=known") => {
                thread::sleep(Duration::from_millis(200));
                (49, "")
            }
            () => (49, ""),
        };
        Act::Send(bound(request.id, code, words))
    });
    let keys = format!(
        "store = \"ldap\"\nurls = [\"{}\"]\nauth = \"bind\"\n\
         user-dn = \"uid={{login}},dc=example,dc=org\"\n",
        fake.url()
    );
    let text = with_store(&keys) + "[answers]\ncodes = true\n";
    let program = Program::serve(&text);
    let logins: [&[u8]; 6] = [b"locked", b"off", b"bare", b"expired", b"known", b"nobody"];
    let ask = |login: &[u8]| {
        let start = Instant::now();
        let answer = program.ask(login, b"marker-wrong");
        (answer, start.elapsed())
    };
    let (expected, at_first) = ask(b"nobody");
    // Before anything is known of the directory, a hash may take that long.
    assert!(at_first >= Duration::from_millis(100), "{at_first:?}");
    for _ in 0..2 {
        assert_eq!(ask(b"known").0, expected);
    }
    for login in logins {
        let (answer, took) = ask(login);
        assert_eq!(answer, expected, "{}", login.escape_ascii());
        let fits = Duration::from_millis(200)..Duration::from_millis(800);
        assert!(fits.contains(&took), "{}: {took:?}", login.escape_ascii());
    }
    let log = program.log();
    for (cause, times) in [
        ("cause=account-refused ", 3),
        ("cause=no-password ", 1),
        ("cause=wrong-password ", 5),
    ] {
        assert_eq!(log.matches(cause).count(), times, "{log}");
    }
    assert!(!log.contains("marker"), "{log}");
}
