//! `external`: finds the login of a client's certificate, which nginx has verified.

use crate::login::Login;
use crate::login::rules::LoginRules;
use crate::nginx::refusal::Refusal;
use crate::nginx::request::Tls;

mod subject;

/// Which certificates are accepted, and which part is the login: `[external]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which part of a certificate is the login.
    pub login: CertificateLogin,
    /// The required issuer, exactly as nginx writes it.
    pub issuer: Option<String>,
}

/// Which part of a certificate is the login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateLogin {
    /// The subject's only common name.
    CommonName,
    /// An e-mail address among the alternative names, if nginx sends the whole certificate;
    /// otherwise the subject's only `emailAddress`.
    Email,
    /// The whole subject, exactly as nginx writes it.
    Subject,
}

impl Settings {
    /// The login of a client with this certificate, after the rules of `[logins]`: the one that it
    /// asks for, if the certificate contains it too; or the certificate's only one, if it asks for
    /// none (RFC 4422, appendix A). If anything is missing, the login is refused.
    pub fn login(
        &self,
        asked: &Login,
        tls: Option<&Tls<'_>>,
        rules: &LoginRules,
    ) -> Result<Login, Refusal> {
        let tls = tls.ok_or(Refusal::NoCertificate("there is no TLS"))?;
        // "FAILED:reason", "NONE", or nothing, where nginx does not ask for certificates.
        if tls.verify != Some(b"SUCCESS") {
            return Err(Refusal::NoCertificate("nginx did not verify one"));
        }
        if let Some(issuer) = &self.issuer
            && tls.issuer != Some(issuer.as_bytes())
        {
            return Err(Refusal::WrongCertificate("it has another issuer"));
        }
        let mut logins = Vec::new();
        for name in self.names(tls)? {
            let name = Login::new(name)
                .map_err(|_| Refusal::WrongCertificate("its name cannot be a login"))?;
            logins.push(rules.canonical(&name)?);
        }
        logins.retain(|login| !login.as_bytes().is_empty());
        if asked.as_bytes().is_empty() {
            let only = (logins.len() == 1).then(|| logins.pop()).flatten();
            return only.ok_or(Refusal::WrongCertificate("it has more than one login"));
        }
        let asked = rules.canonical(asked)?;
        if logins.contains(&asked) {
            Ok(asked)
        } else {
            Err(Refusal::WrongCertificate("it is another login's"))
        }
    }

    /// The names in the certificate, at least one.
    fn names(&self, tls: &Tls<'_>) -> Result<Vec<Vec<u8>>, Refusal> {
        let subject = tls.subject.unwrap_or_default();
        if subject.is_empty() && self.login != CertificateLogin::Email {
            return Err(Refusal::WrongCertificate("it has no subject"));
        }
        let from_subject = |names: &[&str]| {
            subject::attribute(subject, names)
                .map(|name| vec![name])
                .map_err(|bad| Refusal::WrongCertificate(bad.words()))
        };
        match self.login {
            CertificateLogin::Subject => Ok(vec![subject.to_vec()]),
            CertificateLogin::CommonName => from_subject(&["CN", "2.5.4.3"]),
            CertificateLogin::Email => match alternative_emails(tls)? {
                Some(emails) => Ok(emails),
                None => from_subject(&["emailAddress", "1.2.840.113549.1.9.1"]),
            },
        }
    }
}

/// The e-mail addresses among the alternative names (RFC 5280, 4.2.1.6), if there are any.
#[cfg(feature = "servers")]
fn alternative_emails(tls: &Tls<'_>) -> Result<Option<Vec<Vec<u8>>>, Refusal> {
    use x509_parser::extensions::GeneralName;
    use x509_parser::pem::parse_x509_pem;

    let Some(escaped) = tls.cert else {
        return Ok(None);
    };
    let unreadable = Refusal::WrongCertificate("it cannot be read");
    let text = crate::net::percent::decode(escaped).ok_or(Refusal::BadEscape("Auth-SSL-Cert"))?;
    let (_, pem) = parse_x509_pem(&text).map_err(|_| unreadable.clone())?;
    let certificate = pem.parse_x509().map_err(|_| unreadable.clone())?;
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| unreadable)?;
    let emails: Vec<_> = names
        .iter()
        .flat_map(|names| &names.value.general_names)
        .filter_map(|name| match name {
            GeneralName::RFC822Name(email) => Some(email.as_bytes().to_vec()),
            _ => None,
        })
        .collect();
    Ok(Some(emails).filter(|emails| !emails.is_empty()))
}

/// This build has no support for reading certificates.
#[cfg(not(feature = "servers"))]
fn alternative_emails(_tls: &Tls<'_>) -> Result<Option<Vec<Vec<u8>>>, Refusal> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Tls<'static> = Tls {
        protocol: None,
        cipher: None,
        verify: Some(b"SUCCESS"),
        subject: Some(b"emailAddress=Alice@Example.com,CN=alice,O=Example"),
        issuer: Some(b"CN=Our CA"),
        serial: None,
        fingerprint: None,
        cert: None,
    };

    fn settings(login: CertificateLogin) -> Settings {
        Settings {
            login,
            issuer: None,
        }
    }

    fn login(text: &str) -> Login {
        Login::new(text.as_bytes().to_vec()).unwrap()
    }

    fn rules() -> LoginRules {
        LoginRules {
            lower_case: true,
            ..LoginRules::default()
        }
    }

    #[test]
    fn the_login_is_the_certificates() {
        use CertificateLogin::*;
        let subject = "emailaddress=alice@example.com,cn=alice,o=example";
        for (from, name) in [
            (CommonName, "alice"),
            (Email, "alice@example.com"),
            (Subject, subject),
        ] {
            let settings = settings(from);
            for asked in ["", name, &name.to_uppercase()] {
                let found = settings.login(&login(asked), Some(&GOOD), &rules());
                assert_eq!(found, Ok(login(name)), "{asked}");
            }
            for asked in ["bob", "alice@", "alice ", "alice@example.com.", "*"] {
                let found = settings.login(&login(asked), Some(&GOOD), &rules());
                let refused = Refusal::WrongCertificate("it is another login's");
                assert_eq!(found, Err(refused), "{asked}");
            }
        }
        // Without rules, case matters.
        let plain = LoginRules::default();
        let found = settings(CommonName).login(&login("Alice"), Some(&GOOD), &plain);
        assert!(found.is_err());
    }

    #[test]
    fn only_a_verified_certificate_counts() {
        let settings = settings(CertificateLogin::CommonName);
        let ask = |tls: Option<&Tls<'_>>| settings.login(&login("alice"), tls, &rules());
        assert_eq!(ask(None), Err(Refusal::NoCertificate("there is no TLS")));
        for verify in [
            None,
            Some(&b""[..]),
            Some(b"NONE"),
            Some(b"FAILED"),
            Some(b"FAILED:certificate has expired"),
            Some(b"success"),
            Some(b"SUCCESS "),
            Some(b"SUCCESS,SUCCESS"),
        ] {
            let refused = Refusal::NoCertificate("nginx did not verify one");
            assert_eq!(ask(Some(&Tls { verify, ..GOOD })), Err(refused));
        }
        for (subject, why) in [
            (None, "it has no subject"),
            (Some(&b""[..]), "it has no subject"),
            (Some(b"O=x"), "the subject has no such attribute"),
            (
                Some(b"CN=alice,CN=bob"),
                "the subject has that attribute twice",
            ),
        ] {
            let refused = Err(Refusal::WrongCertificate(why));
            assert_eq!(ask(Some(&Tls { subject, ..GOOD })), refused);
        }
    }

    /// A certificate may have its e-mail address in the alternative names only, and no subject at
    /// all.
    #[test]
    fn a_subject_is_missed_where_it_is_the_login() {
        use CertificateLogin::*;
        let bare = Tls {
            subject: None,
            ..GOOD
        };
        for (from, why) in [
            (CommonName, "it has no subject"),
            (Subject, "it has no subject"),
            (Email, "the subject has no such attribute"),
        ] {
            let found = settings(from).login(&login("alice"), Some(&bare), &rules());
            assert_eq!(found, Err(Refusal::WrongCertificate(why)), "{from:?}");
        }
        let two = Tls {
            subject: Some(b"emailAddress=a@example.com,emailAddress=b@example.com"),
            ..GOOD
        };
        let found = settings(Email).login(&login(""), Some(&two), &rules());
        let why = "the subject has that attribute twice";
        assert_eq!(found, Err(Refusal::WrongCertificate(why)));
    }

    #[test]
    fn nothing_that_is_missing_becomes_a_login() {
        use CertificateLogin::*;
        for from in [CommonName, Email, Subject] {
            for subject in [None, Some(&b""[..]), Some(b"CN=,emailAddress=")] {
                let tls = Tls { subject, ..GOOD };
                for asked in ["", "alice"] {
                    let found = settings(from).login(&login(asked), Some(&tls), &rules());
                    let whole = from == Subject
                        && asked.is_empty()
                        && subject != Some(b"")
                        && subject.is_some();
                    assert_eq!(
                        found.is_ok(),
                        whole,
                        "{from:?} {subject:?} {asked}: {found:?}"
                    );
                }
            }
        }
        // An alias or a stripped domain may leave an empty name.
        let strip = LoginRules {
            strip_domains: vec!["example.com".to_owned()],
            ..LoginRules::default()
        };
        let tls = Tls {
            subject: Some(b"emailAddress=@example.com"),
            ..GOOD
        };
        for asked in ["", "@example.com"] {
            assert!(
                settings(Email)
                    .login(&login(asked), Some(&tls), &strip)
                    .is_err()
            );
        }
    }

    #[test]
    fn the_issuer_must_be_the_same() {
        let settings = Settings {
            login: CertificateLogin::CommonName,
            issuer: Some("CN=Our CA".to_owned()),
        };
        let ask = |issuer| {
            let tls = Tls { issuer, ..GOOD };
            settings.login(&login("alice"), Some(&tls), &rules())
        };
        assert!(ask(Some(b"CN=Our CA")).is_ok());
        for issuer in [
            None,
            Some(&b""[..]),
            Some(b"CN=Our CA,O=x"),
            Some(b"CN=our ca"),
        ] {
            let refused = Refusal::WrongCertificate("it has another issuer");
            assert_eq!(ask(issuer), Err(refused));
        }
    }
}
