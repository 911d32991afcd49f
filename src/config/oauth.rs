//! `[oauth]`: bearer tokens instead of passwords.

#[cfg(feature = "servers")]
use std::num::NonZeroUsize;

use serde::Deserialize;
use toml::Spanned;

#[cfg(feature = "servers")]
use super::KeyPositions;
use super::checker::Checker;
#[cfg(feature = "servers")]
use crate::auth::token;

/// `[oauth]`: bearer tokens instead of passwords (`xoauth2`, `oauthbearer`).
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct OAuth {
    /// The URL of the introspection of tokens (RFC 7662).
    pub(super) introspection_url: Option<Spanned<String>>,
    /// The client id of this program at that service.
    pub(super) client_id: Option<Spanned<String>>,
    /// A file whose first line is the secret of this program at that service.
    pub(super) client_secret_file: Option<Spanned<String>>,
    /// The file with the keys of signed tokens (RFC 7517); read again when it changes.
    pub(super) jwks_file: Option<Spanned<String>>,
    /// The required issuer of a token.
    pub(super) issuer: Option<Spanned<String>>,
    /// The required audience of a token.
    pub(super) audience: Option<Spanned<String>>,
    /// The required scope of a token.
    pub(super) scope: Option<Spanned<String>>,
    /// The claim that names the login. Default: "email".
    pub(super) login_claim: Option<Spanned<String>>,
    /// Certificates that are trusted instead of the system's.
    pub(super) ca_file: Option<Spanned<String>>,
    /// The maximum number of introspections at the same time, 1 to 10000. Default: as for a store.
    pub(super) max_questions: Option<Spanned<i64>>,
    /// The time-out of an introspection in seconds, 1 to 60. Default: 4.
    pub(super) timeout: Option<Spanned<i64>>,
    /// The URL with information for a refused client; part of Auth-Error-SASL.
    pub(super) configuration_url: Option<Spanned<String>>,
}

/// `[oauth]`, if it is configured.
#[cfg(feature = "servers")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthConfig {
    /// Which tokens are accepted, and how they are checked.
    pub settings: token::Settings,
    /// The configured maximum number of introspections at the same time.
    pub max_questions: Option<NonZeroUsize>,
    /// The positions of the keys in the file.
    pub positions: KeyPositions,
}

/// The checked `[oauth]`.
#[derive(Default)]
pub(super) struct Tokens {
    #[cfg(feature = "servers")]
    pub(super) config: Option<OAuthConfig>,
    /// The text for refused clients, in base64.
    pub(super) sasl_error: Option<String>,
}

impl Checker<'_> {
    /// This build cannot check tokens.
    #[cfg(not(feature = "servers"))]
    pub(super) fn oauth(&mut self, oauth: &OAuth) -> Tokens {
        for (key, given) in [
            ("oauth.introspection-url", &oauth.introspection_url),
            ("oauth.jwks-file", &oauth.jwks_file),
        ] {
            if let Some(given) = given {
                let message = "this program was built without tokens";
                self.report(&given.span(), key, message);
            }
        }
        Tokens::default()
    }
}

#[cfg(feature = "servers")]
mod tokens {
    use std::time::Duration;

    use ureq::http::Uri;

    use super::{Checker, OAuth, OAuthConfig, Spanned, Tokens};
    use crate::auth::token::{IntrospectionSettings, Rules, Settings, sasl_error};
    use crate::config::KeyPositions;
    use crate::net::http;
    use crate::secret::Password;

    /// The maximum size of `Auth-Error-SASL` in bytes, so that it fits into every refusal.
    const MAX_SASL_ERROR_BYTES: usize = 400;

    const URL: &str = "oauth.introspection-url";

    impl Checker<'_> {
        pub(in crate::config) fn oauth(&mut self, oauth: &OAuth) -> Tokens {
            let introspection = self.introspection(oauth);
            let jwks_file = oauth
                .jwks_file
                .as_ref()
                .and_then(|path| self.path("oauth.jwks-file", &path.span(), Some(path)));
            let mut text = |key: &str, text: &Option<Spanned<String>>| {
                let text = text.as_ref()?;
                self.non_empty(&format!("oauth.{key}"), text)
            };
            let rules = Rules {
                issuer: text("issuer", &oauth.issuer),
                audience: text("audience", &oauth.audience),
                scope: text("scope", &oauth.scope),
                login: text("login-claim", &oauth.login_claim).unwrap_or("email".to_owned()),
            };
            if let (Some(keys), None) = (&oauth.jwks_file, &rules.audience) {
                let message = "without an audience, tokens that the same issuer made for another \
                               service let people in here";
                self.warn(&keys.span(), "oauth.audience", message);
            }
            let url = oauth.configuration_url.as_ref();
            let url = url.and_then(|url| self.web_address("oauth.configuration-url", url));
            let error = sasl_error(&rules, url.as_deref());
            if error.len() > MAX_SASL_ERROR_BYTES {
                let position = oauth.configuration_url.as_ref().or(oauth.scope.as_ref());
                let message = "together with the scope it is too long for an answer to nginx";
                let position = position.map_or(0..0, Spanned::span);
                self.report(&position, "oauth.configuration-url", message);
            }
            if oauth.introspection_url.is_none() && oauth.jwks_file.is_none() {
                self.without_issuer(oauth);
                return Tokens::default();
            }
            let max_questions = oauth.max_questions.as_ref();
            let max_questions = self.questions("oauth.max-questions", max_questions);
            let settings = Settings {
                rules,
                jwks_file,
                introspection,
            };
            let keys = [
                ("jwks-file", &oauth.jwks_file),
                ("ca-file", &oauth.ca_file),
                ("introspection-url", &oauth.introspection_url),
            ];
            let position = |given: &Spanned<String>| self.source.position(given.span().start);
            let keys: std::collections::BTreeMap<_, _> = keys
                .into_iter()
                .filter_map(|(key, given)| Some((key, position(given.as_ref()?))))
                .collect();
            Tokens {
                config: Some(OAuthConfig {
                    settings,
                    max_questions,
                    positions: KeyPositions {
                        whole: keys.values().min().copied().unwrap_or_default(),
                        keys,
                    },
                }),
                sasl_error: Some(error),
            }
        }

        /// Reports keys that have no effect, because no check of tokens is configured.
        fn without_issuer(&mut self, oauth: &OAuth) {
            let given = [
                &oauth.client_id,
                &oauth.client_secret_file,
                &oauth.issuer,
                &oauth.audience,
                &oauth.scope,
                &oauth.ca_file,
                &oauth.configuration_url,
            ];
            if let Some(given) = given.into_iter().flatten().next() {
                let message = "is missing, and so is jwks-file: no token would be accepted";
                self.report(&given.span(), URL, message);
            }
        }

        fn introspection(&mut self, oauth: &OAuth) -> Option<IntrospectionSettings> {
            let timeout = oauth.timeout.as_ref();
            let timeout =
                timeout.map_or(4, |seconds| self.number("oauth.timeout", seconds, 1..=60));
            let client = self.client(oauth);
            let introspection_url = oauth.introspection_url.as_ref()?;
            let url = self.web_address(URL, introspection_url);
            let endpoint = url.as_deref().map(http::endpoint_of);
            if let Some(Err(message)) = &endpoint {
                self.report(&introspection_url.span(), URL, message);
            }
            let ca_file = oauth.ca_file.as_ref();
            let ca_file = ca_file.and_then(|file| self.authorities("oauth.ca-file", file));
            Some(IntrospectionSettings {
                url: url?,
                endpoint: endpoint?.ok()?,
                client,
                ca_file,
                timeout: Duration::from_secs(timeout),
            })
        }

        fn client(&mut self, oauth: &OAuth) -> Option<(String, Password)> {
            const FILE: &str = "oauth.client-secret-file";
            match (&oauth.client_id, &oauth.client_secret_file) {
                (None, None) => None,
                (Some(id), None) => {
                    self.report(&id.span(), FILE, "is missing");
                    None
                }
                (None, Some(file)) => {
                    self.report(&file.span(), "oauth.client-id", "is missing");
                    None
                }
                (Some(id), Some(file)) => {
                    let id = self.non_empty("oauth.client-id", id);
                    let line = self.first_line(FILE, file)?;
                    match Password::new(line.to_vec()) {
                        Ok(secret) if !line.is_empty() => Some((id?, secret)),
                        _ => {
                            let message = "its first line must have 1 to 512 bytes";
                            self.report(&file.span(), FILE, message);
                            None
                        }
                    }
                }
            }
        }

        /// `https://…`, or `http://…` to this machine: other machines must not see the request (RFC 7662, 4).
        fn web_address(&mut self, key: &str, url: &Spanned<String>) -> Option<String> {
            let text = url.get_ref();
            let parsed: Option<Uri> = text.parse().ok();
            let host = parsed.as_ref().and_then(Uri::host).unwrap_or_default();
            let here = matches!(host, "localhost" | "[::1]")
                || host
                    .parse::<std::net::Ipv4Addr>()
                    .is_ok_and(|host| host.is_loopback());
            let whole = !host.is_empty() && !text.contains(['@', '#']);
            let message = match parsed.as_ref().and_then(Uri::scheme_str) {
                Some("https") if whole => return Some(text.clone()),
                Some("http") if whole && here => {
                    if key == URL {
                        let port = parsed.as_ref().and_then(Uri::port_u16).unwrap_or(80);
                        self.warn_of_port(&url.span(), key, Some(port));
                    }
                    return Some(text.clone());
                }
                Some("http") if whole => "must start with https://: others could read the traffic",
                _ => "must be of the form https://host/path",
            };
            self.report(&url.span(), key, message);
            None
        }
    }
}
