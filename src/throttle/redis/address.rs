//! The URL of the servers that keep the counts.

use std::num::NonZeroU16;

use rustls::pki_types::ServerName;

use super::settings::Kind;
use crate::net::Endpoint;
use crate::net::url::Url;

/// The default port of Redis and Valkey, and that of a sentinel.
pub(super) const PORT: NonZeroU16 = NonZeroU16::new(6379).unwrap();
const SENTINEL_PORT: NonZeroU16 = NonZeroU16::new(26379).unwrap();

/// The maximum number of servers in a URL: each one gets a share of a query's time.
const MAX_SERVERS: usize = 16;

/// The schemes with the topology that each means, and whether the connections are encrypted.
pub(super) const SCHEMES: [(&str, Form, bool); 6] = [
    ("redis", Form::Single, false),
    ("rediss", Form::Single, true),
    ("redis-sentinel", Form::Sentinels, false),
    ("rediss-sentinel", Form::Sentinels, true),
    ("redis-cluster", Form::Cluster, false),
    ("rediss-cluster", Form::Cluster, true),
];

const UNIX: &str = "redis+unix:";

/// The topology that a scheme means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Single,
    Sentinels,
    Cluster,
}

/// The parts of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// How the server is found.
    pub kind: Kind,
    /// The servers in the URL, at least one.
    pub endpoints: Vec<Endpoint>,
    /// Whether connections are encrypted from the first byte on.
    pub tls: bool,
    /// The number of the database.
    pub database: u32,
    /// The user at the server that keeps the counts.
    pub user: Option<String>,
}

impl Address {
    /// Reads `redis://[user@]host[:port][/database]`, `redis+unix:path`,
    /// `redis-sentinel://[user@]host[:port],…/service[/database]` or
    /// `redis-cluster://[user@]host[:port],…`; `rediss` for TLS. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix(UNIX).filter(|path| !path.is_empty()) {
            return Ok(Self {
                kind: Kind::Single,
                endpoints: vec![Endpoint::Unix(path.into(), None)],
                tls: false,
                database: 0,
                user: None,
            });
        }
        let known = |url: Url<'_>| {
            SCHEMES
                .into_iter()
                .find(|(scheme, ..)| *scheme == url.scheme)
        };
        let url = Url::read(text);
        let (Some(url), Some((_, form, tls))) = (url, url.and_then(known)) else {
            return Err("is not a URL of Redis".to_owned());
        };
        let user = url.userinfo.map(str::to_owned);
        if user
            .as_ref()
            .is_some_and(|user| user.is_empty() || user.contains(':'))
        {
            let message = "must not contain a password: use the key throttle.password-file";
            return Err(message.to_owned());
        }
        let path = url.behind.strip_prefix('/').unwrap_or(url.behind);
        let (kind, number, port) = match form {
            Form::Single => (Kind::Single, path, PORT),
            Form::Cluster => (Kind::Cluster, path, PORT),
            Form::Sentinels => {
                let (service, number) = path.split_once('/').unwrap_or((path, ""));
                (Kind::Sentinels(checked(service)?), number, SENTINEL_PORT)
            }
        };
        let database = match number {
            "" => 0,
            digits => digits
                .parse()
                .map_err(|_| format!("must end with the number of a database, not {digits:?}"))?,
        };
        if kind == Kind::Cluster && database != 0 {
            return Err("names a database, but a cluster has database 0 only".to_owned());
        }
        let named: Vec<_> = match form {
            Form::Single => vec![url.host_port],
            Form::Sentinels | Form::Cluster => url.host_port.split(',').collect(),
        };
        if named.len() > MAX_SERVERS {
            return Err(format!("names more than {MAX_SERVERS} servers"));
        }
        let endpoints = named.iter().map(|one| Endpoint::parse(one, port));
        Ok(Self {
            kind,
            endpoints: endpoints.collect::<Result<_, _>>()?,
            tls,
            database,
            user,
        })
    }
}

/// The name of a service, in the characters that a sentinel accepts.
fn checked(service: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    match service {
        "" => {
            Err("names no service: write redis-sentinel://HOST:PORT,HOST:PORT/SERVICE".to_owned())
        }
        name if name.bytes().all(fits) => Ok(name.to_owned()),
        other => Err(format!(
            "names no valid service: {other:?} contains characters other than letters, digits, \
            \".\", \"-\" \
             and \"_\""
        )),
    }
}

/// The endpoint that a sentinel or a node names.
pub(super) fn named(host: &str, port: &str) -> Option<Endpoint> {
    let host = ServerName::try_from(host.to_owned()).ok()?;
    let port = port.parse().ok()?;
    Some(Endpoint::Tcp { host, port })
}

#[cfg(test)]
mod tests {
    use super::super::settings::{RedisAccount, Settings};
    use super::*;

    fn shown(url: &str) -> String {
        let Address {
            kind,
            endpoints,
            tls,
            database,
            user,
        } = Address::parse(url).unwrap();
        let settings = Settings {
            kind,
            endpoints,
            tls,
            ca_file: None,
            database,
            account: RedisAccount::default(),
            sentinel_account: RedisAccount::default(),
        };
        format!("{} {settings}", user.unwrap_or_default())
    }

    #[test]
    fn each_form_is_read_with_its_defaults() {
        for (url, expected) in [
            ("redis://localhost", " redis://localhost:6379/0"),
            ("rediss://mail@[::1]:1/7", "mail rediss://[::1]:1/7"),
            ("redis+unix:/run/x.sock", " redis://unix:/run/x.sock/0"),
            (
                "redis-sentinel://mail@a,192.0.2.1:7/my-main.1_x/3",
                "mail redis-sentinel://a:26379,192.0.2.1:7/my-main.1_x/3",
            ),
            (
                "rediss-sentinel://[::1]/m",
                " rediss-sentinel://[::1]:26379/m/0",
            ),
            ("redis-cluster://a:1,b/0", " redis-cluster://a:1,b:6379"),
            ("rediss-cluster://u@a", "u rediss-cluster://a:6379"),
        ] {
            assert_eq!(shown(url), expected, "{url}");
        }
    }

    #[test]
    fn unusable_parts_are_named() {
        let many = format!("redis-cluster://{}", ["a"; 17].join(","));
        for (url, expected) in [
            ("redis+unix:", "is not a URL of Redis"),
            ("http://a", "is not a URL of Redis"),
            ("redis://a:b@c", "must not contain a password"),
            ("redis-sentinel://a:b@c/m", "must not contain a password"),
            (
                "redis://a/x",
                "must end with the number of a database, not \"x\"",
            ),
            (
                "redis://a/-1",
                "must end with the number of a database, not \"-1\"",
            ),
            ("redis://a,b", "has no usable host: \"a,b\""),
            ("redis-sentinel://a", "names no service: write"),
            ("redis-sentinel://a/x y", "names no valid service: \"x y\""),
            (
                "redis-sentinel://a/m/0/0",
                "must end with the number of a database, not \"0/0\"",
            ),
            ("redis-sentinel://a,,b/m", "has no usable host: \"\""),
            ("redis-cluster://a/1", "names a database, but a cluster has"),
            ("redis-cluster://a,b:0", "has no port from 1 to 65535"),
            (&many, "names more than 16 servers"),
        ] {
            match Address::parse(url) {
                Err(what) => assert!(what.starts_with(expected), "{url}: {what}"),
                Ok(read) => panic!("{url}: {read:?}"),
            }
        }
    }

    #[test]
    fn servers_that_others_name_need_a_host_and_a_port() {
        let shown = |host, port| named(host, port).map(|endpoint| endpoint.to_string());
        assert_eq!(shown("2001:db8::1", "7").unwrap(), "[2001:db8::1]:7");
        assert_eq!(shown("a.example", "65535").unwrap(), "a.example:65535");
        for (host, port) in [
            ("", "1"),
            ("a b", "1"),
            ("a", "0"),
            ("a", "65536"),
            ("a", ""),
        ] {
            assert_eq!(shown(host, port), None, "{host} {port}");
        }
    }
}
