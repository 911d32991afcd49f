//! Opens the methods to log in without a password.

use crate::auth::Methods;
#[cfg(feature = "servers")]
use crate::auth::token;
use crate::config::Config;
use crate::sys::Lifetime;
use crate::sys::problem::Problem;
use crate::sys::trusted_file::ObservedFiles;

/// Opens the methods of the configuration, and adds their files to `watched`.
#[cfg_attr(
    not(feature = "servers"),
    expect(unused_variables, clippy::ptr_arg, reason = "opens tokens only")
)]
pub fn open(
    config: &Config,
    lifetime: Lifetime,
    watched: &mut ObservedFiles,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) -> Methods {
    Methods {
        external: config.external.clone(),
        inbound: config.inbound.clone(),
        #[cfg(feature = "servers")]
        tokens: config.oauth.as_ref().and_then(|oauth| {
            let most = config.max_questions(oauth.max_questions);
            let opened = token::Tokens::open(&oauth.settings, most, lifetime, watched);
            let problem = |key: &str, message| Problem {
                file: config.path.clone(),
                position: Some(oauth.positions.of(key)),
                key: Some(format!("oauth.{key}")),
                message,
            };
            match opened {
                Ok(tokens) => {
                    let path = oauth.settings.jwks_file.as_deref().unwrap_or(&config.path);
                    warnings.extend(
                        tokens.warnings().iter().map(|what| {
                            problem("jwks-file", format!("{}: {what}", path.display()))
                        }),
                    );
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

/// Tests the introspection service for tokens; returns its problems.
#[cfg(feature = "servers")]
pub(super) fn try_tokens(methods: &Methods, config: &Config) -> Vec<Problem> {
    let (Some(tokens), Some(oauth)) = (&methods.tokens, &config.oauth) else {
        return Vec::new();
    };
    let faults = tokens.test(std::time::Instant::now() + config.limits.deadline);
    let problem = |message| Problem {
        file: config.path.clone(),
        position: Some(oauth.positions.of("introspection-url")),
        key: Some("oauth.introspection-url".to_owned()),
        message,
    };
    faults.into_iter().map(problem).collect()
}

/// This build has no support for tokens.
#[cfg(not(feature = "servers"))]
pub(super) fn try_tokens(_methods: &Methods, _config: &Config) -> Vec<Problem> {
    Vec::new()
}
