//! Finds the primary of a service through sentinels.
//!
//! <https://redis.io/docs/latest/develop/reference/sentinel-clients/>

use std::sync::atomic::Ordering;
use std::time::Instant;

use ::redis::{Cmd, Value, cmd};

use super::address::named;
use super::failure::{Failure, RequestError};
use super::servers::{Servers, share};
use crate::net::Endpoint;

impl Servers {
    /// The primary that the first answering sentinel names.
    pub(super) fn primary_of_sentinels(
        &self,
        service: &str,
        deadline: Instant,
    ) -> Option<Endpoint> {
        let mut sentinels = self.sentinels();
        sentinels.find_map(|(place, sentinel)| {
            let until = share(deadline, 4);
            self.primary_by(place, sentinel, service, until).ok()
        })
    }

    /// The reply of the primary: asks each sentinel in turn until one names a server that reports the role of
    /// primary itself, and replies.
    pub(super) fn ask_primary(
        &self,
        service: &str,
        command: &Cmd,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        let mut failure = None;
        let mut left = self.settings.endpoints.len();
        for (place, sentinel) in self.sentinels() {
            let named = self.primary_by(place, sentinel, service, share(deadline, left + 1));
            left -= 1;
            // Another sentinel may name the right server.
            let until = if left == 0 {
                deadline
            } else {
                share(deadline, 2)
            };
            match named.and_then(|primary| self.ask_if_primary(&primary, command, until)) {
                Ok(value) => return Ok(value),
                Err(why) if why.is_final() => return Err(why),
                Err(why) => failure = Some(why),
            }
        }
        Err(failure.unwrap_or_else(|| RequestError::NoServer.into()))
    }

    fn ask_if_primary(
        &self,
        endpoint: &Endpoint,
        command: &Cmd,
        until: Instant,
    ) -> Result<Value, Failure> {
        let mut connection = self.open(endpoint, until)?;
        let mut ask = || -> Result<Value, RequestError> {
            // Not the crate's `Role`: it requires an offset of 0 or more, which a replica may lack.
            let role: Vec<Value> = connection.ask(&cmd("ROLE"), until)?;
            match role.first() {
                Some(Value::BulkString(word)) if word == b"master" => {}
                _ => return Err(RequestError::NotPrimary),
            }
            Ok(connection.ask(command, until)?)
        };
        let value = ask().map_err(|problem| problem.at(endpoint))?;
        self.settle_on(endpoint);
        self.keep(connection);
        Ok(value)
    }

    /// The sentinels with their indexes; the one that answered last comes first.
    fn sentinels(&self) -> impl Iterator<Item = (usize, &Endpoint)> {
        let all = &self.settings.endpoints;
        let first = self.preferred.load(Ordering::Relaxed).min(all.len());
        let (before, after) = all.split_at(first);
        let after = after
            .iter()
            .enumerate()
            .map(move |(at, one)| (first + at, one));
        after.chain(before.iter().enumerate())
    }

    /// The primary that a sentinel names.
    fn primary_by(
        &self,
        place: usize,
        sentinel: &Endpoint,
        service: &str,
        until: Instant,
    ) -> Result<Endpoint, Failure> {
        self.ask_confirming_server(sentinel, until, |connection| {
            let mut question = cmd("SENTINEL");
            question.arg("GET-MASTER-ADDR-BY-NAME").arg(service);
            let reply: Option<(String, String)> = connection.ask(&question, until)?;
            let (host, port) =
                reply.ok_or_else(|| RequestError::UnknownService(service.to_owned()))?;
            self.preferred.store(place, Ordering::Relaxed);
            named(&host, &port).ok_or_else(|| RequestError::Unusable(format!("{host}:{port}")))
        })
    }
}
