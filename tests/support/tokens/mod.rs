//! `xoauth2` and `oauthbearer`: signed tokens with keys that openssl made, and introspection by a
//! service that does whatever a service can do.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::cgi::{REFUSED, ask, cause};
use crate::support::temp_dir::TempDir;

pub(crate) mod key;
pub(crate) mod service;

pub(crate) const CONFIG: &str = "\
[[users]]
store = \"file\"
path = \"users\"
[logins]
lower-case = true
[routes]
default = \"192.0.2.1\"
[oauth]
";

pub(crate) const USERS: &str = "alice@example.com:*\noff@example.com:*::::::nologin\n";

pub(crate) const OK: &str = "Auth-Status: OK\nAuth-Server: 192.0.2.1\nAuth-Port: 143\n\n";

/// What everybody gets whose token is not taken.
pub(crate) fn refused(scope: Option<&str>) -> String {
    let mut error = json!({"status": "invalid_token"});
    if let Some(scope) = scope {
        error["scope"] = scope.into();
    }
    let error = STANDARD.encode(error.to_string());
    REFUSED.replace("\n\n", &format!("\nAuth-Error-SASL: {error}\n\n"))
}

pub(crate) fn variables<'a>(login: &'a str, token: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("HTTP_AUTH_METHOD", "xoauth2"),
        ("HTTP_AUTH_USER", login),
        ("HTTP_AUTH_PASS", token),
        ("HTTP_AUTH_PROTOCOL", "imap"),
    ]
}

/// The answer and the cause in the log, which has nothing of the token in it.
pub(crate) fn try_token(dir: &TempDir, login: &str, token: &str) -> (String, String) {
    let (answer, log) = ask(dir, &variables(login, token));
    for part in token.split('.').filter(|part| part.len() > 8) {
        assert!(
            !log.contains(part) && !answer.contains(part),
            "{log}{answer}"
        );
    }
    (answer, cause(&log).to_owned())
}

pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// The claims of a good token.
pub(crate) fn good_claims() -> Value {
    json!({
        "iss": "https://id.example", "aud": ["mail"], "scope": "openid imap",
        "exp": now() + 600, "email": "Alice@example.com",
    })
}

/// The answer of the service about a token.
pub(crate) fn active() -> Value {
    json!({"active": true, "email": "alice@example.com", "scope": "imap", "exp": now() + 60})
}
