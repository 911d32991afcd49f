//! Counts in Redis or Valkey, for several machines.
//!
//! A few commands over our own connections, as the `redis` crate looks names up by the C library,
//! which crashes a static binary where nsswitch.conf names modules, and has a time limit for each
//! read instead of one for the whole.

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::key::Key;
use super::record::{Record, Spans};
use super::state::{Change, MAX_KEYS, State, TagKey, Unchanged, new_tag_key};
use crate::net::own_login::OwnLogin;
use crate::net::tls::CaFile;
use crate::net::{Endpoint, Names, Stream, Trust};
use crate::sys::turnstile::Turnstile;

mod address;
mod advice;
mod resp;

pub use address::Address;
use resp::{Reply, command, reply};

/// What all our keys start with. The braces keep them together in a cluster, as a script may only
/// touch keys of one place.
const PREFIX: &[u8] = b"{nginx-mail-auth}:";

/// Where the key of the digests is; no [`Key`] is encoded like that.
const TAG_KEY: &[u8] = b"{nginx-mail-auth}:tag-key";

/// A key that nothing is counted by, to try out what we may do, and its seconds to live.
const CHECK_KEY: &[u8] = b"{nginx-mail-auth}:check";
const CHECK_SECONDS: &[u8] = b"60";

/// The time by the clock of the server, in whole seconds, and the values of all keys. The clocks of
/// those who ask may differ.
const READ: &[u8] = b"
    local all = {tonumber(redis.call('TIME')[1])}
    for i, key in ipairs(KEYS) do all[i + 1] = redis.call('GET', key) end
    return all";

/// Sets all keys, if they still have the values that they were read with; an empty one for none.
/// KEYS: the keys; ARGV: for each of them the old value, the new one, and its seconds to live.
const COMPARE_AND_SET: &[u8] = b"
    for i, key in ipairs(KEYS) do
        if (redis.call('GET', key) or '') ~= ARGV[3 * i - 2] then return 0 end
    end
    for i, key in ipairs(KEYS) do
        local new = ARGV[3 * i - 1]
        if new == '' then redis.call('DEL', key)
        else redis.call('SET', key, new, 'EX', ARGV[3 * i]) end
    end
    return 1";

/// How errors begin that mean that a password is not taken; the last two before Redis 6.
const REFUSALS: [&str; 4] = [
    "WRONGPASS",
    "NOPERM",
    "ERR invalid password",
    "ERR Client sent AUTH",
];

/// The longest pause, in microseconds, before a change is tried again because others were faster.
const LONGEST_PAUSE: u64 = 4000;

/// Connections that are kept.
const KEPT: usize = 8;

/// A server as configured.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Whether the connection is encrypted from the first byte on.
    pub tls: bool,
    /// Certificates in PEM form that are trusted in place of the system's.
    pub ca_file: Option<CaFile>,
    /// The number of the database.
    pub database: u32,
    /// Who we are there; `default` where that is not said.
    pub user: Option<String>,
    /// The password, if one is asked for.
    pub password: Option<Zeroizing<Vec<u8>>>,
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rediss" } else { "redis" };
        write!(f, "{scheme}://{}/{}", self.endpoint, self.database)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Settings({self})")
    }
}

/// Counts on a server.
pub(super) struct Redis {
    settings: Settings,
    spans: Spans,
    names: Names,
    trust: Trust,
    idle: Mutex<Vec<Stream>>,
    turns: Turnstile,
    /// Our account there.
    own: OwnLogin,
}

impl Redis {
    pub(super) fn new(settings: &Settings, spans: Spans) -> Self {
        Self {
            names: Names::system(),
            trust: Trust::new(settings.ca_file.clone()),
            settings: settings.clone(),
            spans,
            idle: Mutex::default(),
            turns: Turnstile::new(NonZeroUsize::MIN),
            own: OwnLogin::new(
                settings,
                settings.user.as_deref().unwrap_or_default().as_bytes(),
                settings.password.as_deref().map_or(&[], Vec::as_slice),
            ),
        }
    }

    fn connect(&self, deadline: Instant) -> io::Result<Stream> {
        let settings = &self.settings;
        let mut stream = Stream::connect(&settings.endpoint, &self.names, deadline)?;
        if let (true, Endpoint::Tcp { host, .. }) = (settings.tls, &settings.endpoint) {
            let config = self.trust.config().map_err(io::Error::other)?;
            stream.start_tls(&config, host)?;
        }
        if let Some(password) = &settings.password {
            let user = settings.user.as_ref().map(String::as_bytes);
            let words: Vec<&[u8]> = [Some(&b"AUTH"[..]), user, Some(password)]
                .into_iter()
                .flatten()
                .collect();
            self.log_in(&mut stream, &words)?;
        }
        if settings.database != 0 {
            let number = settings.database.to_string();
            talk(&mut stream, &[b"SELECT", number.as_bytes()])?;
        }
        Ok(stream)
    }

    /// Shows who we are, unless that was refused a moment ago.
    fn log_in(&self, stream: &mut Stream, words: &[&[u8]]) -> io::Result<()> {
        let refused = |why: &dyn fmt::Display| io::Error::other(format!("AUTH: {why}"));
        let attempt = self.own.attempt().map_err(|closed| refused(&closed))?;
        stream.send(&Zeroizing::new(command(words)))?;
        match reply(stream)? {
            Reply::Error(why) if REFUSALS.iter().any(|begins| why.starts_with(begins)) => {
                let when = "it is tried again in a minute, or when the password is another";
                attempt.refused(why.as_str());
                Err(refused(&format_args!("{why}; {when}")))
            }
            Reply::Error(why) => Err(refused(&why)),
            _ => {
                attempt.accepted();
                Ok(())
            }
        }
    }

    /// Asks over a kept connection, and over a new one if there is none or if that one fails. What is
    /// asked twice does no harm: a change only counts if nothing has changed.
    fn ask(&self, words: &[&[u8]], deadline: Instant) -> Result<Reply, String> {
        let kept = || {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.pop()
        };
        let asked = |mut stream: Stream| {
            stream.set_deadline(deadline);
            let reply = talk(&mut stream, words)?;
            Ok::<_, io::Error>((stream, reply))
        };
        let while_kept = std::iter::from_fn(kept)
            .find_map(|mut stream| stream.is_quiet().then_some(stream))
            .and_then(|stream| asked(stream).ok());
        let (stream, reply) = match while_kept {
            Some(answered) => answered,
            None => self
                .connect(deadline)
                .and_then(asked)
                .map_err(|error| self.explained(&error))?,
        };
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(stream);
        }
        Ok(reply)
    }

    /// An error with the place and, where that is known, what to do about it.
    fn explained(&self, error: &io::Error) -> String {
        let settings = &self.settings;
        let text = format!("{settings}: {error}");
        let user = settings.user.as_deref().unwrap_or("default");
        match advice::of(&text, user) {
            Some(advice) => format!("{text}: {advice}"),
            None => text,
        }
    }

    /// Sets a value by the script, if it is `old` still; empty for none.
    fn replace(&self, key: &[u8], old: &[u8], new: &[u8], until: Instant) -> Result<(), String> {
        let words = [b"EVAL", COMPARE_AND_SET, b"1", key, old, new, CHECK_SECONDS];
        self.ask(&words, until).map(drop)
    }

    fn odd(&self) -> String {
        format!("{}: the reply is of another kind", self.settings)
    }

    /// The values of the keys, empty for none, and the time by the clock of the server.
    fn values(&self, keys: &[Vec<u8>], deadline: Instant) -> Result<(Vec<Vec<u8>>, u64), String> {
        let count = keys.len().to_string();
        let mut words: Vec<&[u8]> = vec![b"EVAL", READ, count.as_bytes()];
        words.extend(keys.iter().map(Vec::as_slice));
        let Reply::Array(items) = self.ask(&words, deadline)? else {
            return Err(self.odd());
        };
        let mut items = items.into_iter();
        let Some(Reply::Integer(now)) = items.next() else {
            return Err(self.odd());
        };
        let now = u64::try_from(now).map_err(|_| self.odd())?;
        let values: Vec<_> = items
            .map(|item| match item {
                Reply::Bulk(value) => Ok(value.unwrap_or_default()),
                _ => Err(self.odd()),
            })
            .collect::<Result<_, _>>()?;
        match values.len() == keys.len() {
            true => Ok((values, now)),
            false => Err(self.odd()),
        }
    }

    fn record(&self, value: &[u8], now: u64) -> Record {
        let mut record = Record::decode(value).unwrap_or_default();
        record.settle(now, self.spans);
        record
    }
}

/// One command and its reply; an error of the server is an error.
fn talk(stream: &mut Stream, words: &[&[u8]]) -> io::Result<Reply> {
    stream.send(&Zeroizing::new(command(words)))?;
    match reply(stream)? {
        Reply::Error(why) => Err(io::Error::other(format!("it says: {why}"))),
        reply => Ok(reply),
    }
}

/// The name under which a key's record is.
fn name(key: &Key) -> Vec<u8> {
    [PREFIX, &key.encode()].concat()
}

impl State for Redis {
    fn read(&self, keys: &[Key], deadline: Instant) -> Result<(Vec<Record>, u64), Unchanged> {
        let names: Vec<_> = keys.iter().map(name).collect();
        let (values, now) = self.values(&names, deadline)?;
        let records = values.iter().map(|value| self.record(value, now));
        Ok((records.collect(), now))
    }

    fn change(
        &self,
        keys: &[Key],
        change: &mut Change<'_>,
        deadline: Instant,
    ) -> Result<Vec<Record>, Unchanged> {
        let names: Vec<_> = keys.iter().map(name).collect();
        // One thread of this process at a time: they would only get in each other's way.
        let _turn = self.turns.enter(deadline).ok_or(Unchanged::Contended)?;
        let count = keys.len().to_string();
        loop {
            let (old, now) = self.values(&names, deadline)?;
            let mut records: Vec<_> = old.iter().map(|value| self.record(value, now)).collect();
            change(&mut records, now);
            let new: Vec<_> = records
                .iter()
                .map(|record| {
                    let text = match record.is_empty() {
                        true => String::new(),
                        false => record.encode(),
                    };
                    let seconds = record.until(self.spans).saturating_sub(now).max(1);
                    (text, seconds.to_string())
                })
                .collect();
            let mut words: Vec<&[u8]> = vec![b"EVAL", COMPARE_AND_SET, count.as_bytes()];
            words.extend(names.iter().map(Vec::as_slice));
            for (old, (new, seconds)) in old.iter().zip(&new) {
                words.extend([old.as_slice(), new.as_bytes(), seconds.as_bytes()]);
            }
            if self.ask(&words, deadline)? == Reply::Integer(1) {
                return Ok(records);
            }
            // Others were faster. Not all are to come again at the same moment.
            let odd = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
            let pause = u64::from(odd.subsec_nanos()) / 100 % LONGEST_PAUSE;
            let pause = Duration::from_micros(pause);
            if Instant::now() + pause >= deadline {
                return Err(Unchanged::Contended);
            }
            std::thread::sleep(pause);
        }
    }

    fn tag_key(&self, deadline: Instant) -> Result<TagKey, String> {
        let mut reply = self.ask(&[b"GET", TAG_KEY], deadline)?;
        if let Reply::Bulk(None) = reply {
            let fresh = new_tag_key()?;
            self.ask(&[b"SET", TAG_KEY, &fresh[..], b"NX"], deadline)?;
            // Another process may have been faster.
            reply = self.ask(&[b"GET", TAG_KEY], deadline)?;
        }
        match reply {
            Reply::Bulk(Some(bytes)) => match <[u8; 32]>::try_from(bytes) {
                Ok(key) => Ok(Zeroizing::new(key)),
                Err(_) => Err(self.odd()),
            },
            _ => Err(self.odd()),
        }
    }

    /// Each command and script is run, on a key of its own. Replicas and users without some of
    /// the commands can read; only a try shows what they cannot do.
    fn test(&self, deadline: Instant) -> Result<(), String> {
        self.tag_key(deadline)?;
        // Outside of a script first: of a command in one, Redis 7.0 does not say which may not be run.
        let alone: [&[&[u8]]; 4] = [
            &[b"TIME"],
            &[b"GET", CHECK_KEY],
            &[b"SET", CHECK_KEY, b"1", b"NX", b"EX", CHECK_SECONDS],
            &[b"DEL", CHECK_KEY],
        ];
        for words in alone {
            self.ask(words, deadline)?;
        }
        let (values, _) = self.values(&[CHECK_KEY.to_vec()], deadline)?;
        let old = values.first().map_or(&[][..], Vec::as_slice);
        // Another check may run: what is there then is replaced by neither, and goes by itself.
        self.replace(CHECK_KEY, old, b"1", deadline)?;
        self.replace(CHECK_KEY, b"1", b"", deadline)?;
        let words: [&[u8]; 4] = [b"SCAN", b"0", b"COUNT", b"1"];
        self.ask(&words, deadline).map(drop)
    }

    fn list(&self, deadline: Instant) -> Result<Vec<(Key, Record)>, String> {
        let pattern = [PREFIX, b"*"].concat();
        let (mut cursor, mut list) = (b"0".to_vec(), Vec::new());
        loop {
            let words: [&[u8]; 6] = [b"SCAN", &cursor, b"MATCH", &pattern, b"COUNT", b"1000"];
            let Reply::Array(items) = self.ask(&words, deadline)? else {
                return Err(self.odd());
            };
            let [Reply::Bulk(Some(next)), Reply::Array(found)] = items.as_slice() else {
                return Err(self.odd());
            };
            let names: Vec<_> = found
                .iter()
                .filter_map(|item| match item {
                    Reply::Bulk(Some(name)) if name != TAG_KEY => Some(name.clone()),
                    _ => None,
                })
                .collect();
            let (values, now) = self.values(&names, deadline)?;
            for (name, value) in names.iter().zip(&values) {
                let key = name.strip_prefix(PREFIX).and_then(Key::decode);
                list.extend(key.map(|key| (key, self.record(value, now))));
            }
            cursor.clone_from(next);
            // A key may come twice (SCAN), but not forever.
            if cursor == b"0" || list.len() >= MAX_KEYS {
                return Ok(list);
            }
        }
    }

    fn forget(&self, keys: &[Key], deadline: Instant) -> Result<(), String> {
        for some in keys.chunks(1000) {
            let names: Vec<_> = some.iter().map(name).collect();
            let mut words: Vec<&[u8]> = vec![b"DEL"];
            words.extend(names.iter().map(Vec::as_slice));
            self.ask(&words, deadline)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
