//! Encrypted connections, and certificates that are checked.

use crate::support::certificates::Certificates;
use crate::support::program::{ACCEPTED, Program, REFUSED, TEMPORARY, check, path_key, with_store};
use crate::support::slapd::{Mode, Slapd};

#[test]
fn a_trusted_certificate_of_the_right_name_is_taken() {
    let slapd = Slapd::with_tls();
    let ca = path_key("ca-file", &slapd.ca());
    for (url, starttls) in [
        (slapd.url(), true),
        (slapd.url_by("localhost"), true),
        (slapd.tls_url("127.0.0.1"), false),
        (slapd.tls_url("localhost"), false),
    ] {
        for mode in Mode::ALL {
            let keys = slapd.keys_at(mode, std::slice::from_ref(&url));
            let config = with_store(&format!("{keys}{ca}starttls = {starttls}\n"));
            let program = Program::serve(&config);
            assert_eq!(
                program.ask(b"alice", b"right"),
                ACCEPTED,
                "{url} {}",
                program.log()
            );
            assert_eq!(program.ask(b"alice", b"wrong"), REFUSED, "{url}");
            let (code, complaints) = check(&config);
            assert_eq!((code, complaints.as_str()), (0, ""), "{url}");
        }
    }
}

#[test]
fn any_other_certificate_is_not() {
    let slapd = Slapd::with_tls();
    let others = Certificates::made_for("DNS:localhost,IP:127.0.0.1");
    let ours = path_key("ca-file", &slapd.ca());
    let theirs = path_key("ca-file", &others.ca());
    for (url, ca, starttls, why) in [
        (slapd.url(), &theirs, true, "invalid peer certificate"),
        (
            slapd.tls_url("127.0.0.1"),
            &theirs,
            false,
            "invalid peer certificate",
        ),
        // The name is another.
        (
            slapd.tls_url("127.0.0.2"),
            &ours,
            false,
            "not valid for name",
        ),
    ] {
        let keys = slapd.keys_at(Mode::SearchBind, std::slice::from_ref(&url));
        let config = with_store(&format!("{keys}{ca}starttls = {starttls}\n"));
        let program = Program::serve(&config);
        assert_eq!(program.ask(b"alice", b"right"), TEMPORARY, "{url}");
        let log = program.log();
        assert!(log.contains(&url) && log.contains(why), "{log}");
        let (code, complaints) = check(&config);
        assert_eq!(code, 78, "{url}");
        assert!(
            complaints.contains(&url) && complaints.contains(why),
            "{complaints}"
        );
    }
}

#[test]
fn a_server_without_starttls_is_not_used_in_clear() {
    let slapd = Slapd::started();
    let config = with_store(&format!("{}starttls = true\n", slapd.keys(Mode::Bind)));
    let program = Program::serve(&config);
    assert_eq!(program.ask(b"alice", b"right"), TEMPORARY);
    assert!(
        program.log().contains("StartTLS is refused"),
        "{}",
        program.log()
    );
}

#[test]
fn a_file_without_certificates_is_reported_at_the_start() {
    let slapd = Slapd::with_tls();
    let keys = slapd.keys_at(Mode::Bind, &[slapd.tls_url("localhost")]);
    let config = with_store(&format!("{keys}ca-file = \"auth.toml\"\n"));
    let (code, complaints) = check(&config);
    assert_eq!(code, 78);
    assert!(
        complaints.contains("auth.toml:6:11: users.ca-file: "),
        "{complaints}"
    );
}

#[test]
fn a_unix_socket_works_too() {
    let slapd = Slapd::started();
    for mode in Mode::ALL {
        let keys = slapd.keys_at(mode, &[slapd.socket_url()]);
        let program = Program::serve(&with_store(&keys));
        assert_eq!(
            program.ask(b"alice", b"right"),
            ACCEPTED,
            "{}",
            program.log()
        );
        assert_eq!(program.ask(b"alice", b"wrong"), REFUSED);
    }
}
