//! `[log]`: the log level.

use log::LevelFilter;
use serde::Deserialize;
use toml::Spanned;

use super::checker::Checker;
use super::source::unplaced;

/// `[log]`: the log level.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Log {
    /// `off`, `error`, `warn`, `info` (each decision), `debug` or `trace`. Default: "info".
    pub(super) level: Spanned<String>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: unplaced("info".to_owned()),
        }
    }
}

impl Checker<'_> {
    pub(super) fn level(&mut self, log: &Log) -> LevelFilter {
        match log.level.get_ref().as_str() {
            "off" => LevelFilter::Off,
            "error" => LevelFilter::Error,
            "warn" => LevelFilter::Warn,
            "info" => LevelFilter::Info,
            "debug" => LevelFilter::Debug,
            "trace" => LevelFilter::Trace,
            other => {
                let message = format!(
                    "unknown level {other:?}; known levels: \"off\", \"error\", \"warn\", \
                     \"info\", \"debug\", \"trace\""
                );
                self.report(&log.level.span(), "log.level", message);
                LevelFilter::Info
            }
        }
    }
}
