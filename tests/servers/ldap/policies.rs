//! Passwords that a directory takes, and says of that they must be changed: they let nobody in.

use crate::support::program::{ACCEPTED, Program, REFUSED, TEMPORARY, with_store};
use crate::support::scripted_directory::{Act, BIND, Fake, bound, bound_with_control, done, entry};
use crate::support::slapd::{Mode, Slapd};
use crate::support::temp_dir::TempDir;

#[test]
fn openldap_refuses_a_user_who_must_change_the_password_and_accepts_one_with_grace() {
    let slapd = Slapd::with_policy();
    for mode in [Mode::Bind, Mode::SearchBind] {
        let program = Program::serve(&with_store(&slapd.keys(mode)));
        for (login, answer) in [
            ("sound", ACCEPTED),
            ("alice", ACCEPTED),
            ("reset", REFUSED),
            // Twice, once for each mode.
            ("expired", ACCEPTED),
        ] {
            let login = login.as_bytes();
            assert_eq!(program.ask(login, b"right"), answer, "{}", program.log());
        }
        let log = program.log();
        assert!(
            log.contains("the user must change the password first"),
            "{log}"
        );
        let left = if mode == Mode::Bind { 1 } else { 0 };
        let grace = format!("the password has expired; {left} more logins are accepted");
        assert!(log.contains(&grace), "{log}");
    }
    let program = Program::serve(&with_store(&slapd.keys(Mode::SearchBind)));
    assert_eq!(program.ask(b"expired", b"right"), REFUSED);
}

/// 389-ds, FreeIPA and others say it by themselves; a policy that says nothing keeps nobody out.
#[test]
fn what_other_directories_say_beside_a_successful_bind() {
    const BEHERA: &str = "1.3.6.1.4.1.42.2.27.8.5.1";
    for (name, value, answer) in [
        ("2.16.840.1.113730.3.4.4", &b"0"[..], REFUSED),
        ("2.16.840.1.113730.3.4.5", b"3600", ACCEPTED),
        (BEHERA, b"\x30\x00", ACCEPTED),
        (BEHERA, b"\x30\x03\x81\x01\x00", REFUSED),
        (BEHERA, b"\x30\x03\x81\x01\x01", REFUSED),
        (BEHERA, b"\x30\x03\x81\x01\x02", REFUSED),
        (BEHERA, b"\x30\x05\xa0\x03\x81\x01\x01", ACCEPTED),
        (BEHERA, b"\x30\x05\xa0\x03\x80\x01\x01", ACCEPTED),
        (BEHERA, b"", TEMPORARY),
        (BEHERA, b"\x30\x03\x84\x01\x01", TEMPORARY),
        ("1.2.3", b"", ACCEPTED),
    ] {
        let fake = Fake::answering(move |request| {
            Act::Send(match request.tag {
                BIND => bound_with_control(request.id, name, value),
                _ => [
                    entry(request.id, "uid=alice,dc=example,dc=org"),
                    done(request.id, 0),
                ]
                .concat(),
            })
        });
        for auth in [
            "auth = \"bind\"\nuser-dn = \"uid={login},dc=example,dc=org\"",
            "auth = \"search-bind\"\nbase = \"dc=example,dc=org\"\nfilter = \"(uid={login})\"",
        ] {
            let keys = format!(
                "store = \"ldap\"\nurls = [\"{}\"]\n{auth}\ntimeout = 1\n",
                fake.url()
            );
            let program = Program::serve(&with_store(&keys));
            let said = program.ask(b"alice", b"right");
            assert_eq!(said, answer, "{name} {value:?}\n{}", program.log());
        }
    }
}

/// The account that searches is one of the directory's users too.
#[test]
fn a_bind_dn_that_must_change_its_password_is_named() {
    let fake = Fake::answering(|request| {
        Act::Send(match request.tag {
            BIND if request.content.windows(6).any(|part| part == b"cn=our") => {
                bound_with_control(request.id, "2.16.840.1.113730.3.4.4", b"0")
            }
            BIND => bound(request.id, 0, ""),
            _ => [
                entry(request.id, "uid=alice,dc=example,dc=org"),
                done(request.id, 0),
            ]
            .concat(),
        })
    });
    let folder = TempDir::new();
    let password = folder.write("password", "secret");
    let program = Program::serve(&with_store(&format!(
        "store = \"ldap\"\nurls = [\"{}\"]\nauth = \"search-bind\"\nbind-dn = \"cn=our\"\n\
         bind-password-file = {password:?}\nbase = \"dc=example,dc=org\"\n\
         filter = \"(uid={{login}})\"\n",
        fake.url()
    )));
    assert_eq!(program.ask(b"alice", b"right"), TEMPORARY);
    let log = program.log();
    assert!(
        log.contains("bind-dn is refused: the password has expired"),
        "{log}"
    );
}
