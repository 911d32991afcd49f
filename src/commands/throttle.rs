//! `throttle`: lists and forgets counts of wrong passwords, for administrators. Also prints the
//! effect of the counts on a login for `test` and `route`.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Instant;

use jiff::Timestamp;

use super::{CommandError, Outcome, print_problems};
use crate::commands::cli::ThrottleCommand;
use crate::config::Config;
use crate::login::Login;
use crate::login::Network;
use crate::nginx::refusal::{Refusal, Trouble};
use crate::service::Service;
use crate::throttle::{CountingMode, Key, Record, StateLocation, Status, Throttle, counted};

/// Lists or forgets counts.
pub(super) fn throttle(
    config: &Path,
    command: &ThrottleCommand,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Outcome, CommandError> {
    let config = match Config::load(config) {
        Ok(config) => config,
        Err(problems) => {
            print_problems(&problems, err)?;
            return Ok(Outcome::BrokenConfig);
        }
    };
    let Some(settings) = config.throttle.as_ref().map(|throttle| &throttle.settings) else {
        return Err(CommandError::Input("there is no [throttle]".to_owned()));
    };
    if settings.place == StateLocation::Memory {
        let what = "the counts are in the memory of the server: a restart forgets them; with \
                    throttle.state = \"sqlite:PATH\" or \"redis://…\" this command can read them";
        return Err(CommandError::Input(what.to_owned()));
    }
    let throttle = Throttle::open(settings, CountingMode::Server, None);
    let deadline = Instant::now() + config.limits.deadline;
    let mut all = throttle.list(deadline).map_err(CommandError::Input)?;
    all.sort_by_cached_key(|(key, _)| key.to_string());
    all.dedup_by(|(one, _), (other, _)| one == other);
    match command {
        ThrottleCommand::List => list(&throttle, &all, out)?,
        ThrottleCommand::Clear { network, login } => {
            let keys: Vec<_> = all
                .into_iter()
                .map(|(key, _)| key)
                .filter(|key| is_selected(key, *network, login.as_deref()))
                .collect();
            throttle
                .forget(&keys, deadline)
                .map_err(CommandError::Input)?;
            writeln!(out, "cleared: {}", keys.len())?;
        }
    }
    Ok(Outcome::Done)
}

/// One line for each, the refused ones first.
fn list(throttle: &Throttle, all: &[(Key, Record)], out: &mut impl Write) -> io::Result<()> {
    let mut lines: Vec<_> = all
        .iter()
        .filter(|(_, record)| record.failures != 0 || record.succeeded != 0)
        .map(|(key, record)| (throttle.status(key, record), key, record))
        .collect();
    lines.sort_by_key(|(status, _, record)| (rank(*status), std::cmp::Reverse(record.failures)));
    for (_, key, record) in lines {
        line(throttle, key, record, out)?;
    }
    Ok(())
}

/// The counts of a key, and their effect.
fn line(throttle: &Throttle, key: &Key, record: &Record, out: &mut impl Write) -> io::Result<()> {
    match throttle.status(key, record) {
        Status::Refused => {
            let window = throttle.settings().spans.window.as_secs();
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
    writeln!(out, " {key}")
}

/// The answer that nginx gets instead of a decision.
pub(super) struct Preview {
    pub(super) why: Refusal,
    pub(super) wait: Option<NonZeroU32>,
}

/// Prints the effect of the counts on an attempt of this login, without counting it; returns the
/// refusal that nginx would get because of them.
pub(super) fn preview(
    service: &Service,
    login: &Login,
    client: Option<IpAddr>,
    out: &mut impl Write,
) -> io::Result<Option<Preview>> {
    let config = service.config();
    let Some(settings) = config.throttle.as_ref().map(|throttle| &throttle.settings) else {
        return Ok(None);
    };
    if settings.place == StateLocation::Memory {
        let what = "the counts are in the memory of the server, where they cannot be read";
        writeln!(out, "throttle: {what}")?;
        return Ok(None);
    }
    let Ok(counted) = service.gate().counted_login(login) else {
        return Ok(None);
    };
    let believed = client.filter(|_| !config.fronts.accept_everyone());
    let throttle = Throttle::open(settings, CountingMode::ReadOnly, None);
    let look = match throttle.counts_of_attempt(
        &counted,
        believed,
        Instant::now() + config.limits.deadline,
    ) {
        Ok(Some(look)) => look,
        Ok(None) => {
            writeln!(
                out,
                "throttle: failures of this client are not counted (always-allow)"
            )?;
            return Ok(None);
        }
        Err(what) => {
            writeln!(out, "throttle: the counts are unavailable: {what}")?;
            if settings.go_on {
                return Ok(None);
            }
            let what_follows = "the temporary failure, if the server cannot read them either \
                                (throttle.without-state)";
            writeln!(out, "nginx would get: {what_follows}")?;
            return Ok(Some(Preview {
                why: Trouble::Throttle(what).into(),
                wait: None,
            }));
        }
    };
    match (client, believed) {
        (None, _) => writeln!(
            out,
            "throttle: without --client-ip, only the counts of the login:"
        )?,
        (Some(_), None) => writeln!(
            out,
            "throttle: only the login is counted, because a Client-IP without nginx.key or allowed-fronts is not trusted:"
        )?,
        (Some(_), Some(_)) => {}
    }
    if look.counts.is_empty() {
        writeln!(out, "throttle: no failures are counted")?;
    }
    for (key, record) in &look.counts {
        write!(out, "throttle: ")?;
        line(&throttle, key, record, out)?;
    }
    let Some((why, until)) = look.refused else {
        return Ok(None);
    };
    let what = why.detail().unwrap_or_default();
    writeln!(
        out,
        "nginx would get: throttled until {} ({what})",
        Time(until)
    )?;
    Ok(Some(Preview {
        why,
        wait: look.wait,
    }))
}

fn rank(status: Status) -> u8 {
    match status {
        Status::Refused => 0,
        Status::Slowed(_) => 1,
        Status::Free => 2,
        Status::Exempt => 3,
    }
}

/// Whether a key is selected: all of them, unless some are named.
fn is_selected(key: &Key, network: Option<Network>, login: Option<&OsStr>) -> bool {
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
