//! What a filter may ask for besides the login, how it may be written, and the networks of a user.

use crate::support::program::{ACCEPTED, Program, REFUSED, check, with_store};
use crate::support::slapd::{Mode, Slapd};

fn answer(program: &Program, protocol: &str, client: &str, login: &str) -> String {
    program.answer(&[
        ("HTTP_AUTH_USER", login),
        ("HTTP_AUTH_PASS", "right"),
        ("HTTP_AUTH_PROTOCOL", protocol),
        ("HTTP_CLIENT_IP", client),
    ])
}

/// The keys of a mode with another filter.
fn with_filter(slapd: &Slapd, mode: Mode, filter: &str) -> String {
    let usual = "filter = \"(&(objectClass=inetOrgPerson)(uid={login}))\"\n";
    let keys = slapd.keys(mode);
    assert!(keys.contains(usual), "{keys}");
    keys.replace(usual, &format!("filter = \"\"\"{filter}\"\"\"\n"))
}

#[test]
fn a_filter_can_ask_for_the_protocol_and_the_client() {
    let slapd = Slapd::started();
    for mode in [Mode::SearchBind, Mode::Compare] {
        for (filter, here, elsewhere) in [
            (
                "(&(uid={login})(mailService={protocol}))",
                ("imap", "192.0.2.9"),
                ("pop3", "192.0.2.9"),
            ),
            (
                "(&(uid={login})(mailService={client_ip}))",
                ("pop3", "192.0.2.7"),
                ("pop3", "192.0.2.8"),
            ),
            (
                "(&(uid={login})(mailService={client_ip}))",
                ("smtp", "::ffff:192.0.2.7"),
                ("imap", "unix:"),
            ),
            (
                "(&(uid={login})(|(mailService={protocol})(mailService=none)))",
                ("imap", "unix:"),
                ("smtp", "unix:"),
            ),
        ] {
            let program = Program::serve(&with_store(&with_filter(&slapd, mode, filter)));
            let said = |(protocol, client)| answer(&program, protocol, client, "reader");
            let is_in = said(here).starts_with("Auth-Status: OK\n");
            assert!(is_in, "{mode:?} {filter}\n{}", program.log());
            assert_eq!(
                said(elsewhere),
                REFUSED,
                "{mode:?} {filter}\n{}",
                program.log()
            );
        }
    }
    // A name that holds it, in a DN and in a base: nobody is there.
    for keys in [
        slapd
            .keys(Mode::Bind)
            .replace("uid={login},", "uid={login},ou={protocol},"),
        slapd
            .keys(Mode::SearchBind)
            .replace("base = \"", "base = \"ou={protocol},"),
    ] {
        let program = Program::serve(&with_store(&keys));
        assert_eq!(
            answer(&program, "imap", "192.0.2.7", "alice"),
            REFUSED,
            "{keys}"
        );
    }
}

/// Where right passwords are remembered, one protocol is not another.
#[test]
fn what_is_remembered_goes_by_the_protocol() {
    let slapd = Slapd::started();
    let filter = "(&(uid={login})(mailService={protocol}))";
    let keys = with_filter(&slapd, Mode::SearchBind, filter) + "cache = 60\n";
    let program = Program::serve(&with_store(&keys));
    for _ in 0..2 {
        assert_eq!(answer(&program, "imap", "192.0.2.7", "reader"), ACCEPTED);
        assert_eq!(answer(&program, "pop3", "192.0.2.7", "reader"), REFUSED);
    }
}

#[test]
fn a_filter_may_be_written_over_several_lines() {
    let slapd = Slapd::started();
    let filter = "\n  (& (objectClass = inetOrgPerson)\n     (| (uid={login})\n        (mail={login}) )\n  )\n";
    let keys = with_filter(&slapd, Mode::SearchBind, filter);
    let (code, said) = check(&with_store(&keys));
    assert_eq!(code, 0, "{said}");
    let program = Program::serve(&with_store(&keys));
    assert_eq!(answer(&program, "imap", "192.0.2.7", "alice"), ACCEPTED);
    assert_eq!(answer(&program, "imap", "192.0.2.7", "nobody"), REFUSED);
}

#[test]
fn an_attribute_names_the_networks_of_a_user() {
    let slapd = Slapd::started();
    for mode in Mode::ALL {
        for cache in ["", "cache = 60\n"] {
            let keys = slapd.keys(mode) + "allow-nets-attribute = \"mailNets\"\n" + cache;
            let program = Program::serve(&with_store(&keys));
            for (login, client, wanted) in [
                ("office", "192.0.2.200", ACCEPTED),
                ("office", "198.51.100.7", ACCEPTED),
                ("office", "2001:db8::5", ACCEPTED),
                ("office", "198.51.100.8", REFUSED),
                ("office", "unix:", REFUSED),
                ("office", "192.0.2.200", ACCEPTED),
                ("alice", "198.51.100.8", ACCEPTED),
                ("bad-nets", "192.0.2.200", REFUSED),
            ] {
                let said = answer(&program, "imap", client, login);
                assert_eq!(
                    said,
                    wanted,
                    "{mode:?} {cache}{login} {client}\n{}",
                    program.log()
                );
            }
            let log = program.log();
            assert!(log.contains("cause=network-not-allowed"), "{log}");
            assert!(
                log.contains("attribute mailNets: it is not a list of networks"),
                "{log}"
            );
        }
    }
    let keys = slapd.keys(Mode::Compare) + "allow-nets-attribute = \"mail nets\"\n";
    let (_, said) = check(&with_store(&keys));
    assert!(
        said.contains("users.allow-nets-attribute: is not an attribute name"),
        "{said}"
    );
}

#[test]
fn attributes_name_the_protocols_and_the_end_of_a_user() {
    let slapd = Slapd::started();
    for mode in Mode::ALL {
        let more = "protocols-attribute = \"mailProtocols\"\nexpires-attribute = \"mailUntil\"\n";
        let program = Program::serve(&with_store(&(slapd.keys(mode) + more)));
        for (login, protocol, accepted) in [
            ("imap-only", "imap", true),
            ("imap-only", "pop3", false),
            ("bad-protocols", "imap", false),
            ("ended", "imap", false),
            ("later", "imap", true),
            ("alice", "pop3", true),
        ] {
            let said = answer(&program, protocol, "192.0.2.7", login);
            let is_accepted = said.starts_with("Auth-Status: OK\n");
            assert_eq!(is_accepted, accepted, "{mode:?} {login}\n{}", program.log());
            assert!(accepted || said == REFUSED, "{said}");
        }
        let log = program.log();
        for part in [
            "cause=protocol-not-allowed",
            "attribute mailProtocols: it is not a list of protocols",
            "cause=disabled detail=\"the account has expired\"",
        ] {
            assert!(log.contains(part), "{part}: {log}");
        }
    }
}
