//! Who gets in, in each mode, and what the others are told and the log says.

use std::time::{Duration, Instant};

use crate::support::process::wait_until;
use crate::support::program::{ACCEPTED, Program, REFUSED, TEMPORARY, run_as_cgi, with_store};
use crate::support::slapd::{Mode, ODD, PEOPLE, Slapd};

/// The answer, and the cause that the log gives for it.
fn ask(program: &Program, login: &[u8], password: &[u8]) -> (String, String) {
    let before = program.log().len();
    let answer = program.ask(login, password);
    wait_until("the decision", || program.log()[before..].contains(" ms="));
    let log = program.log();
    let log = &log[before..];
    assert!(!log.contains("marker"), "{log}");
    (answer, cause(log))
}

fn cause(log: &str) -> String {
    let (_, cause) = log.split_once(" cause=").unwrap();
    let cause = cause.split(" ms=").next().unwrap();
    // Which login the mail server sees is in the answer.
    cause.split(" user=").next().unwrap().to_owned()
}

/// What each login is answered, and why; "*" stands for the modes with a search.
#[test]
fn each_kind_of_user_gets_its_answer_in_each_mode() {
    const BOB: &str =
        "Auth-Status: OK\nAuth-Server: 192.0.2.9\nAuth-Port: 1143\nAuth-User: robert\n\n";
    let slapd = Slapd::started();
    for mode in Mode::ALL {
        let program = Program::serve(&with_store(&slapd.keys(mode)));
        let searching = mode != Mode::Bind;
        let unknown = match searching {
            true => "unknown-user",
            false => "wrong-password",
        };
        let no_password = match mode {
            Mode::Compare => "no-password",
            Mode::Bind | Mode::SearchBind => "wrong-password",
        };
        let (bob, off) = match searching {
            true => (BOB, (REFUSED, "disabled")),
            // Without a search nothing is known of a user.
            false => (ACCEPTED, (ACCEPTED, "accepted")),
        };
        for (login, password, answer, why) in [
            ("alice", "right", ACCEPTED, "accepted"),
            ("alice", "marker-wrong", REFUSED, "wrong-password"),
            ("alice", "", REFUSED, "wrong-password"),
            ("alice", "righ", REFUSED, "wrong-password"),
            ("bob", "right", bob, "accepted"),
            ("off", "right", off.0, off.1),
            ("off", "marker-wrong", REFUSED, "wrong-password"),
            ("bare", "right", REFUSED, no_password),
            ("both", "right", ACCEPTED, "accepted"),
            ("nobody", "right", REFUSED, unknown),
            ("", "right", REFUSED, "unknown-user"),
            (ODD, "right", ACCEPTED, "accepted"),
            (ODD, "marker-wrong", REFUSED, "wrong-password"),
        ] {
            let (said, cause) = ask(&program, login.as_bytes(), password.as_bytes());
            assert_eq!(
                (said.as_str(), cause.as_str()),
                (answer, why),
                "{mode:?} {login:?} {password}"
            );
        }
        // A password need not be text.
        let (said, cause) = ask(&program, b"alice", b"\xff\xfe");
        assert_eq!(
            (said.as_str(), cause.as_str()),
            (REFUSED, "wrong-password"),
            "{mode:?}"
        );
    }
}

#[test]
fn as_a_cgi_program_it_is_the_same() {
    let slapd = Slapd::started();
    for mode in Mode::ALL {
        let config = with_store(&slapd.keys(mode));
        for (login, password, answer) in [
            ("alice", "right", ACCEPTED),
            ("alice", "wrong", REFUSED),
            ("alice", "", REFUSED),
            ("nobody", "right", REFUSED),
        ] {
            let (said, log) = run_as_cgi(&config, login.as_bytes(), password.as_bytes());
            assert_eq!(said, answer, "{mode:?} {login} {log}");
            assert_eq!(log.matches(" cause=").count(), 1, "{log}");
        }
    }
}

#[test]
fn values_that_cannot_be_used_are_that_login_s_trouble_alone() {
    let slapd = Slapd::started();
    let search_bind = Program::serve(&with_store(&slapd.keys(Mode::SearchBind)));
    let compare = Program::serve(&with_store(&slapd.keys(Mode::Compare)));
    for (program, login, detail) in [
        (
            &search_bind,
            "bad-port",
            "ldap: attribute mailPort: it is not 1 to 65535",
        ),
        (
            &search_bind,
            "two-hosts",
            "ldap: attribute mailServer: it has several values",
        ),
    ] {
        let (said, cause) = ask(program, login.as_bytes(), b"right");
        assert_eq!(said, REFUSED, "{login}");
        let expected = format!("unusable-entry detail=\"{detail}");
        assert!(cause.starts_with(&expected), "{cause}");
        let (said, cause) = ask(program, login.as_bytes(), b"marker-wrong");
        assert_eq!((said.as_str(), cause.as_str()), (REFUSED, "wrong-password"));
        assert_eq!(ask(program, b"alice", b"right").0, ACCEPTED);
    }
    let (said, cause) = ask(&compare, b"unknown-scheme", b"right");
    assert_eq!(said, REFUSED);
    let expected = "unusable-password detail=\"ldap: attribute userPassword: ";
    assert!(cause.starts_with(expected), "{cause}");
}

#[test]
fn of_two_entries_none_is_the_right_one() {
    let slapd = Slapd::started();
    for mode in [Mode::SearchBind, Mode::Compare] {
        let keys = slapd.keys(mode).replace(PEOPLE, "dc=example,dc=org");
        let program = Program::serve(&with_store(&keys));
        let (said, cause) = ask(&program, b"twins", b"right");
        assert_eq!(said, REFUSED, "{mode:?}");
        let expected = "unusable-entry detail=\"ldap: several entries are found by \
                        (&(objectClass=inetOrgPerson)(uid=twins)) under dc=example,dc=org\"";
        assert_eq!(cause, expected, "{mode:?}");
        assert_eq!(ask(&program, b"alice", b"right").0, ACCEPTED);
    }
}

/// Without who searches, users can read their own entries once they are bound.
#[test]
fn a_user_who_binds_by_a_template_reads_the_own_entry() {
    let slapd = Slapd::started();
    let keys = slapd.keys(Mode::Bind)
        + "host-attribute = \"mailServer\"\nport-attribute = \"mailPort\"\n\
           nologin-attribute = \"mailLocked\"\n";
    let program = Program::serve(&with_store(&keys));
    for (login, password, answer, why) in [
        (
            "bob",
            "right",
            "Auth-Status: OK\nAuth-Server: 192.0.2.9\nAuth-Port: 1143\n\n",
            "accepted",
        ),
        ("bob", "wrong", REFUSED, "wrong-password"),
        ("off", "right", REFUSED, "disabled"),
        ("off", "wrong", REFUSED, "wrong-password"),
        ("alice", "right", ACCEPTED, "accepted"),
    ] {
        let (said, cause) = ask(&program, login.as_bytes(), password.as_bytes());
        assert_eq!((said.as_str(), cause.as_str()), (answer, why), "{login}");
    }
}

/// With base and filter the mode bind knows who is there.
#[test]
fn a_user_who_binds_by_a_template_can_be_looked_up_before() {
    let slapd = Slapd::started();
    let keys = slapd.keys(Mode::Bind)
        + &format!(
            "base = {PEOPLE:?}\nfilter = \"(uid={{login}})\"\nhost-attribute = \"mailServer\"\n"
        );
    let program = Program::serve(&with_store(&keys));
    for (login, password, why) in [
        ("bob", "right", "accepted"),
        ("bob", "wrong", "wrong-password"),
        ("nobody", "right", "unknown-user"),
    ] {
        assert_eq!(
            ask(&program, login.as_bytes(), password.as_bytes()).1,
            why,
            "{login}"
        );
    }
}

/// Such a login is unknown: it is not another user, and not a temporary failure.
#[test]
fn no_login_is_more_than_a_name() {
    let slapd = Slapd::started();
    let mut logins: Vec<Vec<u8>> = [
        "*",
        "a*",
        "al*ce",
        "*)(uid=*",
        "alice)(uid=alice",
        "alice)(objectClass=*",
        "alice))(|(uid=*",
        "x)(|(uid=alice",
        "(uid=alice)",
        "\\2a",
        "al\\69ce",
        "alice\\00",
        "alice\\",
        "\\61lice",
        "alice,dc=evil",
        ",dc=evil",
        "alice,ou=people,dc=example,dc=org",
        "uid=alice",
        "uid=alice,ou=people,dc=example,dc=org",
        "x,uid=alice",
        "x+uid=alice",
        "alice+sn=x",
        "#616c696365",
        "#0405616c696365",
        "\"alice\"",
        "'alice'",
        "alice;x",
        "<alice>",
        "alice\u{e9}",
        "{login}",
        "{local}",
        "search",
        "cn=search,dc=example,dc=org",
    ]
    .map(|login| login.as_bytes().to_vec())
    .to_vec();
    for byte in 0..=255_u8 {
        // A blank at either end means nothing to the rule that compares a uid (RFC 4518, 2.6.1).
        if byte != b' ' {
            logins.push(vec![byte]);
            logins.push([b"alice", &[byte][..]].concat());
            logins.push([&[byte][..], b"alice"].concat());
        }
    }
    for mode in Mode::ALL {
        let program = Program::serve(&with_store(&slapd.keys(mode)));
        for login in &logins {
            let said = program.ask(login, b"right");
            assert_eq!(said, REFUSED, "{mode:?} {:?}", login.escape_ascii());
        }
        assert_eq!(program.ask(b"alice", b"right"), ACCEPTED);
        let log = program.log();
        assert!(!log.contains(" WARN "), "{log}");
    }
}

#[test]
fn stored_passwords_that_may_not_be_read_are_told_from_none() {
    let slapd = Slapd::started();
    let keys = slapd.keys(Mode::Compare);
    // Anonymous, as all but one may not read them.
    let anonymous: String = keys
        .lines()
        .filter(|line| !line.starts_with("bind-"))
        .map(|line| format!("{line}\n"))
        .collect();
    let program = Program::serve(&with_store(&anonymous));
    let (said, cause) = ask(&program, b"alice", b"right");
    assert_eq!(said, TEMPORARY);
    assert_eq!(
        cause,
        "store-trouble detail=\"ldap: attribute userPassword: bind-dn may not read it\""
    );
    let program = Program::serve(&with_store(&keys));
    assert_eq!(ask(&program, b"bare", b"right").1, "no-password");
}

/// The time of an unknown login is spent as that of a known one is: on a bind, or on a hash.
#[test]
fn an_unknown_login_takes_about_as_long() {
    let slapd = Slapd::started();
    for mode in [Mode::SearchBind, Mode::Compare] {
        let program = Program::serve(&with_store(&slapd.keys(mode)));
        let time = |login: &[u8]| {
            let start = Instant::now();
            assert_eq!(program.ask(login, b"wrong"), REFUSED);
            start.elapsed()
        };
        // Both by turns, so that what else the machine does slows both.
        let mut times: Vec<_> = (0..60).map(|_| (time(b"bob"), time(b"nobody"))).collect();
        let mut middle = |of: fn(&(Duration, Duration)) -> Duration| {
            times.sort_unstable_by_key(of);
            of(&times[times.len() / 2])
        };
        // bob has {CRYPT}, which takes a millisecond to check.
        let (known, unknown) = (middle(|pair| pair.0), middle(|pair| pair.1));
        assert!(
            unknown * 3 > known && known * 3 > unknown,
            "{mode:?}: {known:?} {unknown:?}"
        );
    }
}
