//! `[answers]`: whether a client may retry on its connection.

use std::num::NonZeroU32;

use serde::Deserialize;
use toml::Spanned;

use super::checker::Checker;
use super::source::unplaced;
use super::throttle::Throttle;
use crate::auth::Retry;

/// `[answers]`: whether a client may retry on its connection.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Answers {
    /// Seconds for which nginx delays a refusal before the client may retry, at most 60. Default: 0, nginx
    /// closes the connection.
    pub(super) retry_wait: Spanned<i64>,
    /// The attempt after which nginx closes the connection anyway, 1 to 1000. Default: 10.
    pub(super) max_attempts: Spanned<i64>,
    /// Whether refusals start with the codes that mail clients act on (RFC 5530, RFC 3206,
    /// RFC 4954). Default: false.
    pub(super) codes: bool,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            retry_wait: unplaced(0),
            max_attempts: unplaced(10),
            codes: false,
        }
    }
}

impl Checker<'_> {
    pub(super) fn retry(
        &mut self,
        answers: &Answers,
        throttle: Option<&Spanned<Throttle>>,
    ) -> Option<Retry> {
        let wait = self.number("answers.retry-wait", &answers.retry_wait, 0..=60);
        let max_attempts = self.number("answers.max-attempts", &answers.max_attempts, 1..=1000);
        let after_digests = throttle.is_some_and(|it| it.get_ref().wait_after_digests);
        NonZeroU32::new(wait).map(|wait| Retry {
            wait,
            max_attempts,
            after_digests,
        })
    }
}
