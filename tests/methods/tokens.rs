//! `xoauth2` and `oauthbearer`: signed tokens with keys that openssl made, and introspection by a
//! service that does whatever a service can do.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{REFUSED, TEMPORARY, TempDir, ask, cause, check};
use crate::e2e::process::program;
use crate::serve::{Serving, wait_until};

const CONFIG: &str = "\
[[users]]
store = \"file\"
path = \"users\"
[logins]
lower-case = true
[routes]
default = \"192.0.2.1\"
[oauth]
";

const USERS: &str = "alice@example.com:*\noff@example.com:*::::::nologin\n";

const OK: &str = "Auth-Status: OK\nAuth-Server: 192.0.2.1\nAuth-Port: 143\n\n";

/// What everybody gets whose token is not taken.
fn refused(scope: Option<&str>) -> String {
    let mut error = json!({"status": "invalid_token"});
    if let Some(scope) = scope {
        error["scope"] = scope.into();
    }
    let error = STANDARD.encode(error.to_string());
    REFUSED.replace("\n\n", &format!("\nAuth-Error-SASL: {error}\n\n"))
}

fn variables<'a>(login: &'a str, token: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("HTTP_AUTH_METHOD", "xoauth2"),
        ("HTTP_AUTH_USER", login),
        ("HTTP_AUTH_PASS", token),
        ("HTTP_AUTH_PROTOCOL", "imap"),
    ]
}

/// The answer and the cause in the log, which has nothing of the token in it.
fn try_token(dir: &TempDir, login: &str, token: &str) -> (String, String) {
    let (answer, log) = ask(dir, &variables(login, token));
    for part in token.split('.').filter(|part| part.len() > 8) {
        assert!(
            !log.contains(part) && !answer.contains(part),
            "{log}{answer}"
        );
    }
    (answer, cause(&log).to_owned())
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

//------------ Signed tokens -------------------------------------------------

/// A key that openssl made.
struct Key {
    file: PathBuf,
    jwk: Value,
    algorithm: &'static str,
}

impl Key {
    fn openssl(arguments: &[&str], input: Option<&[u8]>) -> Vec<u8> {
        let mut child = Command::new(program("openssl", "openssl"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.unwrap_or_default())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "openssl {arguments:?}");
        output.stdout
    }

    fn new(dir: &TempDir, name: &str, algorithm: &'static str) -> Self {
        let file = dir.path().join(name);
        let path = file.to_str().unwrap();
        let kind: &[&str] = match algorithm {
            "EdDSA" => &["ed25519"],
            _ => &["rsa", "-pkeyopt", "rsa_keygen_bits:2048"],
        };
        Self::openssl(
            &[&["genpkey", "-out", path, "-algorithm"], kind].concat(),
            None,
        );
        let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let public = Self::openssl(&["pkey", "-in", path, "-pubout", "-outform", "DER"], None);
        let mut jwk = match algorithm {
            // The last 32 bytes of a SubjectPublicKeyInfo (RFC 8410, 4).
            "EdDSA" => json!({
                "kty": "OKP", "crv": "Ed25519", "x": encoded(&public[public.len() - 32..]),
            }),
            // It ends in the 256 bytes of the modulus and a short integer, 65537.
            _ => json!({
                "kty": "RSA", "e": "AQAB",
                "n": encoded(&public[public.len() - 5 - 256..public.len() - 5]),
            }),
        };
        jwk["kid"] = name.into();
        Self {
            file,
            jwk,
            algorithm,
        }
    }

    /// A token with these claims; `header` replaces or adds members of the header.
    fn sign(&self, header: Value, claims: &Value) -> String {
        let mut whole = json!({"alg": self.algorithm, "kid": self.jwk["kid"], "typ": "at+jwt"});
        for (name, value) in header.as_object().unwrap() {
            whole[name] = value.clone();
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&whole), part(claims));
        let message = self.file.with_extension("message");
        fs::write(&message, &text).unwrap();
        let (key, message) = (self.file.to_str().unwrap(), message.to_str().unwrap());
        let signature = match self.algorithm {
            "EdDSA" => Self::openssl(
                &["pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", message],
                None,
            ),
            "PS256" => Self::openssl(
                &[
                    "dgst",
                    "-sha256",
                    "-sigopt",
                    "rsa_padding_mode:pss",
                    "-sigopt",
                    "rsa_pss_saltlen:digest",
                    "-sign",
                    key,
                    message,
                ],
                None,
            ),
            _ => Self::openssl(&["dgst", "-sha256", "-sign", key, message], None),
        };
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn jwks(keys: &[&Key]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| key.jwk.clone()).collect();
    json!({"keys": keys}).to_string()
}

fn good_claims() -> Value {
    json!({
        "iss": "https://id.example", "aud": ["mail"], "scope": "openid imap",
        "exp": now() + 600, "email": "Alice@example.com",
    })
}

#[test]
fn signed_tokens() {
    let dir = TempDir::new();
    let keys = [("one", "RS256"), ("two", "PS256"), ("three", "EdDSA")]
        .map(|(name, algorithm)| Key::new(&dir, name, algorithm));
    let stranger = Key::new(&dir, "stranger", "RS256");
    dir.write("jwks.json", jwks(&[&keys[0], &keys[1], &keys[2]]));
    dir.write("users", USERS);
    let rules = "jwks-file = \"jwks.json\"\nissuer = \"https://id.example\"\n\
                 audience = \"mail\"\nscope = \"imap\"\n";
    dir.write("auth.toml", [CONFIG, rules].concat());
    let no = refused(Some("imap"));
    for key in &keys {
        let token = key.sign(json!({}), &good_claims());
        for login in ["alice@example.com", "ALICE@example.com"] {
            let (answer, why) = try_token(&dir, login, &token);
            assert_eq!(why, "accepted");
            let renamed = "\nAuth-User: alice@example.com\n\n";
            let expected = if login.starts_with('A') {
                OK.replace("\n\n", renamed)
            } else {
                OK.to_owned()
            };
            assert_eq!(answer, expected);
        }
        for login in ["bob@example.com", "", "alice"] {
            let (answer, why) = try_token(&dir, login, &token);
            assert_eq!((answer, why.as_str()), (no.clone(), "bad-token"), "{login}");
        }
        let forged = Key {
            file: stranger.file.clone(),
            jwk: key.jwk.clone(),
            algorithm: "RS256",
        };
        let (answer, why) = try_token(
            &dir,
            "alice@example.com",
            &forged.sign(json!({"alg": key.algorithm}), &good_claims()),
        );
        assert_eq!((answer, why.as_str()), (no.clone(), "bad-token"));
    }
    let with = |header: Value, changes: Value| {
        let mut claims = good_claims();
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        try_token(&dir, "alice@example.com", &keys[0].sign(header, &claims))
    };
    assert_eq!(with(json!({}), json!({})).1, "accepted");
    for (header, changes) in [
        (json!({}), json!({"exp": now() - 60})),
        (json!({}), json!({"exp": null})),
        (json!({}), json!({"nbf": now() + 60})),
        (json!({}), json!({"iss": "https://other.example"})),
        (json!({}), json!({"aud": "other"})),
        (json!({}), json!({"scope": "openid"})),
        (
            json!({}),
            json!({"email": null, "sub": "alice@example.com"}),
        ),
        (json!({"alg": "none"}), json!({})),
        (json!({"alg": "HS256"}), json!({})),
        (json!({"alg": "PS256"}), json!({})),
        (json!({"alg": "EdDSA"}), json!({})),
        (json!({"kid": "two"}), json!({})),
        (json!({"kid": "four"}), json!({})),
        (json!({"crit": ["b64"], "b64": false}), json!({})),
        // The key that the token itself brings.
        (json!({"kid": "four", "jwk": keys[0].jwk}), json!({})),
    ] {
        let (answer, why) = with(header.clone(), changes.clone());
        assert_eq!(
            (answer, why.as_str()),
            (no.clone(), "bad-token"),
            "{header} {changes}"
        );
    }
    for token in [
        "",
        "x",
        "a.b.c",
        "e30.e30.",
        "%00",
        "a%20b",
        &"a".repeat(9000),
    ] {
        let (answer, why) = try_token(&dir, "alice@example.com", token);
        assert_eq!((answer, why.as_str()), (no.clone(), "bad-token"), "{token}");
    }
    // A right token is no account.
    for (login, why) in [
        ("off@example.com", "disabled"),
        ("zoe@example.com", "unknown-user"),
    ] {
        let mut claims = good_claims();
        claims["email"] = login.into();
        let (answer, cause) = try_token(&dir, login, &keys[0].sign(json!({}), &claims));
        assert_eq!((answer, cause.as_str()), (no.clone(), why));
    }
    // Without [oauth], a token is no password.
    dir.write("auth.toml", CONFIG);
    let token = keys[0].sign(json!({}), &good_claims());
    let (answer, why) = try_token(&dir, "alice@example.com", &token);
    assert_eq!(
        (answer.as_str(), why.as_str()),
        (REFUSED, "unsupported-method")
    );
}

#[test]
fn new_keys_count_without_a_restart_and_broken_ones_never() {
    let dir = TempDir::new();
    let [old, new] = ["first", "second"].map(|name| Key::new(&dir, name, "EdDSA"));
    dir.write("jwks.json", jwks(&[&old]));
    let config = [CONFIG, "jwks-file = \"jwks.json\"\naudience = \"mail\"\n"].concat();
    let server = Serving::listening_in(dir, &config, USERS);
    let status = |key: &Key| {
        let token = key.sign(json!({}), &good_claims());
        let answer = server.answer(&variables("alice@example.com", &token));
        answer.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(status(&old), "Auth-Status: OK");
    assert_ne!(status(&new), "Auth-Status: OK");
    server.replace("jwks.json", "{\"keys\": [");
    wait_until("the complaint", || {
        assert_eq!(status(&old), "Auth-Status: OK");
        server.log().contains("oauth.jwks-file")
    });
    assert_eq!(status(&old), "Auth-Status: OK");
    server.replace("jwks.json", &jwks(&[&new]));
    wait_until("the new key", || status(&new) == "Auth-Status: OK");
    assert_ne!(status(&old), "Auth-Status: OK");
}

//------------ Introspection -------------------------------------------------

/// What a service does with a connection.
#[derive(Clone)]
enum Does {
    /// Answers with this status and body.
    Says(u16, String),
    /// Sends these bytes and closes.
    Sends(&'static [u8]),
    /// Answers, keeps the connection, and closes it when it feels like it.
    SaysAndLeaves(String),
    /// Takes the connection and says nothing.
    Stalls,
    /// Sends a byte now and then.
    Drips,
}

/// A service on a port of its own, and what it was asked.
struct Service {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    does: Arc<Mutex<Does>>,
}

impl Service {
    fn start(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let service = Self {
            port: listener.local_addr().unwrap().port(),
            asked: Arc::default(),
            does: Arc::new(Mutex::new(does)),
        };
        let (asked, does) = (Arc::clone(&service.asked), Arc::clone(&service.does));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (asked, does) = (Arc::clone(&asked), Arc::clone(&does));
                thread::spawn(move || serve(stream.unwrap(), &asked, &does));
            }
        });
        service
    }

    fn does(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn config(&self) -> String {
        format!(
            "{CONFIG}introspection-url = \"http://127.0.0.1:{}/introspect?x=y\"\ntimeout = 1\n",
            self.port
        )
    }
}

/// Reads one request after the other, and does what is to be done.
fn serve(mut stream: TcpStream, asked: &Mutex<Vec<String>>, does: &Mutex<Does>) {
    while let Some(request) = read_request(&mut stream) {
        asked.lock().unwrap().push(request);
        let does = does.lock().unwrap().clone();
        // The other side may have given up.
        let _ = match &does {
            Does::Says(status, body) => stream.write_all(response(*status, body).as_bytes()),
            Does::Sends(bytes) => {
                let _ = stream.write_all(bytes);
                return;
            }
            Does::SaysAndLeaves(body) => {
                let _ = stream.write_all(response(200, body).as_bytes());
                return;
            }
            Does::Stalls => {
                thread::sleep(Duration::from_secs(30));
                return;
            }
            Does::Drips => {
                for byte in response(200, "{\"active\":true}").bytes() {
                    if stream.write_all(&[byte]).is_err() {
                        return;
                    }
                    thread::sleep(Duration::from_millis(300));
                }
                return;
            }
        };
    }
}

fn response(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\n\
         Location: /elsewhere\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Head and body of one request; `None` at the end of the connection.
fn read_request(stream: &mut impl std::io::Read) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .to_ascii_lowercase()
        .split("content-length:")
        .nth(1)
        .and_then(|rest| rest.lines().next().map(str::trim).map(str::to_owned))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8(body).unwrap())
}

fn active() -> Value {
    json!({"active": true, "email": "alice@example.com", "scope": "imap", "exp": now() + 60})
}

#[test]
fn the_service_is_asked_and_believed() {
    let dir = TempDir::new();
    let service = Service::start(Does::Says(200, active().to_string()));
    dir.write("users", USERS);
    dir.write("secret", "s3:cr/et\nnot this\n");
    let client = "client-id = \"ma il\"\nclient-secret-file = \"secret\"\nscope = \"imap\"\n";
    dir.write("auth.toml", service.config() + client);
    let token = "opaque-~._+/==";
    assert_eq!(try_token(&dir, "alice@example.com", token).0, OK);
    let asked = service.asked();
    let [request] = asked.as_slice() else {
        panic!("{asked:?}");
    };
    assert!(
        request.starts_with("POST /introspect?x=y HTTP/1.1\r\n"),
        "{request}"
    );
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(
        body,
        "token_type_hint=access_token&token=opaque-%7E._%2B%2F%3D%3D"
    );
    let basic = STANDARD.encode("ma%20il:s3%3Acr%2Fet");
    let lower = head.to_ascii_lowercase();
    assert!(head.contains(&format!("Basic {basic}")), "{head}");
    assert!(
        lower.contains("content-type: application/x-www-form-urlencoded"),
        "{head}"
    );
    assert!(lower.contains("accept: application/json"), "{head}");

    let no = refused(Some("imap"));
    for (changes, why) in [
        (json!({"active": false}), "bad-token"),
        (json!({"exp": now() - 60}), "bad-token"),
        (json!({"nbf": now() + 60}), "bad-token"),
        (json!({"scope": "smtp"}), "bad-token"),
        (json!({"email": "bob@example.com"}), "bad-token"),
        (json!({"email": null}), "bad-token"),
        (json!({"email_verified": false}), "bad-token"),
    ] {
        let mut claims = active();
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        service.does(Does::Says(200, claims.to_string()));
        let (answer, cause) = try_token(&dir, "alice@example.com", token);
        assert_eq!((answer, cause.as_str()), (no.clone(), why), "{changes}");
    }
}

/// Then nobody is let in, and nobody told that the token is wrong.
#[test]
fn a_service_that_cannot_say_is_the_temporary_failure() {
    let dir = TempDir::new();
    let service = Service::start(Does::Stalls);
    dir.write("users", USERS);
    dir.write("auth.toml", service.config());
    let said = |status, body: &str| Does::Says(status, body.to_owned());
    let active = active().to_string();
    for does in [
        Does::Stalls,
        Does::Drips,
        said(500, &active),
        said(401, &active),
        said(301, &active),
        said(204, ""),
        said(200, ""),
        said(200, "{"),
        said(200, "[true]"),
        said(200, "{\"active\":\"true\"}"),
        said(200, "{\"active\":1}"),
        said(200, "{\"email\":\"alice@example.com\"}"),
        said(
            200,
            &format!("{{\"active\":true,\"x\":\"{}\"}}", "x".repeat(70_000)),
        ),
        Does::Sends(b""),
        Does::Sends(b"220 mail.example ESMTP\r\n"),
        Does::Sends(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"active\":true,"),
        Does::Sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n{"),
        Does::Sends(&[0; 100]),
    ] {
        service.does(does);
        let start = Instant::now();
        let (answer, why) = try_token(&dir, "alice@example.com", "opaque-token");
        let took = start.elapsed();
        assert_eq!(
            (answer.as_str(), why.as_str()),
            (TEMPORARY, "token-trouble")
        );
        assert!(took < Duration::from_millis(1700), "{took:?}");
    }
    let down = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("127.0.0.1:{}", service.port);
    dir.write(
        "auth.toml",
        service.config().replace(&url, &down.to_string()),
    );
    let (answer, why) = try_token(&dir, "alice@example.com", "opaque-token");
    assert_eq!(
        (answer.as_str(), why.as_str()),
        (TEMPORARY, "token-trouble")
    );
}

/// Under CGI these may be headers of a request (CVE-2016-5385).
#[test]
fn no_variable_leads_to_a_proxy() {
    let dir = TempDir::new();
    let service = Service::start(Does::Says(200, active().to_string()));
    let proxy = Service::start(Does::Says(200, active().to_string()));
    dir.write("users", USERS);
    dir.write("auth.toml", service.config());
    let through = format!("http://127.0.0.1:{}", proxy.port);
    let mut all = variables("alice@example.com", "opaque-token");
    for name in [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ] {
        all.push((name, &through));
    }
    let (answer, _) = ask(&dir, &all);
    assert_eq!(answer, OK);
    assert_eq!((service.asked().len(), proxy.asked().len()), (1, 0));
}

#[test]
fn a_connection_that_the_service_gave_up_is_not_noticed() {
    let service = Service::start(Does::SaysAndLeaves(active().to_string()));
    let server = Serving::listening(&service.config(), USERS);
    for _ in 0..5 {
        let answer = server.answer(&variables("alice@example.com", "opaque-token"));
        assert_eq!(answer, OK, "{}", server.log());
    }
    // And one that is back is used again.
    service.does(Does::Sends(b""));
    let answer = server.answer(&variables("alice@example.com", "opaque-token"));
    assert_eq!(answer, TEMPORARY);
    service.does(Does::Says(200, active().to_string()));
    for _ in 0..3 {
        let answer = server.answer(&variables("alice@example.com", "opaque-token"));
        assert_eq!(answer, OK, "{}", server.log());
    }
}

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

fn serve_tls(key: &str, cert: &str) -> (u16, Arc<AtomicUsize>) {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    let certs = vec![CertificateDer::from_pem_file(cert).unwrap()];
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certs, PrivateKeyDer::from_pem_file(key).unwrap())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(session, stream.unwrap());
            if read_request(&mut stream).is_some() {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(response(200, &active().to_string()).as_bytes());
                let _ = stream.read(&mut [0]);
            }
        }
    });
    (port, asked)
}

//------------ Configuration -------------------------------------------------

#[test]
fn settings_that_cannot_work() {
    let dir = TempDir::new();
    dir.write("users", USERS);
    dir.write("secret", "s3cret\n");
    dir.write("empty", "");
    dir.write("broken.json", "{}");
    for (settings, message) in [
        (
            "introspection-url = \"http://id.example/\"",
            "9:21: oauth.introspection-url: must start with https://: others could read along",
        ),
        (
            "introspection-url = \"id.example\"",
            "9:21: oauth.introspection-url: must be of the form https://host/path",
        ),
        (
            "introspection-url = \"https://user:pw@id.example/\"",
            "9:21: oauth.introspection-url: must be of the form https://host/path",
        ),
        (
            "issuer = \"https://id.example\"",
            "9:10: oauth.introspection-url: is missing, and so is jwks-file: no token would be \
             taken",
        ),
        (
            "introspection-url = \"https://id.example/\"\nclient-id = \"x\"",
            "10:13: oauth.client-secret-file: is missing",
        ),
        (
            "introspection-url = \"https://id.example/\"\nclient-id = \"x\"\n\
             client-secret-file = \"empty\"",
            "11:22: oauth.client-secret-file: its first line must have 1 to 512 bytes",
        ),
        (
            "introspection-url = \"https://id.example/\"\nca-file = \"none.pem\"",
            "10:11: oauth.ca-file: ",
        ),
        (
            "introspection-url = \"https://id.example/\"\nissuer = \"\"",
            "10:10: oauth.issuer: must not be empty",
        ),
        (
            "jwks-file = \"none.json\"\naudience = \"x\"",
            "9:13: oauth.jwks-file: ",
        ),
        (
            "jwks-file = \"broken.json\"\naudience = \"x\"",
            "9:13: oauth.jwks-file: ",
        ),
        ("jwks-file = \"broken.json\"", "warning: "),
    ] {
        dir.write("auth.toml", format!("{CONFIG}{settings}\n"));
        let (text, code) = check(&dir);
        assert!(text.contains(message), "{settings}: {text}");
        assert!(!text.contains("s3cret"), "{text}");
        assert_eq!(code, Some(78), "{text}");
    }
}

/// `check` asks the service about a token that nobody issued.
#[test]
fn check_asks_the_service() {
    let dir = TempDir::new();
    let service = Service::start(Does::Says(200, "{\"active\":false}".to_owned()));
    dir.write("users", USERS);
    dir.write("auth.toml", service.config());
    assert_eq!(check(&dir).1, Some(0), "{}", check(&dir).0);
    for (does, message) in [
        (
            Does::Says(200, active().to_string()),
            "a token that nobody issued is active",
        ),
        (
            Does::Says(401, String::new()),
            "introspection: it answers with status 401",
        ),
        (Does::Stalls, "introspection: it takes too long"),
    ] {
        service.does(does);
        let (text, code) = check(&dir);
        let place = "auth.toml:9:21: oauth.introspection-url: ";
        assert!(text.contains(place) && text.contains(message), "{text}");
        assert_eq!(code, Some(78));
    }
}
