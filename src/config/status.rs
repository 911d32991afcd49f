//! `[status]`: the status page, and the answer to load balancers.

use serde::Deserialize;
use toml::Spanned;

use super::checker::Checker;
use super::source::unplaced;
use crate::front::fcgi::client::Address;
use crate::login::Network;

/// `[status]`: the status page, and the answer to load balancers. Without `path` and `ping` there is none.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Status {
    /// The path of the URL of the status page, such as `/mail/status`.
    pub(super) path: Option<Spanned<String>>,
    /// The path of the URL that answers `pong` while a configuration is in force, such as `/mail/ping`.
    pub(super) ping: Option<Spanned<String>>,
    /// The clients of the web server that may ask for either. Default: this machine.
    pub(super) allowed_from: Vec<Spanned<String>>,
    /// The socket of `serve` that the command `status` asks if it names none. Default:
    /// "unix:/run/nginx-mail-auth.sock".
    pub(super) socket: Spanned<String>,
}

impl Default for Status {
    fn default() -> Self {
        let loopback = ["127.0.0.0/8", "::1"];
        Self {
            path: None,
            ping: None,
            allowed_from: loopback.map(|it| unplaced(it.to_owned())).into(),
            socket: unplaced("unix:/run/nginx-mail-auth.sock".to_owned()),
        }
    }
}

/// `[status]`, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusConfig {
    /// The path of the status page; `None`: there is none.
    pub path: Option<String>,
    /// The path that answers `pong`; `None`: there is none.
    pub ping: Option<String>,
    /// The clients that may ask.
    pub allowed_from: Vec<Network>,
    /// The socket that the command `status` asks.
    pub socket: Option<Address>,
}

/// The path of logins in all examples. Its web server's rules admit nginx alone.
const LOGINS: &str = "/mail/auth";

/// The maximum length of a path in bytes.
const MAX_PATH: usize = 200;

impl Checker<'_> {
    pub(super) fn status(&mut self, status: &Status) -> StatusConfig {
        let path = self.url_path("status.path", status.path.as_ref());
        let ping = self.url_path("status.ping", status.ping.as_ref());
        if let (Some(path), Some(ping), Some(written)) = (&path, &ping, &status.ping)
            && path == ping
        {
            let message = "is the same as status.path: choose another";
            self.report(&written.span(), "status.ping", message);
        }
        let socket = Address::parse(status.socket.get_ref());
        if let Err(flaw) = &socket {
            let message = format!("{:?} is {flaw}", status.socket.get_ref());
            self.report(&status.socket.span(), "status.socket", message);
        }
        StatusConfig {
            path,
            ping,
            allowed_from: self.networks("status.allowed-from", &status.allowed_from),
            socket: socket.ok(),
        }
    }

    /// A path that every web server passes on as it is written here.
    fn url_path(&mut self, key: &str, path: Option<&Spanned<String>>) -> Option<String> {
        let written = path?;
        let path = written.get_ref();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
        let flaw = if !path.starts_with('/') || path.len() < 2 {
            "must begin with / and name something, such as \"/mail/status\""
        } else if path.len() > MAX_PATH {
            "must be at most 200 bytes long"
        } else if !path.bytes().all(plain) {
            "must consist of letters, digits, and the characters / - . _ ~"
        } else if path
            .split('/')
            .skip(1)
            .any(|part| matches!(part, "" | "." | ".."))
        {
            "must not have an empty part, nor a part . or .., which web servers change"
        } else if path == LOGINS || path.starts_with("/mail/auth/") {
            "is below /mail/auth, where logins go: choose a path that is not below auth_http's"
        } else {
            return Some(path.clone());
        };
        let message = format!("{path:?} {flaw}");
        self.report(&written.span(), key, message);
        None
    }
}
