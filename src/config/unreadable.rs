//! Why a configuration file is not of the right form.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, Error};

/// The first fault of form that keeps a file from being read.
#[derive(Debug)]
pub(super) struct Unreadable {
    /// The key or the value that has the fault.
    pub(super) span: Range<usize>,
    /// serde's message.
    pub(super) message: String,
}

impl Unreadable {
    /// In the words of serde, by which the advice knows it.
    pub(super) fn unknown_key(key: &Spanned<DeString<'_>>, known: &[&str]) -> Self {
        let known: Vec<_> = known.iter().map(|known| format!("`{known}`")).collect();
        let (name, known) = (key.get_ref(), known.join(", "));
        Self {
            span: key.span(),
            message: format!("unknown field `{name}`, expected one of {known}"),
        }
    }
}

impl From<Error> for Unreadable {
    fn from(error: Error) -> Self {
        Self {
            span: error.span().unwrap_or(0..0),
            message: error.message().to_owned(),
        }
    }
}
