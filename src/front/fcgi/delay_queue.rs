//! Holds delayed answers with their connections: they occupy neither a thread nor a permit while they
//! wait.
//!
//! One thread sends them, each when it is due and only one per step: refusals that need no work
//! must not be sent so fast that a burst of them takes the processor from other requests.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::conn::Connection;
use crate::front::pace::STEP;
use crate::front::params::Peer;

/// The maximum number of held answers. Each takes a file descriptor and about 10 KiB.
const MAX_DELAYED: usize = 256;

/// A connection whose answer is ready but not sent.
#[derive(Debug)]
pub(super) struct DelayedAnswer {
    pub socket: Arc<OwnedFd>,
    pub peer: Peer,
    pub conn: Connection,
    /// The bytes to send.
    pub out: Vec<u8>,
}

/// The connections with held answers.
#[derive(Debug, Default)]
pub(super) struct DelayQueue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: BinaryHeap<Reverse<Entry>>,
    /// How many were ever added.
    count: u64,
    /// When the last one was removed.
    last: Option<Instant>,
    /// Whether all answers are released now.
    hurried: bool,
}

#[derive(Debug)]
struct Entry {
    due: Instant,
    /// If several are due at the same time, in the order of arrival.
    number: u64,
    answer: Box<DelayedAnswer>,
}

impl DelayQueue {
    /// Holds a connection until its answer is due; returns it if there are too many.
    pub(super) fn keep(
        &self,
        due: Instant,
        answer: Box<DelayedAnswer>,
    ) -> Result<(), Box<DelayedAnswer>> {
        let mut state = self.lock();
        if state.waiting.len() >= MAX_DELAYED {
            return Err(answer);
        }
        let first = state.waiting.peek().is_none_or(|first| due < first.0.due);
        let number = state.count;
        state.count += 1;
        state.waiting.push(Reverse(Entry {
            due,
            number,
            answer,
        }));
        if first {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Waits for the next due answer. Only one thread calls this.
    pub(super) fn next(&self) -> Box<DelayedAnswer> {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let due = state.waiting.peek().map(|first| {
                let in_step = state.last.map(|last| last + STEP);
                in_step.map_or(first.0.due, |in_step| first.0.due.max(in_step))
            });
            let Some(due) = due else {
                let waited = self.changed.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = due.saturating_duration_since(now);
            if (left.is_zero() || state.hurried)
                && let Some(Reverse(entry)) = state.waiting.pop()
            {
                state.last = Some(now);
                return entry.answer;
            }
            let waited = self.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Releases all answers now, because the server stops.
    pub(super) fn hurry(&self) {
        self.lock().hurried = true;
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;
    use crate::front::fcgi::Limits;

    fn answer(name: u8) -> Box<DelayedAnswer> {
        let (socket, _) = UnixStream::pair().unwrap();
        Box::new(DelayedAnswer {
            socket: Arc::new(socket.into()),
            peer: Peer::WebServer,
            conn: Connection::new(Limits::default()),
            out: vec![name],
        })
    }

    #[test]
    fn each_leaves_when_it_is_due_and_no_two_in_a_step() {
        let held = DelayQueue::default();
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        for (millis, name) in [(20, 3), (5, 1), (20, 4), (10, 2)] {
            held.keep(after(millis), answer(name)).unwrap();
        }
        let mut last = None;
        for (name, due) in [(1, 5), (2, 10), (3, 20), (4, 21)] {
            assert_eq!(held.next().out, [name]);
            let now = Instant::now();
            assert!(now >= after(due) && last.is_none_or(|last| now >= last + STEP / 2));
            last = Some(now);
        }
    }

    #[test]
    fn they_are_bounded_and_a_server_that_stops_waits_for_none() {
        let held = DelayQueue::default();
        let never = Instant::now() + Duration::from_secs(3600);
        for _ in 0..MAX_DELAYED {
            held.keep(never, answer(0)).unwrap();
        }
        assert_eq!(held.keep(never, answer(7)).unwrap_err().out, [7]);
        held.hurry();
        for _ in 0..MAX_DELAYED {
            held.next();
        }
        held.keep(never, answer(8)).unwrap();
        assert_eq!(held.next().out, [8]);
    }
}
