//! `[fastcgi]`, `[log]` and `[process]`.

use std::time::Duration;

use log::LevelFilter;
use toml::Spanned;

use super::Checker;
use crate::config::{SocketConfig, file};
use crate::front::fcgi;
use crate::sys::sandbox;

impl Checker<'_> {
    pub(super) fn fastcgi(&mut self, bounds: &file::FastCgi) -> fcgi::Limits {
        let idle = self.number("fastcgi.idle-timeout", &bounds.idle_timeout, 1..=3600);
        let read = self.number("fastcgi.read-timeout", &bounds.read_timeout, 1..=39);
        fcgi::Limits {
            connections: self.number(
                "fastcgi.max-connections",
                &bounds.max_connections,
                1..=10_000,
            ),
            idle_timeout: Duration::from_secs(idle),
            read_timeout: Duration::from_secs(read),
            params_bytes: self.number(
                "fastcgi.max-params-bytes",
                &bounds.max_params_bytes,
                4096..=1_048_576,
            ),
            params_pairs: self.number("fastcgi.max-params", &bounds.max_params, 64..=10_000),
        }
    }

    pub(super) fn sandbox(&mut self, process: &file::Process) -> sandbox::Mode {
        let words = [
            ("on", sandbox::Mode::On),
            ("off", sandbox::Mode::Off),
            ("required", sandbox::Mode::Required),
        ];
        self.word("process.sandbox", &process.sandbox, &words)
            .unwrap_or(sandbox::Mode::On)
    }

    pub(super) fn socket(&mut self, bounds: &file::FastCgi) -> SocketConfig {
        let named = |name: &Option<Spanned<String>>| {
            let name = name.as_ref()?;
            Some((name.get_ref().clone(), self.source.place(name.span().start)))
        };
        SocketConfig {
            owner: named(&bounds.socket_owner),
            group: named(&bounds.socket_group),
            mode: self.mode("fastcgi.socket-mode", &bounds.socket_mode),
        }
    }

    pub(super) fn level(&mut self, log: &file::Log) -> LevelFilter {
        match log.level.get_ref().as_str() {
            "off" => LevelFilter::Off,
            "error" => LevelFilter::Error,
            "warn" => LevelFilter::Warn,
            "info" => LevelFilter::Info,
            "debug" => LevelFilter::Debug,
            "trace" => LevelFilter::Trace,
            other => {
                let message = format!(
                    "there is no level {other:?}; known levels: \"off\", \"error\", \"warn\", \
                     \"info\", \"debug\", \"trace\""
                );
                self.report(&log.level.span(), "log.level", message);
                LevelFilter::Info
            }
        }
    }

    /// `0660`: three octal digits, with or without a zero before them.
    fn mode(&mut self, key: &str, mode: &Spanned<String>) -> u32 {
        let digits = mode.get_ref().strip_prefix('0').unwrap_or(mode.get_ref());
        let octal = digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        match u32::from_str_radix(digits, 8) {
            Ok(mode) if octal && digits.len() == 3 => mode,
            _ => {
                let message = "must be an octal file mode such as \"0660\"";
                self.report(&mode.span(), key, message);
                0o660
            }
        }
    }
}
