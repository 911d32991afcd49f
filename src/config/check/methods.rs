//! `[external]`, `[inbound]` and `[oauth]`: clients that send no password.

use toml::Spanned;

use super::Checker;
use crate::auth::certificate::{self, CertificateLogin};
use crate::auth::incoming_mail::{self, Recipients};
use crate::config::{StoreConfig, UsersConfig, file};
use crate::route::Table;

/// What `[oauth]` comes to.
#[derive(Default)]
pub(super) struct OAuth {
    #[cfg(feature = "oauth")]
    pub(super) config: Option<crate::config::OAuthConfig>,
    /// What refused clients are told, in base64.
    pub(super) sasl_error: Option<String>,
}

impl Checker<'_> {
    pub(super) fn external(&mut self, external: &file::External) -> Option<certificate::Settings> {
        const WORDS: [(&str, CertificateLogin); 3] = [
            ("common-name", CertificateLogin::CommonName),
            ("email", CertificateLogin::Email),
            ("subject", CertificateLogin::Subject),
        ];
        let issuer = external
            .issuer
            .as_ref()
            .and_then(|issuer| self.filled("external.issuer", issuer));
        let Some(login) = &external.login else {
            if let Some(issuer) = &external.issuer {
                self.report(&issuer.span(), "external.login", "is missing");
            }
            return None;
        };
        Some(certificate::Settings {
            login: self.word("external.login", login, &WORDS)?,
            issuer,
        })
    }

    pub(super) fn inbound(
        &mut self,
        inbound: &file::Inbound,
        users: &[UsersConfig],
        routes: &Table,
    ) -> Option<incoming_mail::Settings> {
        let known_users_only = inbound.known_users_only.as_ref();
        let known_users_only = known_users_only.filter(|only| *only.get_ref());
        if let Some(only) = known_users_only {
            for users in users.iter().filter(|users| !users.store.knows_its_users()) {
                let what = match users.store {
                    StoreConfig::Accept => "takes all recipients for users",
                    _ => "cannot tell who is a user, and is not asked",
                };
                let message = format!("store {} {what}", users.name);
                self.warn(&only.span(), "inbound.known-users-only", message);
            }
        }
        let domains: Vec<_> = inbound
            .domains
            .iter()
            .filter_map(|domain| self.mail_domain(domain))
            .collect();
        if let Some(host) = &inbound.host {
            let (name, span) = (host.get_ref(), host.span());
            if routes.declared(name).is_none() && name.parse::<std::net::IpAddr>().is_err() {
                let message = format!("{name:?} is neither in [hosts] nor an address");
                self.report(&span, "inbound.host", message);
            }
        }
        if inbound.domains.is_empty() {
            let place = inbound.host.as_ref().map(Spanned::span);
            let place = place.or(known_users_only.map(Spanned::span));
            let delimiter = inbound.recipient_delimiter.as_ref();
            if let Some(place) = place.or(delimiter.map(Spanned::span)) {
                let message = "is missing: no mail is taken";
                self.warn(&place, "inbound.domains", message);
            }
            return None;
        }
        Some(incoming_mail::Settings {
            domains,
            host: inbound.host.as_ref().map(|host| host.get_ref().clone()),
            recipients: match known_users_only {
                Some(_) => Recipients::KnownUsers,
                None => Recipients::All,
            },
            delimiters: self.delimiters(inbound.recipient_delimiter.as_ref()),
        })
    }

    /// What parts a user from a tag: characters that can stand in a local part without quotes.
    fn delimiters(&mut self, delimiters: Option<&Spanned<String>>) -> Vec<u8> {
        let Some(delimiters) = delimiters else {
            return Vec::new();
        };
        let (text, span) = (delimiters.get_ref(), delimiters.span());
        let fits = |byte: u8| b"!#$&'*+-/=?^_`{|}~.".contains(&byte);
        if text.is_empty() || text.len() > 8 || !text.bytes().all(fits) {
            let message = "must be 1 to 8 of the characters that can part a user from a tag, such as \"+\" or \"+-\"; \
                           letters and digits cannot";
            self.report(&span, "inbound.recipient-delimiter", message);
        }
        text.as_bytes().to_vec()
    }

    /// A domain such as can stand in a recipient.
    fn mail_domain(&mut self, domain: &Spanned<String>) -> Option<String> {
        const KEY: &str = "inbound.domains";
        let name = self.domains(KEY, domain)?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | 0x80..);
        let label = |label: &str| !label.is_empty() && label.bytes().all(fits);
        if !name.trim_start_matches("*.").split('.').all(label) {
            let message = "no recipient can be there: not of the form of a domain name";
            self.report(&domain.span(), KEY, message);
            return None;
        }
        Some(name)
    }

    /// A text that is not empty.
    fn filled(&mut self, key: &str, text: &Spanned<String>) -> Option<String> {
        if text.get_ref().is_empty() {
            self.report(&text.span(), key, "must not be empty");
            return None;
        }
        Some(text.get_ref().clone())
    }

    /// This build cannot check tokens.
    #[cfg(not(feature = "oauth"))]
    pub(super) fn oauth(&mut self, oauth: &file::OAuth) -> OAuth {
        for (key, given) in [
            ("oauth.introspection-url", &oauth.introspection_url),
            ("oauth.jwks-file", &oauth.jwks_file),
        ] {
            if let Some(given) = given {
                let message = "this program was built without tokens";
                self.report(&given.span(), key, message);
            }
        }
        OAuth::default()
    }
}

#[cfg(feature = "oauth")]
mod tokens {
    use std::time::Duration;

    use ureq::http::Uri;

    use super::{Checker, OAuth, Spanned, file};
    use crate::auth::token::{IntrospectionSettings, Rules, Settings, sasl_error};
    use crate::config::{OAuthConfig, Places};
    use crate::secret::Password;

    /// The most bytes of `Auth-Error-SASL`, so that it fits into every refusal.
    const MAX_SASL_ERROR_BYTES: usize = 400;

    impl Checker<'_> {
        pub(in crate::config::check) fn oauth(&mut self, oauth: &file::OAuth) -> OAuth {
            let introspection = self.introspection(oauth);
            let jwks_file = oauth
                .jwks_file
                .as_ref()
                .and_then(|path| self.path("oauth.jwks-file", &path.span(), Some(path)));
            let mut text = |key: &str, text: &Option<Spanned<String>>| {
                let text = text.as_ref()?;
                self.filled(&format!("oauth.{key}"), text)
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
                let place = oauth.configuration_url.as_ref().or(oauth.scope.as_ref());
                let message = "together with the scope it is too long for an answer to nginx";
                let place = place.map_or(0..0, Spanned::span);
                self.report(&place, "oauth.configuration-url", message);
            }
            if oauth.introspection_url.is_none() && oauth.jwks_file.is_none() {
                self.without_issuer(oauth);
                return OAuth::default();
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
            let place = |given: &Spanned<String>| self.source.place(given.span().start);
            let keys: std::collections::BTreeMap<_, _> = keys
                .into_iter()
                .filter_map(|(key, given)| Some((key, place(given.as_ref()?))))
                .collect();
            OAuth {
                config: Some(OAuthConfig {
                    settings,
                    max_questions,
                    places: Places {
                        whole: keys.values().min().copied().unwrap_or_default(),
                        keys,
                    },
                }),
                sasl_error: Some(error),
            }
        }

        /// Keys that say something about tokens where none are taken.
        fn without_issuer(&mut self, oauth: &file::OAuth) {
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
                let message = "is missing, and so is jwks-file: no token would be taken";
                self.report(&given.span(), "oauth.introspection-url", message);
            }
        }

        fn introspection(&mut self, oauth: &file::OAuth) -> Option<IntrospectionSettings> {
            let timeout = oauth.timeout.as_ref();
            let timeout =
                timeout.map_or(4, |seconds| self.number("oauth.timeout", seconds, 1..=60));
            let client = self.client(oauth);
            let url =
                self.web_address("oauth.introspection-url", oauth.introspection_url.as_ref()?);
            let ca_file = oauth.ca_file.as_ref();
            let ca_file = ca_file.and_then(|file| self.authorities("oauth.ca-file", file));
            Some(IntrospectionSettings {
                url: url?,
                client,
                ca_file,
                timeout: Duration::from_secs(timeout),
            })
        }

        fn client(&mut self, oauth: &file::OAuth) -> Option<(String, Password)> {
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
                    let id = self.filled("oauth.client-id", id);
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

        /// `https://…`, or `http://…` to this machine: what goes there must not be seen by others
        /// (RFC 7662, 4).
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
                    if key == "oauth.introspection-url" {
                        let port = parsed.as_ref().and_then(Uri::port_u16).unwrap_or(80);
                        self.warn_of_port(&url.span(), key, Some(port));
                    }
                    return Some(text.clone());
                }
                Some("http") if whole => "must start with https://: others could read along",
                _ => "must be of the form https://host/path",
            };
            self.report(&url.span(), key, message);
            None
        }
    }
}
