//! Decides the kind of a token: only bearer access tokens are accepted. An issuer signs tokens of
//! other kinds with the same key and the same claims.

use serde_json::{Map, Value};

use super::claims::ClaimsSource;

/// The claims in which issuers name the kind. `token_type` is that of RFC 7662, and of Keycloak for
/// refresh tokens too; `token_use` is that of Ory Hydra and Amazon Cognito; `typ` is that of
/// Keycloak.
const NAMES: [&str; 3] = ["token_type", "token_use", "typ"];

/// The names of an access token in these claims; case does not matter.
const ACCESS: [&str; 5] = [
    // RFC 6750, in answers of RFC 6749, 5.1 and RFC 7662, 2.2.
    "bearer",
    // RFC 7009, 2.1: the name of its hint.
    "access_token",
    "access",
    // RFC 8693, 3.
    "urn:ietf:params:oauth:token-type:access_token",
    // RFC 9068, 2.1.
    "at+jwt",
];

/// The claims that only tokens of other kinds have: an ID token (OpenID Connect Core 1.0, 3.3.2.11
/// and OpenID FAPI), and an event such as a logout (RFC 8417, 2.2).
const FOREIGN: [&str; 4] = ["at_hash", "c_hash", "s_hash", "events"];

/// Checks that the claims are those of a bearer access token; the error names the kind.
///
/// `typed`: the header of the signed token calls it an access token (RFC 9068, 2.1).
pub(super) fn check(
    claims: &Map<String, Value>,
    source: ClaimsSource,
    typed: bool,
) -> Result<(), &'static str> {
    // A sender-constrained token is useless to a thief elsewhere; here it cannot be checked that
    // the client has the key, because the client sends no proof (RFC 7800, 3.1; RFC 8705, 3; RFC
    // 9449, 6).
    if claims.contains_key("cnf") {
        return Err("it is bound to a key, so it is not a bearer token");
    }
    let mut named = typed;
    for value in NAMES.iter().filter_map(|name| claims.get(*name)) {
        let word = value.as_str().unwrap_or_default();
        if ACCESS
            .iter()
            .any(|access| access.eq_ignore_ascii_case(word))
        {
            named = true;
        } else if !word.eq_ignore_ascii_case("jwt") {
            // "JWT" only says that it is a JWT (RFC 7519, 5.1).
            return Err("it is a token of another kind");
        }
    }
    if source == ClaimsSource::Introspection {
        // The service knows its tokens; some services add claims about the user.
        return Ok(());
    }
    if FOREIGN.iter().any(|name| claims.contains_key(*name)) {
        return Err("it is a token of another kind");
    }
    // An ID token has it if the client sent one (OpenID Connect Core 1.0, 2). Keycloak before 25
    // has it in access tokens too, and names these as access tokens.
    if claims.contains_key("nonce") && !named {
        return Err("it is a token of another kind");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BOUND: Result<(), &str> = Err("it is bound to a key, so it is not a bearer token");
    const OTHER: Result<(), &str> = Err("it is a token of another kind");

    fn kind(claims: &Value, source: ClaimsSource, typed: bool) -> Result<(), &'static str> {
        check(claims.as_object().unwrap(), source, typed)
    }

    #[test]
    fn tokens_that_are_bound_to_a_key_are_no_bearer_tokens() {
        for bound in [
            // RFC 8705, 3.1; RFC 9449, 6.1; RFC 7800, 3.2 to 3.5.
            json!({"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}),
            json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
            json!({"jwk": {"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}}),
            json!({"kid": "1"}),
            json!({"x": "of later times"}),
            json!({}),
            json!("text"),
            json!(null),
        ] {
            let claims = json!({"cnf": bound, "token_type": "Bearer", "typ": "Bearer"});
            for source in [ClaimsSource::Signature, ClaimsSource::Introspection] {
                assert_eq!(kind(&claims, source, true), BOUND, "{claims}");
            }
        }
    }

    #[test]
    fn an_access_token_is_told_from_others() {
        for (claims, signed, told) in [
            (json!({}), Ok(()), Ok(())),
            (json!({"token_type": "Bearer"}), Ok(()), Ok(())),
            (json!({"token_type": "bearer"}), Ok(()), Ok(())),
            (json!({"token_type": "access_token"}), Ok(()), Ok(())),
            // Ory Hydra, Amazon Cognito.
            (
                json!({"token_type": "Bearer", "token_use": "access_token"}),
                Ok(()),
                Ok(()),
            ),
            (json!({"token_use": "access"}), Ok(()), Ok(())),
            (
                json!({"token_type": "Bearer", "token_use": "refresh_token"}),
                OTHER,
                OTHER,
            ),
            (json!({"token_use": "id"}), OTHER, OTHER),
            // Keycloak.
            (
                json!({"typ": "Bearer", "token_type": "Bearer"}),
                Ok(()),
                Ok(()),
            ),
            (json!({"typ": "Bearer", "nonce": "n"}), Ok(()), Ok(())),
            (json!({"typ": "Refresh"}), OTHER, OTHER),
            (json!({"typ": "Offline"}), OTHER, OTHER),
            (json!({"typ": "ID", "nonce": "n"}), OTHER, OTHER),
            (json!({"typ": "DPoP"}), OTHER, OTHER),
            (
                json!({"token_type": "Refresh", "typ": "Bearer"}),
                OTHER,
                OTHER,
            ),
            (json!({"token_type": "refresh_token"}), OTHER, OTHER),
            (json!({"token_type": "DPoP"}), OTHER, OTHER),
            (json!({"token_type": "mac"}), OTHER, OTHER),
            (json!({"token_type": "N_A"}), OTHER, OTHER),
            (json!({"token_type": ""}), OTHER, OTHER),
            (json!({"token_type": null}), OTHER, OTHER),
            (json!({"token_type": ["Bearer"]}), OTHER, OTHER),
            (json!({"typ": "JWT"}), Ok(()), Ok(())),
            // ID tokens and events of OpenID Connect. A service may return the same claims about
            // the user as an ID token.
            (json!({"nonce": "n"}), OTHER, Ok(())),
            (json!({"nonce": "n", "typ": "JWT"}), OTHER, Ok(())),
            (json!({"at_hash": "h", "typ": "Bearer"}), OTHER, Ok(())),
            (json!({"events": {}}), OTHER, Ok(())),
        ] {
            assert_eq!(
                kind(&claims, ClaimsSource::Signature, false),
                signed,
                "{claims}"
            );
            assert_eq!(
                kind(&claims, ClaimsSource::Introspection, false),
                told,
                "{claims}"
            );
        }
        let nonce = json!({"nonce": "n"});
        assert_eq!(kind(&nonce, ClaimsSource::Signature, true), Ok(()));
    }
}
