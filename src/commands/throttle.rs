//! `throttle`: who is slowed down or refused, for administrators, and how they are forgiven.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use jiff::Timestamp;

use super::{CommandError, Outcome, complain};
use crate::cli::ThrottleCommand;
use crate::config::Config;
use crate::store::Network;
use crate::throttle::{Counting, Key, Place, Record, Status, Throttle, counted};

/// Lists or forgets what is counted.
pub(super) fn throttle(
    config: &Path,
    command: &ThrottleCommand,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Outcome, CommandError> {
    let config = match Config::load(config) {
        Ok(config) => config,
        Err(problems) => {
            complain(&problems, err)?;
            return Ok(Outcome::BrokenConfig);
        }
    };
    let Some(settings) = config.throttle.as_ref().map(|throttle| &throttle.settings) else {
        return Err(CommandError::Input("there is no [throttle]".to_owned()));
    };
    if settings.place == Place::Memory {
        let what = "the counts are in the memory of the server: a restart forgets them; with \
                    throttle.state = \"sqlite:PATH\" or \"redis://…\" they can be looked at";
        return Err(CommandError::Input(what.to_owned()));
    }
    let throttle = Throttle::open(settings, Counting::ForLong, None);
    let deadline = Instant::now() + config.deadline;
    let mut all = throttle.list(deadline).map_err(CommandError::Input)?;
    all.sort_by_cached_key(|(key, _)| key.to_string());
    all.dedup_by(|(one, _), (other, _)| one == other);
    match command {
        ThrottleCommand::List => list(&throttle, &all, out)?,
        ThrottleCommand::Clear { network, login } => {
            let keys: Vec<_> = all
                .into_iter()
                .map(|(key, _)| key)
                .filter(|key| is_meant(key, *network, login.as_deref()))
                .collect();
            throttle
                .forget(&keys, deadline)
                .map_err(CommandError::Input)?;
            writeln!(out, "forgotten: {}", keys.len())?;
        }
    }
    Ok(Outcome::Done)
}

/// A line each, those who are refused first.
fn list(throttle: &Throttle, all: &[(Key, Record)], out: &mut impl Write) -> io::Result<()> {
    let mut lines: Vec<_> = all
        .iter()
        .filter(|(_, record)| record.failures != 0 || record.succeeded != 0)
        .map(|(key, record)| (throttle.status(key, record), key, record))
        .collect();
    lines.sort_by_key(|(status, _, record)| (rank(*status), std::cmp::Reverse(record.failures)));
    for (status, key, record) in lines {
        let window = throttle.settings().spans.window.as_secs();
        match status {
            Status::Refused => {
                let end = record.failed.saturating_add(window);
                write!(out, "refused until={}", Time(end))?;
            }
            Status::Slowed(seconds) => write!(out, "slowed wait={seconds}")?,
            Status::Exempt => write!(out, "exempt succeeded={}", Time(record.succeeded))?,
            Status::Free => write!(out, "free")?,
        }
        write!(out, " failures={}", record.failures)?;
        if record.failed != 0 {
            write!(out, " last={}", Time(record.failed))?;
        }
        writeln!(out, " {key}")?;
    }
    Ok(())
}

fn rank(status: Status) -> u8 {
    match status {
        Status::Refused => 0,
        Status::Slowed(_) => 1,
        Status::Free => 2,
        Status::Exempt => 3,
    }
}

/// Whether a key is one of those that are to be forgotten: all of them, unless some are named.
fn is_meant(key: &Key, network: Option<Network>, login: Option<&OsStr>) -> bool {
    let there = network.is_none_or(|wanted| {
        key.network()
            .is_some_and(|network| network.overlaps(&wanted.as_counted()))
    });
    let theirs = login.is_none_or(|login| {
        let login = counted(login.as_encoded_bytes());
        key.login().is_some_and(|known| known == login)
    });
    there && theirs
}

/// Seconds since 1970, as a time of day.
struct Time(u64);

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = i64::try_from(self.0).unwrap_or(i64::MAX);
        match Timestamp::from_second(seconds) {
            Ok(time) => time.fmt(f),
            Err(_) => self.0.fmt(f),
        }
    }
}
