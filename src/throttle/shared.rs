//! The counts that processes share, and those of this process for when they cannot be had.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::Settings;
use super::key::Key;
use super::memory::Memory;
use super::record::Record;
use super::state::{Change, Place, State, TagKey, open};
use crate::refusal::Trouble;

/// How long counts that could not be had are not asked for again: no login is to wait for them.
const PAUSE: Duration = Duration::from_secs(5);

/// Which counts an attempt is counted in, from its begin to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Those that all share.
    Shared,
    /// Those of this process.
    Own,
}

/// The counts, with what is done when they cannot be had.
pub(super) struct Shared {
    place: String,
    go_on: bool,
    timeout: Duration,
    /// `None` where the process has no others than its own.
    shared: Option<Arc<Counts>>,
    own: Arc<Counts>,
    start: Instant,
    /// Milliseconds from the start until the shared ones are asked for again.
    pause: AtomicU64,
    failing: AtomicBool,
}

/// Counts, and what wrong passwords are digested with there.
struct Counts {
    state: Box<dyn State>,
    tag_key: OnceLock<TagKey>,
}

impl Counts {
    fn new(state: Box<dyn State>) -> Arc<Self> {
        Arc::new(Self {
            state,
            tag_key: OnceLock::new(),
        })
    }
}

impl Shared {
    pub(super) fn open(settings: &Settings, before: Option<&Self>) -> Self {
        let spans = settings.spans;
        let own = before.map_or_else(
            || Counts::new(Box::new(Memory::new(spans))),
            |before| Arc::clone(&before.own),
        );
        let shared = (settings.place != Place::Memory).then(|| {
            let kept = before.and_then(|before| before.shared.clone());
            kept.unwrap_or_else(|| Counts::new(open(&settings.place, spans)))
        });
        Self {
            place: settings.place.to_string(),
            go_on: settings.go_on,
            timeout: settings.timeout,
            shared,
            own,
            start: Instant::now(),
            pause: AtomicU64::new(0),
            failing: AtomicBool::new(
                before.is_some_and(|before| before.failing.load(Ordering::Relaxed)),
            ),
        }
    }

    /// The records of the keys, and which counts they are of.
    pub(super) fn read(
        &self,
        keys: &[Key],
        deadline: Instant,
    ) -> Result<(Source, Vec<Record>), Trouble> {
        if let Some(shared) = &self.shared {
            match self.attempt(|| shared.state.read(keys, self.soon(deadline))) {
                Ok(records) => return Ok((Source::Shared, records)),
                Err(what) if !self.go_on => return Err(Trouble::Throttle(what)),
                Err(_) => {}
            }
        }
        let records = self.own.state.read(keys, deadline);
        records
            .map(|records| (Source::Own, records))
            .map_err(Trouble::Throttle)
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
        let changed = match source {
            Source::Own => counts.state.change(keys, change, deadline),
            Source::Shared => {
                self.attempt(|| counts.state.change(keys, change, self.soon(deadline)))
            }
        };
        changed.map_err(Trouble::Throttle)
    }

    /// What wrong passwords are digested with; `None` where that cannot be had.
    pub(super) fn tag_key(&self, source: Source, deadline: Instant) -> Option<TagKey> {
        let counts = self.of(source);
        if counts.tag_key.get().is_none() {
            let ask = || counts.state.tag_key(self.soon(deadline));
            let key = match source {
                Source::Own => ask(),
                Source::Shared => self.attempt(ask),
            };
            let _somebody_else_may_have = counts.tag_key.set(key.ok()?);
        }
        counts.tag_key.get().cloned()
    }

    /// The time by the clock of the counts.
    pub(super) fn now(&self, source: Source) -> u64 {
        self.of(source).state.now()
    }

    pub(super) fn list(&self, deadline: Instant) -> Result<Vec<(Key, Record)>, String> {
        self.main().state.list(deadline)
    }

    pub(super) fn forget(&self, keys: &[Key], deadline: Instant) -> Result<(), String> {
        self.main().state.forget(keys, deadline)
    }

    /// Reads, and takes the write lock.
    pub(super) fn test(&self, deadline: Instant) -> Result<(), String> {
        let main = self.main();
        main.state.tag_key(deadline)?;
        main.state.change(&[], &mut |_, _| {}, deadline).map(drop)
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

    fn soon(&self, deadline: Instant) -> Instant {
        deadline.min(Instant::now() + self.timeout)
    }

    /// Asks for the shared counts, unless that has just failed. Says once that they cannot be had,
    /// and once that they can again.
    fn attempt<T>(&self, work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
        let now = self.start.elapsed();
        if Duration::from_millis(self.pause.load(Ordering::Relaxed)) > now {
            return Err(format!("{}: could not be had a moment ago", self.place));
        }
        let result = work();
        let failing = result.is_err();
        if let Err(what) = &result {
            let again = self.start.elapsed().saturating_add(PAUSE).as_millis();
            let again = u64::try_from(again).unwrap_or(u64::MAX);
            self.pause.store(again, Ordering::Relaxed);
            if !self.failing.swap(failing, Ordering::Relaxed) {
                let then = match self.go_on {
                    true => "each process counts on its own meanwhile",
                    false => "logins get the temporary failure meanwhile",
                };
                log::warn!("throttle: the counts cannot be had: {what}; {then}");
            }
        } else if self.failing.swap(failing, Ordering::Relaxed) {
            log::warn!("throttle: the counts can be had again: {}", self.place);
        }
        result
    }
}
