//! Checks the claims of a token, signed (RFC 7519, 4.1) or from introspection (RFC 7662, 2.2).

use serde_json::{Map, Value};

/// The allowed difference of clocks in seconds.
const LEEWAY: f64 = 30.0;

/// The required claims of every token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `iss`: the required issuer.
    pub issuer: Option<String>,
    /// `aud`: the required audience.
    pub audience: Option<String>,
    /// `scope`: the required words, separated by blanks.
    pub scope: Option<String>,
    /// The claim that contains the login.
    pub login: String,
}

/// The authority behind the claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClaimsSource {
    /// A signature alone: the claims must contain an expiry and an audience.
    Signature,
    /// The service that issued the token and confirms that it is valid now.
    Introspection,
}

impl Rules {
    /// The login of valid claims; otherwise why they are rejected. A required claim that is missing
    /// is an error.
    pub(super) fn login<'a>(
        &self,
        claims: &'a Map<String, Value>,
        source: ClaimsSource,
        now: f64,
    ) -> Result<&'a str, &'static str> {
        match (date(claims, "exp")?, source) {
            (Some(end), _) if now >= end + LEEWAY => return Err("it has expired"),
            (None, ClaimsSource::Signature) => return Err("it does not say when it expires"),
            _ => {}
        }
        if date(claims, "nbf")?.is_some_and(|start| now + LEEWAY < start) {
            return Err("it is not valid yet");
        }
        if let Some(issuer) = &self.issuer
            && claims.get("iss").and_then(Value::as_str) != Some(issuer)
        {
            return Err("it is from another issuer");
        }
        match (&self.audience, claims.get("aud"), source) {
            (Some(ours), Some(audience), _) if words(audience).any(|word| word == ours) => {}
            (Some(_), _, _) => return Err("its audience is another service"),
            // "If the principal processing the claim does not identify itself with a value in the
            // "aud" claim when this claim is present, then the JWT MUST be rejected" (4.1.3).
            (None, Some(_), ClaimsSource::Signature) => {
                return Err("it has an audience, and none is configured: set audience");
            }
            (None, _, _) => {}
        }
        if let Some(scope) = &self.scope {
            // RFC 9068, 2.2.3; some services use a list, and another name for it.
            let granted = claims.get("scope").or_else(|| claims.get("scp"));
            let granted: Vec<&str> = granted
                .into_iter()
                .flat_map(words)
                .flat_map(|words| words.split(' '))
                .collect();
            if !scope
                .split_ascii_whitespace()
                .all(|word| granted.contains(&word))
            {
                return Err("it lacks a required scope");
            }
        }
        // An unverified address does not prove that it belongs to the user: users can enter any
        // address (OpenID Connect Core 1.0, 5.1).
        let unverified = |verified: &Value| verified != &Value::Bool(true) && verified != "true";
        if self.login == "email" && claims.get("email_verified").is_some_and(unverified) {
            return Err("its e-mail address is not verified");
        }
        let login = claims.get(&self.login).and_then(Value::as_str);
        login
            .filter(|login| !login.is_empty())
            .ok_or("it names no login")
    }
}

/// A NumericDate (RFC 7519, 2), in seconds; `None` without one.
fn date(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>, &'static str> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or("it has an invalid date"),
    }
}

/// A string, or each of an array of strings.
fn words(value: &Value) -> impl Iterator<Item = &str> {
    let several = value.as_array().map(Vec::as_slice).unwrap_or_default();
    value
        .as_str()
        .into_iter()
        .chain(several.iter().filter_map(Value::as_str))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: f64 = 1_800_000_000.0;

    fn rules() -> Rules {
        Rules {
            issuer: Some("https://id.example".to_owned()),
            audience: Some("mail".to_owned()),
            scope: Some("imap smtp".to_owned()),
            login: "email".to_owned(),
        }
    }

    /// Valid claims with some of them replaced; null removes one.
    fn claims(changes: Value) -> Map<String, Value> {
        let mut claims = json!({
            "exp": NOW + 60.0,
            "iss": "https://id.example",
            "aud": "mail",
            "scope": "openid imap smtp",
            "email": "alice@example.com",
        });
        let claims = claims.as_object_mut().unwrap();
        for (name, value) in changes.as_object().unwrap() {
            claims.insert(name.clone(), value.clone());
        }
        claims.retain(|_, value| !value.is_null());
        claims.clone()
    }

    #[test]
    fn valid_claims_are_accepted() {
        for changes in [
            json!({}),
            json!({"exp": NOW - 29.0}),
            json!({"exp": NOW + 0.5}),
            json!({"exp": 4e18}),
            json!({"nbf": NOW - 60.0}),
            json!({"nbf": NOW + 29.0}),
            json!({"aud": ["other", "mail"]}),
            json!({"scope": "smtp imap"}),
            json!({"scope": null, "scp": ["imap", "smtp"]}),
            json!({"email_verified": true}),
            json!({"email_verified": "true"}),
        ] {
            for source in [ClaimsSource::Signature, ClaimsSource::Introspection] {
                let claims = claims(changes.clone());
                let login = rules().login(&claims, source, NOW);
                assert_eq!(login, Ok("alice@example.com"), "{changes}");
            }
        }
    }

    #[test]
    fn invalid_claims_are_refused() {
        for (changes, why) in [
            (json!({"exp": NOW - 30.0}), "it has expired"),
            (json!({"exp": 0}), "it has expired"),
            (json!({"exp": -1}), "it has expired"),
            (json!({"exp": "4000000000"}), "it has an invalid date"),
            (
                json!({"exp": [4_000_000_000_u64]}),
                "it has an invalid date",
            ),
            (json!({"nbf": NOW + 31.0}), "it is not valid yet"),
            (json!({"nbf": "x"}), "it has an invalid date"),
            (json!({"iss": null}), "it is from another issuer"),
            (
                json!({"iss": "https://id.example/"}),
                "it is from another issuer",
            ),
            (
                json!({"iss": ["https://id.example"]}),
                "it is from another issuer",
            ),
            (json!({"aud": null}), "its audience is another service"),
            (json!({"aud": "mail2"}), "its audience is another service"),
            (json!({"aud": []}), "its audience is another service"),
            (
                json!({"aud": {"mail": "mail"}}),
                "its audience is another service",
            ),
            (json!({"scope": null}), "it lacks a required scope"),
            (json!({"scope": "imap"}), "it lacks a required scope"),
            (json!({"scope": "imap,smtp"}), "it lacks a required scope"),
            (json!({"scope": "imapsmtp"}), "it lacks a required scope"),
            (
                json!({"scope": "imap", "scp": ["smtp"]}),
                "it lacks a required scope",
            ),
            (json!({"email": null}), "it names no login"),
            (json!({"email": ""}), "it names no login"),
            (json!({"email": ["alice@example.com"]}), "it names no login"),
            (json!({"email": true}), "it names no login"),
            (
                json!({"email_verified": false}),
                "its e-mail address is not verified",
            ),
            (
                json!({"email_verified": "no"}),
                "its e-mail address is not verified",
            ),
        ] {
            for source in [ClaimsSource::Signature, ClaimsSource::Introspection] {
                let claims = claims(changes.clone());
                assert_eq!(rules().login(&claims, source, NOW), Err(why), "{changes}");
            }
        }
    }

    #[test]
    fn a_signed_token_needs_an_expiry_and_an_audience() {
        let ask = |rules: &Rules, changes, source| {
            let claims = claims(changes);
            rules.login(&claims, source, NOW).map(|_| ())
        };
        let endless = || json!({"exp": null});
        assert_eq!(
            ask(&rules(), endless(), ClaimsSource::Introspection),
            Ok(())
        );
        assert_eq!(
            ask(&rules(), endless(), ClaimsSource::Signature),
            Err("it does not say when it expires")
        );
        let anybody = Rules {
            audience: None,
            ..rules()
        };
        assert_eq!(
            ask(&anybody, json!({}), ClaimsSource::Introspection),
            Ok(())
        );
        assert_eq!(
            ask(&anybody, json!({"aud": null}), ClaimsSource::Signature),
            Ok(())
        );
        assert_eq!(
            ask(&anybody, json!({}), ClaimsSource::Signature),
            Err("it has an audience, and none is configured: set audience")
        );
    }
}
