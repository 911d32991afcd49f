//! `[ports]`: the default ports of hosts.

use serde::Deserialize;
use toml::Spanned;

use super::checker::Checker;
use super::source::unplaced;
use crate::route;

/// `[ports]`: the default ports of hosts, 1 to 65535.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Ports {
    /// Default: 143.
    pub(super) imap: Spanned<i64>,
    /// Default: 110.
    pub(super) pop3: Spanned<i64>,
    /// Default: 25.
    pub(super) smtp: Spanned<i64>,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            imap: unplaced(143),
            pop3: unplaced(110),
            smtp: unplaced(25),
        }
    }
}

impl Checker<'_> {
    pub(super) fn ports(&mut self, ports: &Ports) -> route::Ports {
        route::Ports {
            imap: self.port("ports.imap", &ports.imap),
            pop3: self.port("ports.pop3", &ports.pop3),
            smtp: self.port("ports.smtp", &ports.smtp),
        }
    }
}
