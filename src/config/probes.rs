//! `[probes]`: how mail servers with several addresses are probed.

use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::checker::Checker;
use super::source::unplaced;
use crate::route::{self, ProbeKind};

/// `[probes]`: how mail servers with several addresses are probed.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Probes {
    /// `greeting`, `connect` or `off`. Default: "greeting".
    pub(super) kind: Spanned<String>,
    /// Seconds between two probes of one address, 1 to 3600. Default: 10.
    pub(super) interval: Spanned<i64>,
    /// The time-out of a probe in milliseconds, 50 to 10000. Default: 1000.
    pub(super) timeout_ms: Spanned<i64>,
}

impl Default for Probes {
    fn default() -> Self {
        Self {
            kind: unplaced("greeting".to_owned()),
            interval: unplaced(10),
            timeout_ms: unplaced(1000),
        }
    }
}

impl Checker<'_> {
    pub(super) fn probes(&mut self, probes: &Probes) -> route::Probes {
        let kinds = [
            ("greeting", ProbeKind::Greeting),
            ("connect", ProbeKind::Connect),
            ("off", ProbeKind::Off),
        ];
        let kind = self.word("probes.kind", &probes.kind, &kinds);
        let interval = self.number("probes.interval", &probes.interval, 1..=3600);
        let timeout = self.number("probes.timeout-ms", &probes.timeout_ms, 50..=10_000);
        route::Probes {
            kind: kind.unwrap_or(ProbeKind::Greeting),
            interval: Duration::from_secs(interval),
            timeout: Duration::from_millis(timeout),
        }
    }
}
