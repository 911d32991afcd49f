//! Counts in Redis or Valkey, shared by several machines. The server is a single one, the primary that
//! sentinels name, or the node of a cluster that holds our keys.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use ::redis::{Cmd, Value, cmd, from_redis_value};
use zeroize::Zeroizing;

use super::key::Key;
use super::record::{Record, Spans};
use super::state::{Change, ChangeError, MAX_KEYS, State, TagKey, new_tag_key};
use crate::sys::semaphore::{Requester, Semaphore};

mod address;
mod advice;
mod cluster;
mod connection;
mod failure;
mod sentinel;
mod servers;
mod settings;

pub use address::Address;
use servers::Servers;
pub use settings::{Kind, RedisAccount, Settings};

/// The prefix of all our keys. The braces keep them on one node of a cluster: a script can only use keys of
/// one node.
const PREFIX: &[u8] = b"{nginx-mail-auth}:";

/// The key that holds the secret of the digests; no [`Key`] is encoded like that.
const TAG_KEY: &[u8] = b"{nginx-mail-auth}:tag-key";

/// A key without counts for testing permissions, and its time to live in seconds.
const CHECK_KEY: &[u8] = b"{nginx-mail-auth}:check";
const CHECK_SECONDS: u64 = 60;

/// Returns the time of the server's clock, in whole seconds, and the values of all keys. The clocks of the
/// clients may differ.
const READ: &[u8] = b"
    local all = {tonumber(redis.call('TIME')[1])}
    for i, key in ipairs(KEYS) do all[i + 1] = redis.call('GET', key) end
    return all";

/// Sets all keys if each still has the value that was read; an empty value means no key. KEYS: the keys;
/// ARGV: for each key the old value, the new value, and its time to live in seconds.
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

/// The longest pause, in microseconds, before a change is retried after a conflict with another client.
const LONGEST_PAUSE: u64 = 4000;

/// Counts on a server.
pub(super) struct Redis {
    servers: Servers,
    spans: Spans,
    turns: Semaphore,
}

impl Redis {
    pub(super) fn new(settings: &Settings, spans: Spans) -> Self {
        Self {
            servers: Servers::new(settings),
            spans,
            turns: Semaphore::new(NonZeroUsize::MIN),
        }
    }

    /// Runs the script if each key still has its old value (empty: no key); says whether it did.
    fn compare_and_set(
        &self,
        keys: &[Vec<u8>],
        changes: &[Replacement<'_>],
        deadline: Instant,
    ) -> Result<bool, String> {
        let mut command = script(COMPARE_AND_SET, keys);
        for Replacement { old, new, seconds } in changes {
            command.arg(*old).arg(new).arg(*seconds);
        }
        self.servers.ask(&command, deadline)
    }

    /// The values of the keys (empty: no key), and the time of the server's clock.
    fn values(&self, keys: &[Vec<u8>], deadline: Instant) -> Result<(Vec<Vec<u8>>, u64), String> {
        let reply: Vec<Value> = self.servers.ask(&script(READ, keys), deadline)?;
        let unexpected_type = |_| self.servers.unexpected_type();
        let mut items = reply.into_iter();
        let now = from_redis_value(items.next().unwrap_or(Value::Nil)).map_err(unexpected_type)?;
        let values =
            items.map(|item| Ok(from_redis_value::<Option<Vec<u8>>>(item)?.unwrap_or_default()));
        let values: Vec<_> = values.collect::<Result<_, _>>().map_err(unexpected_type)?;
        match values.len() == keys.len() {
            true => Ok((values, now)),
            false => Err(self.servers.unexpected_type()),
        }
    }

    fn record(&self, value: &[u8], now: u64) -> Record {
        let mut record = Record::decode(value).unwrap_or_default();
        record.settle(now, self.spans);
        record
    }
}

/// The old value of a key, its new value (empty: no key), and the new time to live in seconds.
struct Replacement<'a> {
    old: &'a [u8],
    new: String,
    seconds: u64,
}

/// A script with its keys; further arguments of the command become the script's arguments.
fn script(text: &[u8], keys: &[Vec<u8>]) -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(text).arg(keys.len());
    for key in keys {
        command.arg(key.as_slice());
    }
    command
}

/// The name of a key on the server.
fn name(key: &Key) -> Vec<u8> {
    [PREFIX, &key.encode()].concat()
}

impl State for Redis {
    fn read(&self, keys: &[Key], deadline: Instant) -> Result<(Vec<Record>, u64), ChangeError> {
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
    ) -> Result<Vec<Record>, ChangeError> {
        let names: Vec<_> = keys.iter().map(name).collect();
        // One thread of this process at a time: concurrent threads would only conflict with each other.
        let _turn = self
            .turns
            .acquire(Requester::default(), deadline)
            .ok_or(ChangeError::Contended)?;
        loop {
            let (old, now) = self.values(&names, deadline)?;
            let mut records: Vec<_> = old.iter().map(|value| self.record(value, now)).collect();
            change(&mut records, now);
            let changes = old.iter().zip(&records).map(|(old, record)| Replacement {
                old,
                new: match record.is_empty() {
                    true => String::new(),
                    false => record.encode(),
                },
                seconds: record.until(self.spans).saturating_sub(now).max(1),
            });
            if self.compare_and_set(&names, &changes.collect::<Vec<_>>(), deadline)? {
                return Ok(records);
            }
            // A conflict with another client. A random pause keeps the clients from retrying at the same
            // moment.
            let unexpected_type = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
            let pause = u64::from(unexpected_type.subsec_nanos()) / 100 % LONGEST_PAUSE;
            let pause = Duration::from_micros(pause);
            if Instant::now() + pause >= deadline {
                return Err(ChangeError::Contended);
            }
            std::thread::sleep(pause);
        }
    }

    fn tag_key(&self, deadline: Instant) -> Result<TagKey, String> {
        let mut get = cmd("GET");
        get.arg(TAG_KEY);
        let mut found: Option<Vec<u8>> = self.servers.ask(&get, deadline)?;
        if found.is_none() {
            let fresh = new_tag_key()?;
            let mut set = cmd("SET");
            set.arg(TAG_KEY).arg(&fresh[..]).arg("NX");
            self.servers.ask::<Value>(&set, deadline)?;
            // Another process may have set it meanwhile.
            found = self.servers.ask(&get, deadline)?;
        }
        let found = Zeroizing::new(found.unwrap_or_default());
        match <[u8; 32]>::try_from(found.as_slice()) {
            Ok(key) => Ok(Zeroizing::new(key)),
            Err(_) => Err(self.servers.unexpected_type()),
        }
    }

    /// Runs each command and script on a key of its own. Replicas, and users without some of the commands,
    /// can still read; only a test shows what they cannot do.
    fn test(&self, deadline: Instant) -> Result<(), String> {
        self.tag_key(deadline)?;
        // Outside of a script first: for a command in a script, Redis 7.0 does not name the forbidden
        // command.
        let mut set = cmd("SET");
        set.arg(CHECK_KEY).arg("1").arg("NX");
        set.arg("EX").arg(CHECK_SECONDS);
        let mut scan = cmd("SCAN");
        scan.arg(0).arg("COUNT").arg(1);
        let mut alone = vec![
            cmd("TIME"),
            cmd("GET").arg(CHECK_KEY).clone(),
            set,
            cmd("DEL").arg(CHECK_KEY).clone(),
            scan,
        ];
        if self.servers.settings.kind == Kind::Cluster {
            alone.push(cmd("ASKING"));
        }
        for command in &alone {
            self.servers.ask::<Value>(command, deadline)?;
        }
        let keys = [CHECK_KEY.to_vec()];
        let (values, _) = self.values(&keys, deadline)?;
        // Another check may run at the same time: neither replaces the other's key, and the key expires.
        let old = values.first().map_or(&[][..], Vec::as_slice);
        for (old, new) in [(old, "1"), (&b"1"[..], "")] {
            let change = Replacement {
                old,
                new: new.to_owned(),
                seconds: CHECK_SECONDS,
            };
            self.compare_and_set(&keys, &[change], deadline)?;
        }
        Ok(())
    }

    fn list(&self, deadline: Instant) -> Result<Vec<(Key, Record)>, String> {
        // Each node of a cluster scans its own keys only. This command selects the node that holds ours.
        self.servers
            .ask::<Value>(cmd("GET").arg(TAG_KEY), deadline)?;
        let pattern = [PREFIX, b"*"].concat();
        let (mut cursor, mut list) = ("0".to_owned(), Vec::new());
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(&cursor).arg("MATCH").arg(&pattern);
            scan.arg("COUNT").arg(100);
            let (next, mut names): (String, Vec<Vec<u8>>) = self.servers.ask(&scan, deadline)?;
            names.retain(|name| name != TAG_KEY);
            let (values, now) = self.values(&names, deadline)?;
            for (name, value) in names.iter().zip(&values) {
                let key = name.strip_prefix(PREFIX).and_then(Key::decode);
                list.extend(key.map(|key| (key, self.record(value, now))));
            }
            // `SCAN` may return a key twice; the bound ends an endless scan.
            if next == "0" || list.len() >= MAX_KEYS {
                return Ok(list);
            }
            cursor = next;
        }
    }

    fn forget(&self, keys: &[Key], deadline: Instant) -> Result<(), String> {
        for some in keys.chunks(1000) {
            let mut delete = cmd("DEL");
            for key in some {
                delete.arg(name(key));
            }
            self.servers.ask::<Value>(&delete, deadline)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
