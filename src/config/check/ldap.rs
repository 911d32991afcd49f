//! `store = "ldap"`.

use std::ops::Range;

use super::Checker;
use crate::config::file;
use crate::store::ldap::Settings;

impl Checker<'_> {
    pub(super) fn ldap(&mut self, span: &Range<usize>, _users: &file::Users) -> Option<Settings> {
        self.report(span, "users.store", "is not there yet");
        None
    }
}
