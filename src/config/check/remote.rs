//! `store = "imap"`, `"pop3"` and `"http"`.

use std::ops::Range;

use toml::Spanned;

use super::Checker;
use crate::config::file;
use crate::store::{http, server};

impl Checker<'_> {
    pub(super) fn server(
        &mut self,
        span: &Range<usize>,
        _store: &Spanned<String>,
        _users: &file::Users,
    ) -> Option<server::Settings> {
        self.report(span, "users.store", "is not there yet");
        None
    }

    pub(super) fn http(
        &mut self,
        span: &Range<usize>,
        _users: &file::Users,
    ) -> Option<http::Settings> {
        self.report(span, "users.store", "is not there yet");
        None
    }
}
