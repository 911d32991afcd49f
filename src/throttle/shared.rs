//! The counts that processes share, and the counts of this process that replace them while they are
//! unavailable.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Settings;
use super::key::Key;
use super::location::{StateLocation, open};
use super::memory::Memory;
use super::record::Record;
use super::state::{Change, ChangeError, CountingMode, State, TagKey};
use crate::nginx::refusal::Trouble;
use crate::sys;

/// How long unavailable counts are not queried again: logins must not wait for them.
const PAUSE: Duration = Duration::from_secs(5);

/// Which counts record an attempt, from its beginning to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CountsSource {
    /// The shared counts.
    Shared,
    /// The counts of this process.
    Own,
}

/// The counts, and the fallback while they are unavailable.
pub(super) struct Shared {
    place: String,
    go_on: bool,
    counting: CountingMode,
    #[cfg(feature = "servers")]
    is_file: bool,
    timeout: Duration,
    /// `None` if the process only has its own counts.
    shared: Option<Arc<Counts>>,
    own: Arc<Counts>,
}

/// Counts, and whether they are available.
struct Counts {
    state: Box<dyn State>,
    /// Some counts can be read but not written: those on a full disk, or on a replica.
    reading: OperationState,
    writing: OperationState,
}

impl Counts {
    fn new(state: Box<dyn State>) -> Arc<Self> {
        Arc::new(Self {
            state,
            reading: OperationState::new("read"),
            writing: OperationState::new("write"),
        })
    }
}

impl Shared {
    pub(super) fn open(settings: &Settings, counting: CountingMode, before: Option<&Self>) -> Self {
        let spans = settings.spans;
        let own = before.map_or_else(
            || Counts::new(Box::new(Memory::new(spans))),
            |before| Arc::clone(&before.own),
        );
        let shared = (settings.place != StateLocation::Memory).then(|| {
            let kept = before.and_then(|before| before.shared.clone());
            kept.unwrap_or_else(|| Counts::new(open(&settings.place, spans, counting)))
        });
        Self {
            place: settings.place.to_string(),
            go_on: settings.go_on,
            counting,
            #[cfg(feature = "servers")]
            is_file: matches!(settings.place, StateLocation::Sqlite(_)),
            timeout: settings.timeout,
            shared,
            own,
        }
    }

    /// Opens the counts with this shared storage.
    #[cfg(test)]
    pub(super) fn with(
        settings: &Settings,
        counting: CountingMode,
        shared: Box<dyn State>,
    ) -> Self {
        Self {
            shared: Some(Counts::new(shared)),
            ..Self::open(settings, counting, None)
        }
    }

    /// The records of the keys, the time of the counts' clock, and the source of the records.
    pub(super) fn read(
        &self,
        keys: &[Key],
        deadline: Instant,
    ) -> Result<(CountsSource, Vec<Record>, u64), Trouble> {
        if let Some(shared) = &self.shared {
            let end = self.end(deadline);
            match self.attempt(&shared.reading, || shared.state.read(keys, end)) {
                Ok((records, now)) => return Ok((CountsSource::Shared, records, now)),
                Err(trouble) if self.must_refuse(&trouble) => return Err(trouble),
                Err(_) => {}
            }
        }
        let (records, now) = self.own(keys)?;
        Ok((CountsSource::Own, records, now))
    }

    /// Whether a login must be refused because its counts are unavailable.
    pub(super) fn must_refuse(&self, trouble: &Trouble) -> bool {
        let uncounted = self.counting == CountingMode::OneRequest && *trouble == Trouble::Busy;
        !self.go_on || uncounted
    }

    /// The records of the keys in the counts of this process.
    pub(super) fn read_own_counts(&self, keys: &[Key]) -> Result<Vec<Record>, Trouble> {
        self.own(keys).map(|(records, _)| records)
    }

    fn own(&self, keys: &[Key]) -> Result<(Vec<Record>, u64), Trouble> {
        let read = self.own.state.read(keys, self.soon());
        read.map_err(|unchanged| Trouble::Throttle(unchanged.message()))
    }

    /// Changes the records of the keys; returns the changed records.
    pub(super) fn change(
        &self,
        source: CountsSource,
        keys: &[Key],
        change: &mut Change<'_>,
        deadline: Instant,
    ) -> Result<Vec<Record>, Trouble> {
        let counts = self.of(source);
        let work = || counts.state.change(keys, change, self.end(deadline));
        self.attempt(&counts.writing, work)
    }

    /// The secret of the password digests; `None` if it is unavailable. It is not kept here, because the
    /// counts may be removed and created again.
    pub(super) fn tag_key(&self, source: CountsSource, deadline: Instant) -> Option<TagKey> {
        let counts = self.of(source);
        let ask = || Ok(counts.state.tag_key(self.end(deadline))?);
        self.attempt(&counts.writing, ask).ok()
    }

    /// The records of the keys in the shared counts; an error, as a text, if they are not available in time.
    pub(super) fn counts_of_attempt(
        &self,
        keys: &[Key],
        deadline: Instant,
    ) -> Result<Vec<Record>, String> {
        let read = self.main().state.read(keys, self.soon().min(deadline));
        read.map(|(records, _)| records)
            .map_err(ChangeError::message)
    }

    pub(super) fn list(&self, deadline: Instant) -> Result<Vec<(Key, Record)>, String> {
        self.main().state.list(deadline)
    }

    /// Reads the counts of this process one after the other.
    pub(super) fn each(&self, look: &mut dyn FnMut(&Key, &Record, u64)) {
        self.own.state.each(look);
    }

    pub(super) fn forget(&self, keys: &[Key], deadline: Instant) -> Result<(), String> {
        self.main().state.forget(keys, deadline)
    }

    /// Tests whether the counts can be read and changed.
    pub(super) fn test(&self, deadline: Instant) -> Result<(), String> {
        self.main().state.test(deadline)
    }

    fn main(&self) -> &Counts {
        self.shared.as_ref().unwrap_or(&self.own)
    }

    fn of(&self, source: CountsSource) -> &Counts {
        match source {
            CountsSource::Shared => self.main(),
            CountsSource::Own => &self.own,
        }
    }

    /// Until when the program waits for the counts.
    fn end(&self, deadline: Instant) -> Instant {
        match self.counting {
            // A process for one request waits for its turn at a file.
            #[cfg(feature = "servers")]
            CountingMode::OneRequest if self.is_file => deadline,
            CountingMode::Server | CountingMode::OneRequest | CountingMode::ReadOnly => {
                self.soon().min(deadline)
            }
        }
    }

    fn soon(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Runs the operation, unless the last one failed recently. Logs the first failure and the recovery.
    /// Contention is not a failure.
    fn attempt<T>(
        &self,
        outage: &OperationState,
        work: impl FnOnce() -> Result<T, ChangeError>,
    ) -> Result<T, Trouble> {
        if outage.is_recent() {
            let what = format!(
                "{}: could not {} the counts a moment ago",
                self.place, outage.what
            );
            return Err(Trouble::Throttle(what));
        }
        match work() {
            Ok(done) => {
                if outage.ends() {
                    log::warn!(
                        "throttle: can {} the counts again: {}",
                        outage.what,
                        self.place
                    );
                }
                Ok(done)
            }
            #[cfg(feature = "servers")]
            Err(ChangeError::Contended) => Err(Trouble::Busy),
            Err(ChangeError::Failed(what)) => {
                if outage.begins() {
                    let then = match self.go_on {
                        true => "each process counts on its own meanwhile",
                        false => "logins get the temporary failure meanwhile",
                    };
                    log::warn!(
                        "throttle: cannot {} the counts: {what}; {then}",
                        outage.what
                    );
                }
                Err(Trouble::Throttle(what))
            }
        }
    }
}

/// The state of an operation that can fail.
struct OperationState {
    /// The operation on the counts, for the log.
    what: &'static str,
    start: Instant,
    /// The time of the next try, in milliseconds from the start.
    pause: AtomicU64,
    outage: sys::outage::Outage,
}

impl OperationState {
    fn new(what: &'static str) -> Self {
        Self {
            what,
            start: Instant::now(),
            pause: AtomicU64::new(0),
            outage: sys::outage::Outage::default(),
        }
    }

    fn is_recent(&self) -> bool {
        Duration::from_millis(self.pause.load(Ordering::Relaxed)) > self.start.elapsed()
    }

    /// Records a failure; returns whether it is the first one.
    fn begins(&self) -> bool {
        let again = self.start.elapsed().saturating_add(PAUSE).as_millis();
        let again = u64::try_from(again).unwrap_or(u64::MAX);
        self.pause.store(again, Ordering::Relaxed);
        self.outage.begins()
    }

    /// Records a success; returns whether it ends a failure.
    fn ends(&self) -> bool {
        self.outage.ends()
    }
}
