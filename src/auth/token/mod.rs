//! `xoauth2` and `oauthbearer`: a bearer token in place of a password (RFC 6750, RFC 7628), as
//! freenginx since 1.27.1 and Angie since 1.11 pass it on.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use crate::login::Login;
use crate::login::rules::LoginRules;
use crate::nginx::refusal::{Refusal, Trouble};
use crate::secret::Token;
use crate::sys::Lifetime;
use crate::sys::circuit_breaker::CircuitBreaker;
use crate::sys::problem::Fault;
use crate::sys::trusted_file::ObservedFiles;
use crate::sys::trusted_file::{Secrecy, fingerprint, read_trusted};
use crate::users::Question;

mod claims;
mod introspection;
mod keys;
mod kind;

pub use claims::Rules;
pub use introspection::Settings as IntrospectionSettings;

use claims::ClaimsSource;
use introspection::{Introspection, IntrospectionError};
use keys::KeySet;

/// The most bytes of a JWKS file.
const MAX_JWKS_BYTES: u64 = 1 << 20;

/// Which tokens are accepted: `[oauth]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The required claims of every token.
    pub rules: Rules,
    /// The keys of signed tokens (RFC 7517).
    pub jwks_file: Option<PathBuf>,
    /// The service for other tokens, and for all tokens without `jwks_file`.
    pub introspection: Option<IntrospectionSettings>,
}

/// Checks tokens by the rules of `[oauth]`.
///
/// With keys, a token in the form of a signed token is checked by its signature alone. All other
/// tokens are checked by introspection.
pub struct Tokens {
    rules: Rules,
    keys: Option<KeySet>,
    introspection: Option<BoundedIntrospection>,
}

/// The introspection service.
struct BoundedIntrospection {
    introspection: Introspection,
    breaker: CircuitBreaker,
}

impl BoundedIntrospection {
    /// Asks the service about a token, unless too many questions wait.
    fn ask(
        &self,
        token: &Token,
        asked: &Question<'_>,
    ) -> Result<Option<Map<String, Value>>, String> {
        let asking = self
            .breaker
            .enter(asked.claim())
            .map_err(|closed| format!("introspection: {closed}"))?;
        let told = self.introspection.claims(token, asked.deadline);
        match &told {
            // A service that is slow for some tokens does not hang: otherwise a client with such
            // tokens would block all others.
            Ok(_) | Err(IntrospectionError::ThisToken(_)) => asking.answered(),
            Err(IntrospectionError::AnyToken(_)) => asking.unanswered(),
        }
        told.map_err(IntrospectionError::into_message)
    }
}

impl Tokens {
    /// Reads the keys and, for a server, the certificates; makes no connection. At most
    /// `max_questions` introspections run at once. A changed JWKS file is a change of the
    /// configuration, so it is read again then.
    pub fn open(
        settings: &Settings,
        max_questions: NonZeroUsize,
        lifetime: Lifetime,
        watched: &mut ObservedFiles,
    ) -> Result<Self, Fault> {
        let fault = |key| move |message| Fault { key, message };
        let keys = settings.jwks_file.as_ref().map(|path| {
            watched.push((path.clone(), fingerprint(path).ok()));
            let read = read_trusted(path, MAX_JWKS_BYTES, Secrecy::Open);
            let bytes = read.map_err(|problem| problem.to_string())?.bytes;
            KeySet::parse(&bytes).map_err(|error| format!("{}: {error}", path.display()))
        });
        let introspection = settings
            .introspection
            .as_ref()
            .map(|settings| BoundedIntrospection {
                introspection: Introspection::new(settings),
                breaker: CircuitBreaker::new("introspection".to_owned(), max_questions),
            });
        if let (Some(service), Lifetime::Server) = (&introspection, lifetime) {
            let loaded = service.introspection.load_certificates();
            loaded.map_err(fault("ca-file"))?;
        }
        Ok(Self {
            rules: settings.rules.clone(),
            keys: keys.transpose().map_err(fault("jwks-file"))?,
            introspection,
        })
    }

    /// Keys of the JWKS file that are skipped although they look like keys for signatures.
    pub fn warnings(&self) -> &[String] {
        self.keys.as_ref().map_or(&[], KeySet::warnings)
    }

    /// Asks the service about a token that does not exist. Returns the problem in words.
    pub fn test(&self, deadline: Instant) -> Vec<String> {
        let Some(service) = &self.introspection else {
            return Vec::new();
        };
        let Some(nobodys) = Token::new(b"nginx-mail-auth-check".to_vec()) else {
            return Vec::new();
        };
        match service.introspection.claims(&nobodys, deadline) {
            Ok(None) => Vec::new(),
            Ok(Some(_)) => vec![
                "introspection: the service reports an invented token as \
                active"
                    .to_owned(),
            ],
            Err(unsaid) => vec![unsaid.into_message()],
        }
    }

    /// Checks that the token is valid and contains this login, after the rules of `[logins]`.
    pub fn check(
        &self,
        token: &Token,
        asked: &Question<'_>,
        logins: &LoginRules,
    ) -> Result<(), Refusal> {
        let login = asked.login;
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = since.unwrap_or_default().as_secs_f64();
        let signed = keys::parts(token.reveal()).is_some();
        let (claims, source, typed) = match (&self.keys, &self.introspection) {
            (Some(keys), _) if signed => {
                let (claims, typed) = keys.claims(token.reveal()).map_err(Refusal::BadToken)?;
                (claims, ClaimsSource::Signature, typed)
            }
            (_, Some(service)) => {
                let told = service.ask(token, asked).map_err(Trouble::Tokens)?;
                let claims = told.ok_or(Refusal::BadToken("it is not active"))?;
                (claims, ClaimsSource::Introspection, false)
            }
            (_, None) => return Err(Refusal::BadToken("it is not a signed token")),
        };
        kind::check(&claims, source, typed).map_err(Refusal::BadToken)?;
        let named = self
            .rules
            .login(&claims, source, now)
            .map_err(Refusal::BadToken)?;
        let named = Login::new(named.as_bytes().to_vec())
            .and_then(|named| logins.canonical(&named))
            .map_err(|_| Refusal::BadToken("its login is not a valid login"))?;
        if login.as_bytes().is_empty() || named != *login {
            return Err(Refusal::BadToken("it is another login's"));
        }
        Ok(())
    }
}

/// The value of `Auth-Error-SASL` for every refused token, whatever the reason: base64 of JSON (RFC
/// 7628, 3.2.2).
pub fn sasl_error(rules: &Rules, configuration_url: Option<&str>) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    let mut error = Map::new();
    error.insert("status".into(), "invalid_token".into());
    if let Some(scope) = &rules.scope {
        error.insert("scope".into(), scope.as_str().into());
    }
    if let Some(url) = configuration_url {
        error.insert("openid-configuration".into(), url.into());
    }
    STANDARD.encode(Value::Object(error).to_string())
}

#[cfg(test)]
mod tests;
