//! `[log]`: the level and the form of the log, and what counts as slow.

use std::time::Duration;

use log::LevelFilter;
use serde::Deserialize;
use toml::Spanned;

use super::checker::Checker;
use super::source::unplaced;
use crate::sys::logger::{self, Form};

/// `[log]`: the level and the form of the log, and what counts as slow.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Log {
    /// `off`, `error`, `warn`, `info` (each decision), `debug` or `trace`. Default: "info".
    pub(super) level: Spanned<String>,
    /// `logfmt` or `json`. Default: "logfmt".
    pub(super) format: Spanned<String>,
    /// Milliseconds after which a decision is slow: another line names the step that took the time; at most
    /// 30000. Default: 0, no such line.
    pub(super) slow_ms: Spanned<i64>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: unplaced("info".to_owned()),
            format: unplaced("logfmt".to_owned()),
            slow_ms: unplaced(0),
        }
    }
}

/// `[log]`, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The level.
    pub level: LevelFilter,
    /// The form of the lines.
    pub form: Form,
    /// The time after which a decision is slow; `None`: never.
    pub slow: Option<Duration>,
}

impl LogConfig {
    /// From now on the log of this process is as configured.
    pub fn apply(&self) {
        logger::set_level(self.level);
        logger::set_form(self.form);
    }
}

impl Checker<'_> {
    pub(super) fn log(&mut self, log: &Log) -> LogConfig {
        let slow = self.number("log.slow-ms", &log.slow_ms, 0..=30_000);
        LogConfig {
            level: self.level(log),
            form: self.form(log),
            slow: (slow > 0).then(|| Duration::from_millis(slow)),
        }
    }

    fn level(&mut self, log: &Log) -> LevelFilter {
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

    fn form(&mut self, log: &Log) -> Form {
        match log.format.get_ref().as_str() {
            "logfmt" => Form::Logfmt,
            "json" => Form::Json,
            other => {
                let message =
                    format!("unknown format {other:?}; known formats: \"logfmt\", \"json\"");
                self.report(&log.format.span(), "log.format", message);
                Form::Logfmt
            }
        }
    }
}
