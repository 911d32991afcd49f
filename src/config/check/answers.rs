//! `[messages]` and `[answers]`: what a refused client is told, and whether it may try again.

use std::num::NonZeroU32;

use toml::Spanned;

use super::Checker;
use crate::auth::Retry;
use crate::config::file;
use crate::nginx::answer::{Codes, Messages, Text};

impl Checker<'_> {
    pub(super) fn messages(
        &mut self,
        messages: file::Messages,
        codes: bool,
        sasl_error: Option<String>,
    ) -> Messages {
        Messages {
            refused: self.text("messages.refused", messages.refused),
            temporary: self.text("messages.temporary", messages.temporary),
            codes: match codes {
                true => Codes::All,
                false => Codes::Few,
            },
            sasl_error,
        }
    }

    fn text(&mut self, key: &str, text: Spanned<String>) -> Text {
        let span = text.span();
        Text::new(text.into_inner()).unwrap_or_else(|rule| {
            self.report(&span, key, rule);
            Messages::default().refused
        })
    }

    pub(super) fn retry(
        &mut self,
        answers: &file::Answers,
        throttle: Option<&Spanned<file::Throttle>>,
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
