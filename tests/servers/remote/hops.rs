//! This program before another one of its kind, which stands behind nginx: one domain at a time.

use crate::support::fronts::{Front, Way};
use crate::support::program::{Program, REFUSED, TEMPORARY, check, path_key};
use crate::support::temp_dir::TempDir;

/// The service that was there before, with a file of users.
fn existing() -> Front {
    let config = "\
        [nginx]\n\
        key = \"the other's key\"\n\
        [[users]]\n\
        store = \"file\"\n\
        path = \"users\"\n\
        allow-weak-schemes = true\n\
        [routes]\n\
        default = \"192.0.2.1\"\n";
    let users = "\
        alice@old.example:{PLAIN}sesame 1:::::: host=192.0.2.7 user=al\n\
        bob:{PLAIN}100%41+:::::: nologin\n\
        carol:{PLAIN}pa\u{df}w\u{f6}rd\n\
        dave@lost.example:{PLAIN}x:::::: host=nowhere\n";
    Front::start(
        Way::Nginx,
        &[
            ("auth.toml", config.as_bytes().to_vec()),
            ("users", users.as_bytes().to_vec()),
        ],
    )
}

fn config(existing: &Front, key: &str, folder: &TempDir) -> String {
    let port = existing.port;
    let key = path_key("key-file", &folder.write("key", key));
    folder.write("users", "walter@new.example:{PLAIN}sesame2\n");
    let users = path_key("path", &folder.path().join("users"));
    format!(
        "[[users]]\nstore = \"http\"\ndomains = [\"old.example\", \"lost.example\", \"\"]\n\
         url = \"http://127.0.0.1:{port}/mail/auth\"\n{key}\
         [[users]]\nstore = \"file\"\n{users}allow-weak-schemes = true\n\
         [routes]\ndefault = \"192.0.2.99\"\n"
    )
}

#[test]
fn another_service_decides_about_its_domains() {
    let existing = existing();
    let folder = TempDir::new();
    let config = config(&existing, "the other's key\n", &folder);
    let program = Program::serve(&config);
    let to = |address: &str, more: &str| {
        format!("Auth-Status: OK\nAuth-Server: {address}\nAuth-Port: 143\n{more}\n")
    };
    for (login, password, wanted) in [
        (
            "alice@old.example",
            "sesame 1",
            to("192.0.2.7", "Auth-User: al\n"),
        ),
        ("alice@old.example", "sesame+1", REFUSED.to_owned()),
        ("alice@old.example", "sesame%201", REFUSED.to_owned()),
        ("alice%40old.example", "sesame 1", REFUSED.to_owned()),
        ("bob", "100%41+", REFUSED.to_owned()),
        ("carol", "pa\u{df}w\u{f6}rd", to("192.0.2.1", "")),
        ("nobody@old.example", "sesame 1", REFUSED.to_owned()),
        // His host is not known there: it says the temporary failure.
        ("dave@lost.example", "x", TEMPORARY.to_owned()),
        // Not a domain of that service.
        ("walter@new.example", "sesame2", to("192.0.2.99", "")),
        ("alice@new.example", "sesame 1", REFUSED.to_owned()),
    ] {
        let answer = program.ask(login.as_bytes(), password.as_bytes());
        assert_eq!(answer, wanted, "{login}\n{}", program.log());
    }
    let other = existing.logged();
    let line = other
        .lines()
        .find(|line| line.contains("alice@old.example"));
    assert!(line.unwrap().contains("client=192.0.2.7"), "{other}");
    assert!(!other.contains("walter"), "{other}");
    let (code, said) = check(&config);
    assert_eq!(code, 0, "{said}");
}

/// The other service says the same of a wrong key as of a wrong password, so nobody gets in.
#[test]
fn another_key_accepts_no_login() {
    let existing = existing();
    let folder = TempDir::new();
    let program = Program::serve(&config(&existing, "a wrong key", &folder));
    assert_eq!(program.ask(b"alice@old.example", b"sesame 1"), REFUSED);
    assert!(existing.logged().contains("cause=wrong-key"));
}
