//! `store = "http"`: the keys of another `auth_http` service.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

#[cfg(feature = "servers")]
use {
    super::Users,
    crate::config::checker::Checker,
    crate::net::Endpoint,
    crate::nginx::answer::Messages,
    crate::nginx::request::{KEY_HEADER, is_sent_by_nginx},
    crate::users::http::{self, Key, Url},
    std::ops::Range,
};

/// The keys of this store only, and `temporary`, which mail servers have too.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Keys {
    /// Headers that are added to the request.
    pub(super) headers: Option<Spanned<BTreeMap<Spanned<String>, Spanned<String>>>>,
    /// A file whose first line is sent as X-Auth-Key.
    pub(super) key_file: Option<Spanned<String>>,
    /// Texts of Auth-Status that mean trouble in the other service. Default: the text that this program sends
    /// by default.
    pub(super) temporary: Option<Spanned<Vec<Spanned<String>>>>,
}

#[cfg(feature = "servers")]
impl Checker<'_> {
    pub(super) fn http(&mut self, span: &Range<usize>, users: &Users) -> Option<http::Settings> {
        let key = users.http.key_file.as_ref().and_then(|file| {
            let key = self.first_line("users.key-file", file)?;
            self.key(&file.span(), "users.key-file", key.clone())?;
            Some(Key::new(key))
        });
        let headers = users.http.headers.as_ref().map(Spanned::get_ref);
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
            let message = "passwords are sent there unencrypted: use https";
            self.warn(&url.span(), "users.url", message);
        }
        if !parsed.tls {
            self.warn_of_port(&url.span(), "users.url", parsed.endpoint.local_port());
        }
        let is_unix = matches!(parsed.endpoint, Endpoint::Unix(..));
        parsed
            .endpoint
            .listened_by(self.socket_user(users, is_unix));
        let temporary = match &users.http.temporary {
            None => vec![Messages::TEMPORARY.to_owned()],
            Some(texts) => texts
                .get_ref()
                .iter()
                .map(|text| {
                    // The same form as when the header is read.
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
                let message = "is not a header name: letters, digits and hyphens";
                self.report(&name.span(), &full, message);
            } else if is("Host") || is_sent_by_nginx(name.get_ref()) {
                let message = "is always sent by the program: leave it out";
                self.report(&name.span(), &full, message);
            } else if key.is_some() && is(KEY_HEADER) {
                let message = "comes from key-file already: only one of the two";
                self.report(&name.span(), &full, message);
            } else if sent.iter().any(|(other, _)| is(other)) {
                let message = "is set twice: header names are compared without case";
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
