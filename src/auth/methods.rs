//! The methods that prove a login without a password (certificates, tokens), and the rules for
//! incoming mail. Digests of passwords are in [`crate::secret`].

#[cfg(feature = "servers")]
use super::token;
use super::{certificate, incoming_mail};
use crate::login::Login;
use crate::login::relayed::Value;
use crate::login::rules::LoginRules;
use crate::nginx::refusal::Refusal;
use crate::nginx::request::{LoginRequest, MailRequest};
use crate::secret::Token;
use crate::users::Question;

/// The configured methods; clients of the others are refused.
#[derive(Default)]
pub struct Methods {
    /// `[external]`.
    pub external: Option<certificate::Settings>,
    /// `[inbound]`.
    pub inbound: Option<incoming_mail::Settings>,
    /// `[oauth]`.
    #[cfg(feature = "servers")]
    pub tokens: Option<token::Tokens>,
}

impl Methods {
    /// The login of the client's certificate, after the rules of `[logins]`.
    pub fn certified(
        &self,
        request: &LoginRequest<'_>,
        rules: &LoginRules,
    ) -> Result<Login, Refusal> {
        let settings = self.external.as_ref();
        let settings = settings.ok_or(Refusal::UnsupportedMethod("external"))?;
        let login = settings.login(&request.login, request.connection.tls.as_ref(), rules)?;
        // For example "Alice Smith" for SMTP.
        match Value::login_for(request.connection.protocol).allows(login.as_bytes()) {
            true => Ok(login),
            false => Err(Refusal::WrongCertificate("its name cannot be a login")),
        }
    }

    /// Checks that the token is valid and belongs to this login.
    #[cfg(feature = "servers")]
    pub fn check(
        &self,
        token: &Token,
        asked: &Question<'_>,
        rules: &LoginRules,
    ) -> Result<(), Refusal> {
        let tokens = self.tokens.as_ref();
        let tokens = tokens.ok_or(Refusal::UnsupportedMethod("token"))?;
        tokens.check(token, asked, rules)
    }

    /// This build has no support for tokens.
    #[cfg(not(feature = "servers"))]
    pub fn check(
        &self,
        _token: &Token,
        _asked: &Question<'_>,
        _rules: &LoginRules,
    ) -> Result<(), Refusal> {
        Err(Refusal::UnsupportedMethod("token"))
    }

    /// The recipient of incoming mail, if the mail is accepted.
    pub fn recipient(
        &self,
        request: &MailRequest<'_>,
        rules: &LoginRules,
    ) -> Result<(&incoming_mail::Settings, Login), Refusal> {
        let settings = self.inbound.as_ref();
        let settings = settings.ok_or(Refusal::RelayDenied("there is no [inbound]"))?;
        let protocol = request.connection.protocol;
        Ok((
            settings,
            settings.recipient(protocol, &request.envelope, rules)?,
        ))
    }
}
