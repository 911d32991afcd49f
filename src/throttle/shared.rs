//! The counts that processes share, and the counts of this process that replace them while they are
//! unavailable.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Settings;
use super::key::Key;
use super::memory::Memory;
use super::record::Record;
use super::state::{Change, Counting, Place, State, TagKey, Unchanged, open};
use crate::nginx::refusal::Trouble;
use crate::sys;

/// How long unavailable counts are not queried again: logins must not wait for them.
const PAUSE: Duration = Duration::from_secs(5);

/// Which counts record an attempt, from its beginning to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The shared counts.
    Shared,
    /// The counts of this process.
    Own,
}

/// The counts, and the fallback while they are unavailable.
pub(super) struct Shared {
    place: String,
    go_on: bool,
    counting: Counting,
    #[cfg(feature = "sql")]
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
    reading: Outage,
    writing: Outage,
}

impl Counts {
    fn new(state: Box<dyn State>) -> Arc<Self> {
        Arc::new(Self {
            state,
            reading: Outage::new("had"),
            writing: Outage::new("written"),
        })
    }
}

impl Shared {
    pub(super) fn open(settings: &Settings, counting: Counting, before: Option<&Self>) -> Self {
        let spans = settings.spans;
        let own = before.map_or_else(
            || Counts::new(Box::new(Memory::new(spans))),
            |before| Arc::clone(&before.own),
        );
        let shared = (settings.place != Place::Memory).then(|| {
            let kept = before.and_then(|before| before.shared.clone());
            kept.unwrap_or_else(|| Counts::new(open(&settings.place, spans, counting)))
        });
        Self {
            place: settings.place.to_string(),
            go_on: settings.go_on,
            counting,
            #[cfg(feature = "sql")]
            is_file: matches!(settings.place, Place::Sqlite(_)),
            timeout: settings.timeout,
            shared,
            own,
        }
    }

    /// With these shared counts.
    #[cfg(test)]
    pub(super) fn with(settings: &Settings, counting: Counting, shared: Box<dyn State>) -> Self {
        Self {
            shared: Some(Counts::new(shared)),
            ..Self::open(settings, counting, None)
        }
    }

    /// The records of the keys, the time by the clock that they have, and which counts they are of.
    pub(super) fn read(
        &self,
        keys: &[Key],
        deadline: Instant,
    ) -> Result<(Source, Vec<Record>, u64), Trouble> {
        if let Some(shared) = &self.shared {
            let end = self.end(deadline);
            match self.attempt(&shared.reading, || shared.state.read(keys, end)) {
                Ok((records, now)) => return Ok((Source::Shared, records, now)),
                Err(trouble) if self.must_stop(&trouble) => return Err(trouble),
                Err(_) => {}
            }
        }
        let (records, now) = self.own(keys)?;
        Ok((Source::Own, records, now))
    }

    /// Whether a login is not to be decided without the counts that are in such trouble.
    pub(super) fn must_stop(&self, trouble: &Trouble) -> bool {
        let uncounted = self.counting == Counting::Once && *trouble == Trouble::Busy;
        !self.go_on || uncounted
    }

    /// The records of the keys in the counts of this process.
    pub(super) fn read_own(&self, keys: &[Key]) -> Result<Vec<Record>, Trouble> {
        self.own(keys).map(|(records, _)| records)
    }

    fn own(&self, keys: &[Key]) -> Result<(Vec<Record>, u64), Trouble> {
        let read = self.own.state.read(keys, self.soon());
        read.map_err(|unchanged| Trouble::Throttle(unchanged.words()))
    }

    /// Changes the records of the keys; they come back as they are then.
    pub(super) fn change(
        &self,
        source: Source,
        keys: &[Key],
        change: &mut Change<'_>,
        deadline: Instant,
    ) -> Result<Vec<Record>, Trouble> {
        let counts = self.of(source);
        let work = || counts.state.change(keys, change, self.end(deadline));
        self.attempt(&counts.writing, work)
    }

    /// What wrong passwords are digested with; `None` where that cannot be had. Not kept, as the
    /// counts may be removed and begun anew.
    pub(super) fn tag_key(&self, source: Source, deadline: Instant) -> Option<TagKey> {
        let counts = self.of(source);
        let ask = || Ok(counts.state.tag_key(self.end(deadline))?);
        self.attempt(&counts.writing, ask).ok()
    }

    /// The records of the keys in the counts that processes share; an error, in words, if they cannot be
    /// had in time.
    pub(super) fn look(&self, keys: &[Key], deadline: Instant) -> Result<Vec<Record>, String> {
        let read = self.main().state.read(keys, self.soon().min(deadline));
        read.map(|(records, _)| records).map_err(Unchanged::words)
    }

    pub(super) fn list(&self, deadline: Instant) -> Result<Vec<(Key, Record)>, String> {
        self.main().state.list(deadline)
    }

    pub(super) fn forget(&self, keys: &[Key], deadline: Instant) -> Result<(), String> {
        self.main().state.forget(keys, deadline)
    }

    /// Tries whether the counts can be read and changed.
    pub(super) fn test(&self, deadline: Instant) -> Result<(), String> {
        self.main().state.test(deadline)
    }

    fn main(&self) -> &Counts {
        self.shared.as_ref().unwrap_or(&self.own)
    }

    fn of(&self, source: Source) -> &Counts {
        match source {
            Source::Shared => self.main(),
            Source::Own => &self.own,
        }
    }

    /// Until when the counts are waited for.
    fn end(&self, deadline: Instant) -> Instant {
        match self.counting {
            // For its turn at a file.
            #[cfg(feature = "sql")]
            Counting::Once if self.is_file => deadline,
            Counting::ForLong | Counting::Once | Counting::Never => self.soon().min(deadline),
        }
    }

    fn soon(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Does it, unless it has just failed. Says once that it fails, and once that it does no more.
    /// That many want the same at once is no failure.
    fn attempt<T>(
        &self,
        outage: &Outage,
        work: impl FnOnce() -> Result<T, Unchanged>,
    ) -> Result<T, Trouble> {
        if outage.is_recent() {
            let what = format!("{}: could not be {} a moment ago", self.place, outage.what);
            return Err(Trouble::Throttle(what));
        }
        match work() {
            Ok(done) => {
                if outage.ends() {
                    log::warn!(
                        "throttle: the counts can be {} again: {}",
                        outage.what,
                        self.place
                    );
                }
                Ok(done)
            }
            #[cfg(any(feature = "sql", feature = "redis"))]
            Err(Unchanged::Contended) => Err(Trouble::Busy),
            Err(Unchanged::Failed(what)) => {
                if outage.begins() {
                    let then = match self.go_on {
                        true => "each process counts on its own meanwhile",
                        false => "logins get the temporary failure meanwhile",
                    };
                    log::warn!(
                        "throttle: the counts cannot be {}: {what}; {then}",
                        outage.what
                    );
                }
                Err(Trouble::Throttle(what))
            }
        }
    }
}

/// Whether something fails at the moment.
struct Outage {
    /// What cannot be done to the counts.
    what: &'static str,
    start: Instant,
    /// Milliseconds from the start until it is tried again.
    pause: AtomicU64,
    outage: sys::outage::Outage,
}

impl Outage {
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

    /// It has failed; whether that is news.
    fn begins(&self) -> bool {
        let again = self.start.elapsed().saturating_add(PAUSE).as_millis();
        let again = u64::try_from(again).unwrap_or(u64::MAX);
        self.pause.store(again, Ordering::Relaxed);
        self.outage.begins()
    }

    /// It has worked; whether that is news.
    fn ends(&self) -> bool {
        self.outage.ends()
    }
}
