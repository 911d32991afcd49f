//! Token introspection: asks the service that issued a token about it (RFC 7662).

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use ureq::Agent;
use zeroize::Zeroizing;

use crate::net::own_login::OwnLogin;
use crate::net::percent;
use crate::net::tls::CaFile;
use crate::net::{Endpoint, Names, Trust, http};
use crate::secret::{Password, Token};
use crate::users::alive::deadlines;

/// The maximum size of an answer in bytes; most have some hundred.
const MAX_BODY_BYTES: u64 = 64 << 10;
/// The minimum remaining time for asking again.
const LEAST: Duration = Duration::from_millis(10);

/// The address of the service, and our account there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `https://…`; `http://` only to this machine, because tokens are sent in clear.
    pub url: String,
    /// Where the host of the URL listens.
    pub endpoint: Endpoint,
    /// Our client name and secret there (RFC 6749, 2.3.1).
    pub client: Option<(String, Password)>,
    /// Certificates that are trusted instead of the system's.
    pub ca_file: Option<CaFile>,
    /// The time-out for an answer.
    pub timeout: Duration,
}

/// The service.
pub(super) struct Introspection {
    url: String,
    authorization: Option<Zeroizing<String>>,
    /// Our account there, if it requires one.
    own: Option<OwnLogin>,
    timeout: Duration,
    trust: Arc<Trust>,
    agent: Agent,
    /// Without kept connections, so that it cannot use one that the service has closed since.
    fresh: Agent,
}

impl Introspection {
    /// Connects nowhere, and reads no certificates.
    pub(super) fn new(settings: &Settings) -> Self {
        let names = Names::system();
        let trust = Arc::new(Trust::new(settings.ca_file.clone()));
        let agent = |kept| http::agent(&settings.endpoint, &names, &trust, kept);
        let authorization = settings.client.as_ref().map(|(id, secret)| {
            let mut pair = Zeroizing::new(Vec::new());
            encode(id.as_bytes(), &mut pair);
            pair.push(b':');
            encode(secret.reveal(), &mut pair);
            let pair = Zeroizing::new(STANDARD.encode(pair.as_slice()));
            Zeroizing::new(format!("Basic {}", pair.as_str()))
        });
        let own = settings
            .client
            .as_ref()
            .map(|(id, secret)| OwnLogin::new(&settings.url, id.as_bytes(), secret.reveal()));
        Self {
            url: settings.url.clone(),
            authorization,
            own,
            timeout: settings.timeout,
            agent: agent(4),
            fresh: agent(0),
            trust,
        }
    }

    /// Reads the certificates that a connection needs. The error says which of them cannot be used.
    pub(super) fn load_certificates(&self) -> Result<(), String> {
        match self.url.get(..6) {
            Some(scheme) if scheme.eq_ignore_ascii_case("https:") => {
                self.trust.config().map(|_loaded| ())
            }
            _ => Ok(()),
        }
    }

    /// Asks the service about a token: its claims, or that it is not valid. An error means that the
    /// service could not answer; it contains nothing of the token.
    pub(super) fn claims(
        &self,
        token: &Token,
        deadline: Instant,
    ) -> Result<Option<Map<String, Value>>, IntrospectionError> {
        let (deadline, life) = deadlines(deadline, self.timeout);
        let attempt = self.own.as_ref().map(OwnLogin::attempt).transpose();
        let attempt = attempt.map_err(|closed| {
            IntrospectionError::AnyToken(format!("introspection: client-id: {closed}"))
        })?;
        let mut form = Zeroizing::new(b"token_type_hint=access_token&token=".to_vec());
        encode(token.reveal(), &mut form);
        let told = self.ask(&self.agent, &form, deadline);
        // The service may have closed the connection. Asking twice does no harm.
        let told = match told {
            Err(RequestError::Connection(_)) if deadline > Instant::now() + LEAST => {
                self.ask(&self.fresh, &form, deadline)
            }
            told => told,
        };
        let (refused, taken_again) = match (&told, attempt) {
            (Err(RequestError::ClientRefused(what)), Some(attempt)) => {
                (attempt.refused(what.as_str()).then_some(what), false)
            }
            (Ok(_), Some(attempt)) => (None, attempt.accepted()),
            _ => (None, false),
        };
        if let Some(what) = refused {
            log::error!(
                "introspection: client-id is refused: {what}; it is retried in a minute, or when \
                its secret changes"
            );
        }
        if taken_again {
            log::warn!("introspection: client-id is accepted again");
        }
        let mut claims = told.map_err(|failed| match failed {
            RequestError::Slow if self.is_alive(life) => {
                IntrospectionError::ThisToken(failed.to_string())
            }
            _ => IntrospectionError::AnyToken(failed.to_string()),
        })?;
        match claims.remove("active") {
            Some(Value::Bool(true)) => Ok(Some(claims)),
            Some(Value::Bool(false)) => Ok(None),
            _ => Err(IntrospectionError::AnyToken(
                "introspection: the answer does not say whether the token is active".into(),
            )),
        }
    }

    /// Checks that the service answers, without a token.
    fn is_alive(&self, deadline: Instant) -> bool {
        let told = self.ask(&self.fresh, b"token_type_hint=access_token", deadline);
        matches!(
            told,
            Ok(_) | Err(RequestError::Answer(_) | RequestError::ClientRefused(_))
        )
    }

    fn ask(
        &self,
        agent: &Agent,
        form: &[u8],
        deadline: Instant,
    ) -> Result<Map<String, Value>, RequestError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut request = agent
            .post(&self.url)
            .config()
            .timeout_global(Some(left.max(LEAST)))
            .build()
            .header("Accept", "application/json")
            .content_type("application/x-www-form-urlencoded");
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization.as_str());
        }
        let mut response = request.send(form)?;
        let status = response.status().as_u16();
        let body = response
            .body_mut()
            .with_config()
            .limit(MAX_BODY_BYTES)
            .read_to_vec();
        if status != 200 {
            let what = format!("the service answers with status {status}");
            let error = body.ok().and_then(|body| named_error(&body));
            return Err(match (status, error.as_deref()) {
                // The problem may still be the token alone (RFC 6750, 3.1).
                (401, Some("invalid_token")) => RequestError::Answer(what),
                // RFC 7662, 2.3; RFC 6749, 5.2.
                (401, _) | (400 | 403, Some("invalid_client" | "unauthorized_client")) => {
                    RequestError::ClientRefused(what)
                }
                _ => RequestError::Answer(what),
            });
        }
        let body = body?;
        // serde's error would quote the answer.
        serde_json::from_slice(&body)
            .map_err(|_| RequestError::Answer("the answer is not a JSON object".to_owned()))
    }
}

/// The `error` of an answer that is one (RFC 6749, 5.2).
fn named_error(body: &[u8]) -> Option<String> {
    let answer: Map<String, Value> = serde_json::from_slice(body).ok()?;
    answer.get("error")?.as_str().map(str::to_owned)
}

/// Why the service could not answer.
#[derive(Debug)]
pub(super) enum IntrospectionError {
    /// It answers other requests, and is slow for this token.
    ThisToken(String),
    /// It cannot be reached or used.
    AnyToken(String),
}

impl IntrospectionError {
    pub(super) fn into_message(self) -> String {
        match self {
            Self::ThisToken(what) | Self::AnyToken(what) => what,
        }
    }
}

/// Why there are no claims.
enum RequestError {
    /// There was no answer in time.
    Slow,
    /// The connection broke, or there was none.
    Connection(String),
    /// The answer cannot be used.
    Answer(String),
    /// It rejects our client name or secret.
    ClientRefused(String),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slow => f.write_str("introspection: no answer in time"),
            Self::Connection(what) | Self::Answer(what) | Self::ClientRefused(what) => {
                write!(f, "introspection: {what}")
            }
        }
    }
}

impl From<ureq::Error> for RequestError {
    fn from(error: ureq::Error) -> Self {
        match error {
            ureq::Error::Timeout(_) => Self::Slow,
            ureq::Error::BodyExceedsLimit(_) => Self::Answer("the answer is too long".to_owned()),
            ureq::Error::Io(error) => Self::Connection(error.to_string()),
            error => Self::Connection(error.to_string()),
        }
    }
}

/// Appends these bytes in the encoding of a form (`application/x-www-form-urlencoded`).
fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._*".contains(byte) {
            out.push(*byte);
        } else {
            percent::push(out, *byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_bytes_of_a_form_are_escaped() {
        let mut out = Vec::new();
        encode(b"aZ0-._*~ +/=&%\xe9:", &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "aZ0-._*%7E%20%2B%2F%3D%26%25%E9%3A"
        );
    }
}
