//! `store = "sql"`.

use std::ops::Range;

use super::Checker;
use crate::config::file;
use crate::store::sql::Settings;

impl Checker<'_> {
    pub(super) fn sql(&mut self, span: &Range<usize>, _users: &file::Users) -> Option<Settings> {
        self.report(span, "users.store", "is not there yet");
        None
    }
}
