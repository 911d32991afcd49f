//! `external`: client certificates.

use crate::support::cgi::certificate;
use crate::support::cgi::{CONFIG, REFUSED, TEMPORARY, ask, cause, check, folder};

#[test]
fn certificates() {
    let dir = folder();
    let settings = "[external]\nlogin = \"common-name\"\nissuer = \"CN=Our CA\"\n";
    dir.write("auth.toml", [CONFIG, settings].concat());
    let ok = "Auth-Status: OK\nAuth-Server: 192.0.2.1\nAuth-Port: 143\n";
    let with = |login: &str, variables: Vec<(&str, &str)>| {
        let (answer, log) = ask(
            &dir,
            &[variables.as_slice(), &[("HTTP_AUTH_USER", login)]].concat(),
        );
        assert!(
            !answer.contains("stale") && !log.contains("stale"),
            "{answer}{log}"
        );
        (answer.replace("Auth-Wait: 2\n", ""), cause(&log).to_owned())
    };
    let mut without_tls = certificate("CN=alice", "SUCCESS");
    without_tls.retain(|(name, _)| *name != "HTTP_AUTH_SSL");
    let mut without_verify = certificate("CN=alice", "SUCCESS");
    without_verify.retain(|(name, _)| *name != "HTTP_AUTH_SSL_VERIFY");
    let mut other_issuer = certificate("CN=alice", "SUCCESS");
    other_issuer.last_mut().unwrap().1 = "CN=Their CA";
    let good = |subject| certificate(subject, "SUCCESS");
    for (login, variables, answer, why) in [
        (
            "alice",
            good("CN=alice,O=x"),
            format!("{ok}Auth-Pass: pass word\n\n"),
            "accepted",
        ),
        (
            "",
            good("CN=alice"),
            format!("{ok}Auth-User: alice\nAuth-Pass: pass word\n\n"),
            "accepted",
        ),
        (
            "bob",
            good("CN=alice"),
            REFUSED.to_owned(),
            "wrong-certificate",
        ),
        (
            "alice",
            good("/O=x/CN=alice"),
            REFUSED.to_owned(),
            "wrong-certificate",
        ),
        (
            "alice",
            good("CN=alice,CN=bob"),
            REFUSED.to_owned(),
            "wrong-certificate",
        ),
        (
            "alice",
            good("O=alice"),
            REFUSED.to_owned(),
            "wrong-certificate",
        ),
        ("", good("O=alice"), REFUSED.to_owned(), "wrong-certificate"),
        (
            "alice",
            other_issuer,
            REFUSED.to_owned(),
            "wrong-certificate",
        ),
        (
            "alice",
            certificate("CN=alice", "NONE"),
            REFUSED.to_owned(),
            "no-certificate",
        ),
        (
            "alice",
            certificate("CN=alice", "FAILED:self-signed certificate"),
            REFUSED.to_owned(),
            "no-certificate",
        ),
        ("alice", without_tls, REFUSED.to_owned(), "no-certificate"),
        (
            "alice",
            without_verify,
            REFUSED.to_owned(),
            "no-certificate",
        ),
        ("zoe", good("CN=zoe"), REFUSED.to_owned(), "unknown-user"),
        ("off", good("CN=off"), REFUSED.to_owned(), "disabled"),
        (
            "office",
            good("CN=office"),
            REFUSED.to_owned(),
            "network-not-allowed",
        ),
        // nginx would have nothing to log in with at the mail server.
        (
            "dave",
            good("CN=dave"),
            TEMPORARY.to_owned(),
            "password-needed",
        ),
    ] {
        let (answered, cause) = with(login, variables.clone());
        assert_eq!(
            (answered, cause.as_str()),
            (answer, why),
            "{login} {variables:?}"
        );
    }
    dir.write("auth.toml", CONFIG);
    let (answer, cause) = with("alice", good("CN=alice"));
    assert_eq!(
        (answer.as_str(), cause.as_str()),
        (REFUSED, "unsupported-method")
    );
}

#[test]
fn settings_that_cannot_work() {
    let dir = folder();
    for (settings, message) in [
        (
            "login = \"cn\"",
            "external.login: must be one of \"common-name\", \"email\", \"subject\", not \"cn\"",
        ),
        ("issuer = \"CN=Our CA\"", "external.login: is missing"),
        (
            "login = \"email\"\nissuer = \"\"",
            "external.issuer: must not be empty",
        ),
    ] {
        dir.write("auth.toml", format!("{CONFIG}[external]\n{settings}\n"));
        let (text, code) = check(&dir);
        assert!(text.contains(message), "{text}");
        assert_eq!(code, Some(78));
    }
}
