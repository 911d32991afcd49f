//! slapd compares without regard to case, blanks and forms of a letter. Who shows no password is let
//! in only where the entry is that of the login that was shown.

use crate::support::program::{Program, REFUSED, TEMPORARY, check, with_store};
use crate::support::scripted_directory::{Act, BIND, Fake, bound, done, entry};
use crate::support::slapd::{Mode, PEOPLE, Slapd};
use crate::support::temp_dir::TempDir;

const EXTERNAL: &str = "[external]\nlogin = \"common-name\"\n";

/// With a certificate whose subject has this common name, as nginx writes it.
fn by_certificate(program: &Program, name: &str) -> String {
    program.answer(&[
        ("HTTP_AUTH_METHOD", "external"),
        ("HTTP_AUTH_PROTOCOL", "smtp"),
        ("HTTP_AUTH_USER", ""),
        ("HTTP_AUTH_PASS", ""),
        ("HTTP_AUTH_SSL", "on"),
        ("HTTP_AUTH_SSL_VERIFY", "SUCCESS"),
        ("HTTP_AUTH_SSL_SUBJECT", &format!("CN={name}")),
    ])
}

/// Logins that slapd takes for `alice`, and their common names.
const LIKE_ALICE: [(&str, &str); 3] = [
    ("\u{ff41}lice", "\\EF\\BD\\81lice"),
    (" alice", "\\ alice"),
    ("alice ", "alice\\ "),
];

#[test]
fn slapd_never_accepts_an_equal_login_without_a_password() {
    let slapd = Slapd::started();
    let by_base = |scope: &str| {
        let keys = slapd.keys(Mode::SearchBind);
        let base = format!("base = {PEOPLE:?}\n");
        let own = format!("base = \"uid={{login}},{PEOPLE}\"\nscope = {scope:?}\n");
        let filter = "(&(objectClass=inetOrgPerson)(uid={login}))";
        assert!(keys.contains(&base) && keys.contains(filter), "{keys}");
        keys.replace(&base, &own)
            .replace(filter, "(objectClass=inetOrgPerson)")
    };
    let with_attribute = |filter: &str| {
        let keys = slapd.keys(Mode::Compare);
        keys.replace("(uid={login})", filter)
    };
    for keys in [
        slapd.keys(Mode::SearchBind),
        slapd.keys(Mode::Compare),
        with_attribute("(|(mail={login})(userid={login}))"),
        with_attribute("(uid:caseIgnoreMatch:={login})"),
        with_attribute("(0.9.2342.19200300.100.1.1={local})"),
        by_base("base"),
        by_base("sub"),
    ] {
        let program = Program::serve(&(with_store(&keys) + EXTERNAL));
        for name in ["alice", "Alice", "ALICE"] {
            let answer = by_certificate(&program, name);
            assert!(
                answer.starts_with("Auth-Status: OK\n"),
                "{keys}\n{}",
                program.log()
            );
        }
        for (login, name) in LIKE_ALICE {
            let answer = by_certificate(&program, name);
            // An entry of another DN than was asked for lies elsewhere.
            let elsewhere =
                keys.contains("base = \"uid=") && answer.starts_with(TEMPORARY.trim_end());
            assert!(answer == REFUSED || elsewhere, "{keys} {login:?} {answer}");
        }
        if keys.contains("filter = \"(&(objectClass=inetOrgPerson)(uid={login}))\"") {
            assert!(
                program.log().contains(" cause=login-not-proven "),
                "{}",
                program.log()
            );
            // Who shows her password is alice.
            for (login, _) in LIKE_ALICE {
                let answer = program.ask(login.as_bytes(), b"right");
                assert!(
                    answer.starts_with("Auth-Status: OK\n"),
                    "{login}\n{}",
                    program.log()
                );
            }
        }
        assert_eq!(by_certificate(&program, "nobody"), REFUSED);
    }
}

/// A filter that takes what is about the same shows nobody, nor does an entry that hides its name.
#[test]
fn an_entry_that_does_not_say_whose_it_is_needs_a_password() {
    let slapd = Slapd::started();
    let keys = slapd.keys(Mode::SearchBind);
    let keys = keys.replace("(uid={login})", "(:caseIgnoreMatch:={login})");
    let config = with_store(&keys) + EXTERNAL;
    let program = Program::serve(&config);
    assert_eq!(by_certificate(&program, "alice"), REFUSED);
    let (_, said) = check(&config);
    let told = "the filter compares the login with no attribute of the entry: its users cannot log in \
                without a password";
    assert!(said.contains(told), "{said}");
    let fake = Fake::answering(|request| {
        Act::Send(match request.tag {
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
    let program = Program::serve(
        &(with_store(&format!(
            "store = \"ldap\"\nurls = [\"{}\"]\nauth = \"search-bind\"\nbind-dn = \"cn=our\"\n\
             bind-password-file = {password:?}\nbase = \"dc=example,dc=org\"\n\
             filter = \"(uid={{login}})\"\n",
            fake.url()
        )) + EXTERNAL),
    );
    assert_eq!(by_certificate(&program, "alice"), REFUSED);
    let log = program.log();
    assert!(
        log.contains("the store does not say which login it has found"),
        "{log}"
    );
}
