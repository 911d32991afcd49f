//! `[fastcgi]`: limits of the FastCGI server, and the owner and mode of its Unix socket.

use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::checker::Checker;
use super::source::unplaced;
use crate::front::fcgi;

/// `[fastcgi]`: limits of the FastCGI server, and the owner and mode of its Unix socket.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FastCgi {
    /// The maximum number of connections, 1 to 10000. Default: 64.
    pub(super) max_connections: Spanned<i64>,
    /// Seconds after which an idle connection is closed, 1 to 3600. Default: 60.
    pub(super) idle_timeout: Spanned<i64>,
    /// Seconds within which a request must arrive, 1 to 39: mod_fcgid waits 40. Default: 10.
    pub(super) read_timeout: Spanned<i64>,
    /// The maximum size of a request's variables in bytes, 4096 to 1048576. Default: 131072.
    pub(super) max_params_bytes: Spanned<i64>,
    /// The maximum number of variables in a request, 64 to 10000. Default: 512.
    pub(super) max_params: Spanned<i64>,
    /// The octal file mode of a Unix socket that the program creates. Default: "0660".
    pub(super) socket_mode: Spanned<String>,
    /// The owner of the socket: the name of a user, or a number. Default: the user that the program runs as.
    pub(super) socket_owner: Option<Spanned<String>>,
    /// The group of the socket: the name of a group, or a number. Default: the group that the program runs
    /// as.
    pub(super) socket_group: Option<Spanned<String>>,
}

impl Default for FastCgi {
    fn default() -> Self {
        // The transport defines the defaults, because it also runs without a configuration.
        let bounds = fcgi::Limits::default();
        Self {
            max_connections: unplaced(bounds.connections as i64),
            idle_timeout: unplaced(bounds.idle_timeout.as_secs().cast_signed()),
            read_timeout: unplaced(bounds.read_timeout.as_secs().cast_signed()),
            max_params_bytes: unplaced(bounds.params_bytes as i64),
            max_params: unplaced(bounds.params_pairs as i64),
            socket_mode: unplaced("0660".to_owned()),
            socket_owner: None,
            socket_group: None,
        }
    }
}

/// The owner and the mode of a Unix socket that the program creates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketConfig {
    /// The file's mode.
    pub mode: u32,
    /// Its owner, by name or number, and the line and column in the configuration.
    pub owner: Option<(String, (usize, usize))>,
    /// Its group, in the same form.
    pub group: Option<(String, (usize, usize))>,
}

impl Checker<'_> {
    pub(super) fn fastcgi(&mut self, bounds: &FastCgi) -> fcgi::Limits {
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

    pub(super) fn socket(&mut self, bounds: &FastCgi) -> SocketConfig {
        let named = |name: &Option<Spanned<String>>| {
            let name = name.as_ref()?;
            Some((
                name.get_ref().clone(),
                self.source.position(name.span().start),
            ))
        };
        SocketConfig {
            owner: named(&bounds.socket_owner),
            group: named(&bounds.socket_group),
            mode: self.mode("fastcgi.socket-mode", &bounds.socket_mode),
        }
    }

    /// Parses `0660`: three octal digits, with or without a leading zero.
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
