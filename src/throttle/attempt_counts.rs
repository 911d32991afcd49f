//! Reads the counts for an attempt without making one, for an administrator. Counts nothing.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Instant;

use super::{AttemptRecords, Key, Network, Record, Throttle, counted, keys};
use crate::nginx::refusal::Refusal;

/// The consequence of the present counts for the next attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptCounts {
    /// The counts of the attempt's keys; keys without a count are omitted.
    pub counts: Vec<(Key, Record)>,
    /// Why the attempt is refused before any store is asked, and until when, in seconds since 1970.
    pub refused: Option<(Refusal, u64)>,
    /// Seconds for which nginx delays a refusal.
    pub wait: Option<NonZeroU32>,
}

impl Throttle {
    /// Reads the counts for an attempt of `login`, as [`Self::begin_attempt`] does; `network` is `None` if it is
    /// unknown. Returns `None` if attempts from that network are not counted. The error says why the counts
    /// cannot be read.
    pub fn counts_of_attempt(
        &self,
        login: &[u8],
        client: Option<IpAddr>,
        deadline: Instant,
    ) -> Result<Option<AttemptCounts>, String> {
        if client.is_some_and(|address| self.always_allows(address)) {
            return Ok(None);
        }
        let settings = &self.settings;
        let network = client
            .map(|address| Network::around(address, settings.ipv4_prefix, settings.ipv6_prefix));
        let keys = keys(counted(login), network);
        let records = self.counts.counts_of_attempt(&keys, deadline)?;
        let window = settings.spans.window.as_secs();
        let refusing = keys.iter().zip(&records).filter(|(key, record)| {
            let most = settings.most(key);
            most.is_some_and(|most| record.failures >= most)
        });
        // The refusal lasts until all of them have expired.
        let until = refusing
            .map(|(_, record)| record.failed.saturating_add(window))
            .max();
        let seen = AttemptRecords::new(records.clone());
        let counts = keys
            .into_iter()
            .zip(records)
            .filter(|(_, record)| !record.is_empty());
        Ok(Some(AttemptCounts {
            counts: counts.collect(),
            refused: self.refusal(&seen).zip(until),
            wait: NonZeroU32::new(self.wait(&seen)),
        }))
    }
}
