//! `[external]`: clients that log in with a certificate.

use serde::Deserialize;
use toml::Spanned;

use super::checker::Checker;
use crate::auth::certificate::{self, CertificateLogin};

/// `[external]`: clients that log in with a certificate.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct External {
    /// The field of the certificate that is the login: `common-name`, `email`, `subject`. Default: such
    /// clients are refused.
    pub(super) login: Option<Spanned<String>>,
    /// The required issuer of the certificate, as nginx writes it. Default: any issuer that nginx trusts.
    pub(super) issuer: Option<Spanned<String>>,
}

impl Checker<'_> {
    pub(super) fn external(&mut self, external: &External) -> Option<certificate::Settings> {
        const WORDS: [(&str, CertificateLogin); 3] = [
            ("common-name", CertificateLogin::CommonName),
            ("email", CertificateLogin::Email),
            ("subject", CertificateLogin::Subject),
        ];
        let issuer = external
            .issuer
            .as_ref()
            .and_then(|issuer| self.non_empty("external.issuer", issuer));
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
}
