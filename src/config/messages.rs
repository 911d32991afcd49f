//! `[messages]`: the texts for clients whose login is not accepted.

use serde::Deserialize;
use toml::Spanned;

use super::checker::Checker;
use super::source::unplaced;
use crate::nginx::answer::{self, Codes, Text};

/// `[messages]`: the texts for mail clients. One line of at most 200 bytes, neither `OK` nor `WAIT`.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Messages {
    /// The text for every refused login, whatever the reason.
    pub(super) refused: Spanned<String>,
    /// The text for the temporary failure: the client should keep its password and retry.
    pub(super) temporary: Spanned<String>,
}

impl Default for Messages {
    fn default() -> Self {
        Self {
            refused: unplaced(answer::Messages::REFUSED.to_owned()),
            temporary: unplaced(answer::Messages::TEMPORARY.to_owned()),
        }
    }
}

impl Checker<'_> {
    pub(super) fn messages(
        &mut self,
        messages: Messages,
        codes: bool,
        sasl_error: Option<String>,
    ) -> answer::Messages {
        answer::Messages {
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
            answer::Messages::default().refused
        })
    }
}
