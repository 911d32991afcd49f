//! The keys of imap, pop3 and http: what they become, and what is wrong with bad ones.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use nginx_mail_auth::config::{Config, StoreConfig};
use nginx_mail_auth::users::server::{Dialect, Security};

use crate::support::temp_dir::TempDir;

/// The problems and the warnings of a configuration with this `[[users]]`.
fn complaints(keys: &str) -> (Vec<String>, Vec<String>) {
    let folder = TempDir::new();
    folder.write("ca.pem", "");
    folder.write("key", "marker\n");
    folder.write("empty-key", "\n");
    let config = crate::support::program::with_store(keys);
    let path = folder.write("auth.toml", &config);
    let prefix = format!("{}/auth.toml:", folder.path().display());
    let short = |problem: &nginx_mail_auth::sys::problem::Problem| {
        let text = problem.to_string();
        text.strip_prefix(&prefix).unwrap_or(&text).to_owned()
    };
    match Config::load(&path) {
        Ok(config) => {
            let about_users = config.warnings.iter().filter(|warning| {
                warning
                    .key
                    .as_ref()
                    .is_some_and(|key| key.starts_with("users"))
            });
            (Vec::new(), about_users.map(short).collect())
        }
        Err(problems) => (problems.iter().map(short).collect(), Vec::new()),
    }
}

#[test]
fn bad_values_are_named_with_their_place() {
    for (keys, problems) in [
        ("store = \"imap\"", &["1:1: users.url: is missing"][..]),
        (
            "store = \"imap\"\nurl = \"pop3://mail\"",
            &["3:7: users.url: must be imap://host:port or imaps://host:port"],
        ),
        (
            "store = \"pop3\"\nurl = \"imaps://mail\"",
            &["3:7: users.url: must be pop3://host:port or pop3s://host:port"],
        ),
        (
            "store = \"imap\"\nurl = \"imaps://mail:0\"",
            &["3:7: users.url: has no port from 1 to 65535; write an IPv6 address in [brackets]"],
        ),
        (
            "store = \"imap\"\nurl = \"imaps://\"",
            &["3:7: users.url: has no usable host: \"\""],
        ),
        (
            "store = \"imap\"\nurl = \"imaps://joe:marker@mail\"",
            &["3:7: users.url: must not contain a user or password"],
        ),
        (
            "store = \"imap\"\nurl = \"imaps://mail/inbox\"",
            &["3:7: users.url: must end with the host or its port: leave out what follows"],
        ),
        (
            "store = \"imap\"\nurl = \"imaps://mail\"\nstarttls = true",
            &["4:12: users.starttls: has no effect with imaps://, which encrypts from the start"],
        ),
        (
            "store = \"pop3\"\nurl = \"pop3s://mail\"\ntimeout = 0\nconnect-timeout = 61\ncache = -1",
            &[
                "4:11: users.timeout: must be from 1 to 60, not 0",
                "5:19: users.connect-timeout: must be from 1 to 60, not 61",
                "6:9: users.cache: must be from 0 to 3600, not -1",
            ],
        ),
        (
            "store = \"imap\"\nurl = \"imaps://mail\"\nheaders = { X-A = \"b\" }\nconnections = 4",
            &[
                "4:11: users.headers: store \"imap\" has no such key",
                "5:15: users.connections: store \"imap\" has no such key",
            ],
        ),
        (
            "store = \"http\"\nurl = \"auth:80/x\"",
            &[
                "3:7: users.url: must be http://host:port/uri, https://host:port/uri or \
               unix:/path:/uri",
            ],
        ),
        (
            "store = \"http\"\nurl = \"http://joe:marker@auth/\"",
            &["3:7: users.url: must not contain a user or password"],
        ),
        (
            "store = \"http\"\nurl = \"https://auth/\"\nkey-file = \"empty-key\"",
            &["4:12: users.key-file: the key is empty"],
        ),
        (
            "store = \"http\"\nurl = \"https://auth/\"\nkey-file = \"key\"\n\
             headers = { x-auth-key = \"a\", Auth-User = \"b\", a_b = \"c\", X = \"d\\n\", x = \"e\" }",
            &[
                "5:13: users.headers.x-auth-key: comes from key-file already: only one of the two",
                "5:31: users.headers.Auth-User: is always sent by the program: leave it out",
                "5:48: users.headers.a_b: is not a header name: letters, digits and hyphens",
                "5:63: users.headers.X: must be one line without control characters, and no blank \
                 at either end",
                "5:70: users.headers.x: is set twice: header names are compared without case",
            ],
        ),
        (
            "store = \"http\"\nurl = \"https://auth/\"\ntemporary = [\"later\", \" x\"]",
            &["4:23: users.temporary: starts or ends with a blank, as no Auth-Status does"],
        ),
    ] {
        let (found, _) = complaints(keys);
        assert_eq!(found, problems, "{keys}");
        assert!(!found.concat().contains("marker"));
    }
}

#[test]
fn a_password_in_the_clear_is_warned_of_unless_it_stays_on_this_machine() {
    const SERVER: &str = "passwords are sent there unencrypted: use starttls, or a URL with s";
    const HTTP: &str = "passwords are sent there unencrypted: use https";
    for (keys, warning) in [
        ("store = \"imap\"\nurl = \"imap://mail\"", Some(SERVER)),
        ("store = \"pop3\"\nurl = \"pop3://192.0.2.1\"", Some(SERVER)),
        (
            "store = \"imap\"\nurl = \"imap://mail\"\nstarttls = true",
            None,
        ),
        ("store = \"imap\"\nurl = \"imaps://mail\"", None),
        ("store = \"imap\"\nurl = \"imap://localhost\"", None),
        ("store = \"imap\"\nurl = \"imap://127.1.2.3\"", None),
        ("store = \"imap\"\nurl = \"imap://[::1]\"", None),
        ("store = \"http\"\nurl = \"http://auth/\"", Some(HTTP)),
        ("store = \"http\"\nurl = \"https://auth/\"", None),
        ("store = \"http\"\nurl = \"unix:/run/auth:/\"", None),
        ("store = \"http\"\nurl = \"http://127.0.0.1/\"", None),
    ] {
        let (problems, warnings) = complaints(keys);
        assert_eq!(problems, Vec::<String>::new(), "{keys}");
        let wanted: Vec<_> = warning
            .map(|text| format!("3:7: users.url: {text}"))
            .into_iter()
            .collect();
        assert_eq!(warnings, wanted, "{keys}");
    }
}

#[test]
fn a_ca_file_that_cannot_be_used_is_named() {
    for (content, message) in [
        (None, "No such file or directory"),
        (Some(""), "it contains no certificate"),
        (
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "",
        ),
    ] {
        for keys in [
            "store = \"imap\"\nurl = \"imaps://127.0.0.1:1\"",
            "store = \"http\"\nurl = \"https://127.0.0.1:1/\"",
        ] {
            let folder = TempDir::new();
            let ca = folder.path().join("ca.pem");
            if let Some(content) = content {
                folder.write("ca.pem", content);
            }
            let keys = format!(
                "{keys}\n{}",
                crate::support::program::path_key("ca-file", &ca)
            );
            let (code, said) =
                crate::support::program::check(&crate::support::program::with_store(&keys));
            assert_eq!(code, 78, "{said}");
            let place = "auth.toml:4:11: users.ca-file: ";
            assert!(said.contains(place) && said.contains(message), "{said}");
        }
    }
}

#[test]
fn the_examples_load() {
    let example = |name: &str| {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        let content = fs::read(examples.join(name)).unwrap();
        // Copied, as a checkout may be writable for the group.
        let folder = TempDir::new();
        folder.write("passwd", "alice:{PLAIN}x\n");
        let key = folder.write("another-auth-http.key", "a key of twenty bytes\n");
        fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
        let config = Config::load(&folder.write(name, content));
        config.unwrap_or_else(|problems| panic!("{name}: {problems:?}"))
    };
    let config = example("imap.toml");
    let [users] = &config.users[..] else {
        panic!("one store");
    };
    let StoreConfig::Server(settings) = &users.store else {
        panic!("{users:?}");
    };
    assert_eq!(settings.dialect, Dialect::Imap);
    assert_eq!(settings.security, Security::Tls);
    assert_eq!(config.warnings, []);

    let config = example("another-auth-http.toml");
    let [first, second] = &config.users[..] else {
        panic!("two stores");
    };
    let StoreConfig::Http(settings) = &second.store else {
        panic!("{second:?}");
    };
    assert!(matches!(first.store, StoreConfig::File(_)));
    assert_eq!(
        first.domains.as_deref(),
        Some(&["example.org".to_owned()][..])
    );
    assert_eq!(settings.url.to_string(), "http://127.0.0.1:9000/auth");
    assert_eq!(settings.timeout, Duration::from_secs(4));
    assert_eq!(config.warnings, []);
}
