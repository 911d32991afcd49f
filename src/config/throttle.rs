//! `[throttle]`: how wrong passwords are counted, and the consequences.

use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

#[cfg(feature = "servers")]
use super::FileUse;
use super::checker::Checker;
use super::source::unplaced;
use crate::net::url::Url;
use crate::throttle::{Settings, Spans, StateLocation};

/// `[throttle]`: counts wrong passwords and slows down guessing.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Throttle {
    /// The storage of the counts: `memory` for one server process; `sqlite:PATH` for all processes of a
    /// machine; `redis://[USER@]HOST:PORT/DATABASE`, `redis+unix:PATH`,
    /// `redis-sentinel://[USER@]HOST:PORT,HOST:PORT/SERVICE/DATABASE` or
    /// `redis-cluster://[USER@]HOST:PORT,HOST:PORT` for several machines; `rediss` with TLS. Default:
    /// "memory".
    pub(super) state: Spanned<String>,
    /// Redis: a file whose first line is the password.
    pub(super) password_file: Option<Spanned<String>>,
    /// Sentinels: the user, if it is not `default`.
    pub(super) sentinel_user: Option<Spanned<String>>,
    /// Sentinels: a file whose first line is the password. Default: no password.
    pub(super) sentinel_password_file: Option<Spanned<String>>,
    /// Redis: the user that listens on its Unix socket, by name or number. Default: root, the user of this
    /// program, or the owner of the socket's folder.
    pub(super) socket_user: Option<Spanned<String>>,
    /// Redis: certificates that are trusted instead of the system's.
    pub(super) ca_file: Option<Spanned<String>>,
    /// The time-out of reading or changing the counts in milliseconds, 10 to 5000. Default: 300.
    pub(super) timeout_ms: Spanned<i64>,
    /// While the counts are unavailable: `go-on`, each process counts alone, or `refuse`, the temporary
    /// failure. Default: "go-on".
    pub(super) without_state: Spanned<String>,
    /// The number of wrong passwords without a consequence, at most 1000. Default: 4.
    pub(super) free_failures: Spanned<i64>,
    /// Seconds by which the answers to further wrong passwords are delayed, each 1 to 60. After the last one,
    /// the login is refused from the network of these attempts. Default: [2, 4, 8, 15].
    pub(super) waits: Spanned<Vec<Spanned<i64>>>,
    /// Wrong passwords after which a network is refused. Default: 30; 0: never.
    pub(super) refuse_network: Spanned<i64>,
    /// The same for a login from any network: any client can then lock its owner out. Default: 0, never.
    pub(super) refuse_login: Spanned<i64>,
    /// Seconds after the last wrong password when all of them expire, 1 to 86400. Default: 600.
    pub(super) window: Spanned<i64>,
    /// Seconds after a success for which its network is exempt for that login, at most 31536000. Default:
    /// 604800, a week.
    pub(super) exempt: Spanned<i64>,
    /// The prefix length of an IPv4 network, 8 to 32. Default: 32.
    pub(super) ipv4_prefix: Spanned<i64>,
    /// The prefix length of an IPv6 network, 16 to 128. Default: 64.
    pub(super) ipv6_prefix: Spanned<i64>,
    /// Networks that are neither delayed nor counted, such as that of a webmail server. Default: none.
    pub(super) always_allow: Vec<Spanned<String>>,
    /// Whether nginx can delay answers to cram-md5 and apop, from 1.29.7 or 1.28.3 on: for `waits` and for
    /// `answers.retry-wait`. Default: false.
    pub(super) wait_after_digests: bool,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            state: unplaced("memory".to_owned()),
            password_file: None,
            sentinel_user: None,
            sentinel_password_file: None,
            socket_user: None,
            ca_file: None,
            timeout_ms: unplaced(300),
            without_state: unplaced("go-on".to_owned()),
            free_failures: unplaced(4),
            waits: unplaced([2, 4, 8, 15].map(unplaced).into()),
            refuse_network: unplaced(30),
            refuse_login: unplaced(0),
            window: unplaced(600),
            exempt: unplaced(604_800),
            ipv4_prefix: unplaced(32),
            ipv6_prefix: unplaced(64),
            always_allow: Vec::new(),
            wait_after_digests: false,
        }
    }
}

/// `[throttle]`, if it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThrottleConfig {
    /// The settings of the throttle.
    pub settings: Settings,
    /// The line and column of the storage in the configuration.
    pub position: (usize, usize),
}

impl Checker<'_> {
    pub(super) fn throttle(
        &mut self,
        throttle: Spanned<Throttle>,
        vouched_for: bool,
    ) -> ThrottleConfig {
        let whole = throttle.span();
        let throttle = &throttle.into_inner();
        if !vouched_for {
            let message = "nothing shows that a Client-IP comes from nginx, so failures are counted \
                           for logins alone, and nobody is refused: set nginx.key or \
                           nginx.allowed-fronts";
            self.warn(&whole, "throttle", message);
        }
        let place = self.state_place(throttle);
        let seconds = |number: u32| Duration::from_secs(number.into());
        let settings = Settings {
            go_on: self.continues_without_state(&throttle.without_state),
            timeout: Duration::from_millis(self.number(
                "throttle.timeout-ms",
                &throttle.timeout_ms,
                10..=5000,
            )),
            free: self.number("throttle.free-failures", &throttle.free_failures, 0..=1000),
            waits: self.waits(&throttle.waits),
            refuse_network: self.failure_limit("throttle.refuse-network", &throttle.refuse_network),
            refuse_login: self.failure_limit("throttle.refuse-login", &throttle.refuse_login),
            spans: Spans {
                window: seconds(self.number("throttle.window", &throttle.window, 1..=86_400)),
                exempt: seconds(self.number("throttle.exempt", &throttle.exempt, 0..=31_536_000)),
            },
            ipv4_prefix: self.number("throttle.ipv4-prefix", &throttle.ipv4_prefix, 8..=32),
            ipv6_prefix: self.number("throttle.ipv6-prefix", &throttle.ipv6_prefix, 16..=128),
            always_allow: self.networks("throttle.always-allow", &throttle.always_allow),
            wait_after_digests: throttle.wait_after_digests,
            place,
        };
        ThrottleConfig {
            position: self.source.position(whole.start),
            settings,
        }
    }

    fn continues_without_state(&mut self, word: &Spanned<String>) -> bool {
        let words = [("go-on", true), ("refuse", false)];
        self.word("throttle.without-state", word, &words)
            .unwrap_or(false)
    }

    fn waits(&mut self, waits: &Spanned<Vec<Spanned<i64>>>) -> Vec<u32> {
        const KEY: &str = "throttle.waits";
        let all = waits.get_ref();
        if all.is_empty() || all.len() > 20 {
            self.report(&waits.span(), KEY, "must be 1 to 20 numbers of seconds");
        }
        all.iter()
            .map(|wait| self.number(KEY, wait, 1..=60))
            .collect()
    }

    /// A number of failures; 0 means none.
    fn failure_limit(&mut self, key: &str, failure_limit: &Spanned<i64>) -> Option<u32> {
        let failure_limit = self.number(key, failure_limit, 0..=1_000_000);
        (failure_limit != 0).then_some(failure_limit)
    }

    fn state_place(&mut self, throttle: &Throttle) -> StateLocation {
        const KEY: &str = "throttle.state";
        let state = &throttle.state;
        let text = state.get_ref().as_str();
        let scheme = Url::read(text).map_or("", |url| url.scheme);
        let has_sentinels = matches!(scheme, "redis-sentinel" | "rediss-sentinel");
        let is_redis = has_sentinels
            || matches!(
                scheme,
                "redis" | "rediss" | "redis-cluster" | "rediss-cluster"
            )
            || text.starts_with("redis+unix:");
        let redis = (is_redis, "is only for a state in Redis");
        let sentinels = (
            has_sentinels,
            "is only for sentinels: state = \"redis-sentinel://…\"",
        );
        for (key, value, (fits, message)) in [
            ("password-file", &throttle.password_file, redis),
            ("ca-file", &throttle.ca_file, redis),
            ("socket-user", &throttle.socket_user, redis),
            ("sentinel-user", &throttle.sentinel_user, sentinels),
            (
                "sentinel-password-file",
                &throttle.sentinel_password_file,
                sentinels,
            ),
        ] {
            if let Some(value) = value.as_ref().filter(|_| !fits) {
                self.report(&value.span(), &format!("throttle.{key}"), message);
            }
        }
        if text == "memory" {
            return StateLocation::Memory;
        }
        if let Some(path) = text.strip_prefix("sqlite:") {
            return self.sqlite_place(state, path);
        }
        if is_redis {
            return self.redis_place(throttle);
        }
        let message = "must be \"memory\", \"sqlite:PATH\", \"redis://HOST:PORT/DATABASE\", \
                       \"redis+unix:PATH\", \"redis-sentinel://HOST:PORT,HOST:PORT/SERVICE\", \
                       \"redis-cluster://HOST:PORT,HOST:PORT\", or one of them with rediss for TLS";
        self.report(&state.span(), KEY, message);
        StateLocation::Memory
    }

    #[cfg(feature = "servers")]
    fn sqlite_place(&mut self, state: &Spanned<String>, path: &str) -> StateLocation {
        if path.is_empty() {
            self.report(&state.span(), "throttle.state", "names no file");
        }
        let path = self.beside(path);
        if let Some(folder) = path.parent() {
            self.name("throttle.state", &state.span(), folder, FileUse::Write);
        }
        StateLocation::Sqlite(path)
    }

    #[cfg(not(feature = "servers"))]
    fn sqlite_place(&mut self, state: &Spanned<String>, _: &str) -> StateLocation {
        let message = "this program was built without the feature servers";
        self.report(&state.span(), "throttle.state", message);
        StateLocation::Memory
    }

    #[cfg(not(feature = "servers"))]
    fn redis_place(&mut self, throttle: &Throttle) -> StateLocation {
        let message = "this program was built without the feature servers";
        self.report(&throttle.state.span(), "throttle.state", message);
        StateLocation::Memory
    }

    #[cfg(feature = "servers")]
    fn redis_place(&mut self, throttle: &Throttle) -> StateLocation {
        use crate::net::Endpoint;
        use crate::throttle::redis::{Address, Kind, RedisAccount, Settings};

        const KEY: &str = "throttle.state";
        let span = throttle.state.span();
        let password = throttle
            .password_file
            .as_ref()
            .and_then(|file| self.first_line("throttle.password-file", file));
        let sentinel_account = RedisAccount {
            user: throttle
                .sentinel_user
                .as_ref()
                .map(|user| user.get_ref().clone()),
            password: throttle
                .sentinel_password_file
                .as_ref()
                .and_then(|file| self.first_line("throttle.sentinel-password-file", file)),
        };
        let mut address = match Address::parse(throttle.state.get_ref()) {
            Ok(address) => address,
            Err(message) => {
                self.report(&span, KEY, message);
                return StateLocation::Memory;
            }
        };
        for endpoint in &mut address.endpoints {
            if let Endpoint::Unix(path, listener) = endpoint {
                *path = self.beside(&path.to_string_lossy());
                let user = throttle.socket_user.as_ref();
                *listener = user.and_then(|user| self.user("throttle.socket-user", user));
            }
        }
        if !address.tls {
            if !address.endpoints.iter().all(Endpoint::is_local) {
                let scheme = match address.kind {
                    Kind::Single => "rediss",
                    Kind::Sentinels(_) => "rediss-sentinel",
                    Kind::Cluster => "rediss-cluster",
                };
                let message = format!("the connection is not encrypted: use {scheme}://");
                self.warn(&span, KEY, message);
            }
            let port = address.endpoints.iter().find_map(Endpoint::local_port);
            self.warn_of_port(&span, KEY, port);
        }
        if address.user.is_some() && password.is_none() {
            self.report(
                &span,
                KEY,
                "has a user, but there is no throttle.password-file",
            );
        }
        if let (Some(user), None) = (&throttle.sentinel_user, &sentinel_account.password) {
            let message = "is a user without a password: name throttle.sentinel-password-file too";
            self.report(&user.span(), "throttle.sentinel-user", message);
        }
        let ca_file = throttle
            .ca_file
            .as_ref()
            .and_then(|file| self.authorities("throttle.ca-file", file));
        StateLocation::Redis(Box::new(Settings {
            kind: address.kind,
            endpoints: address.endpoints,
            tls: address.tls,
            ca_file,
            database: address.database,
            account: RedisAccount {
                user: address.user,
                password,
            },
            sentinel_account,
        }))
    }
}
