//! `[throttle]`: what is counted of wrong passwords, where, and what follows.

use std::time::Duration;

use toml::Spanned;

use super::Checker;
#[cfg(feature = "sql")]
use crate::config::Use;
use crate::config::{ThrottleConfig, file};
use crate::login::Network;
use crate::throttle::{Place, Settings, Spans};

impl Checker<'_> {
    pub(super) fn throttle(
        &mut self,
        throttle: Spanned<file::Throttle>,
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
        let place = self.place(throttle);
        let seconds = |number: u32| Duration::from_secs(number.into());
        let settings = Settings {
            go_on: self.go_on(&throttle.without_state),
            timeout: Duration::from_millis(self.number(
                "throttle.timeout-ms",
                &throttle.timeout_ms,
                10..=5000,
            )),
            free: self.number("throttle.free-failures", &throttle.free_failures, 0..=1000),
            waits: self.waits(&throttle.waits),
            refuse_network: self.most("throttle.refuse-network", &throttle.refuse_network),
            refuse_login: self.most("throttle.refuse-login", &throttle.refuse_login),
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
            place: self.source.place(whole.start),
            settings,
        }
    }

    fn go_on(&mut self, word: &Spanned<String>) -> bool {
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

    /// A number of failures; 0 stands for none.
    fn most(&mut self, key: &str, most: &Spanned<i64>) -> Option<u32> {
        let most = self.number(key, most, 0..=1_000_000);
        (most != 0).then_some(most)
    }

    pub(super) fn networks(&mut self, key: &str, networks: &[Spanned<String>]) -> Vec<Network> {
        let mut read = Vec::new();
        for network in networks {
            match Network::parse(network.get_ref()) {
                Some(known) => {
                    self.warn_of_host_bits(key, network, known);
                    read.push(known);
                }
                None => {
                    let text = network.get_ref();
                    let message = match text.contains([',', ';', ' ']) {
                        true => format!(
                            "{text:?} is several in one string: write each in quotes of its own"
                        ),
                        false => format!("{text:?} is neither an address nor a network"),
                    };
                    self.report(&network.span(), key, message);
                }
            }
        }
        read
    }

    /// Says of a network such as 10.0.0.1/8 that all of it is meant.
    pub(super) fn warn_of_host_bits(
        &mut self,
        key: &str,
        written: &Spanned<String>,
        read: Network,
    ) {
        if let Some(network) = read.without_host_bits() {
            let text = written.get_ref();
            let message = format!(
                "{text:?} has bits of a host behind its prefix and stands for the whole network: write \
                 \"{network}\", or the address alone"
            );
            self.warn(&written.span(), key, message);
        }
    }

    fn place(&mut self, throttle: &file::Throttle) -> Place {
        const KEY: &str = "throttle.state";
        let state = &throttle.state;
        let text = state.get_ref().as_str();
        let is_redis = ["redis://", "rediss://", "redis+unix:"]
            .iter()
            .any(|scheme| text.starts_with(scheme));
        let redis_only = [
            ("throttle.password-file", throttle.password_file.as_ref()),
            ("throttle.ca-file", throttle.ca_file.as_ref()),
            ("throttle.socket-user", throttle.socket_user.as_ref()),
        ];
        for (key, value) in redis_only {
            if let Some(value) = value.filter(|_| !is_redis) {
                self.report(&value.span(), key, "is only for a state in Redis");
            }
        }
        if text == "memory" {
            return Place::Memory;
        }
        if let Some(path) = text.strip_prefix("sqlite:") {
            return self.sqlite_place(state, path);
        }
        if is_redis {
            return self.redis_place(throttle);
        }
        let message = "must be \"memory\", \"sqlite:PATH\", \"redis://HOST:PORT/DATABASE\", \
                       \"rediss://…\" or \"redis+unix:PATH\"";
        self.report(&state.span(), KEY, message);
        Place::Memory
    }

    #[cfg(feature = "sql")]
    fn sqlite_place(&mut self, state: &Spanned<String>, path: &str) -> Place {
        if path.is_empty() {
            self.report(&state.span(), "throttle.state", "names no file");
        }
        let path = self.beside(path);
        if let Some(folder) = path.parent() {
            self.name("throttle.state", &state.span(), folder, Use::Write);
        }
        Place::Sqlite(path)
    }

    #[cfg(not(feature = "sql"))]
    fn sqlite_place(&mut self, state: &Spanned<String>, _: &str) -> Place {
        let message = "this program was built without the feature sql";
        self.report(&state.span(), "throttle.state", message);
        Place::Memory
    }

    #[cfg(not(feature = "redis"))]
    fn redis_place(&mut self, throttle: &file::Throttle) -> Place {
        let message = "this program was built without the feature redis";
        self.report(&throttle.state.span(), "throttle.state", message);
        Place::Memory
    }

    #[cfg(feature = "redis")]
    fn redis_place(&mut self, throttle: &file::Throttle) -> Place {
        use crate::net::Endpoint;
        use crate::throttle::redis;

        const KEY: &str = "throttle.state";
        let span = throttle.state.span();
        let password = throttle
            .password_file
            .as_ref()
            .and_then(|file| self.first_line("throttle.password-file", file));
        let (address, tls) = match redis::Address::parse(throttle.state.get_ref()) {
            Ok(parsed) => parsed,
            Err(message) => {
                self.report(&span, KEY, message);
                return Place::Memory;
            }
        };
        let endpoint = match address.endpoint {
            Endpoint::Unix(path, _) => {
                let user = throttle.socket_user.as_ref();
                let user = user.and_then(|user| self.user("throttle.socket-user", user));
                Endpoint::Unix(self.beside(&path.to_string_lossy()), user)
            }
            host => host,
        };
        if !tls && !endpoint.is_local() {
            let message = "what goes there is not encrypted: use rediss://";
            self.warn(&span, KEY, message);
        }
        if !tls {
            self.warn_of_port(&span, KEY, endpoint.local_port());
        }
        if address.user.is_some() && password.is_none() {
            self.report(
                &span,
                KEY,
                "has a user, but there is no throttle.password-file",
            );
        }
        let ca_file = throttle
            .ca_file
            .as_ref()
            .and_then(|file| self.authorities("throttle.ca-file", file));
        Place::Redis(Box::new(redis::Settings {
            endpoint,
            tls,
            ca_file,
            database: address.database,
            user: address.user,
            password,
        }))
    }
}
