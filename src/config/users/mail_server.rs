//! `store = "imap"`, `"pop3"` and `"http"`.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::ops::Range;

use toml::Spanned;

use super::Users;
use crate::config::checker::Checker;
use crate::net::Endpoint;
use crate::nginx::answer::Messages;
use crate::nginx::request::is_sent_by_nginx;
use crate::users::http::{self, Key, Url};
use crate::users::server::{self, Dialect, Security, Texts};

/// The header that a key is sent in.
const KEY_HEADER: &str = "X-Auth-Key";

/// A scheme, what it means, and its port.
type Scheme = (&'static str, Security, u16);

impl Checker<'_> {
    pub(super) fn server(
        &mut self,
        span: &Range<usize>,
        store: &Spanned<String>,
        users: &Users,
    ) -> Option<server::Settings> {
        let (dialect, schemes): (_, [Scheme; 2]) = match store.get_ref().as_str() {
            "imap" => (
                Dialect::Imap,
                [
                    ("imap://", Security::None, 143),
                    ("imaps://", Security::Tls, 993),
                ],
            ),
            _ => (
                Dialect::Pop3,
                [
                    ("pop3://", Security::None, 110),
                    ("pop3s://", Security::Tls, 995),
                ],
            ),
        };
        let url = self.url(span, users)?;
        let found = schemes.iter().find_map(|(scheme, security, port)| {
            let rest = url.get_ref().strip_prefix(scheme)?;
            let port = NonZeroU16::new(*port)?;
            Some(match rest.strip_suffix('/').unwrap_or(rest) {
                user if user.contains('@') => Err("cannot hold a user or password".to_owned()),
                more if more.contains(['/', '?', '#']) => {
                    Err("must end with the host or its port: leave out what follows".to_owned())
                }
                authority => Endpoint::parse(authority, port).map(|place| (place, *security)),
            })
        });
        let [(plain, ..), (encrypted, ..)] = schemes;
        let (mut endpoint, security) = match found {
            Some(Ok(found)) => found,
            Some(Err(message)) => {
                self.report(&url.span(), "users.url", message);
                return None;
            }
            None => {
                let message = format!("must be {plain}host:port or {encrypted}host:port");
                self.report(&url.span(), "users.url", message);
                return None;
            }
        };
        let starttls = users.starttls.as_ref();
        let security = match starttls {
            Some(starttls) if *starttls.get_ref() && security == Security::Tls => {
                let message =
                    format!("is of no use with {encrypted}, which encrypts from the start");
                self.report(&starttls.span(), "users.starttls", message);
                security
            }
            Some(starttls) if *starttls.get_ref() => Security::StartTls,
            _ => security,
        };
        let encrypted = security != Security::None;
        if !encrypted && !endpoint.is_local() {
            let message = "passwords go there unencrypted: use starttls, or a URL with s";
            self.warn(&url.span(), "users.url", message);
        }
        if !encrypted {
            self.warn_of_port(&url.span(), "users.url", endpoint.local_port());
        }
        endpoint.listened_by(self.socket_user(users, matches!(endpoint, Endpoint::Unix(..))));
        let [connect_timeout, timeout, cache] = self.times(users);
        Some(server::Settings {
            dialect,
            endpoint,
            security,
            ca_file: self.ca_file(users, encrypted),
            texts: Texts::new(
                self.texts("users.temporary", users.temporary.as_ref()),
                self.texts("users.refused", users.refused.as_ref()),
            ),
            connect_timeout,
            timeout,
            cache,
        })
    }

    /// Texts that are looked for in what a mail server says.
    fn texts(&mut self, key: &str, texts: Option<&Spanned<Vec<Spanned<String>>>>) -> Vec<String> {
        const MOST: usize = 100;
        let Some(texts) = texts else {
            return Vec::new();
        };
        if texts.get_ref().len() > MOST {
            let message = format!("must be at most {MOST} texts");
            self.report(&texts.span(), key, message);
        }
        let texts = texts.get_ref().iter();
        texts
            .map(|text| {
                let trimmed = text.get_ref().trim();
                if trimmed.is_empty() {
                    let message = "must not be empty: it would be a part of every text";
                    self.report(&text.span(), key, message);
                } else if trimmed.chars().any(char::is_control) {
                    let message = "must be one line without control characters";
                    self.report(&text.span(), key, message);
                }
                trimmed.to_owned()
            })
            .collect()
    }

    pub(super) fn http(&mut self, span: &Range<usize>, users: &Users) -> Option<http::Settings> {
        let key = users.key_file.as_ref().and_then(|file| {
            let key = self.first_line("users.key-file", file)?;
            self.key(&file.span(), "users.key-file", key.clone())?;
            Some(Key::new(key))
        });
        let headers = users.headers.as_ref().map(Spanned::get_ref);
        let headers = headers.map_or_else(Vec::new, |headers| self.headers(headers, &key));
        let url = self.url(span, users)?;
        let mut parsed = match Url::parse(url.get_ref()) {
            Ok(parsed) => parsed,
            Err(message) => {
                self.report(&url.span(), "users.url", message);
                return None;
            }
        };
        if !parsed.tls && !parsed.endpoint.is_local() {
            let message = "passwords go there unencrypted: use https";
            self.warn(&url.span(), "users.url", message);
        }
        if !parsed.tls {
            self.warn_of_port(&url.span(), "users.url", parsed.endpoint.local_port());
        }
        let is_unix = matches!(parsed.endpoint, Endpoint::Unix(..));
        parsed
            .endpoint
            .listened_by(self.socket_user(users, is_unix));
        let temporary = match &users.temporary {
            None => vec![Messages::TEMPORARY.to_owned()],
            Some(texts) => texts
                .get_ref()
                .iter()
                .map(|text| {
                    // As the header is read.
                    if text.get_ref().trim_matches(' ') != text.get_ref() {
                        let message = "starts or ends with a blank, as no Auth-Status does";
                        self.report(&text.span(), "users.temporary", message);
                    }
                    text.get_ref().clone()
                })
                .collect(),
        };
        let [connect_timeout, timeout, cache] = self.times(users);
        Some(http::Settings {
            ca_file: self.ca_file(users, parsed.tls),
            url: parsed,
            headers,
            key,
            temporary,
            connect_timeout,
            timeout,
            cache,
        })
    }

    fn url<'u>(&mut self, span: &Range<usize>, users: &'u Users) -> Option<&'u Spanned<String>> {
        if users.url.is_none() {
            self.report(span, "users.url", "is missing");
        }
        users.url.as_ref()
    }

    fn headers(
        &mut self,
        headers: &BTreeMap<Spanned<String>, Spanned<String>>,
        key: &Option<Key>,
    ) -> Vec<(String, String)> {
        let mut sent: Vec<(String, String)> = Vec::new();
        for (name, value) in headers {
            let full = format!("users.headers.{}", name.get_ref());
            let is = |known: &str| name.get_ref().eq_ignore_ascii_case(known);
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            if name.get_ref().is_empty() || !name.get_ref().bytes().all(plain) {
                let message = "is no name for a header: letters, digits and hyphens";
                self.report(&name.span(), &full, message);
            } else if is("Host") || is_sent_by_nginx(name.get_ref()) {
                let message = "is sent anyway, with what is to be asked";
                self.report(&name.span(), &full, message);
            } else if key.is_some() && is(KEY_HEADER) {
                let message = "comes from key-file already: only one of the two";
                self.report(&name.span(), &full, message);
            } else if sent.iter().any(|(other, _)| is(other)) {
                let message = "is there twice: names of headers have no case";
                self.report(&name.span(), &full, message);
            }
            let text = value.get_ref();
            if is(KEY_HEADER) {
                self.strength(&value.span(), &full, text.as_bytes());
            }
            if text.trim_matches(' ') != text || text.chars().any(char::is_control) {
                let message =
                    "must be one line without control characters, and no blank at either end";
                self.report(&value.span(), &full, message);
            }
            sent.push((name.get_ref().clone(), text.clone()));
        }
        sent
    }
}
