//! `[inbound]`: mail from other servers.

use std::net::IpAddr;

use serde::Deserialize;
use toml::Spanned;

use super::checker::Checker;
use super::users::{StoreConfig, UsersConfig};
use crate::auth::incoming_mail::{self, Recipients};
use crate::route::Table;

/// `[inbound]`: mail from other servers (`smtp_auth none`).
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Inbound {
    /// The domains that mail is accepted for. Default: none.
    pub(super) domains: Vec<Spanned<String>>,
    /// The host that receives it. Default: that of the recipient, as if it were a login.
    pub(super) host: Option<Spanned<String>>,
    /// Whether the recipient must be a user of a store. Default: false.
    pub(super) known_users_only: Option<Spanned<bool>>,
    /// The characters between a user and a tag. Default: none.
    pub(super) recipient_delimiter: Option<Spanned<String>>,
}

impl Checker<'_> {
    pub(super) fn inbound(
        &mut self,
        inbound: &Inbound,
        users: &[UsersConfig],
        routes: &Table,
    ) -> Option<incoming_mail::Settings> {
        let known_users_only = inbound.known_users_only.as_ref();
        let known_users_only = known_users_only.filter(|only| *only.get_ref());
        if let Some(only) = known_users_only {
            for users in users.iter().filter(|users| !users.store.knows_its_users()) {
                let what = match users.store {
                    StoreConfig::Accept => "accepts every recipient as a user",
                    _ => "cannot tell whether a recipient exists, and is not asked",
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
            if routes.declared(name).is_none() && name.parse::<IpAddr>().is_err() {
                let message = format!("{name:?} is neither in [hosts] nor an address");
                self.report(&span, "inbound.host", message);
            }
        }
        if inbound.domains.is_empty() {
            let position = inbound.host.as_ref().map(Spanned::span);
            let position = position.or(known_users_only.map(Spanned::span));
            let delimiter = inbound.recipient_delimiter.as_ref();
            if let Some(position) = position.or(delimiter.map(Spanned::span)) {
                let message = "is missing: all incoming mail is refused";
                self.warn(&position, "inbound.domains", message);
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

    /// The characters between a user and a tag: only those that a local part can contain without quotes.
    fn delimiters(&mut self, delimiters: Option<&Spanned<String>>) -> Vec<u8> {
        let Some(delimiters) = delimiters else {
            return Vec::new();
        };
        let (text, span) = (delimiters.get_ref(), delimiters.span());
        let fits = |byte: u8| b"!#$&'*+-/=?^_`{|}~.".contains(&byte);
        if text.is_empty() || text.len() > 8 || !text.bytes().all(fits) {
            let message = "must be 1 to 8 of the characters that can separate a user from a tag, such as \"+\" or \"+-\"; \
                           letters and digits cannot";
            self.report(&span, "inbound.recipient-delimiter", message);
        }
        text.as_bytes().to_vec()
    }

    /// A domain that a recipient can have.
    fn mail_domain(&mut self, domain: &Spanned<String>) -> Option<String> {
        const KEY: &str = "inbound.domains";
        let name = self.domains(KEY, domain)?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | 0x80..);
        let label = |label: &str| !label.is_empty() && label.bytes().all(fits);
        if !name.trim_start_matches("*.").split('.').all(label) {
            let message = "is not a domain name, so no recipient can be there";
            self.report(&domain.span(), KEY, message);
            return None;
        }
        Some(name)
    }
}
