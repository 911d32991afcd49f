//! Token services with certificates and keys that openssl made.

use crate::support::temp_dir::TempDir;
use crate::support::tokens::key::{Key, jwks};
use crate::support::tokens::service::{Does, Service, serve_tls};
use crate::support::tokens::{CONFIG, USERS, active, good_claims, try_token};
use serde_json::json;
use std::sync::atomic::Ordering;

/// Signed tokens are a matter of the keys, all others of the service.
#[test]
fn keys_and_service_together() {
    let dir = TempDir::new();
    let service = Service::start(Does::Says(200, active().to_string()));
    let [known, unknown] = ["known", "unknown"].map(|name| Key::new(&dir, name, "EdDSA"));
    dir.write("users", USERS);
    dir.write("jwks.json", jwks(&[&known]));
    dir.write(
        "auth.toml",
        service.config() + "jwks-file = \"jwks.json\"\naudience = \"mail\"\n",
    );
    let with = |token: &str| try_token(&dir, "alice@example.com", token).1;
    assert_eq!(with(&known.sign(json!({}), &good_claims())), "accepted");
    assert_eq!(with(&unknown.sign(json!({}), &good_claims())), "bad-token");
    assert_eq!(service.asked().len(), 0);
    // The service does not say whom it is for.
    assert_eq!(with("opaque-token"), "bad-token");
    let mut claims = active();
    claims["aud"] = "mail".into();
    service.does(Does::Says(200, claims.to_string()));
    assert_eq!(with("opaque-token"), "accepted");
    assert_eq!(service.asked().len(), 2);
}

#[test]
fn the_certificate_of_the_service_is_checked() {
    let dir = TempDir::new();
    let path = |name: &str, end: &str| format!("{}/{name}.{end}", dir.path().display());
    let make = |name: &str, names: &str, by: Option<&str>| {
        let (key, cert) = (path(name, "key"), path(name, "pem"));
        let mut arguments = vec!["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"];
        arguments.extend(["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=x"]);
        arguments.extend(["-addext", names, "-keyout", &key, "-out", &cert]);
        let ca = by.map(|by| (path(by, "pem"), path(by, "key")));
        if let Some((cert, key)) = &ca {
            arguments.extend(["-addext", "basicConstraints=critical,CA:FALSE"]);
            arguments.extend(["-CA", cert, "-CAkey", key]);
        }
        Key::openssl(&arguments, None);
        (key, cert)
    };
    make("ca", "keyUsage=keyCertSign", None);
    make("other", "keyUsage=keyCertSign", None);
    let (key, cert) = make("good", "subjectAltName=IP:127.0.0.1", Some("ca"));
    let names = "subjectAltName=DNS:elsewhere.example";
    let (wrong_key, wrong_cert) = make("wrong", names, Some("ca"));
    dir.write("users", USERS);
    for (key, cert, trusted, why) in [
        (&key, &cert, "ca.pem", "accepted"),
        (&key, &cert, "other.pem", "token-trouble"),
        (&wrong_key, &wrong_cert, "ca.pem", "token-trouble"),
    ] {
        let (port, asked) = serve_tls(key, cert);
        let settings =
            format!("introspection-url = \"https://127.0.0.1:{port}/\"\nca-file = \"{trusted}\"\n");
        dir.write("auth.toml", [CONFIG, &settings].concat());
        assert_eq!(try_token(&dir, "alice@example.com", "opaque-token").1, why);
        // Nobody else gets to see the token.
        assert_eq!(asked.load(Ordering::SeqCst), usize::from(why == "accepted"));
    }
}
