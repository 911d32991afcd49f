//! How a client shows who it is where it does not send a password: by a certificate, by a token,
//! or, for mail from other servers, not at all. Digests of passwords are a matter of
//! [`crate::secret`].

#[cfg(feature = "oauth")]
use super::token;
use super::{certificate, incoming_mail};
use crate::config::Config;
use crate::login::Login;
use crate::login::relayed::Value;
use crate::login::rules::LoginRules;
use crate::nginx::refusal::Refusal;
use crate::nginx::request::AuthRequest;
use crate::secret::Token;
use crate::sys::Lifetime;
use crate::sys::problem::Problem;
use crate::sys::trusted_file::Watched;
use crate::users::Question;

/// What is configured of all that; clients of the rest are refused.
#[derive(Default)]
pub struct Methods {
    /// `[external]`.
    pub external: Option<certificate::Settings>,
    /// `[inbound]`.
    pub inbound: Option<incoming_mail::Settings>,
    /// `[oauth]`.
    #[cfg(feature = "oauth")]
    pub tokens: Option<token::Tokens>,
}

impl Methods {
    /// Opens what the configuration names. The files that matter are in `watched` from then on.
    #[cfg_attr(
        not(feature = "oauth"),
        expect(unused_variables, clippy::ptr_arg, reason = "opens tokens only")
    )]
    pub fn open(
        config: &Config,
        lifetime: Lifetime,
        watched: &mut Watched,
        problems: &mut Vec<Problem>,
        warnings: &mut Vec<Problem>,
    ) -> Self {
        Self {
            external: config.external.clone(),
            inbound: config.inbound.clone(),
            #[cfg(feature = "oauth")]
            tokens: config.oauth.as_ref().and_then(|oauth| {
                let most = config.max_questions(oauth.max_questions);
                let opened = token::Tokens::open(&oauth.settings, most, lifetime, watched);
                let problem = |key: &str, message| Problem {
                    file: config.path.clone(),
                    place: Some(oauth.places.of(key)),
                    key: Some(format!("oauth.{key}")),
                    message,
                };
                match opened {
                    Ok(tokens) => {
                        let path = oauth.settings.jwks_file.as_deref().unwrap_or(&config.path);
                        warnings.extend(tokens.warnings().iter().map(|what| {
                            problem("jwks-file", format!("{}: {what}", path.display()))
                        }));
                        Some(tokens)
                    }
                    Err(fault) => {
                        problems.push(problem(fault.key, fault.message));
                        None
                    }
                }
            }),
        }
    }

    /// Asks the service that knows about tokens; what is to be mended.
    #[cfg(feature = "oauth")]
    pub fn try_tokens(&self, config: &Config) -> Vec<Problem> {
        let (Some(tokens), Some(oauth)) = (&self.tokens, &config.oauth) else {
            return Vec::new();
        };
        let faults = tokens.test(std::time::Instant::now() + config.deadline);
        let problem = |message| Problem {
            file: config.path.clone(),
            place: Some(oauth.places.of("introspection-url")),
            key: Some("oauth.introspection-url".to_owned()),
            message,
        };
        faults.into_iter().map(problem).collect()
    }

    /// This build cannot check tokens.
    #[cfg(not(feature = "oauth"))]
    pub fn try_tokens(&self, _config: &Config) -> Vec<Problem> {
        Vec::new()
    }

    /// The login of the client's certificate, after the rules of `[logins]`.
    pub fn certified(
        &self,
        request: &AuthRequest<'_>,
        rules: &LoginRules,
    ) -> Result<Login, Refusal> {
        let settings = self.external.as_ref();
        let settings = settings.ok_or(Refusal::UnsupportedMethod("external"))?;
        let login = settings.login(&request.login, request.tls.as_ref(), rules)?;
        // Such as "Alice Smith" for SMTP.
        match Value::login_for(request.protocol).allows(login.as_bytes()) {
            true => Ok(login),
            false => Err(Refusal::WrongCertificate("its name cannot be a login")),
        }
    }

    /// Whether the token is in force and that of this login.
    #[cfg(feature = "oauth")]
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

    /// This build cannot check tokens.
    #[cfg(not(feature = "oauth"))]
    pub fn check(
        &self,
        _token: &Token,
        _asked: &Question<'_>,
        _rules: &LoginRules,
    ) -> Result<(), Refusal> {
        Err(Refusal::UnsupportedMethod("token"))
    }

    /// Whom incoming mail is for, if it is taken.
    pub fn recipient(
        &self,
        request: &AuthRequest<'_>,
        rules: &LoginRules,
    ) -> Result<(&incoming_mail::Settings, Login), Refusal> {
        let settings = self.inbound.as_ref();
        let settings = settings.ok_or(Refusal::RelayDenied("there is no [inbound]"))?;
        let envelope = request.envelope.as_ref();
        Ok((
            settings,
            settings.recipient(request.protocol, envelope, rules)?,
        ))
    }
}
