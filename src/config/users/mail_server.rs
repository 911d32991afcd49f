//! `store = "imap"` and `"pop3"`: the keys of mail servers.

use serde::Deserialize;
use toml::Spanned;

#[cfg(feature = "servers")]
use {
    super::Users,
    crate::config::checker::Checker,
    crate::net::{Endpoint, url},
    crate::users::server::{self, Dialect, Security, Texts},
    std::num::NonZeroU16,
    std::ops::Range,
};

/// The keys of these stores only, and `temporary`, which `http` has too.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Keys {
    /// Parts of the texts by which the server reports trouble, besides the known ones.
    pub(super) temporary: Option<Spanned<Vec<Spanned<String>>>>,
    /// Parts of the texts by which the server refuses login and password, besides the known ones.
    pub(super) refused: Option<Spanned<Vec<Spanned<String>>>>,
}

/// A scheme, its meaning, and its port.
#[cfg(feature = "servers")]
type Scheme = (&'static str, Security, u16);

#[cfg(feature = "servers")]
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
                [("imap", Security::None, 143), ("imaps", Security::Tls, 993)],
            ),
            _ => (
                Dialect::Pop3,
                [("pop3", Security::None, 110), ("pop3s", Security::Tls, 995)],
            ),
        };
        let url = self.url(span, users)?;
        let read = url::Url::read(url.get_ref());
        let found = read.and_then(|url| {
            let scheme = schemes.iter().find(|(scheme, ..)| *scheme == url.scheme);
            let (_, security, port) = scheme?;
            let port = NonZeroU16::new(*port)?;
            Some(match url.behind {
                _ if url.userinfo.is_some() || url.behind.contains('@') => {
                    Err("must not contain a user or password".to_owned())
                }
                "" | "/" => {
                    Endpoint::parse(url.host_port, port).map(|host_port| (host_port, *security))
                }
                _ => Err("must end with the host or its port: leave out what follows".to_owned()),
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
                let message = format!("must be {plain}://host:port or {encrypted}://host:port");
                self.report(&url.span(), "users.url", message);
                return None;
            }
        };
        let starttls = users.connection.starttls.as_ref();
        let security = match starttls {
            Some(starttls) if *starttls.get_ref() && security == Security::Tls => {
                let message =
                    format!("has no effect with {encrypted}://, which encrypts from the start");
                self.report(&starttls.span(), "users.starttls", message);
                security
            }
            Some(starttls) if *starttls.get_ref() => Security::StartTls,
            _ => security,
        };
        let encrypted = security != Security::None;
        if !encrypted && !endpoint.is_local() {
            let message = "passwords are sent there unencrypted: use starttls, or a URL with s";
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
                self.texts("users.temporary", users.mail_server.temporary.as_ref()),
                self.texts("users.refused", users.mail_server.refused.as_ref()),
            ),
            connect_timeout,
            timeout,
            cache,
        })
    }

    /// Texts that are searched for in the answers of a mail server.
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
}
