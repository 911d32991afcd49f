//! Signed tokens.

use serde_json::{Value, json};

use crate::support::binary;
use crate::support::cgi::REFUSED;
use crate::support::process::wait_until;
use crate::support::serving::Serving;
use crate::support::temp_dir::TempDir;
use crate::support::tokens::key::{Key, jwks};
use crate::support::tokens::{CONFIG, OK, USERS, good_claims, now, refused, try_token, variables};

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
    assert_eq!(with(json!({}), json!({"nonce": "n"})).1, "accepted");
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
        // Of other kinds, and such as only the holder of a key may use.
        (json!({}), json!({"cnf": {"jkt": "x"}})),
        (json!({}), json!({"cnf": {"x5t#S256": "x"}})),
        (json!({}), json!({"typ": "Refresh"})),
        (json!({"typ": "JWT"}), json!({"nonce": "n"})),
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

/// Providers publish such sets; `check` says which key of them has no effect.
#[test]
fn a_key_that_is_of_no_use_costs_itself_only() {
    let dir = TempDir::new();
    let good = Key::new(&dir, "good", "EdDSA");
    let odd = |jwk: Value| Key {
        file: good.file.clone(),
        jwk,
        algorithm: "EdDSA",
    };
    let short =
        odd(json!({"kty": "RSA", "kid": "old", "e": "AQAB", "n": format!("{}8", "_".repeat(170))}));
    let weak = odd(
        json!({"kty": "OKP", "crv": "Ed25519", "kid": "weak", "x": format!("AQ{}", "A".repeat(41))}),
    );
    dir.write("users", USERS);
    let rules = "jwks-file = \"jwks.json\"\naudience = \"mail\"\n";
    dir.write("auth.toml", [CONFIG, rules].concat());
    let check = || {
        let config = dir.path().join("auth.toml");
        let output = binary::output(binary::command().arg("--config").arg(config).arg("check"));
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let of_short = "key 2 (kid \"old\") can never check a signature: its modulus is shorter than 2048 or longer \
                    than 4096 bits; the key is skipped";
    let of_weak = "key 3 (kid \"weak\") can never check a signature: its point is of small order, \
        so anyone can forge its signatures; the key is skipped";
    dir.write("jwks.json", jwks(&[&good, &short, &weak]));
    let (code, said) = check();
    assert_eq!(code, Some(0), "{said}");
    for warning in [of_short, of_weak] {
        assert_eq!(said.matches(warning).count(), 1, "{said}");
        assert!(said.contains("oauth.jwks-file"), "{said}");
    }
    let token = good.sign(json!({}), &good_claims());
    let (_, why) = try_token(&dir, "alice@example.com", &token);
    assert_eq!(why, "accepted");
    dir.write("jwks.json", jwks(&[&short, &weak]));
    let (code, said) = check();
    assert_eq!(code, Some(78), "{said}");
    let none = "the file has no usable key: key 2 (kid \"weak\") can never check a signature: ";
    assert!(said.contains(none), "{said}");
}
